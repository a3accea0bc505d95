"""The processor's memory: a process of its own settles the worst batches that Lambda may hand over.

Lambda hands over at most 6 MB, as JSON, and a message has at most 1 MiB:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from benchmarks.cpu_share import cpu_share
from benchmarks.fake_services.endpoint import Endpoint, running_endpoint
from benchmarks.processor.container import Container, container

HANDLER: Final = "shipment_events.processor.handler"
# Of the function's 512 MB.
MOST_BYTES: Final = 300_000_000
MAX_PAYLOAD_BYTES: Final = 6 * 1024 * 1024


def array(element: str, count: int) -> str:
    return f"[{','.join([element] * count)}]"


# JSON of a field that brings an item near its 400 KB, or a message near its 1 MiB; events in a batch.
SHAPES: Final = {
    "digits": (array("7", 135_000), 10),
    "nulls": (array("null", 200_000), 5),
    "empty arrays": (array("[]", 100_000), 10),
    "deep arrays": (array("[" * 28 + "]" * 28, 3_500), 10),
    "deep objects": (array('{"":' * 28 + "7" + "}" * 28, 2_800), 10),
    "objects of one key": (array('{"":7}', 55_000), 10),
    "short keys": (json.dumps({f"{n:x}": 7 for n in range(45_000)}, separators=(",", ":")), 10),
    "digits and a character of four bytes": (array("7", 134_000)[:-1] + ',"\U0001f69a"]', 10),
    "text": (json.dumps("ü" * 200_000, ensure_ascii=False), 10),
    "digits, too many for an item": (array("7", 499_000), 6),
    "deep arrays, too many for an item": (array("[" * 28 + "]" * 28, 17_000), 6),
}


def batch(filler: str, count: int, **fields: str) -> dict[str, Any]:
    """An event of Lambda's with so many new messages."""
    records = []
    for number in range(count):
        event = {
            "shipment_id": f"S-{number}",
            "event_timestamp": "2025-03-01T13:05:00Z",
            "event_type": "shipment.departed",
            **fields,
        }
        envelope = {
            "id": f"00000000-0000-4000-9000-{number:012x}",
            "time": datetime.now(UTC).isoformat(),
            "source": "shipment.service",
            "detail-type": "shipment.departed",
            "detail": {**event, "filler": None},
        }
        body = json.dumps(envelope).replace('"filler": null', f'"filler": {filler}')
        attributes = {"ApproximateReceiveCount": "1"}
        records.append(
            {"messageId": str(number), "receiptHandle": "receipt", "body": body, "attributes": attributes}
        )
    return {"Records": records}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with running_endpoint() as endpoint:
        yield endpoint


@contextmanager
def function(endpoint: Endpoint) -> Iterator[Container]:
    endpoint.begin(median_seconds=0, clear=True)
    with cpu_share(1) as share, container("memory", HANDLER, endpoint, share) as worker:
        yield worker


def peak(worker: Container) -> int:
    used: int = worker.run("resident", {})["peak_resident_bytes"]
    return used


def assert_worst_batch_fits(endpoint: Endpoint, shape: str) -> None:
    filler, count = SHAPES[shape]
    worst = batch(filler, count)
    assert len(json.dumps(worst, ensure_ascii=False).encode()) <= MAX_PAYLOAD_BYTES
    with function(endpoint) as worker:
        failed = worker.run("timed", worst)["failed"]
        assert failed == (count if "too many" in shape else 0), "the stand-in has no dead-letter queue"
        assert peak(worker) <= MOST_BYTES
        if not failed:
            endpoint.begin(median_seconds=0, returns_old_items=True)
            assert worker.run("timed", worst)["failed"] == 0, "duplicates, whose old items come back"
            assert peak(worker) <= MOST_BYTES


def test_batch_takes_little_more_than_its_largest_event(endpoint: Endpoint) -> None:
    """The worst batch on a small scale: what is slow is the digits, not their number."""
    with function(endpoint) as worker:
        worker.run("timed", batch(array("7", 100), 10))
        before = peak(worker)
        worker.run("timed", batch(array("7", 15_000), 1))
        one = peak(worker) - before
        worker.run("timed", batch(array("7", 15_000), 10))
        ten = peak(worker) - before
        endpoint.begin(median_seconds=0, returns_old_items=True)
        worker.run("timed", batch(array("7", 15_000), 10))
        again = peak(worker) - before
    assert ten < 3 * one + 5_000_000
    assert again < 2 * ten + 3_000_000, "duplicates, whose old items come back"


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_worst_batch_fits(endpoint: Endpoint, shape: str) -> None:
    assert_worst_batch_fits(endpoint, shape)


@pytest.mark.slow
def test_small_events_that_conflict_with_large_ones_fit(endpoint: Endpoint) -> None:
    with function(endpoint) as worker:
        assert worker.run("timed", batch(array("null", 200_000), 5, event_id="E"))["failed"] == 0
        more = batch(array("null", 200_000), 5, event_id="E")
        for record in more["Records"]:
            record["body"] = record["body"].replace('"S-', '"T-')
        assert worker.run("timed", more)["failed"] == 0
        before = peak(worker)
        endpoint.begin(median_seconds=0, returns_old_items=True)
        small = batch('"other"', 10, event_id="E")
        for record in small["Records"][5:]:
            record["body"] = record["body"].replace('"S-', '"T-')
        assert worker.run("timed", small)["failed"] == 0
        assert before <= peak(worker) <= MOST_BYTES
