"""From a fresh process to a handler that could take its first batch."""
