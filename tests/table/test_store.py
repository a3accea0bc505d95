"""The table: items hold all of an event, and no answer of the service is taken for more than it says."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from unittest.mock import patch

import pytest
from botocore.exceptions import ReadTimeoutError
from hypothesis import given, settings
from hypothesis import strategies as st

from shipment_events.contract.event import ShipmentEvent, parse_event
from shipment_events.contract.outcome import InvalidEventError
from shipment_events.table import item as item_module
from shipment_events.table.item import ItemTimes, StoredEvent, Write, ensure_fits
from shipment_events.table.results import Inserted, InsertResult, Occupied, Rejected, Unavailable
from shipment_events.table.store import MAX_REQUEST_BYTES, EventTable, slices
from tests.contract.json_values import OWN_ATTRIBUTES, details, typed
from tests.stand_ins.fakes import RETENTION, TABLE, FakeTable, Fault, Item, client_error

NOW: Final = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
TIMES: Final = ItemTimes.of(NOW, RETENTION)
CORRELATION_ID: Final = "6a7e8feb-b491-4cf7-a9f1-bf3703467718"


def event(**fields: object) -> ShipmentEvent:
    required = {
        "shipment_id": "S-1",
        "event_timestamp": "2025-03-01T14:05:00+01:00",
        "event_type": "shipment.departed",
    }
    return parse_event(required | fields)


def write(**fields: object) -> Write:
    one = event(**fields)
    return Write.of(one, CORRELATION_ID)


def writes(count: int) -> list[Write]:
    return [write(shipment_id=f"S-{number}") for number in range(count)]


def insert(table: FakeTable, *events: Write) -> list[InsertResult]:
    return EventTable(table.client, TABLE).insert(events, TIMES)


def stored(table: FakeTable) -> list[StoredEvent]:
    return list(EventTable(PagesOf(table.items).client, TABLE).scan())


class PagesOf:
    """A client that can only read: one item a page."""

    def __init__(self, items: Mapping[tuple[str, str], Item]) -> None:
        self._items = items
        self.requests: list[dict[str, Any]] = []

    @property
    def client(self) -> Any:
        return self

    def query(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        pages = self._pages()
        number = int(request.get("ExclusiveStartKey", {}).get("page", {}).get("N", 0))
        last = {"LastEvaluatedKey": {"page": {"N": str(number + 1)}}} if number + 1 < len(pages) else {}
        return pages[number] | last

    def get_paginator(self, operation: str) -> "PagesOf":
        assert operation == "scan"
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        self.requests.append(request)
        return self._pages()

    def _pages(self) -> list[dict[str, Any]]:
        return [{"Items": []}, *({"Items": [item]} for item in self._items.values())]


class TestItem:
    def test_holds_the_event_and_how_it_came(self) -> None:
        table = FakeTable()
        one = write(event_id="E-1", location={"city": "Zürich"}, weight=Decimal("1.50"), parts=[True, None])
        insert(table, one)
        assert table.items == {
            ("S-1", "2025-03-01T13:05:00.000000Z#E-1"): {
                "shipment_id": {"S": "S-1"},
                "event_timestamp": {"S": "2025-03-01T13:05:00.000000Z#E-1"},
                "processing_status": {"S": "PROCESSED"},
                "processing": {
                    "M": {
                        "content_hash": {"S": one.content_hash},
                        "correlation_id": {"S": CORRELATION_ID},
                        "stored_at": {"S": "2026-03-01T12:30:15.250000Z"},
                    }
                },
                "expires_at": {"N": str(int((NOW + RETENTION).timestamp()))},
                "detail": {
                    "M": {
                        "shipment_id": {"S": "S-1"},
                        "event_timestamp": {"S": "2025-03-01T14:05:00+01:00"},
                        "event_type": {"S": "shipment.departed"},
                        "event_id": {"S": "E-1"},
                        "location": {"M": {"city": {"S": "Zürich"}}},
                        "weight": {"N": "1.5"},
                        "parts": {"L": [{"BOOL": True}, {"NULL": True}]},
                    }
                },
            }
        }

    @given(details())
    def test_gives_the_event_back(self, detail: dict[str, Any]) -> None:
        table = FakeTable()
        one = parse_event(detail)
        assert insert(table, Write.of(one, CORRELATION_ID)) == [Inserted()]
        (back,) = stored(table)
        assert typed(back.detail) == typed(detail)
        assert (back.sort_key, back.event_id) == (one.sort_key, one.event_id)
        assert (back.status, back.correlation_id) == ("PROCESSED", CORRELATION_ID)
        assert back.stored_at == "2026-03-01T12:30:15.250000Z"

    @pytest.mark.parametrize("event_id", ["E-1", "a#b", "#", "a#" + "0" * 64])
    def test_gives_the_id_of_a_conflict_back(self, event_id: str) -> None:
        table = FakeTable()
        conflict = write(event_id=event_id).beside()
        assert insert(table, conflict, conflict.beside()) == [Inserted()] * 2
        assert [(back.status, back.event_id) for back in stored(table)] == [("CONFLICT", event_id)] * 2

    @pytest.mark.parametrize("name", [*OWN_ATTRIBUTES, "x'; DROP", "a.b", "#n", "", "'", "?"])
    def test_no_field_of_a_producer_reaches_an_attribute_of_ours(self, name: str) -> None:
        table = FakeTable()
        insert(table, write(shipment_id="plain"), write(shipment_id="foreign", **{name: "mine"}))
        without, with_field = table.items.values()
        own = {"shipment_id", "event_timestamp", "processing", "detail"}
        assert {key for key in with_field if with_field[key] != without.get(key)} == own
        assert with_field["detail"]["M"][name] == {"S": "mine"}
        assert stored(table)[1].detail[name] == "mine"

    def test_is_marked_where_it_stands_beside_another(self) -> None:
        table = FakeTable()
        one = write(event_id="E-1")
        beside = one.beside()
        insert(table, one, beside)
        assert [(back.sort_key, back.status) for back in stored(table)] == [
            (one.own_sort_key, "PROCESSED"),
            (f"{one.own_sort_key}#{one.content_hash}", "CONFLICT"),
        ]

    def test_stays_as_long_as_it_is_told_to(self) -> None:
        table = FakeTable()
        EventTable(table.client, TABLE).insert([write()], ItemTimes.of(NOW, timedelta(days=7)))
        (item,) = table.items.values()
        assert item["expires_at"] == {"N": str(int(NOW.timestamp()) + 7 * 86_400)}

    @pytest.mark.parametrize("value", [1, 1.5, b"", {1}, object()])
    def test_takes_no_number_that_could_have_been_rounded(self, value: object) -> None:
        one = event()
        foreign = ShipmentEvent(
            one.shipment_id, one.moment, one.event_id, one.event_type, one.content_hash, one.content_bytes,
            one.detail | {"x": value},
        )  # fmt: skip
        with pytest.raises(TypeError, match="not a JSON value with exact numbers"):
            Write.of(foreign, "")


class TestInsert:
    @settings(max_examples=10)
    @given(details())
    def test_statement_has_no_foreign_text(self, detail: dict[str, Any]) -> None:
        table = FakeTable()
        one = parse_event(detail)
        insert(table, Write.of(one, CORRELATION_ID))
        ((statement,),) = table.statements
        assert statement["Statement"] == (
            "INSERT INTO \"shipmentevents-test\" VALUE {'shipment_id': ?, 'event_timestamp': ?, "
            "'processing_status': ?, 'expires_at': ?, 'detail': ?, 'processing': ?}"
        )

    def test_of_nothing_new_says_what_is_there(self) -> None:
        table = FakeTable()
        one, other = write(event_id="E-1"), write(event_id="E-1", status="other")
        insert(table, one)
        assert insert(table, other) == [Occupied(one.content_hash)]
        assert table.reads == 0
        assert [back.detail.get("status") for back in stored(table)] == [None]

    def test_reads_what_is_there_where_the_service_does_not_tell(self) -> None:
        table = FakeTable(returns_old_items=False)
        first = writes(4)
        insert(table, *first[1:3])
        assert insert(table, *first) == [
            Inserted(),
            Occupied(first[1].content_hash),
            Occupied(first[2].content_hash),
            Inserted(),
        ]
        assert table.reads == 1

    def test_reads_nothing_where_nothing_is_taken(self) -> None:
        table = FakeTable(returns_old_items=False)
        assert insert(table, *writes(25)) == [Inserted()] * 25
        assert (table.reads, len(table.statements)) == (0, 1)

    def test_that_cannot_read_all_proves_nothing_of_the_rest(self) -> None:
        table = FakeTable(returns_old_items=False, read_faults=[1])
        both = writes(2)
        insert(table, *both)
        assert insert(table, *both) == [
            Occupied(both[0].content_hash),
            Unavailable("ReadBackIncomplete"),
        ]

    @pytest.mark.parametrize(
        ("error", "why"),
        [
            (
                client_error("ProvisionedThroughputExceededException"),
                "ProvisionedThroughputExceededException",
            ),
            (ReadTimeoutError(endpoint_url="https://dynamodb"), "ReadTimeoutError"),
        ],
    )
    def test_that_cannot_read_proves_nothing(self, error: Exception, why: str) -> None:
        table = FakeTable(returns_old_items=False, read_faults=[error])
        one, new = write(shipment_id="S-1"), write(shipment_id="S-2")
        insert(table, one)
        assert insert(table, one, new) == [Unavailable(why), Inserted()]

    def test_meets_an_item_of_someone_else(self) -> None:
        table = FakeTable(returns_old_items=False)
        one = write()
        table.items[one.key] = {"shipment_id": {"S": one.key[0]}, "event_timestamp": {"S": one.key[1]}}
        assert insert(table, one) == [Occupied("")]

    @pytest.mark.parametrize(
        "code",
        [
            "ItemCollectionSizeLimitExceeded",
            "RequestLimitExceeded",
            "ProvisionedThroughputExceeded",
            "TransactionConflict",
            "ThrottlingError",
            "InternalServerError",
            "ResourceNotFound",
            "AccessDenied",
            "NeverHeardOf",
        ],
    )
    def test_failed_statement_of_a_good_answer_may_be_tried_again(self, code: str) -> None:
        table = FakeTable(faults=[Fault(codes={1: code})])
        assert insert(table, *writes(3)) == [Inserted(), Unavailable(code), Inserted()]

    def test_refused_statement_of_a_good_answer_is_refused_for_ever(self) -> None:
        table = FakeTable(faults=[Fault(codes={0: "ValidationError"})])
        assert insert(table, *writes(2)) == [Rejected("ValidationError it is"), Inserted()]

    def test_failed_condition_counts_as_taken_and_is_read_back(self) -> None:
        table = FakeTable(faults=[Fault(codes={0: "ConditionalCheckFailed"})])
        one = write()
        assert insert(table, one) == [Unavailable("ReadBackIncomplete")]
        insert(table, one)
        table.faults = [Fault(codes={0: "ConditionalCheckFailed"})]
        assert insert(table, one) == [Occupied(one.content_hash)]

    @pytest.mark.parametrize("lost", [1, 3])
    def test_answer_without_a_response_for_each_is_no_answer(self, lost: int) -> None:
        table = FakeTable(faults=[Fault(lost_responses=lost)])
        assert insert(table, *writes(3)) == [Unavailable("IncompleteResponse")] * 3

    def test_answer_without_responses_is_no_answer(self) -> None:
        class Empty(FakeTable):
            def batch_execute_statement(self, **_: Any) -> dict[str, Any]:
                return {}

        assert insert(Empty(), write()) == [Unavailable("IncompleteResponse")]

    @pytest.mark.parametrize(
        ("error", "why"),
        [
            (client_error("ThrottlingException"), "ThrottlingException"),
            (client_error("InternalServerError"), "InternalServerError"),
            (client_error("AccessDeniedException"), "AccessDeniedException"),
            (ReadTimeoutError(endpoint_url="https://dynamodb"), "ReadTimeoutError"),
        ],
    )
    def test_failed_request_tells_nothing_of_its_events(self, error: Exception, why: str) -> None:
        table = FakeTable(faults=[Fault(error=error)])
        assert insert(table, *writes(3)) == [Unavailable(why)] * 3
        assert len(table.statements) == 1

    @given(st.sets(st.integers(0, 24)), st.integers(1, 25))
    def test_refused_request_is_parted_until_the_culprits_stand_alone(
        self, bad: set[int], count: int
    ) -> None:
        culprits = {f"S-{number}" for number in bad}
        table = FakeTable(refuses=lambda item: "too bad" if item["shipment_id"]["S"] in culprits else None)
        results = insert(table, *writes(count))
        assert results == [Rejected("too bad") if number in bad else Inserted() for number in range(count)]
        assert len(table.statements) <= 2 * count - 1

    def test_request_that_is_refused_for_its_form_is_parted_too(self) -> None:
        class Strict(FakeTable):
            def batch_execute_statement(self, **request: Any) -> dict[str, Any]:
                if "S-1" in json.dumps(request):
                    raise client_error("SerializationException")
                return super().batch_execute_statement(**request)

        assert insert(Strict(), *writes(3)) == [Inserted(), Rejected(""), Inserted()]

    @pytest.mark.parametrize("code", ["413", "RequestEntityTooLargeException"])
    def test_request_that_is_too_large_is_halved(self, code: str) -> None:
        class Narrow(FakeTable):
            def batch_execute_statement(self, **request: Any) -> dict[str, Any]:
                if len(json.dumps(request)) > 6000:
                    raise client_error(code)
                return super().batch_execute_statement(**request)

        table = Narrow()
        large = write(description="x" * 9000)
        assert insert(table, *writes(10), large) == [*[Inserted()] * 10, Rejected("")]
        assert [len(statements) for statements in table.statements] == [5, 3, 1, 1]

    def test_half_of_a_parted_request_may_fail_in_its_own_way(self) -> None:
        table = FakeTable(
            faults=[Fault(error=client_error("ValidationException")), Fault(error=client_error("Throttling"))]
        )
        assert insert(table, *writes(4)) == [Unavailable("Throttling")] * 2 + [Inserted()] * 2


class TestSlices:
    @staticmethod
    def lengths(*sizes: int) -> list[int]:
        one = write()
        made = [replace(one, detail="x" * size) for size in sizes]
        parts = list(slices(made))
        assert [each for part in parts for each in part] == made
        return [len(part) for part in parts]

    def test_are_bounded_by_statements_and_by_bytes(self) -> None:
        assert self.lengths() == []
        assert self.lengths(*[100] * 60) == [25, 25, 10]
        assert self.lengths(MAX_REQUEST_BYTES // 2, MAX_REQUEST_BYTES // 2, 1) == [2, 1]
        assert self.lengths(1, MAX_REQUEST_BYTES, 1) == [1, 1, 1]

    def test_hold_one_that_is_larger_than_the_bound(self) -> None:
        assert self.lengths(2 * MAX_REQUEST_BYTES, 3 * MAX_REQUEST_BYTES, 1, 1) == [1, 1, 2]


class TestFindBeside:
    @staticmethod
    def find(table: FakeTable, *sought: Write) -> list[Any]:
        return EventTable(table.client, TABLE).find_beside(sought)

    def test_tells_the_events_that_lie_there(self) -> None:
        table = FakeTable()
        one, other, same = writes(2) + writes(1)
        insert(table, one, other.beside())
        assert self.find(table, one, other, same) == [None, Occupied(other.content_hash), None]
        assert table.reads == 1
        assert self.find(table) == []

    def test_reads_no_more_than_the_service_gives_at_once(self) -> None:
        table = FakeTable()
        many = writes(101)
        insert(table, *(one.beside() for one in many[100:]))
        assert self.find(table, *many) == [*[None] * 100, Occupied(many[100].content_hash)]
        assert table.reads == 2

    @pytest.mark.parametrize(
        "answer",
        [{}, {"Responses": {TABLE: []}}, {"UnprocessedKeys": {}}],
        ids=["empty", "half", "other half"],
    )
    def test_proves_no_absence_by_an_answer_that_is_not_whole(self, answer: dict[str, Any]) -> None:
        class Broken(FakeTable):
            def batch_get_item(self, **_: Any) -> dict[str, Any]:
                return answer

        assert self.find(Broken(), write()) == [Unavailable("IncompleteResponse")]

    def test_knows_nothing_of_the_keys_that_were_not_read(self) -> None:
        table = FakeTable()
        insert(table, *(one.beside() for one in writes(2)))
        table.read_faults = [1]
        one, other = writes(2)
        assert self.find(table, one, other) == [
            Occupied(one.content_hash),
            Unavailable("ReadBackIncomplete"),
        ]


class TestRead:
    @pytest.mark.parametrize("latest_first", [False, True])
    def test_timeline_asks_for_one_shipment_with_all_it_holds_now(self, latest_first: bool) -> None:
        table = FakeTable()
        insert(table, *writes(3))
        pages = PagesOf(table.items)
        found = EventTable(pages.client, TABLE).timeline("S'1", latest_first=latest_first)
        assert [back.detail["shipment_id"] for back in found] == ["S-0", "S-1", "S-2"]
        first, *others = pages.requests
        assert first["ExpressionAttributeValues"] == {":shipment": {"S": "S'1"}}
        assert first["ConsistentRead"] is True
        assert first["ScanIndexForward"] is not latest_first
        starts = [{"ExclusiveStartKey": {"page": {"N": str(number)}}} for number in (1, 2, 3)]
        assert others == [first | start for start in starts]


class LargeTable(FakeTable):
    """Takes items beyond the service's limit, without the check of each of their thousands of values."""

    def batch_execute_statement(self, **request: Any) -> dict[str, Any]:
        (statement,) = request["Statements"]
        names = re.findall(r"'(\w+)'", statement["Statement"])
        self.items["", ""] = dict(zip(names, statement["Parameters"], strict=True))
        return {"Responses": [{}]}

    def size(self) -> int:
        (item,) = self.items.values()
        return sum(len(name) + wire_bytes(value) for name, value in item.items())


