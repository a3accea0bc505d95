"""Time and memory of ``make run`` as the feed grows: both should grow with it, or not at all."""

from typing import Final

from benchmarks.end_to_end.engine import fresh_engine
from benchmarks.results import PartResult, Table

_EVENTS: Final = 5_000
_TIMES: Final = (1, 4, 16)


def measure() -> PartResult:
    """Run feeds of 1, 4 and 16 times the usual length, each on a fresh engine."""
    result = PartResult("`shipments run` on a fresh local engine for each length")
    rows = []
    for times in _TIMES:
        with fresh_engine() as engine:
            engine.run_feed(200, seed=99)
            done = engine.run_feed(times * _EVENTS)
            engine_bytes = engine.peak_bytes()
        numbers = {
            "events": times * _EVENTS,
            "seconds": done.seconds,
            "seconds_to_last_stored": done.report["seconds"],
            "command_peak_bytes": done.peak_bytes,
            "engine_peak_bytes": engine_bytes,
        }
        result.numbers[f"{times}x"] = numbers
        rows.append(
            [
                f"{times * _EVENTS:,} events",
                f"{done.seconds:,.1f}",
                f"{1e6 * done.seconds / numbers['events']:,.0f}",
                f"{done.report['events_per_second']:,.0f}",
                f"{done.peak_bytes / 1e6:,.0f}",
                f"{engine_bytes / 1e6:,.0f}",
            ]
        )
    header = ["`make run`", "seconds", "µs an event", "stored a second", "command's MB", "engine's MB"]
    result.tables["growth"] = Table(header, rows)
    return result
