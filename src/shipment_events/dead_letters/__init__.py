"""What could not be stored: why, and how it is read, repaired, sent again or given up."""
