"""The drill's events: what the publisher refuses although it is good is not lost from sight."""

from itertools import islice

import pytest

from shipment_events.contract.outcome import InvalidEventError, Reason
from workbench.drill import traffic as traffics
from workbench.drill.report import DrillReport
from workbench.drill.traffic import Traffic

NO_PAUSES = 1e-6


def test_our_publisher_refuses_no_good_event() -> None:
    traffic = Traffic(seed=1)
    assert len(list(islice(traffic.entries(5_000, NO_PAUSES), 5_000))) == 5_000
    assert traffic.refused.total() > 0
    assert traffic.wrongly_refused == []


@pytest.mark.parametrize("is_carried", [True, False], ids=["the bus takes it", "no bus takes it"])
def test_a_good_event_that_is_refused_fails_the_drill(
    monkeypatch: pytest.MonkeyPatch, is_carried: bool
) -> None:
    def refuse(_: object) -> None:
        raise InvalidEventError(Reason.TOO_LARGE, "expected less")

    monkeypatch.setattr(traffics, "to_entry", refuse)
    if not is_carried:
        monkeypatch.setattr(traffics, "careless_entry", lambda _: None)
        # Else the search for an entry that can be sent does not end.
        lines = list(islice(Traffic(seed=1)._lines(), 300))
        monkeypatch.setattr(Traffic, "_lines", lambda _: iter(lines))
    traffic = Traffic(seed=1)
    list(islice(traffic._entries(traffic._lines()), 100))
    assert traffic.wrongly_refused[0].startswith('too_large: {"')
    report = DrillReport(seed=1, minutes=1, wanted_events=0, wanted_faults=0, visibility_timeout=36)
    report.wrongly_refused = traffic.wrongly_refused
    count = len(traffic.wrongly_refused)
    assert f"{count:,} wrongly refused" in report.failures
    assert report.as_json()["wrongly_refused"] == count
