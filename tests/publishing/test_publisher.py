import copy
import itertools
import json
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from random import Random
from types import MappingProxyType
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from shipment_events.contract.event import parse_event
from shipment_events.contract.exact_json import loads
from shipment_events.contract.outcome import InvalidEventError, Reason
from shipment_events.publishing.publisher import (
    Accepted,
    BusNotFoundError,
    Publisher,
    Unsent,
    prepare,
    prepare_text,
)
from shipment_events.publishing.put_events import MAX_REQUEST_BYTES, Entry
from tests.stand_ins.bus import ENDPOINT, MAX_BYTES, FakeBus, entry_bytes, publisher_on, service_error

EVENT: dict[str, Any] = {
    "shipment_id": "S-1",
    "event_timestamp": "2025-03-01T14:05:00+01:00",
    "event_type": "shipment.departed",
}


@pytest.fixture(scope="module", autouse=True)
def waits() -> Iterator[list[tuple[float, float]]]:
    """Bounds of every wait between two attempts; none is waited for."""
    bounds: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return 0.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("random.uniform", uniform)
        yield bounds


def entries(count: int, size: int = 10) -> list[Entry]:
    return [Entry(position, "shipment.a", f"{position:0{size}}") for position in range(1, count + 1)]


def sent_positions(bus: FakeBus) -> list[list[int]]:
    return [[int(entry["Detail"][-9:]) for entry in request] for request in bus.requests]


def failing(*codes_by_turn: str | None) -> Any:
    """Entry 1 meets these codes turn by turn and succeeds afterwards; all others succeed."""
    turns = iter(codes_by_turn)

    def answer(batch: Sequence[dict[str, Any]]) -> list[str | None]:
        return [next(turns, None) if int(entry["Detail"]) == 1 else None for entry in batch]

    return answer


def test_packs_ten_entries_a_request() -> None:
    bus = FakeBus()
    list(publisher_on(bus, concurrency=1).send(entries(25)))
    assert [len(request) for request in bus.requests] == [10, 10, 5]


def test_packs_to_the_byte_limit() -> None:
    bus = FakeBus()
    third = MAX_REQUEST_BYTES // 3 - len("shipment.serviceshipment.a")
    list(publisher_on(bus, concurrency=1).send([*entries(3, third), *entries(4, third + 1)]))
    assert [len(request) for request in bus.requests] == [3, 2, 2]
    assert all(sum(map(entry_bytes, request)) <= MAX_REQUEST_BYTES for request in bus.requests)


def test_counts_bytes_and_not_characters() -> None:
    entry = Entry(1, "shipment.łódź", "東京😀")
    assert entry.size == len(b"shipment.service") + len("shipment.łódź".encode()) + len("東京😀".encode())


@given(
    sizes=st.lists(st.integers(10, 400_000), max_size=40),
    concurrency=st.integers(1, 4),
)
def test_sends_each_entry_once_in_requests_within_the_limits(sizes: list[int], concurrency: int) -> None:
    bus = FakeBus()
    given_entries = [
        Entry(position, "shipment.a", f"{position:0{size}}") for position, size in enumerate(sizes, start=1)
    ]
    receipts = list(publisher_on(bus, concurrency=concurrency).send(given_entries))
    assert sorted(receipt.entry.position for receipt in receipts) == list(range(1, len(sizes) + 1))
    assert all(isinstance(receipt, Accepted) for receipt in receipts)
    assert bus.accepted == Counter(entry.detail for entry in given_entries)
    assert all(sum(map(entry_bytes, request)) <= MAX_BYTES for request in bus.requests)
    for positions in sent_positions(bus):
        assert positions == list(range(positions[0], positions[0] + len(positions)))


def test_puts_entries_on_its_bus_as_the_rule_expects_them() -> None:
    bus = FakeBus()
    publisher_on(bus).publish([EVENT])
    (((entry),),) = bus.requests
    assert entry.keys() == {"EventBusName", "Source", "DetailType", "Detail"}
    assert entry["EventBusName"] == "shipmentevents-test"
    assert entry["Source"] == "shipment.service"
    assert entry["DetailType"] == "shipment.departed"
    assert json.loads(entry["Detail"]).items() >= EVENT.items()


