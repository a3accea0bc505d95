"""The bill."""
