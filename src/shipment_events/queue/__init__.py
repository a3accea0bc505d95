"""The two queues: quarantine an event, put a retry off, see what waits."""
