"""Items, store and copy."""