def wire_bytes(value: Mapping[str, Any]) -> int:
    """Size of an attribute in the table, from what is sent, by the rules of the service's documentation."""
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        significant = content.lstrip("-").split("E")[0].replace(".", "").strip("0")
        return 1 + (len(significant) + 1) // 2
    if kind == "L":
        return 3 + sum(1 + wire_bytes(element) for element in content)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + wire_bytes(element) for name, element in content.items())
    return 1


def nested_list() -> list[Any]:
    value: list[Any] = []
    for _ in range(28):
        value = [value]
    return value


SHAPES: Final[dict[str, Any]] = {
    "long text": lambda count: "x" * count,
    "text of three bytes a character": lambda count: "€" * (count // 3),
    "list of digits": lambda count: [Decimal(7)] * (count // 3),
    "list of long numbers": lambda count: (
        [Decimal("1.2345678901234567890123456789012345678")] * (count // 21)
    ),
    "list of deep lists": lambda count: [nested_list()] * (count // 116),
    "map of digits": lambda count: {f"{number:05}": Decimal(7) for number in range(count // 8)},
}


LIMIT: Final = 400 * 1024


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("target", "fits"), [(LIMIT - 1000, True), (LIMIT + 1000, False)])
def test_event_is_refused_exactly_where_its_item_is_too_large(shape: str, target: int, fits: bool) -> None:
    """From both sides of the border; the filler takes about as many bytes in the item as it is told."""
    one = event(event_id="E-1", filler=SHAPES[shape](target))
    table = LargeTable()
    insert(table, Write.of(one, "0" * 36))
    size = table.size()
    assert (size <= LIMIT) is fits, "the filler is of another size than this test means"
    if fits:
        ensure_fits(one)
    else:
        with pytest.raises(InvalidEventError, match=f"^too_large: event: .* {LIMIT} bytes, got {size}$"):
            ensure_fits(one)


def test_one_byte_decides() -> None:
    one = write(event_id="E-1", description="", carrier="")
    table = LargeTable()
    insert(table, replace(one, correlation_id="0" * 36))
    room = LIMIT - table.size()
    ensure_fits(event(event_id="E-1", description="x" * room, carrier=""))
    with pytest.raises(InvalidEventError, match="too_large"):
        ensure_fits(event(event_id="E-1", description="x" * room, carrier="x"))


def test_verdict_does_not_depend_on_the_clock() -> None:
    """A time that ends with zeros is a smaller number, so then one byte more would seem to fit."""
    one = write(event_id="E-1", description="")
    table = LargeTable()
    insert(table, replace(one, correlation_id="0" * 36))
    room = LIMIT - table.size()
    for second in (1_800_000_000, 1_799_999_999):
        with patch.object(item_module, "datetime", wraps=datetime) as clock:
            clock.now.return_value = datetime.fromtimestamp(second, UTC)
            ensure_fits(event(event_id="E-1", description="x" * room))
            with pytest.raises(InvalidEventError, match="too_large"):
                ensure_fits(event(event_id="E-1", description="x" * (room + 1)))
