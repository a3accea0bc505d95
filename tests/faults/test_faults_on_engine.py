"""Single faults at the real stack, each with what must hold after it. Times are scaled by 18 to 360."""

import signal
import time

import pytest

from shipment_events.dead_letters.letters import Selection
from shipment_events.dead_letters.reasons import DeadLetterReason
from tests.faults.conftest import VISIBILITY_TIMEOUT, Scene
from workbench.drill.faults import DYNAMODB, Fault, every, outage
from workbench.drill.partial_proxy import WriteHook

pytestmark = [pytest.mark.engine, pytest.mark.slow]

IDS = [str(number) for number in range(10)]
# What 60 s after a fault's end are in the scaled stage, and the engine's own time on a slow machine.
SOON = 60 * VISIBILITY_TIMEOUT / 360 + 3


def test_a_throttled_batch_is_stored_soon_after_the_throttling_ends(scene: Scene) -> None:
    scene.proxies.set_faults(DYNAMODB, every(Fault.THROTTLED, DYNAMODB))
    scene.publish("THROTTLED", 10)
    before = scene.proxies.fired()[Fault.THROTTLED]
    scene.until(lambda: scene.proxies.fired()[Fault.THROTTLED] - before >= 2, 10)
    assert scene.stored("THROTTLED") == []
    scene.proxies.set_faults(DYNAMODB, [])
    scene.until(lambda: scene.stored("THROTTLED") == IDS, SOON)


def test_a_connection_reset_after_the_write_leaves_one_item_each(scene: Scene) -> None:
    scene.proxies.set_faults(DYNAMODB, every(Fault.RESET_AFTER, DYNAMODB))
    scene.publish("RESET", 10)
    before = scene.proxies.fired()[Fault.RESET_AFTER]
    scene.until(lambda: scene.stored("RESET") == IDS, 10)
    scene.until(lambda: scene.proxies.fired()[Fault.RESET_AFTER] - before >= 2, 10)
    assert scene.waiting() > 0, "the function cannot know yet"
    scene.proxies.set_faults(DYNAMODB, [])
    scene.until(lambda: scene.waiting() == 0, SOON)
    assert scene.stored("RESET") == IDS


def test_single_failed_statements_and_keys_are_tried_again(scene: Scene) -> None:
    scene.proxies.set_partial_faults(0.8)
    for _ in range(2):
        scene.publish("PARTS", 10)
    scene.until(lambda: scene.proxies.fired()["failed_statements"] >= 2, 10)
    scene.proxies.set_partial_faults(0)
    scene.until(lambda: scene.stored("PARTS") == IDS and scene.waiting() == 0, VISIBILITY_TIMEOUT + SOON)
    assert scene.dead_letters("PARTS") == []


def test_a_killed_functions_batch_is_stored_once_when_its_visibility_ends(scene: Scene) -> None:
    killed_at: list[float] = []

    def kill() -> None:
        scene.stage.signal_workers(signal.SIGKILL)
        killed_at.append(time.monotonic())

    for number, (name, after_write) in enumerate((("BEFORE", False), ("AFTER", True)), start=1):
        scene.proxies.at_next_write(WriteHook(scene.stage.resources.table_name, after_write, kill))
        scene.publish(name, 1)
        scene.until(lambda number=number: len(killed_at) == number, 10)  # type: ignore[misc]
    assert (scene.stored("BEFORE"), scene.stored("AFTER")) == ([], ["0"])
    assert scene.waiting() == 2
    scene.until(lambda: scene.waiting() == 0, VISIBILITY_TIMEOUT + SOON)
    assert time.monotonic() - killed_at[0] > VISIBILITY_TIMEOUT - 3
    for name in ("BEFORE", "AFTER"):
        assert scene.stored(name) == ["0"]
        assert scene.dead_letters(name) == []


def test_an_outage_longer_than_the_visibility_timeout_makes_dead_letters_and_no_shorter_one(
    scene: Scene,
) -> None:
    scene.proxies.set_faults(DYNAMODB, outage())
    scene.publish("LONG", 10)
    time.sleep(VISIBILITY_TIMEOUT + 2.5)
    scene.publish("AS-LONG", 10)
    time.sleep(VISIBILITY_TIMEOUT)
    scene.proxies.set_faults(DYNAMODB, [])

    scene.until(lambda: len(scene.dead_letters("LONG")) == 10, SOON)
    assert {letter.reason for letter in scene.dead_letters("LONG")} == {"retries_exhausted"}
    redriven = scene.stage.dead_letters.redrive(Selection(reason=DeadLetterReason.RETRIES_EXHAUSTED))
    assert len(redriven.settled) == 10
    scene.until(lambda: scene.waiting() == 0, VISIBILITY_TIMEOUT + SOON)
    for name in ("LONG", "AS-LONG"):
        assert scene.stored(name) == IDS
        assert scene.dead_letters(name) == []
