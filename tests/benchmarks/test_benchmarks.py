"""What the benchmark computes from what it has measured."""

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import __main__ as main_module
from benchmarks import report
from benchmarks.cpu_share import CgroupShare, SignalShare, share_of
from benchmarks.parts import Part
from benchmarks.processor.batches import batches
from benchmarks.processor.memory import cost_of_a_million
from benchmarks.report import PLACES, ratio_rows
from benchmarks.results import TARGETS, PartResult, Table, merge_result, read_results
from benchmarks.statistics import Ratio, quartiles, ratio_of_medians


def test_ratio_is_of_the_medians() -> None:
    ratio = ratio_of_medians([1.0, 2.0, 30.0], [4.0, 4.0, 5.0])
    assert ratio.value == 0.5
    assert ratio.low <= ratio.value <= ratio.high


def test_interval_holds_the_truth_and_narrows_with_rounds() -> None:
    few, many = (
        ratio_of_medians([2 + i % 5 / 10 for i in range(n)], [4 + i % 7 / 10 for i in range(n)])
        for n in (10, 1000)
    )
    assert many.high - many.low < few.high - few.low
    assert many.low <= 2.2 / 4.3 <= many.high


def test_what_disturbs_both_at_the_same_time_does_not_widen_the_interval() -> None:
    disturbed = [1.0, 5.0, 2.0, 9.0, 3.0, 7.0]
    assert ratio_of_medians(disturbed, disturbed) == Ratio(1, 1, 1)


@pytest.mark.parametrize("rounds", [([], []), ([1.0], [1.0, 2.0])])
def test_ratio_needs_the_same_rounds(rounds: tuple[list[float], list[float]]) -> None:
    with pytest.raises(ValueError, match="expected rounds of both"):
        ratio_of_medians(*rounds)


def test_quartiles() -> None:
    assert quartiles([4.0, 1.0, 3.0, 2.0]) == (2.0, 4.0)


def test_part_replaces_its_own_results_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "local" / "bench.json"
    merge_result("a", PartResult("once", {"wall_vs_textbook": Ratio(0.2, 0.1, 0.3)}), path)
    merge_result(
        "b", PartResult("", {"publisher_vs_one_by_one": Ratio(9, 8, 10)}, {"x": Ratio(1, 1, 1)}), path
    )
    merge_result(
        "a",
        PartResult(
            "again", {"wall_vs_textbook": Ratio(0.1, 0.05, 0.15)}, tables={"t": Table(["h"], [["c"]])}
        ),
        path,
    )
    results = json.loads(path.read_text())
    assert results["wall_vs_textbook"] == 0.1
    assert results["spread"]["wall_vs_textbook"] == [0.05, 0.15]
    assert results["targets"]["wall_vs_textbook"] == {"at_most": 0.1429, "is_met": True}
    assert results["publisher_vs_one_by_one"] == 9
    assert results["targets"]["publisher_vs_one_by_one"] == {"at_least": 8, "is_met": True}
    assert results["noise"]["x"]["value"] == 1
    assert results["parts"]["a"]["conditions"] == "again"
    assert results["parts"]["a"]["tables"] == {"t": {"header": ["h"], "rows": [["c"]]}}
    assert set(results["parts"]) == {"a", "b"}


