"""The feed, checked without the code that reads events: JSON, time and identity are worked out anew here."""

import functools
import hashlib
import itertools
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipment_events.contract.event import parse_event
from shipment_events.contract.exact_json import loads
from shipment_events.contract.outcome import InvalidEventError, Outcome, Reason
from shipment_events.tracking.vocabulary import status_of
from workbench.feed import (
    BROKEN_KINDS,
    DEFAULT_START,
    UNMATCHED,
    VALID_KINDS,
    FeedLine,
    Shares,
    generate,
    tracking_numbers,
)
from workbench.feed.carriers import CARRIERS
from workbench.feed.defects import _DEFECTS

TEXTS = ("event_id", "carrier", "tracking_number", "carrier_code", "status", "reason_code", "description")
STORED_KINDS = {kind for kind, outcome in VALID_KINDS.items() if outcome is Outcome.STORED}


@pytest.fixture(scope="module")
def feed() -> list[FeedLine]:
    return list(generate(20_000))


@pytest.fixture(scope="module")
def rich_feed() -> list[FeedLine]:
    """Many of everything that is rare."""
    return list(
        generate(12_000, seed=7, shares=Shares(broken=0.1, repeat=0.1, enriched=0.05, same_second=0.05))
    )


@functools.cache
def strict(text: str) -> Any:
    """The event, decoded once for all tests, which read it only."""

    def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({key for key, _ in pairs}) == len(pairs)
        return dict(pairs)

    def no_constant(name: str) -> None:
        raise AssertionError(name)

    return json.loads(
        text,
        object_pairs_hook=no_key_twice,
        parse_constant=no_constant,
        parse_float=Decimal,
        parse_int=Decimal,
    )


def moment_of(event: dict[str, Any]) -> datetime:
    return parse_moment(event["event_timestamp"])


@functools.cache
def parse_moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo is not None
    return moment.astimezone(UTC)


def content_of(event: dict[str, Any]) -> str:
    content = {**event, "event_timestamp": moment_of(event).isoformat()}
    content.pop("event_id", None)
    return json.dumps(content, sort_keys=True, default=str)


def identity_of(event: dict[str, Any]) -> tuple[str, datetime, str]:
    return event["shipment_id"], moment_of(event), event.get("event_id") or content_of(event)


def valid(lines: list[FeedLine]) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((line.kind, strict(line.text)) for line in lines if line.expected_reason is None)


def numbers_in(value: Any) -> Iterator[Decimal]:
    if isinstance(value, Decimal):
        yield value
    elif isinstance(value, dict):
        yield from itertools.chain.from_iterable(map(numbers_in, value.values()))
    elif isinstance(value, list):
        yield from itertools.chain.from_iterable(map(numbers_in, value))


def test_is_the_same_bytes_everywhere() -> None:
    digest = hashlib.sha256()
    for line in generate(1_000, seed=1):
        digest.update(f"{line.kind}\t{line.text}\n".encode())
    assert digest.hexdigest() == "23fc658655c60f03efe8513aa7f651ed72880c7569dc42af46da59bbc1c19c36"


def test_another_seed_gives_other_shipments() -> None:
    shipments = [
        {event["shipment_id"] for _, event in valid(list(generate(2_000, seed=seed)))} for seed in (1, 2, 3)
    ]
    assert not shipments[0] & shipments[1]
    assert not shipments[1] & shipments[2]


@pytest.mark.parametrize("count", [0, 1, 2, 999])
def test_gives_exactly_the_lines_asked_for_and_a_shorter_feed_begins_a_longer_one(
    count: int, feed: list[FeedLine]
) -> None:
    assert list(generate(count)) == feed[:count]


def test_default_feed_has_every_kind(feed: list[FeedLine]) -> None:
    assert {line.kind for line in feed} == VALID_KINDS.keys() | BROKEN_KINDS.keys()
    assert Counter(line.kind for line in feed)["too_large"] == 1


def test_broken_lines_have_every_reason_that_a_detail_alone_can_have() -> None:
    needs_an_envelope = {Reason.EVENT_TYPE_MISMATCH, Reason.SOURCE_MISMATCH}
    needs_a_service = {Reason.UNSTORABLE}
    assert set(BROKEN_KINDS.values()) == {UNMATCHED} | set(Reason) - needs_an_envelope - needs_a_service


def test_only_broken_lines_expect_a_reason(feed: list[FeedLine]) -> None:
    for line in feed:
        assert line.expected_reason == BROKEN_KINDS.get(line.kind)
        assert (line.kind in BROKEN_KINDS) != (line.kind in VALID_KINDS)


