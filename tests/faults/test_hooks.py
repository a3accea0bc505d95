"""Hooks in the middle of a batch: called only for a write, and never after they were given up."""

import json
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any, cast

import pytest

from tests.stand_ins.http_service import Reply, Service, answer
from workbench.drill import incidents, partial_proxy
from workbench.drill.faults import SERVICES
from workbench.drill.incidents import FUNCTION_TIMEOUT, Incidents
from workbench.drill.partial_faults import FAILED_STATEMENTS, PartialFault
from workbench.drill.partial_proxy import WriteHook
from workbench.drill.proxy import FaultProxies
from workbench.drill.stage import Stage
from workbench.engine.health import free_ports
from workbench.engine.settings import HOST

TABLE = "events"
WRITTEN: dict[str, Any] = {"TableName": TABLE}
DUPLICATE: dict[str, Any] = {"Error": {"Code": "DuplicateItem"}}


@contextmanager
def proxies_before(*replies: Reply) -> Iterator[tuple[FaultProxies, int]]:
    """The proxies before an engine that gives these answers, and the port behind microburst."""
    service = Service(*replies)
    engine_port, partial, *ports = int(service.url.rpartition(":")[2]), *free_ports(1 + len(SERVICES))
    try:
        with FaultProxies(
            engine_port, {"partial": partial, **dict(zip(SERVICES, ports, strict=True))}, seed=1
        ) as proxies:
            yield proxies, partial
    finally:
        service.close()


def write(port: int) -> int:
    """Send a batch of writes. Returns the status of its answer."""
    connection = HTTPConnection(HOST, port, timeout=10)
    headers = {
        "X-Amz-Target": "DynamoDB_20120810.BatchExecuteStatement",
        "Content-Type": "application/x-amz-json-1.0",
    }
    statement = {"Statement": f'INSERT INTO "{TABLE}" VALUE ?'}
    connection.request("POST", "/", json.dumps({"Statements": [statement, statement]}), headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    ("reply", "is_called"),
    [
        (answer(json.dumps({"Responses": [DUPLICATE, WRITTEN]}).encode()), True),
        (answer(json.dumps({"Responses": [DUPLICATE, DUPLICATE]}).encode()), False),
        (answer(b"unavailable", "503 Service Unavailable"), False),
    ],
    ids=["one written", "none written", "refused"],
)
def test_after_a_write_means_after_a_write(reply: Reply, is_called: bool) -> None:
    called = threading.Event()
    with proxies_before(reply) as (proxies, port):
        proxies.at_next_write(WriteHook(TABLE, after_write=True, action=called.set))
        write(port)
    assert called.is_set() is is_called


def test_a_batch_whose_statements_all_fail_is_no_write(monkeypatch: pytest.MonkeyPatch) -> None:
    called = threading.Event()
    fault = PartialFault(FAILED_STATEMENTS, None, lambda _: {"Responses": [DUPLICATE, DUPLICATE]})
    monkeypatch.setattr(partial_proxy, "partial_fault", lambda *_: fault)
    with proxies_before() as (proxies, port):
        proxies.set_partial_faults(1)
        proxies.at_next_write(WriteHook(TABLE, after_write=True, action=called.set))
        assert write(port) == 200
        assert proxies.fired()[FAILED_STATEMENTS] == 1
    assert not called.is_set()


def test_a_removed_hook_is_not_at_work() -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def act() -> None:
        begun.set()
        may_end.wait(10)
        ended.set()

    with proxies_before() as (proxies, port), ThreadPoolExecutor(2) as pool:
        proxies.at_next_write(WriteHook(TABLE, after_write=False, action=act))
        sent = pool.submit(write, port)
        assert begun.wait(10)
        removal = pool.submit(proxies.at_next_write, None)
        with pytest.raises(TimeoutError):
            removal.result(0.2)
        may_end.set()
        removal.result(10)
        assert ended.is_set()
        assert sent.result(10) == 502


@dataclass
class LateProxies:
    """Proxies in which a write comes just before the removal of the hook, or none at all."""

    is_late: bool
    hook: WriteHook | None = None

    def at_next_write(self, hook: WriteHook | None) -> None:
        if hook is None and self.hook is not None and self.is_late:
            self.hook.action()
        self.hook = hook


@dataclass
class Workers:
    """A stage that notes the signals to its workers."""

    function_timeout: int = 0
    resources: Any = field(default_factory=lambda: type("Resources", (), {"table_name": TABLE}))
    signals: list[signal.Signals] = field(default_factory=list)

    @property
    def signal_workers(self) -> Callable[[signal.Signals], None]:
        return self.signals.append


@pytest.mark.parametrize("is_late", [True, False])
def test_workers_that_were_stopped_at_the_last_moment_continue(
    monkeypatch: pytest.MonkeyPatch, is_late: bool
) -> None:
    monkeypatch.setattr(incidents, "_HOOK_SECONDS", 0.01)
    stage, proxies = Workers(), LateProxies(is_late)
    thrown = Incidents(cast("Stage", stage), cast("FaultProxies", proxies), 1, 60, lambda _: [])
    thrown._freeze(threading.Event())
    assert stage.signals == ([signal.SIGSTOP, signal.SIGCONT] if is_late else [])
    assert thrown.fired[FUNCTION_TIMEOUT] == int(is_late)
    assert thrown.missed[FUNCTION_TIMEOUT] == int(not is_late)
    assert proxies.hook is None
