"""Operations: the status of the pipeline, the trace of an event, and replays."""
