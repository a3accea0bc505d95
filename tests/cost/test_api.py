"""What readers of the HTTP API and the watcher cost, worked out by hand."""

from dataclasses import replace

import pytest

from shipment_events.cost import api, tracking
from shipment_events.cost.bill import Bill, monthly_bill
from shipment_events.cost.designs import OURS
from shipment_events.cost.estimate import estimate
from shipment_events.cost.workload import DAYS_A_MONTH, Workload
from shipment_events.stages import settings_for

PROD = settings_for("prod")
POLLED = Workload(events_per_day=1000, api_requests_per_day=1e6 / DAYS_A_MONTH)


def lines(bill: Bill, service: str) -> dict[str, float]:
    return {line.usage.item: line.usd for line in bill.lines if line.usage.service == service}


def test_a_million_requests_by_hand() -> None:
    found = lines(monthly_bill(POLLED, PROD, OURS), "API")
    assert found["requests"] == pytest.approx(1.00)
    assert found["function, requests"] == pytest.approx(0.20)
    assert found["function, duration at 512 MB"] == pytest.approx(1000 * api.REQUEST_MS / 2 * 0.0000133334)
    assert found["reads of states"] == pytest.approx(0.125)
    assert found["transfer to the internet"] == pytest.approx(0.95 * 0.09)
    assert found["logs, ingestion"] == pytest.approx(0.65 * 0.50)


def test_304_saves_the_transfer_of_the_body_and_nothing_else() -> None:
    unchanged = replace(POLLED, api_unchanged_share=0.9)
    sent, saved = (lines(monthly_bill(each, PROD, OURS), "API") for each in (POLLED, unchanged))
    assert {item for item in sent if sent[item] != saved[item]} == {"transfer to the internet"}
    assert estimate(unchanged, PROD).savings["etag"] == pytest.approx(0.9 * 0.6 * 0.09)
    assert "etag" not in estimate(POLLED, PROD).savings


def test_without_requests_or_without_the_api_there_is_no_line() -> None:
    for workload, settings in ((Workload(events_per_day=1), PROD), (POLLED, replace(PROD, api=False))):
        assert lines(monthly_bill(workload, settings, OURS), "API") == {}


def test_watcher_by_hand() -> None:
    """42,000 new events a day are 10,000 shipments, of which 50,000 are open."""
    bill = monthly_bill(Workload(events_per_day=42_000, duplicate_share=0), PROD, OURS)
    found = lines(bill, "Tracking")
    runs = DAYS_A_MONTH * 96
    assert found["watcher, requests"] == pytest.approx(runs * 0.20 / 1e6)
    assert found["watcher, duration at 512 MB"] == pytest.approx(runs * 5 / 2 * 0.0000133334)
    units = runs * 50_000 * tracking.STATE_BYTES / 8192
    assert found["reads of open shipments"] == pytest.approx(units * 0.125 / 1e6)