def test_resends_exactly_the_entries_that_failed() -> None:
    failures = iter([{2, 5}, {5}, set[int]()])

    def answer(batch: Sequence[dict[str, Any]]) -> list[str | None]:
        failed = next(failures)
        return ["ThrottlingException" if int(entry["Detail"]) in failed else None for entry in batch]

    bus = FakeBus(answer)
    receipts = list(publisher_on(bus).send(entries(6)))
    assert sent_positions(bus) == [[1, 2, 3, 4, 5, 6], [2, 5], [5]]
    assert {type(receipt) for receipt in receipts} == {Accepted}
    assert len(receipts) == 6


def test_each_entry_gets_the_envelope_id_that_the_bus_gave_it() -> None:
    bus = FakeBus(failing("InternalFailure"))
    receipts = list(publisher_on(bus).send(entries(3)))
    by_position = {r.entry.position: r.envelope_id for r in receipts if isinstance(r, Accepted)}
    # Entry 1 failed at first, so the others were numbered before it.
    assert by_position == {2: "envelope-1", 3: "envelope-2", 1: "envelope-3"}


@pytest.mark.parametrize(
    "code",
    ["AccessDeniedException", "MalformedDetail", "NotAuthorizedForSourceException", "ExpiredTokenException"],
)
def test_hands_an_entry_with_a_permanent_error_back_at_once(code: str) -> None:
    bus = FakeBus(failing(code, code))
    receipts = list(publisher_on(bus).send(entries(3)))
    assert sent_positions(bus) == [[1, 2, 3]]
    assert [(r.entry.position, r.why) for r in receipts if isinstance(r, Unsent)] == [(1, code)]


def test_does_not_try_again_without_credentials() -> None:
    bus = FakeBus(lambda _: NoCredentialsError())
    receipts = list(publisher_on(bus).send(entries(3)))
    assert len(bus.requests) == 1
    assert [r.why for r in receipts if isinstance(r, Unsent)] == ["NoCredentialsError"] * 3


@pytest.mark.parametrize(
    "error",
    [
        service_error("ThrottlingException"),
        service_error("InternalFailure"),
        ReadTimeoutError(endpoint_url=ENDPOINT),
        EndpointConnectionError(endpoint_url=ENDPOINT),
    ],
)
def test_tries_a_request_again_that_failed_whole(error: Exception) -> None:
    answers: Iterator[Any] = iter([error, error, [None] * 3])
    bus = FakeBus(lambda _: next(answers))
    receipts = list(publisher_on(bus).send(entries(3)))
    assert sent_positions(bus) == [[1, 2, 3]] * 3
    assert sum(isinstance(receipt, Accepted) for receipt in receipts) == 3


@pytest.mark.parametrize("answered", [0, 2])
def test_takes_nothing_for_sent_where_the_response_is_short(answered: int) -> None:
    bus = FakeBus(lambda _: [None] * answered)
    receipts = list(publisher_on(bus, max_attempts=2).send(entries(3)))
    assert len(bus.requests) == 2
    assert [r.why for r in receipts if isinstance(r, Unsent)] == ["IncompleteResponse"] * 3


def test_one_entry_that_the_service_refuses_does_not_take_its_neighbours_along() -> None:
    def answer(batch: Sequence[dict[str, Any]]) -> Any:
        if any(int(entry["Detail"]) == 4 for entry in batch):
            return service_error("ValidationException")
        return [None] * len(batch)

    bus = FakeBus(answer)
    receipts = list(publisher_on(bus).send(entries(10)))
    assert [(r.entry.position, r.why) for r in receipts if isinstance(r, Unsent)] == [
        (4, "ValidationException")
    ]
    assert {int(detail) for detail in bus.accepted} == set(range(1, 11)) - {4}
    assert set(bus.accepted.values()) == {1}


