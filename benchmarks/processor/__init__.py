"""The processor beside the ways in which it is usually written."""
