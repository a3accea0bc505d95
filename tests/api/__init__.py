"""The HTTP API, without a service."""
