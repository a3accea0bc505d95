"""The checker of changes takes what the tracker does in any order, and objects to all else."""

import random
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shipment_events.accounting.announcements import (
    Announcement,
    AnnouncementAccount,
    change_id,
    check_announcements,
)
from shipment_events.accounting.shipments import STATUSES, History, differences
from shipment_events.table.item import StoredEvent
from tests.integration.conftest import ROOT
from tests.tracking.histories import NOON, SHIPMENT, histories, stored
from tests.tracking.small_tracker import SmallTracker


def history(events: list[StoredEvent]) -> History:
    return History.of(SHIPMENT, events)


def check(
    events: list[StoredEvent], announced: list[Announcement], before: list[StoredEvent] | None = None
) -> AnnouncementAccount:
    earlier = {SHIPMENT: history(before)} if before else {}
    return check_announcements([history(events)], earlier, announced)


def announcements(tracker: SmallTracker) -> list[Announcement]:
    return [Announcement(change.kind.value, change.detail) for change in tracker.announced]


A = stored(NOON, "a", "shipment.picked_up", carrier="DHL")
A_AGAIN = stored(NOON, "a", "shipment.departed", status="CONFLICT")
BEFORE_A = stored(NOON, "z", "shipment.manifested")
B = stored(NOON + timedelta(hours=1), "b", "shipment.departed", location={"city": "Łódź"})
C = stored(NOON + timedelta(hours=2), "c", "shipment.delivered", estimated_delivery="2025-03-05T12:00Z")


def takes_what_the_tracker_announces(events: list[StoredEvent], seed: int, crashes: bool) -> None:
    rng = random.Random(seed)
    tracker = SmallTracker()
    # A record comes after its event was stored, so a reading has at least the events of the batch.
    waiting = rng.sample(events, len(events))
    there: list[StoredEvent] = []
    while waiting:
        size = rng.randint(1, 3)
        batch, waiting = waiting[:size], waiting[size:]
        there += [
            event
            for event in [*batch, *waiting]
            if event not in there and (event in batch or rng.random() < 0.3)
        ]
        if crashes and rng.random() < 0.3:
            tracker.take(batch, there, crash=True)
        tracker.take(batch, there)
    account = check(events, announcements(tracker))
    assert (account.missing, account.impossible) == ([], [])
    assert list(differences(history(events).state(), tracker.attributes())) == []


def run_histories(examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @example(events=[A, A_AGAIN, BEFORE_A], seed=1, crashes=False)
    @given(histories(), st.integers(0, 2**32), st.booleans())
    def run(events: list[StoredEvent], seed: int, crashes: bool) -> None:
        takes_what_the_tracker_announces(events, seed, crashes)

    run()


def test_takes_what_the_tracker_announces_in_any_order_and_batches() -> None:
    run_histories(100)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_takes_what_the_tracker_announces_of_a_thousand_histories() -> None:
    run_histories(1_000)


def tracked(*events: StoredEvent) -> list[Announcement]:
    tracker = SmallTracker()
    for event in events:
        tracker.take([event], [event])
    return announcements(tracker)


def test_the_last_change_must_be_there_and_superseded_ones_may_be_missing() -> None:
    announced = tracked(A, B, C)
    assert check([A, B, C], announced).missing == []
    assert check([A, B, C], announced[2:]).missing == []
    (missing,) = check([A, B, C], [one for one in announced if one.detail["status"] != "delivered"]).missing[
        :1
    ]
    assert (
        missing
        == f"{SHIPMENT}: shipment.status_changed to delivered: the last change by its time says in_transit"
    )
    assert check([A, B, C], []).missing == [
        f"{SHIPMENT}: shipment.status_changed to delivered, from None: not announced",
        f"{SHIPMENT}: shipment.estimate_changed to 2025-03-05T12:00:00.000000Z, from None: not announced",
    ]


def test_what_was_announced_before_is_not_missing() -> None:
    assert check([A, B, C], [], before=[A, B, C]).missing == []
    assert len(check([A, B, C], [], before=[A, B]).missing) == 2


def test_repeats_are_counted_once() -> None:
    announced = tracked(A)
    account = check([A], announced * 3)
    assert (account.received, account.repeats, account.impossible) == (1, 2, [])


@pytest.mark.parametrize(
    ("name", "value", "objection"),
    [
        ("change_id", "0" * 32, "change_id"),
        ("status", "exception", "status: no event"),
        ("status", "picked_up", "change_id"),
        ("event_id", "a", "change_id"),
        ("at", "2025-03-01T12:00:00.000000Z", "at: "),
        ("at", "2025-03-01T13:00:00.000001Z", "at: "),
        ("previous_status", "in_transit", "previous_status"),
        ("previous_status", "exception", "previous_status"),
        ("first_time", False, "first_time"),
        ("location", {"city": "Lodz"}, "location"),
        ("carrier", "UPS", "carrier: no event"),
        ("tracking_number", "1", "tracking_number: no event"),
        ("estimated_delivery", "2025-03-05T12:00:00.000000Z", "estimated_delivery: no event"),
        ("more", 1, "expected other fields"),
    ],
)
def test_objects_to_what_no_order_gives(name: str, value: Any, objection: str) -> None:
    first, second = tracked(A, B)
    assert check([A, B], [first, second]).impossible == []
    wrong = replace(second, detail={**second.detail, name: value})
    (found,) = check([A, B], [first, wrong]).impossible
    assert f": {objection}" in found


def test_changes_at_one_moment_are_just_after_each_other() -> None:
    events = [A, A_AGAIN, BEFORE_A]
    tracker = SmallTracker()
    tracker.take(events, events)
    first, second = announcements(tracker)
    assert (first.detail["at"], second.detail["at"]) == (
        "2025-03-01T12:00:00.000000Z",
        "2025-03-01T12:00:00.000001Z",
    )
    assert check(events, [first, second]).impossible == []
    for at in (
        "2025-03-01T12:00:00.000100Z",
        "2025-03-01T11:59:59.999999Z",
        "2025-03-01T12:00Z",
        "",
        None,
        1,
    ):
        wrong = replace(second, detail={**second.detail, "at": at})
        (found,) = check(events, [first, wrong]).impossible
        assert ": at: " in found


def test_objects_to_a_change_of_an_event_that_is_not_stored() -> None:
    assert len(check([A], tracked(A, B)).impossible) == 1


def test_the_id_is_the_hash_of_shipment_kind_cause_and_giver() -> None:
    # Worked out with sha256sum.
    assert change_id("S", "k", "a", "") == "4955be19a583c45c06f28c90a6e3a3ed"


def test_the_table_of_types_is_the_documented_one() -> None:
    lines = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8").splitlines()
    rows = [line.split("|") for line in lines if re.match(r"\| \d \| `", line)]
    documented = {
        row[2].split("`")[1]: [part.strip(" `").removeprefix("shipment.") for part in row[3].split(",")]
        for row in rows
    }
    assert {status: [status, *types] for status, types in STATUSES.items()} == documented
