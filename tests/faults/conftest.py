"""A private engine with the real stack, its times scaled down, behind the fault proxies."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from shipment_events.dead_letters.letters import DeadLetterMessage
from shipment_events.publishing.publisher import Accepted, Publisher, prepare
from tests.integration.conftest import ROOT
from workbench.drill.faults import SERVICES
from workbench.drill.proxy import FaultProxies
from workbench.drill.stage import Stage, open_stage
from workbench.engine.health import free_ports

# Shorter, and the clients give up on a busy machine before the engine has answered.
VISIBILITY_TIMEOUT = 18


@dataclass
class Scene:
    """The stage and its proxies, with what a test asks of them."""

    stage: Stage
    proxies: FaultProxies

    def publish(self, name: str, count: int) -> None:
        """Put events of one shipment on the bus, past the proxies."""
        publisher = Publisher(self.stage.events, self.stage.resources.event_bus_name)
        entries = (prepare(event(name, number)) for number in range(count))
        assert all(isinstance(receipt, Accepted) for receipt in publisher.send(entries))

    def stored(self, name: str) -> list[str]:
        """Event ids of the shipment's items."""
        return [item.event_id for item in self.stage.table.timeline(name)]

    def dead_letters(self, name: str) -> list[DeadLetterMessage]:
        """The shipment's dead letters."""
        read = self.stage.dead_letters.read()
        return [letter for letter in read.letters if json.loads(letter.body)["detail"]["shipment_id"] == name]

    def waiting(self) -> int:
        """Messages in the queue, those under way among them."""
        return self.stage.queue.depth().total

    def until(self, condition: Callable[[], bool], seconds: float) -> float:
        """Wait; how long it took, in seconds."""
        start = time.monotonic()
        while not condition():
            assert time.monotonic() - start < seconds, f"not within {seconds} s"
            time.sleep(0.05)
        return time.monotonic() - start


def event(name: str, number: int) -> dict[str, Any]:
    """A good event."""
    return {
        "shipment_id": name,
        "event_timestamp": "2026-05-04T10:00:00Z",
        "event_type": "shipment.scanned",
        "event_id": str(number),
    }


@pytest.fixture(scope="package")
def shared_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One engine for all tests of this folder."""
    engine_port, partial_port, *service_ports = free_ports(2 + len(SERVICES))
    ports = {"partial": partial_port, **dict(zip(SERVICES, service_ports, strict=True))}
    with (
        FaultProxies(engine_port, ports, seed=1) as proxies,
        open_stage(
            ROOT,
            tmp_path_factory.mktemp("drill") / "engine",
            engine_port,
            visibility_timeout=VISIBILITY_TIMEOUT,
            engine_environment=proxies.function_environment,
        ) as stage,
    ):
        yield Scene(stage, proxies)


@pytest.fixture
def scene(shared_scene: Scene) -> Iterator[Scene]:
    """The shared engine, without faults before and after."""
    yield shared_scene
    shared_scene.proxies.at_next_write(None)
    shared_scene.proxies.set_partial_faults(0)
    for service in SERVICES:
        shared_scene.proxies.set_faults(service, [])
