"""The commands, without an engine."""