def test_a_line_is_one_line_of_utf8(rich_feed: list[FeedLine]) -> None:
    for line in rich_feed:
        assert line.text.strip()
        assert line.text.splitlines() == [line.text]
        line.text.encode()


def test_valid_lines_keep_the_contract(rich_feed: list[FeedLine]) -> None:
    for _, event in valid(rich_feed):
        assert isinstance(event["shipment_id"], str)
        assert event["shipment_id"]
        assert re.fullmatch(r"shipment\.[a-z_]+", event["event_type"])
        assert moment_of(event)
        for field in TEXTS:
            assert isinstance(event.get(field), str | None)
        assert isinstance(event["location"], dict)
        for number in numbers_in(event):
            assert number == 0 or (
                len(number.normalize().as_tuple().digits) <= 38 and -130 <= number.adjusted() <= 125
            )


def test_shares_are_near_the_settings(rich_feed: list[FeedLine]) -> None:
    count = Counter(line.kind for line in rich_feed)
    total = len(rich_feed)
    valid_total = sum(count[kind] for kind in VALID_KINDS)
    share = {
        "broken": sum(count[kind] for kind in BROKEN_KINDS) / total,
        "repeat": sum(count[kind] for kind in VALID_KINDS if kind.startswith("repeat")) / valid_total,
        "enriched": (count["enriched_repeat"] + count["enriched_without_id"]) / valid_total,
        "same_second": count["same_second"] / valid_total,
    }
    expected = {"broken": 0.1, "repeat": 0.1, "enriched": 0.05, "same_second": 0.05}
    assert share == pytest.approx(expected, rel=0.15)
    # Some of the late ones had not arrived when the feed ended.
    assert 0.006 < count["late"] / valid_total < 0.011


def test_shares_of_zero_leave_whole_journeys_of_valid_events() -> None:
    lines = list(
        generate(
            10_000,
            shares=Shares(broken=0, repeat=0, enriched=0, late=0, same_second=0, unusual=0),
            shipments_per_day=25,
        )
    )
    assert {line.kind for line in lines} == {"new"}
    journeys: dict[str, list[str]] = {}
    for _, event in valid(lines):
        journeys.setdefault(event["shipment_id"], []).append(event["event_type"])
    assert {steps[0] for steps in journeys.values()} == {"shipment.picked_up", "shipment.manifested"}
    assert all("shipment.picked_up" in steps[:2] or len(steps) == 1 for steps in journeys.values())
    over = [steps for steps in journeys.values() if steps[-1] in {"shipment.delivered", "shipment.returned"}]
    assert len(over) > 0.8 * len(journeys)
    assert any("shipment.delivery_failed" in steps and steps[-1] == "shipment.delivered" for steps in over)
    assert any("shipment.customs_held" in steps for steps in over)


def test_identities_of_what_is_stored_are_met_once_only(rich_feed: list[FeedLine]) -> None:
    stored = [identity_of(event) for kind, event in valid(rich_feed) if kind in STORED_KINDS]
    assert len(stored) > 0.7 * len(rich_feed)
    assert len(set(stored)) == len(stored)


def test_repeats_repeat_an_earlier_event(rich_feed: list[FeedLine]) -> None:
    texts: set[str] = set()
    first: dict[tuple[str, datetime, str], dict[str, Any]] = {}
    for line in rich_feed:
        if line.kind not in VALID_KINDS:
            continue
        event = strict(line.text)
        identity = identity_of(event)
        outcome = VALID_KINDS[line.kind]
        assert (identity in first) == (outcome is not Outcome.STORED)
        original = first.setdefault(identity, event)
        assert (content_of(original) == content_of(event)) == (outcome is not Outcome.CONFLICT)
        if line.kind == "repeat":
            assert line.text in texts
        elif line.kind == "repeat_respelt":
            assert line.text not in texts
            assert event == original
        elif line.kind == "repeat_other_offset":
            assert event["event_timestamp"] != original["event_timestamp"]
        texts.add(line.text)


def test_an_enriched_event_says_all_that_an_earlier_one_said_and_more(rich_feed: list[FeedLine]) -> None:
    by_moment: dict[tuple[str, datetime], list[dict[str, Any]]] = {}
    checked = 0
    for kind, event in valid(rich_feed):
        earlier = by_moment.setdefault((event["shipment_id"], moment_of(event)), [])
        if kind.startswith("enriched"):
            assert any(other.items() < event.items() for other in earlier)
            assert bool(event.get("event_id")) == (kind == "enriched_repeat")
            checked += 1
        earlier.append(event)
    assert checked > 300


