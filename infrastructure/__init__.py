"""What is deployed: one construct a file, in the order in which an event meets them."""
