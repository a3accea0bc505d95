"""The overview says what is known, where it was measured and what is not known. It receives nothing."""

import json
import re
import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from shipment_events.console import overview
from shipment_events.console.overview import PLACES, WINDOWS
from shipment_events.console.state import Memo
from shipment_events.watching.log import MOST_READ
from tests.console.stage import BATCH, FAILURES, LETTERS, QUARANTINED, QUEUE, Browser, Services
from tests.dead_letters.test_walks import body

# Before the end of a minute, so that the last minute is nearly over.
NOW = datetime(2026, 5, 4, 10, 7, 59, 999_999, tzinfo=UTC)
PANELS = ["verdict", *(place.name for place in PLACES)]


def alarm(name: str, *, firing: bool = False) -> dict[str, Any]:
    return {
        "AlarmName": f"shipmentevents-dev-{name}",
        "StateValue": "ALARM" if firing else "OK",
        "StateUpdatedTimestamp": datetime(2026, 5, 4, tzinfo=UTC),
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    }


JUDGES = [alarm("dead-letters"), alarm("queue-depth"), alarm("oldest-message")]


def plotted(shown: str) -> dict[str, Any]:
    """The data of the plot in a panel."""
    (data,) = re.findall(r'data-plot="([^"]+)"', shown)
    found: dict[str, Any] = json.loads(data.replace("&#34;", '"'))
    return found


@pytest.fixture
def late_in_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "datetime", SimpleNamespace(now=lambda _: NOW))


def test_each_panel_has_a_request_of_its_own(browser: Browser, services: Services) -> None:
    services.denied = dict.fromkeys(("sqs", "cloudwatch", "logs", "cloudformation"), "no")
    shown = browser.get("/")
    for name in PANELS:
        assert f'hx-get="/panels/{name}' in shown


def test_a_healthy_stage(browser: Browser, services: Services) -> None:
    services.alarms = JUDGES
    assert "Healthy" in browser.get("/panels/verdict")


def test_the_verdict_has_the_next_step(browser: Browser, services: Services) -> None:
    services.alarms = JUDGES
    services.sqs.put(LETTERS, *map(body, range(3)))
    shown = browser.get("/panels/verdict")
    assert "Failing" in shown
    assert "3 dead letters wait for a decision" in shown
    assert "shipments --env dev dead-letters list" in shown


def test_looking_receives_nothing(browser: Browser, services: Services) -> None:
    services.sqs.put(LETTERS, *map(body, range(3)))
    for _ in range(2):
        browser.get("/")
        browser.get("/dead-letters")
        browser.get("/dead-letters/m000001", status=404)
        for name in [*PANELS, "letter-count", "timeline?id=S-1", "trace?id=S-1"]:
            browser.get(f"/panels/{name}")
    assert services.received == 0


@pytest.mark.usefixtures("late_in_a_minute")
def test_events_come_from_the_log_where_there_are_no_metrics(browser: Browser, services: Services) -> None:
    services.lines = [BATCH, BATCH, QUARANTINED]
    shown = browser.get("/panels/events")
    assert "<b>14</b> stored" in shown
    assert "<b>2</b> quarantined" in shown
    assert "the processor&#39;s log" in shown
    lines = {line["name"]: line["values"] for line in plotted(shown)["lines"]}
    assert sum(lines["stored"]) == 14
    assert len(lines["stored"]) == 15
    assert "Highest" in shown or "highest 14.0" in shown, "a canvas says nothing to a screen reader"
    assert "<b>1</b>" not in browser.get("/panels/latency")
    assert "140" in browser.get("/panels/latency")
    letters = browser.get("/panels/letters")
    assert "invalid_field" in letters


TRACKED = '{"message": "batch tracked", "folded": 3, "announced": 2, "unsettled": 1, "slowest_ms": 70}'


@pytest.mark.usefixtures("late_in_a_minute")
def test_states_have_their_lag_changes_and_failures(browser: Browser, services: Services) -> None:
    services.lines = [TRACKED, TRACKED, BATCH]
    shown = browser.get("/panels/states")
    assert "The tracker has no failures" in shown
    assert [line["values"][-1] for line in plotted(shown)["lines"]] == [70, 70]
    assert "the tracker&#39;s log" in shown
    shown = browser.get("/panels/changes")
    assert "4 in 15 min" in shown
    assert [line["values"][-1] for line in plotted(shown)["lines"]] == [4, 2]
    services.sqs.put(FAILURES, "{}", "{}")
    browser.app.state.console.memo = Memo()
    assert "<b>2</b> failures of the tracker" in browser.get("/panels/states")


def test_metrics_of_the_tracker_come_before_its_log(browser: Browser, services: Services) -> None:
    services.lines = [TRACKED]
    services.measured = {"p50": 30.0, "p99": 90.0, "changes": 6.0}
    shown = browser.get("/panels/states?window=1h")
    assert "CloudWatch metrics" in shown
    assert [line["values"][-10] for line in plotted(shown)["lines"]] == [30, 90]
    changes, again = plotted(browser.get("/panels/changes?window=6h"))["lines"]
    assert changes["values"][-3] == pytest.approx(1.2), "6 in five minutes"
    assert again["values"][-3] == 0, "a metric filter writes nothing while there is nothing"


