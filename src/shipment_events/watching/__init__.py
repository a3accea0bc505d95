"""Whether the pipeline is healthy: its status, the trace of an event, and replays."""
