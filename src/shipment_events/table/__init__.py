"""The table of events: how an event becomes an item, how items are written and read, and copied back."""
