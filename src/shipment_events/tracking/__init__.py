"""The current state of each shipment, folded from its stored events, and the changes of this state."""
