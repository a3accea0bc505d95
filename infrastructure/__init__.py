"""The deployed stack: one construct a file."""
