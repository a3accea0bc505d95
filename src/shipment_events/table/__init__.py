"""The table of events: convert events into items; write, read and restore items."""
