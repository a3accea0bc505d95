"""The HTTP API that reads shipments and their events: a function behind an HTTP API of API Gateway."""