def test_attempts_are_bounded_and_waits_grow(waits: list[tuple[float, float]]) -> None:
    waits.clear()
    bus = FakeBus(lambda batch: ["ThrottlingException"] * len(batch))
    receipts = list(publisher_on(bus, max_attempts=9).send(entries(1)))
    assert len(bus.requests) == 9
    assert [receipt.why for receipt in receipts if isinstance(receipt, Unsent)] == ["ThrottlingException"]
    assert [high for _, high in waits] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert all(0 < low < high for low, high in waits)


def test_a_resend_has_the_same_event_id() -> None:
    answers: Iterator[Any] = iter([ReadTimeoutError(endpoint_url=ENDPOINT), ["InternalFailure"], [None]])
    bus = FakeBus(lambda _: next(answers))
    assert publisher_on(bus).publish([EVENT]).accepted == 1
    ids = [json.loads(request[0]["Detail"])["event_id"] for request in bus.requests]
    assert len(ids) == 3
    assert set(ids) == {parse_event(loads(json.dumps(EVENT))).event_id}


@given(
    count=st.integers(0, 60),
    seed=st.integers(0, 2**32),
    whole=st.floats(0, 0.6),
    single=st.floats(0, 0.6),
    concurrency=st.integers(1, 4),
)
def test_nothing_is_dropped_under_random_failures(
    count: int, seed: int, whole: float, single: float, concurrency: int
) -> None:
    random = Random(seed)
    codes = ("ThrottlingException", "InternalFailure", "AccessDeniedException")
    errors = (
        service_error("ThrottlingException"),
        service_error("ValidationException"),
        ReadTimeoutError(endpoint_url=ENDPOINT),
    )

    def answer(batch: Sequence[dict[str, Any]]) -> Any:
        if random.random() < whole:
            return random.choice([*errors, [None] * (len(batch) - 1)])
        return [random.choice(codes) if random.random() < single else None for _ in batch]

    bus = FakeBus(answer)
    receipts = list(publisher_on(bus, concurrency=concurrency).send(entries(count)))
    assert sorted(receipt.entry.position for receipt in receipts) == list(range(1, count + 1))
    for receipt in receipts:
        if isinstance(receipt, Accepted):
            assert bus.accepted[receipt.entry.detail] >= 1
            assert receipt.envelope_id
        else:
            assert receipt.why


def test_receipts_say_when_the_request_that_succeeded_was_sent() -> None:
    answers: Iterator[Any] = iter([["InternalFailure"], [None]])
    second_sent: list[datetime] = []

    def answer(_: object) -> Any:
        second_sent.append(datetime.now(UTC))
        time.sleep(0.02)
        return next(answers)

    (receipt,) = publisher_on(FakeBus(answer)).send(entries(1))
    assert isinstance(receipt, Accepted)
    assert second_sent[0] < receipt.sent_at <= second_sent[1]


def test_takes_entries_only_as_it_needs_them() -> None:
    taken = 0

    def stream() -> Iterator[Entry]:
        nonlocal taken
        for entry in entries(10_000):
            taken += 1
            yield entry

    receipts = publisher_on(FakeBus(), concurrency=2).send(stream())
    ahead = [taken - received for received, _ in enumerate(receipts, start=1)]
    assert taken == 10_000
    # Four requests under way and one being packed.
    assert max(ahead) <= 5 * 10 + 1


def test_memory_is_flat_for_a_stream_of_any_length() -> None:
    def events(count: int) -> Iterator[dict[str, Any]]:
        return ({**EVENT, "event_id": str(number), "note": "x" * 2_000} for number in range(count))

    def answer(batch: Sequence[object]) -> list[None]:
        return [None] * len(batch)

    class Forgetful(FakeBus):
        def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
            answered = super().put_events(Entries=Entries)
            self.requests.clear()
            self.accepted.clear()
            return answered

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            assert publisher_on(Forgetful(answer)).publish(events(count)).accepted == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(200)
    assert peak(2_000) < peak(200) + 500_000


def test_requests_under_way_at_once_are_as_many_as_asked_for() -> None:
    bus = FakeBus(seconds=0.005)
    list(publisher_on(bus, concurrency=3).send(entries(200)))
    assert bus.most_under_way == 3


