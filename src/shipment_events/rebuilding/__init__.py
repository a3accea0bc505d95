"""Repair of the read side: rebuild the states of shipments from their stored events, beside live traffic."""
