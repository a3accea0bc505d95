"""What the stored events say of each shipment: its current state, and the changes of it."""
