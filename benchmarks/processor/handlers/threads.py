"""(b) The same requests, ten at a time."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from benchmarks.processor.handlers.textbook import store

# One pool a container, and as many connections as botocore keeps by default. A table of a resource is one
# client with a fixed parameter, and clients may be shared by threads.
_pool = ThreadPoolExecutor(10)


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Store all records at the same time."""
    done = [(record["messageId"], _pool.submit(store, record)) for record in event["Records"]]
    failures = []
    for message_id, future in done:
        try:
            future.result()
        except ClientError:
            failures.append({"itemIdentifier": message_id})
    return {"batchItemFailures": failures}