def test_a_stage_without_tracking_says_so(browser: Browser, services: Services) -> None:
    services.tracks = False
    for name in ("states", "changes"):
        assert "does not track shipments" in browser.get(f"/panels/{name}")


def test_a_part_of_the_log_is_called_a_part(browser: Browser, services: Services) -> None:
    services.lines = [QUARANTINED]
    shown = browser.get("/panels/letters")
    assert "only a part was read" not in shown
    services.lines = [QUARANTINED] * MOST_READ
    browser.app.state.console.memo = Memo()
    shown = browser.get("/panels/letters")
    assert "reasons from the processor's log, of which only a part was read" in shown
    services.lines = [BATCH.replace("}", ', "by": "quarantined"}')] * MOST_READ
    browser.app.state.console.memo = Memo()
    assert "In the part of the log that was read, none was quarantined" in browser.get("/panels/letters")


@pytest.mark.parametrize("name", WINDOWS)
def test_the_oldest_message_is_one_of_now(browser: Browser, services: Services, name: str) -> None:
    services.measured = {"waiting": 9.0, "oldest_seconds": 7_200.0, "age": 150.0}
    shown = browser.get(f"/panels/queue?window={name}")
    assert re.search(r"oldest</dt><dd>none<", shown), "nothing waits"
    assert "the oldest from" not in shown
    services.sqs.put(QUEUE, body(1))
    browser.app.state.console.memo = Memo()
    shown = browser.get(f"/panels/queue?window={name}")
    assert re.search(r"oldest</dt><dd>2 min<", shown), "not the highest age of a bucket"
    assert "the oldest from a CloudWatch metric, at most 5 min old" in shown
    del services.measured["age"]
    browser.app.state.console.memo = Memo()
    assert re.search(r"oldest</dt><dd>unknown<", browser.get(f"/panels/queue?window={name}"))


def test_unknown_is_shown_as_unknown(browser: Browser, services: Services) -> None:
    services.sqs.put(QUEUE, body(1))
    assert "No value is known" in browser.get("/panels/latency")
    queue = browser.get("/panels/queue")
    assert re.search(r"oldest</dt><dd>unknown", queue)
    assert "because there are no metrics" in queue


def test_the_queue_is_counted_where_there_are_no_metrics(browser: Browser, services: Services) -> None:
    services.sqs.put(QUEUE, *map(body, range(5)))
    values = plotted(browser.get("/panels/queue"))["lines"][0]["values"]
    assert values[-1] == 5
    assert set(values[:-1]) <= {None, 5}


@pytest.mark.parametrize("name", WINDOWS)
def test_each_period_has_an_address(browser: Browser, name: str) -> None:
    shown = browser.get(f"/?window={name}")
    assert f"/panels/events?window={name}" in shown
    window = WINDOWS[name]
    begins = window.buckets(datetime(2026, 5, 4, 10, 7, 30, tzinfo=UTC))
    assert len(begins) * window.bucket_seconds == window.minutes * 60
    assert (begins[-1].timestamp() % window.bucket_seconds, len(begins) <= 96) == (0, True)


def test_alarms_that_fire_are_named(browser: Browser, services: Services) -> None:
    services.alarms = [*JUDGES, alarm("retried", firing=True)]
    shown = browser.get("/panels/alarms")
    assert "retried" in shown
    assert "docs/runbook.md#retried" in shown
    assert "oldest-message" not in shown


@pytest.mark.parametrize(
    ("service", "panels", "action"),
    [
        (
            "cloudwatch",
            ["alarms", "changes", "events", "latency", "queue", "states", "verdict"],
            "cloudwatch:DescribeAlarms",
        ),
        ("logs", ["letters", "changes", "events", "latency", "states", "verdict"], "logs:FilterLogEvents"),
        (
            "sqs",
            ["letters", "changes", "queue", "states", "verdict", "letter-count"],
            "sqs:GetQueueAttributes",
        ),
        ("cloudformation", ["deployment", "queue", "letters", "states"], "cloudformation:DescribeStacks"),
    ],
)
def test_a_missing_permission_is_named_beside_its_panel(
    browser: Browser, services: Services, service: str, panels: list[str], action: str
) -> None:
    user = "arn:aws:sts::1:assumed-role/reader/me"
    services.denied = {service: f"User: {user} is not authorized to perform: {action} on resource: x"}
    for name in panels:
        shown = browser.get(f"/panels/{name}")
        assert f"<code>{action}</code>" in shown
        assert "unknown" in shown
    others = set(PANELS) - set(panels) - {"verdict"}
    if service == "cloudformation":
        others &= {"alarms", "events", "latency"}
    for name in others:
        assert "lack the permission" not in browser.get(f"/panels/{name}")


def test_a_slow_panel_holds_no_other(browser: Browser, services: Services) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(list[Any]):
        def __iter__(self) -> Any:
            begun.set()
            assert go_on.wait(10)
            return super().__iter__()

    services.alarms = Slow()
    slow = threading.Thread(target=browser.get, args=("/panels/alarms",))
    slow.start()
    assert begun.wait(10)
    began = time.monotonic()
    for name in ("events", "latency", "queue", "letters", "deployment"):
        browser.get(f"/panels/{name}")
    assert slow.is_alive()
    assert time.monotonic() - began < 5
    go_on.set()
    slow.join()
