"""Status, trace and replay."""
