"""Where each accepted event ended: in the table once, or in the dead-letter queue."""
