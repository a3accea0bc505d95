"""The tracker is killed 20 times between reading, announcing and writing. No change is lost or new.

Its requests pass a proxy that kills the process that sent one: before the service gets it, before the process
gets the response, or a moment after that. So each kill is at one of the steps, and never between batches.
"""

import http.client
import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

import psutil
import pytest

from shipment_events.accounting.announcements import (
    STATUS_CHANGED,
    Announcement,
    change_id,
    check_announcements,
)
from shipment_events.accounting.shipments import History
from tests.integration.conftest import LocalEngine
from tests.integration.tracked_stage import TrackedStage

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]

KILLS: Final = 20
SHIPMENTS: Final = 100
STEPS: Final = ("picked_up", "departed", "out_for_delivery", "delivered")
OPERATIONS: Final = ("BatchGetItem", "PutEvents", "BatchExecuteStatement")
BEFORE, UNANSWERED, SOON = MOMENTS = ("before the request", "before the response", "soon after the response")
SOON_SECONDS: Final = 0.03
# Each kill costs a start of the function, which takes seconds on a busy machine.
SECONDS: Final = 300.0
NOW: Final = datetime.now(UTC)


class Killer(ThreadingHTTPServer):
    """The proxy, with a plan of kills. ``done`` has those of the past: operation and moment."""

    daemon_threads = True

    def __init__(self, endpoint: str, seed: int) -> None:
        self.random = random.Random(seed)
        every = [(operation, moment) for operation in OPERATIONS for moment in MOMENTS]
        # Each pair at least twice, in random order.
        more = self.random.sample(every, KILLS - 2 * len(every))
        self.plan = self.random.sample([*every, *every, *more], KILLS)
        self.done: list[tuple[str, str]] = []
        self.upstream = urlsplit(endpoint)
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Forward)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_moment(self, operation: str) -> str:
        """When to kill the sender of this request, if at all. Some requests are passed over."""
        with self._lock:
            if not self.plan or self.plan[-1][0] != operation or self.random.random() < 0.3:
                return ""
            self.done.append(self.plan.pop())
            return self.done[-1][1]

    def kill(self, port: int) -> None:
        """Kill the process whose connection has this port."""
        for one in psutil.net_connections("tcp"):
            if (one.laddr[1:], one.raddr[1:]) == ((port,), (self.server_port,)) and one.pid:
                psutil.Process(one.pid).kill()
                return
        raise RuntimeError(f"no process has port {port}")


class Forward(BaseHTTPRequestHandler):
    """One connection of the tracker."""

    protocol_version = "HTTP/1.1"
    server: Killer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        moment = self.server.next_moment(self.headers["X-Amz-Target"].partition(".")[2])
        if moment == BEFORE:
            self._kill()
            return
        status, headers, content = self._ask(body)
        if moment == UNANSWERED:
            self._kill()
            return
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"connection", "content-length", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        if moment == SOON:
            time.sleep(self.server.random.uniform(0, SOON_SECONDS))
            self._kill()

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection(
            str(self.server.upstream.hostname), self.server.upstream.port, timeout=30
        )
        upstream.request("POST", self.path, body, dict(self.headers))
        response = upstream.getresponse()
        return response.status, response.getheaders(), response.read()

    def _kill(self) -> None:
        self.close_connection = True
        self.server.kill(self.client_address[1])

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def killer(engine: LocalEngine) -> Iterator[Killer]:
    with Killer(engine.endpoint, seed=14) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def rounds() -> Iterator[list[dict[str, Any]]]:
    """Each step of all shipments, and then, of every third one, that it was not delivered."""
    for minute, kind in enumerate(STEPS):
        yield [event(number, minute, kind) for number in range(SHIPMENTS)]
    yield [
        event(number, len(STEPS), "update", retracts=f"delivered-{number}")
        for number in range(0, SHIPMENTS, 3)
    ]


def event(number: int, minute: int, kind: str, **fields: str) -> dict[str, str]:
    moment = NOW - timedelta(hours=1) + timedelta(minutes=minute)
    return {
        "shipment_id": f"K-{number}",
        "event_id": f"{kind}-{number}",
        "event_timestamp": moment.isoformat(),
        "event_type": f"shipment.{kind}",
        **fields,
    }


def wanted_ids(history: History) -> list[str]:
    """Ids of all changes of a shipment whose records come in the order of its events."""
    keys = [scan.sort_key for scan in history.scans]
    pairs = [(key, key) for key in keys] + [(one.sort_key, keys[-2]) for one in history.retractions]
    return [change_id(history.shipment_id, STATUS_CHANGED, cause, given) for cause, given in pairs]


def test_kills_at_every_step_leave_right_states_and_lose_no_change(
    engine: LocalEngine, killer: Killer
) -> None:
    stage = TrackedStage.make(engine.client, "killed")
    for part in rounds():
        stage.write(*part)
    ids = [f"K-{number}" for number in range(SHIPMENTS)]
    histories = [History.of(one, stage.events.timeline(one)) for one in ids]
    states = {history.shipment_id: history.state() for history in histories}

    routes = {f"AWS_ENDPOINT_URL_{service}": killer.url for service in ("DYNAMODB", "EVENTBRIDGE")}
    event_source = stage.start(routes, retries=KILLS)
    try:
        found = stage.wait_for(states, SECONDS)
    finally:
        stage.stop(event_source)

    assert found == states
    assert stage.received("failures") == []
    changes = [Announcement(one["detail-type"], one["detail"]) for one in stage.received("subscriber")]
    assert {one.detail["change_id"] for one in changes} == {
        one for history in histories for one in wanted_ids(history)
    }
    account = check_announcements(histories, {}, changes)
    assert (account.missing, account.impossible) == ([], [])
    assert account.repeats > 0
    assert len({str(one.detail) for one in changes}) == account.received, "repeats are alike"
    assert len(killer.done) == KILLS
    assert set(killer.done) == {(operation, moment) for operation in OPERATIONS for moment in MOMENTS}
