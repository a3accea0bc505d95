"""SQS: quarantine events, delay retries, read the counts of a queue."""