def test_ends_at_once_where_the_consumer_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda *_: 30.0)
    bus = FakeBus(failing(*["ThrottlingException"] * 9), seconds=0.01)
    receipts = publisher_on(bus).send(iter(entries(10_000)))
    began = time.monotonic()

    def consume() -> None:
        for count, _ in enumerate(receipts):
            if count == 50:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    receipts.close()
    assert time.monotonic() - began < 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("publish")]
    assert len(bus.requests) < 50


def test_sends_what_it_took_before_the_source_failed() -> None:
    def stream() -> Iterator[Entry]:
        yield from entries(13)
        raise OSError("the disk is gone")

    bus = FakeBus(failing("ThrottlingException"))
    receipts: list[int] = []
    with pytest.raises(OSError, match="the disk is gone"):
        receipts.extend(receipt.entry.position for receipt in publisher_on(bus).send(stream()))
    assert sorted(receipts) == list(range(1, 14))
    assert bus.accepted.total() == 13


def test_a_broken_event_never_stops_the_rest() -> None:
    broken: list[Any] = [{**EVENT, "shipment_id": ""}, None, "text", [EVENT], 7, {**EVENT, "x": b"bytes"}]
    bus = FakeBus()
    result = publisher_on(bus).publish([EVENT, *broken, {**EVENT, "event_id": "last"}])
    assert result.accepted == 2
    assert [refused.position for refused in result.refused] == [2, 3, 4, 5, 6, 7]
    assert [refused.event for refused in result.refused] == broken
    assert bus.accepted.total() == 2


class Status(StrEnum):
    DEPARTED = "DEPARTED"


def test_takes_numbers_texts_and_nested_values_of_python() -> None:
    event = MappingProxyType(
        {
            **EVENT,
            "status": Status.DEPARTED,
            "weight": 0.1,
            "pieces": 3,
            "value": Decimal("12.50"),
            "id": 2**63 - 1,
            "nested": {"list": [1, 2.5, None, True, {"city": "Łódź"}]},
        }
    )
    detail = loads(prepare(event).detail)
    assert detail["status"] == "DEPARTED"
    assert detail["weight"] == Decimal("0.1")
    assert detail["value"] == Decimal("12.50")
    assert detail["id"] == 2**63 - 1
    assert detail["nested"] == {"list": [1, Decimal("2.5"), None, True, {"city": "Łódź"}]}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (datetime(2025, 3, 1, tzinfo=UTC), "x.y[1]: expected a JSON value, got datetime"),
        (b"bytes", "x.y[1]: expected a JSON value, got bytes"),
        ({1}, "x.y[1]: expected a JSON value, got set"),
        ((1, 2), "x.y[1]: expected a JSON value, got tuple"),
        (object(), "x.y[1]: expected a JSON value, got object"),
        ({1: "a"}, "x.y[1]: expected texts as field names"),
        ({None: "a"}, "x.y[1]: expected texts as field names"),
    ],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_names_what_json_has_no_room_for(value: object, found: str) -> None:
    with pytest.raises(InvalidEventError) as refused:
        prepare({**EVENT, "x": {"y": [0, value]}})
    assert refused.value.reason is Reason.INVALID_FIELD
    assert refused.value.detail == found


def test_an_event_that_contains_itself_is_too_deep() -> None:
    event: dict[str, Any] = {**EVENT}
    event["self"] = event
    with pytest.raises(InvalidEventError) as refused:
        prepare(event)
    assert refused.value.reason is Reason.TOO_DEEP


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity"), 10**39])
def test_refuses_numbers_that_the_table_cannot_hold(value: object) -> None:
    with pytest.raises(InvalidEventError) as refused:
        prepare({**EVENT, "value": value})
    assert refused.value.reason is Reason.NUMBER_OUT_OF_RANGE


@pytest.mark.parametrize(
    "number",
    [
        "9223372036854775808",
        "-9223372036854775809",
        "0.10000000000000000001",
        "12345678901234567.5",
        "1.00000000000000000001E-20",
    ],
)
@pytest.mark.parametrize("place", ['"x": {}', '"x": [[{}]]', '"location": {{"x": {}}}'])
def test_refuses_numbers_that_the_bus_would_round(number: str, place: str) -> None:
    text = json.dumps(EVENT)[:-1] + "," + place.format(number) + "}"
    with pytest.raises(InvalidEventError) as refused:
        prepare_text(text)
    assert refused.value.reason is Reason.NUMBER_OUT_OF_RANGE
    assert refused.value.detail.startswith("x: expected ")
    assert number in refused.value.detail
    assert refused.value.detail.endswith("send it as a text")


