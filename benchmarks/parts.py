"""The parts of the benchmark. A new one is a module with ``measure() -> PartResult``, and a line here."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from benchmarks.results import PartResult


@dataclass(frozen=True, slots=True)
class Part:
    """A part that can be measured alone.

    Attributes:
        module: has ``measure``; imported when it is needed.
        is_long: left out unless it is asked for by name.
    """

    what: str
    module: str
    is_long: bool = False

    def measure(self) -> PartResult:
        """Measure it."""
        result: PartResult = import_module(self.module).measure()
        return result


PARTS: Final[Mapping[str, Part]] = {
    "processor": Part("the processor beside other designs", "benchmarks.processor.comparison"),
    "memory": Part("what the processor's memory setting costs", "benchmarks.processor.memory"),
    "cold-start": Part("the deployed bundle's start beside others'", "benchmarks.cold_start.comparison"),
    "publisher": Part("the publisher beside a producer's own calls", "benchmarks.publisher.comparison"),
    "tracker": Part("the tracker beside a textbook's", "benchmarks.tracker.comparison"),
    "engine": Part(
        "the whole stack on the local engine beside one with the textbook's handler",
        "benchmarks.end_to_end.designs",
    ),
    "tracking": Part(
        "the stack on the local engine with the tracker and without",
        "benchmarks.end_to_end.tracking",
    ),
    "api": Part("a state by the HTTP API beside one GetItem of the SDK", "benchmarks.end_to_end.api"),
    "publisher-memory": Part(
        "the publisher's memory on a file of a million events", "benchmarks.publisher.memory", is_long=True
    ),
    "rates": Part(
        "the whole pipeline from a trickle to saturation, and a redrive",
        "benchmarks.end_to_end.rates",
        is_long=True,
    ),
    "growth": Part(
        "`make run` with 1, 4 and 16 times the events", "benchmarks.end_to_end.growth", is_long=True
    ),
}
