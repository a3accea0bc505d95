"""The publisher beside a producer's own calls of the service, and its memory on a long file."""