@pytest.mark.parametrize(
    "number",
    ["9223372036854775807", "-9223372036854775808", "0.1", "12.50", "1E+5", "-0", "1e-7", "123456.789012345"],
)
def test_takes_numbers_that_come_out_of_the_bus_as_they_went_in(number: str) -> None:
    entry = prepare_text(json.dumps(EVENT)[:-1] + f', "x": {number}}}')
    assert loads(entry.detail)["x"] == Decimal(number)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30))
def test_a_number_that_it_takes_is_the_same_for_a_reader_of_floats(number: Decimal) -> None:
    with suppress(InvalidEventError):
        detail = prepare({**EVENT, "x": number}).detail
        assert Decimal(str(json.loads(detail)["x"])) == number


def test_leaves_events_as_they_are() -> None:
    events: list[dict[str, Any]] = [
        {**EVENT, "x": [1.5, {"y": Decimal("1.50")}]},
        {**EVENT, "event_id": None},
        {**EVENT, "event_type": "wrong"},
    ]
    before = copy.deepcopy(events)
    publisher_on(FakeBus()).publish(events)
    assert events == before
    assert [list(event) for event in events] == [list(event) for event in before]


@pytest.mark.parametrize("given_id", [{}, {"event_id": None}])
def test_derives_the_event_id_that_the_processor_would_derive(given_id: dict[str, None]) -> None:
    event = {**EVENT, "x": 1.50, **given_id}
    detail = loads(prepare(event).detail)
    assert detail["event_id"] == parse_event(loads(json.dumps(event))).event_id
    assert parse_event(detail).content_hash == parse_event(loads(json.dumps(event))).content_hash


def test_keeps_the_producers_event_id() -> None:
    assert loads(prepare({**EVENT, "event_id": "7/b"}).detail)["event_id"] == "7/b"


def test_refuses_what_no_item_could_hold() -> None:
    with pytest.raises(InvalidEventError) as refused:
        prepare({**EVENT, "description": "x" * 410_000})
    assert refused.value.reason is Reason.TOO_LARGE


def connect(monkeypatch: pytest.MonkeyPatch, bus: FakeBus) -> Publisher:
    monkeypatch.setattr("boto3.client", lambda *_, **__: bus)
    return Publisher.connect("nowhere")


def test_says_so_where_there_is_no_such_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BusNotFoundError, match=f"no event bus shipmentevents-nowhere at {ENDPOINT}"):
        connect(monkeypatch, FakeBus(is_there=False))


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_publishes_where_the_bus_may_not_be_described(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    bus = FakeBus()
    monkeypatch.setattr(bus, "describe_event_bus", lambda **_: (_ for _ in ()).throw(service_error(code)))
    assert connect(monkeypatch, bus).publish([EVENT]).accepted == 1


def test_connects_with_a_client_that_leaves_retries_to_the_publisher(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def client(service: str, **settings: Any) -> FakeBus:
        asked.update(settings, service=service)
        return FakeBus()

    monkeypatch.setattr("boto3.client", client)
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    Publisher.connect("dev", concurrency=7)
    assert asked["region_name"] == "ap-south-1"
    assert asked["service"] == "events"
    assert asked["config"].retries == {"total_max_attempts": 1}
    assert asked["config"].max_pool_connections == 7
    assert asked["config"].read_timeout <= 10


def test_numbers_positions_from_one() -> None:
    result = publisher_on(FakeBus(lambda batch: ["InternalFailure"] * len(batch))).publish(
        itertools.chain([EVENT], [{}], [EVENT])
    )
    assert sorted(unsent.entry.position for unsent in result.unsent) == [1, 3]
    assert [refused.position for refused in result.refused] == [2]
    assert result.accepted == 0
