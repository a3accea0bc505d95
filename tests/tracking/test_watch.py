"""Delays of one shipment: each is announced once for its event or estimate, and tracker and watcher agree."""

from datetime import datetime, timedelta
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from shipment_events.table.item import StoredEvent
from shipment_events.tracking.changes import Change, Kind
from shipment_events.tracking.item import tracked_item, tracked_of
from shipment_events.tracking.watch import announce_delays
from tests.tracking.announced import check_change
from tests.tracking.histories import NOON, SHIPMENT, stored, text
from tests.tracking.small_tracker import RETENTION, SmallTracker

HOURS: Final = 48


class Watched(SmallTracker):
    """A shipment with a tracker and a watcher."""

    def __init__(self) -> None:
        super().__init__()
        self.table: list[StoredEvent] = []

    def happen(self, moment: datetime, event_id: str, kind: str = "shipment.departed", **fields: Any) -> None:
        event = stored(moment, event_id, kind, stored_at=moment, **fields)
        self.table.append(event)
        self.take([event], self.table)

    def watch(self, now: datetime, *, crash: bool = False) -> list[Change]:
        """A run of the watcher. A crash comes between announcing and writing."""
        changes, marked = announce_delays(self.tracked, now, HOURS)
        if changes and not crash:
            self.item = tracked_item(marked, RETENTION)
        return [check_change(change) for change in changes]

    def kinds(self, now: datetime) -> list[Kind]:
        return [change.kind for change in self.watch(now)]


def after(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def test_stalled_is_announced_once_and_again_after_news_and_a_new_silence() -> None:
    one = Watched()
    one.happen(NOON, "a")
    assert one.kinds(after(47.9)) == []
    assert one.kinds(after(48)) == [Kind.STALLED]
    assert one.kinds(after(48.25)) == one.kinds(after(500)) == []
    one.happen(after(501), "b")
    assert one.kinds(after(548)) == []
    assert one.kinds(after(549)) == [Kind.STALLED]
    assert one.kinds(after(900)) == []


def test_overdue_is_announced_once_for_each_estimate() -> None:
    one = Watched()
    one.happen(NOON, "a", "shipment.manifested", estimated_delivery=text(after(10)))
    assert one.kinds(after(10)) == []
    assert one.kinds(after(10.25)) == [Kind.OVERDUE]
    one.happen(after(11), "b", estimated_delivery=text(after(10)))
    assert one.kinds(after(12)) == []
    one.happen(after(13), "c", estimated_delivery=text(after(20)))
    assert one.kinds(after(14)) == []
    assert one.kinds(after(21)) == [Kind.OVERDUE]
    one.happen(after(22), "d", "shipment.delivered")
    assert one.kinds(after(1000)) == []


def test_the_details_name_the_event_that_gives_the_delay() -> None:
    one = Watched()
    one.happen(NOON, "a", estimated_delivery=text(after(10)), carrier="DHL", location={"city": "Ulm"})
    one.happen(after(1), "b", "shipment.arrived", location={"city": "Hof"})
    stalled, overdue = one.watch(after(100))
    assert (stalled.event_id, stalled.location, stalled.at) == ("b", {"city": "Hof"}, text(after(49)))
    assert (overdue.event_id, overdue.location, overdue.at) == ("a", None, text(after(10)))
    for change in (stalled, overdue):
        assert (change.status, change.previous_status, change.first_time) == ("in_transit", None, None)
        assert (change.carrier, change.estimated_delivery) == ("DHL", text(after(10)))
        assert change.shipment_id == SHIPMENT


def test_a_repeat_after_a_crash_is_the_same_change() -> None:
    one = Watched()
    one.happen(NOON, "a", estimated_delivery=text(after(10)))
    first = one.watch(after(100), crash=True)
    assert one.watch(after(200)) == first
    assert len({change.change_id for change in first}) == 2
    assert one.watch(after(300)) == []


def test_two_silences_are_two_changes() -> None:
    one = Watched()
    one.happen(NOON, "a")
    (first,) = one.watch(after(100))
    one.happen(after(101), "b")
    (second,) = one.watch(after(200))
    assert first.change_id != second.change_id
    assert first.at < second.at


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 90)), max_size=12), st.randoms())
def test_a_watcher_in_between_changes_nothing_that_the_tracker_announces_or_keeps(
    story: list[tuple[bool, int]], random: Any
) -> None:
    """Not the state, not the announced values; and the tracker keeps the marks."""
    watched, alone, now = Watched(), Watched(), NOON
    for number, (is_news, hours) in enumerate(story):
        now += timedelta(hours=hours)
        if is_news or not number:
            fields = {"estimated_delivery": text(now + timedelta(hours=24))} if hours % 2 else {}
            kind = random.choice(["shipment.departed", "shipment.delivery_failed", "shipment.delivered"])
            watched.happen(now, f"{number}", kind, **fields)
            alone.happen(now, f"{number}", kind, **fields)
        else:
            marks = {**watched.tracked.marks}
            watched.watch(now)
            assert marks.keys() <= watched.tracked.marks.keys()
    assert watched.announced == alone.announced
    if story:
        assert watched.tracked.state == alone.tracked.state
        assert watched.tracked.announced == alone.tracked.announced
        item = watched.item
        assert item
        assert tracked_item(tracked_of(item), RETENTION).keys() == item.keys()