def test_events_in_one_second_come_with_and_without_ids(rich_feed: list[FeedLine]) -> None:
    seconds: dict[tuple[str, datetime], set[tuple[str, datetime, str]]] = {}
    with_ids = Counter[bool]()
    for kind, event in valid(rich_feed):
        second = seconds.setdefault((event["shipment_id"], moment_of(event).replace(microsecond=0)), set())
        if kind == "same_second":
            with_ids[bool(event.get("event_id"))] += 1
        second.add(identity_of(event))
    crowded = sum(len(identities) > 1 for identities in seconds.values())
    assert crowded >= 0.9 * sum(with_ids.values())
    assert min(with_ids[True], with_ids[False]) > 100


def test_most_events_come_in_order_and_late_ones_after_later_events_of_their_shipment(
    feed: list[FeedLine],
) -> None:
    newest = DEFAULT_START
    newest_of: dict[str, datetime] = {}
    on_time = overtaken = late = 0
    for kind, event in valid(feed):
        if kind not in {"new", "late"}:
            continue
        moment = moment_of(event)
        if kind == "new":
            on_time += moment > newest - timedelta(minutes=2)
        if kind == "late":
            late += 1
            overtaken += moment < newest_of[event["shipment_id"]] if event["shipment_id"] in newest_of else 0
        newest = max(newest, moment)
        newest_of[event["shipment_id"]] = max(newest_of.get(event["shipment_id"], moment), moment)
    assert on_time == sum(line.kind == "new" for line in feed)
    assert overtaken > late / 2


def test_times_are_written_as_each_carrier_does(feed: list[FeedLine]) -> None:
    offsets = {place.code: place.offset for carrier in CARRIERS for place in carrier.places}
    local = {carrier.name: carrier.local_time for carrier in CARRIERS}
    digits = {carrier.name: {1: 6, 1_000: 3}.get(carrier.resolution, 0) for carrier in CARRIERS}
    for kind, event in valid(feed):
        if kind == "repeat_other_offset":
            continue
        match = re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", event["event_timestamp"]
        )
        assert match
        fraction, offset = match.groups()
        assert len(fraction or "") == digits[event["carrier"]]
        assert offset == (offsets[event["location"]["code"]] if local[event["carrier"]] else "Z")


def test_feed_shows_the_habits_of_real_carriers(feed: list[FeedLine]) -> None:
    events = [event for _, event in valid(feed)]
    assert {event["carrier"] for event in events} == {carrier.name for carrier in CARRIERS}
    codes = {event["carrier_code"] for event in events if event["carrier"] == "Meridian Air Cargo"}
    assert {"RCS", "DEP", "RCF", "NFD", "DLV"} <= codes
    assert {"Łódź", "Zürich", "東京", "São Paulo", "Αθήνα", "القاهرة"} <= {
        e["location"]["city"] for e in events
    }
    assert any("event_id" not in event for event in events)
    assert any(event.get("event_id", "") is None for event in events)
    assert any(isinstance(event.get("details"), dict) for event in events)
    texts = [line.text for line in feed]
    assert any(re.search(r'"weight_kg": \d+\.\d0\b', text) for text in texts)
    assert any(re.search(r'"freight_bill": \d{16}\b', text) for text in texts)
    assert any(r"\u" in text and text.isascii() for text in texts)


@pytest.fixture(scope="module")
def unusual_feed() -> list[FeedLine]:
    return list(generate(12_000, seed=5, shares=Shares(broken=0, unusual=0.8), shipments_per_day=60))


def of_kind(lines: list[FeedLine], kind: str) -> list[tuple[int, dict[str, Any]]]:
    """The events of a kind, with the number of their lines; at least ten."""
    found = [(number, strict(line.text)) for number, line in enumerate(lines) if line.kind == kind]
    assert len(found) >= 10
    return found


