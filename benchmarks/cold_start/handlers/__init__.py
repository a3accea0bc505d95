"""What the bundle's start is compared with."""
