"""Publisher, event files and journal."""