def test_a_new_kind_of_broken_line_changes_no_other_line(monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(generate(3_000, shares=Shares(broken=0.1)))
    defects = {"another": (Reason.INVALID_JSON, lambda event, rng: f"{rng.random()}{event}"), **_DEFECTS}
    monkeypatch.setattr("workbench.feed.defects._DEFECTS", defects)
    monkeypatch.setattr("workbench.feed.BROKEN_KINDS", {**BROKEN_KINDS, "another": "invalid_json"})
    after = list(generate(3_000, shares=Shares(broken=0.1)))
    assert "another" in {line.kind for line in after}
    assert [line for line in before if line.kind in VALID_KINDS] == [
        line for line in after if line.kind in VALID_KINDS
    ]


def test_unusual_lines_change_no_other_line() -> None:
    plain = {line.text for line in generate(3_000, shares=Shares(broken=0, unusual=0))}
    other = list(generate(3_300, shares=Shares(broken=0, unusual=0.5)))
    numbers = {(event["shipment_id"], event["tracking_number"]) for _, event in valid(other)}
    gone = {text for text in plain if text not in {line.text for line in other}}
    for text in gone:
        event = strict(text)
        assert (event["shipment_id"], event["tracking_number"]) not in numbers
    assert len(gone) < 0.2 * len(plain)


def test_a_retraction_names_an_event_of_its_shipment_that_came_before_or_comes_after(
    unusual_feed: list[FeedLine],
) -> None:
    mistakes = {
        (event["shipment_id"], event["event_id"]): (number, moment_of(event))
        for number, event in of_kind(unusual_feed, "mistaken")
    }
    for kind in ("retraction", "early_retraction"):
        named = [
            (number, moment_of(event), mistakes[event["shipment_id"], event["retracts"]])
            for number, event in of_kind(unusual_feed, kind)
            if (event["shipment_id"], event["retracts"]) in mistakes
        ]
        assert len(named) >= 10
        for number, moment, (at, mistaken) in named:
            assert moment > mistaken
            assert (at < number) == (kind == "retraction")


def test_a_parcel_goes_back_after_its_delivery_and_late_scans_come_after_theirs(
    unusual_feed: list[FeedLine],
) -> None:
    ends = {
        event["shipment_id"]: (number, moment_of(event))
        for number, event in enumerate(strict(line.text) for line in unusual_feed)
        if unusual_feed[number].kind in {"new", "late"} and event["status"] in {"DELIVERED", "RETURNED"}
    }
    for _, event in of_kind(unusual_feed, "return_after_delivery"):
        assert event["status"] == "RETURNED"
        if event["shipment_id"] in ends:
            assert moment_of(event) > ends[event["shipment_id"]][1]
    for number, event in of_kind(unusual_feed, "late_scan"):
        if event["shipment_id"] in ends:
            end, ended = ends[event["shipment_id"]]
            # The end itself can be late.
            assert number > end or unusual_feed[end].kind == "late"
            assert moment_of(event) < ended


def test_status_and_type_contradict_each_other_only_where_they_should(unusual_feed: list[FeedLine]) -> None:
    for kind, event in valid(unusual_feed):
        if kind.startswith(("repeat", "enriched")):
            continue
        _, contradicts = status_of(event["event_type"], event["status"])
        assert contradicts == (kind == "contradiction"), (kind, event["event_type"], event["status"])
    assert of_kind(unusual_feed, "contradiction")


def test_some_events_are_dated_ahead_of_their_arrival(unusual_feed: list[FeedLine]) -> None:
    arrivals = [moment_of(strict(line.text)) if line.kind == "new" else None for line in unusual_feed]
    for number, event in of_kind(unusual_feed, "dated_ahead"):
        arrival = next((one for one in arrivals[number:] if one), None)
        assert arrival is None or moment_of(event) - arrival > timedelta(days=1)
    assert {moment_of(event).year for _, event in of_kind(unusual_feed, "far_future")} == {2099}


def test_tracking_numbers_are_used_again_and_estimates_move(feed: list[FeedLine]) -> None:
    shipments: dict[str, set[str]] = {}
    estimates: dict[str, set[datetime]] = {}
    for _, event in valid(feed):
        shipments.setdefault(event["tracking_number"], set()).add(event["shipment_id"])
        if "estimated_delivery" in event:
            expected = estimates.setdefault(event["shipment_id"], set())
            expected.add(parse_moment(event["estimated_delivery"]))
    assert sum(len(ids) > 1 for ids in shipments.values()) >= 10
    assert sum(len(moments) > 1 for moments in estimates.values()) > 0.2 * len(estimates)


def test_tracking_numbers_are_right() -> None:
    # Serial and check digit of the first two are the schemes' customary examples.
    assert tracking_numbers.air_waybill(1234567) == "000-12345675"
    assert tracking_numbers.postal_item(47312482) == "RR473124829PL"
    assert tracking_numbers.japanese_slip(0) == f"40000000000{40_000_000_000 % 7}"
    container = tracking_numbers.serial_shipping_container(123456789)
    assert len(container) == 18
    assert sum(int(digit) * (1, 3)[index % 2] for index, digit in enumerate(reversed(container))) % 10 == 0
    assert tracking_numbers.progressive_number(42) == "000000042"


@pytest.mark.parametrize("kind", sorted(BROKEN_KINDS))
def test_the_contract_refuses_broken_lines_for_the_reason_expected(
    rich_feed: list[FeedLine], kind: str
) -> None:
    lines = [line for line in rich_feed if line.kind == kind]
    assert lines
    for line in lines:
        if kind == "too_large":
            assert len(line.text.encode()) > 400 * 1024
            continue
        with pytest.raises(InvalidEventError) as refused:
            parse_event(loads(line.text))
        expected = Reason.INVALID_FIELD if line.expected_reason == UNMATCHED else line.expected_reason
        assert refused.value.reason == expected


def test_the_contract_takes_valid_lines(rich_feed: list[FeedLine]) -> None:
    for line in rich_feed:
        if line.expected_reason is None:
            parse_event(loads(line.text))


def test_a_broken_line_is_sent_again_as_it_should_be(rich_feed: list[FeedLine]) -> None:
    checked = 0
    for position, line in enumerate(rich_feed):
        if line.kind != "trailing_comma":
            continue
        following = (later for later in rich_feed[position:] if later.kind in VALID_KINDS)
        if correct := next(following, None):
            assert strict(line.text.removesuffix(",}") + "}") == strict(correct.text)
            checked += 1
    assert checked > 20


def test_a_feed_may_be_broken_from_end_to_end() -> None:
    assert {
        line.kind for line in generate(len(BROKEN_KINDS) - 1, shares=Shares(broken=1))
    } == BROKEN_KINDS.keys() - {"too_large"}


def test_start_moves_the_feed() -> None:
    start = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    moments = [moment_of(event) for _, event in valid(list(generate(500, start=start)))]
    assert start < min(moments) < start + timedelta(hours=1)
    first = next(generate(1, shares=Shares(broken=0)))
    assert DEFAULT_START < moment_of(strict(first.text)) < DEFAULT_START + timedelta(hours=1)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_feed() -> None:
    lines = generate(70_000)

    def blocks_after(count: int) -> int:
        for _ in itertools.islice(lines, count):
            pass
        return sys.getallocatedblocks()

    early = blocks_after(20_000)
    # One block kept per line would already be 50,000; the lines under way, those of some days, come and go.
    assert blocks_after(50_000) - early < 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": -1}, "count: expected 0 or more, got -1"),
        ({"seed": -1}, "seed: expected 0 or more, got -1"),
        ({"shipments_per_day": 0.5}, "shipments_per_day: expected 1 to 1,000,000, got 0.5"),
        ({"shipments_per_day": float("nan")}, "shipments_per_day: expected 1 to 1,000,000, got nan"),
        ({"start": DEFAULT_START.replace(tzinfo=None)}, "start: expected a time with an offset, from 1970"),
        ({"start": datetime(2101, 1, 1, tzinfo=UTC)}, "from 1970 to 2100, got 2101-01-01T00:00:00+00:00"),
    ],
)
def test_refuses_arguments_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        generate(**{"count": 1, **arguments})


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"broken": -0.1}, "broken: expected a number from 0 to 1, got -0.1"),
        ({"repeat": 1.5}, "repeat: expected a number from 0 to 1, got 1.5"),
        ({"late": float("nan")}, "late: expected a number from 0 to 1, got nan"),
        ({"broken": 1.01}, "broken: expected a number from 0 to 1, got 1.01"),
        ({"repeat": 0.5, "enriched": 0.5}, "expected 0.9 at most together, got 1.015"),
    ],
)
def test_refuses_shares_at_once(shares: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Shares(**shares)


def keeps_its_promise(seed: int, shares: Shares, shipments_per_day: float) -> None:
    seen: dict[tuple[str, datetime, str], str] = {}
    for line in generate(100, seed=seed, shares=shares, shipments_per_day=shipments_per_day):
        if line.expected_reason is not None:
            continue
        event = strict(line.text)
        content = content_of(event)
        before = seen.setdefault(identity_of(event), content)
        outcome = VALID_KINDS[line.kind]
        assert outcome is not Outcome.CONFLICT or before != content
        assert outcome is Outcome.CONFLICT or before == content


def run_feeds(examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(
        seed=st.integers(0, 2**64),
        shares=st.builds(
            Shares,
            broken=st.floats(0, 1),
            repeat=st.floats(0, 0.4),
            enriched=st.floats(0, 0.3),
            late=st.floats(0, 0.1),
            same_second=st.floats(0, 0.09),
        ),
        shipments_per_day=st.floats(1, 1e6),
    )
    def run(seed: int, shares: Shares, shipments_per_day: float) -> None:
        keeps_its_promise(seed, shares, shipments_per_day)

    run()


def test_any_settings_give_lines_that_keep_their_promise() -> None:
    run_feeds(8)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_settings_give_lines_that_keep_their_promise() -> None:
    run_feeds(100)
