"""The contract: events, JSON, schema."""