def test_missed_target_is_said(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    ratios = {"wall_vs_textbook": Ratio(0.2, 0.1, 0.3), "publisher_vs_one_by_one": Ratio(9, 8, 10)}
    merge_result("a", PartResult("", ratios), path)
    slow, fast = ratio_rows(read_results(path), TARGETS)
    assert slow == ["`wall_vs_textbook`", "0.200", "0.100 to 0.300", "≤ 0.143", "**missed**"]
    assert fast == ["`publisher_vs_one_by_one`", "9.00", "8.00 to 10.0", "≥ 8.00", ""]


@pytest.mark.parametrize(("measured", "status"), [(0.1, 0), (0.2, 1)])
def test_exit_status_says_whether_the_targets_of_the_parts_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: float, status: int
) -> None:
    path = tmp_path / "bench.json"
    # What another part has missed is not this run's.
    merge_result("other", PartResult("", {"publisher_vs_one_by_one": Ratio(1, 1, 1)}), path)
    module = ModuleType("measured_here")
    module.measure = lambda: PartResult("", {"wall_vs_textbook": Ratio(measured, 0, 1)})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(main_module, "PARTS", {"here": Part("it", module.__name__)})
    monkeypatch.setattr(main_module, "read_results", partial(read_results, path))
    monkeypatch.setattr(main_module, "merge_result", partial(merge_result, path=path))
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--only", "here"])
    assert main_module.main() == status
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--reuse"])
    assert main_module.main() == 1


def test_memory_costs_by_the_started_millisecond_and_by_the_request() -> None:
    # 100,000 invocations of 11 ms with half a GB, at the list prices of the first tier.
    expected = 1e5 * 0.011 * 0.5 * 0.0000133334 + 0.1 * 0.20
    assert cost_of_a_million(512, 10, [0.0101, 0.011]) == pytest.approx(expected)
    assert cost_of_a_million(1024, 10, [0.011]) > cost_of_a_million(512, 10, [0.011])
    assert cost_of_a_million(512, 1, [0.011]) == pytest.approx(10 * expected)


def test_batches_are_new_events_as_lambda_gives_them() -> None:
    records = [record for batch in batches(10, 3) for record in batch["Records"]]
    details = [json.loads(record["body"])["detail"] for record in records]
    assert len(records) == 30
    assert len({(detail["shipment_id"], detail["event_id"]) for detail in details}) == 30


@pytest.mark.parametrize("version", [1, 2])
def test_control_group_has_the_quota_of_the_memory(tmp_path: Path, version: int) -> None:
    (tmp_path / ("cpu.max" if version == 2 else "cpu.cfs_quota_us")).touch()
    share = CgroupShare(tmp_path)
    share.set(share_of(512))
    share.add(42)
    if version == 2:
        assert (tmp_path / "cpu.max").read_text() == "5789 20000"
    else:
        assert (tmp_path / "cpu.cfs_quota_us").read_text() == "5789"
        assert (tmp_path / "cpu.cfs_period_us").read_text() == "20000"
    assert (tmp_path / "cgroup.procs").read_text() == "42"


@pytest.mark.skipif(sys.platform != "linux", reason="the clock of another process is Linux's")
def test_signals_keep_a_busy_process_to_its_share() -> None:
    share = SignalShare()
    share.set(0.25)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            clock = (~busy.pid << 3) | 2
            begin, used = time.monotonic(), time.clock_gettime(clock)

            def is_done(seconds: float) -> bool:
                time.sleep(seconds)
                return time.monotonic() - begin > 0.6

            share.wait(busy.pid, is_done)
            used = time.clock_gettime(clock) - used
            elapsed = time.monotonic() - begin
        finally:
            busy.kill()
    assert 0 < used < 0.35 * elapsed


@pytest.mark.parametrize("table", ["processor", "allocations"])
def test_the_document_takes_the_tables_that_it_has_a_place_for(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "benchmarks.md"
    parts = [f'<!-- [[[cog measured("{name}") ]]] -->\n<!-- [[[end]]] -->\n' for name in PLACES]
    document.write_text("".join(parts), encoding="utf-8")
    monkeypatch.setattr(report, "DOCUMENT", document)
    part = PartResult("batches of 10", tables={table: Table(["design"], [["ours"]])})
    merge_result("processor", part, tmp_path / "bench.json")
    report.write_document(read_results(tmp_path / "bench.json"))
    written = document.read_text(encoding="utf-8")
    assert ("| ours |" in written) == (table in PLACES)
    assert ("batches of 10" in written) == (table in PLACES)
