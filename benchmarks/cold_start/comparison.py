"""Compares the start of the deployed bundle with other designs, in turns."""

import compileall
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.cold_start.start import Start, import_seconds, start
from benchmarks.results import PartResult, Table
from benchmarks.statistics import quartiles, ratio_of_medians

REPOSITORY: Final = Path(__file__).resolve().parent.parent.parent
HANDLER: Final = "shipment_events.processor.handler"

_ROUNDS: Final = 21
_TRACES: Final = 5
_PACKAGES_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class _Contender:
    what: str
    module: str
    folder: Path


def measure() -> PartResult:
    """Measure starts on a whole core, which Lambda gives a function while it starts."""
    bundle = deployed_bundle(REPOSITORY / "cdk.out")
    with tempfile.TemporaryDirectory(prefix="cold-start-") as folder:
        contenders = _contenders(bundle, Path(folder))
        starts: dict[str, list[Start]] = {name: [] for name in contenders}
        for contender in contenders.values():
            start(contender.module, contender.folder)  # Fills the file system's cache.
        for number in range(_ROUNDS):
            turns = list(contenders)
            for name in turns[number % len(turns) :] + turns[: number % len(turns)]:
                starts[name].append(start(contenders[name].module, contenders[name].folder))
        traces = [import_seconds(HANDLER, contenders["ours"].folder) for _ in range(_TRACES)]
    return _result(contenders, starts, traces, bundle)


def deployed_bundle(assembly: Path) -> Path:
    """Folder of the processor's bundle in what ``make synth`` has written.

    Raises:
        FileNotFoundError: nothing was synthesized.
    """
    for template in assembly.glob("*.template.json"):
        for resource in json.loads(template.read_text(encoding="utf-8"))["Resources"].values():
            if resource["Properties"].get("Handler") == f"{HANDLER}.handler":
                return assembly / f"asset.{Path(resource['Properties']['Code']['S3Key']).stem}"
    raise FileNotFoundError(f"no bundle in {assembly}: run 'make synth'")


def _contenders(bundle: Path, folder: Path) -> Mapping[str, _Contender]:
    compiled = folder / "compiled"
    shutil.copytree(bundle, compiled)
    others = folder / "others"
    shutil.copytree(REPOSITORY / "benchmarks", others / "benchmarks")
    # Packages of the runtime and of a layer come with byte code, so here all packages have it.
    compileall.compile_dir(compiled, quiet=1)
    compileall.compile_dir(others, quiet=1)
    handlers = "benchmarks.cold_start.handlers"
    return {
        "ours": _Contender("ours, as deployed: sources only", HANDLER, bundle),
        "compiled": _Contender("ours, with byte code", HANDLER, compiled),
        "again": _Contender("ours, again", HANDLER, bundle),
        "boto3": _Contender("boto3 client", f"{handlers}.bare_boto3", others),
        "botocore": _Contender("botocore client", f"{handlers}.bare_botocore", others),
        "powertools": _Contender("Powertools", "benchmarks.processor.handlers.powertools", others),
    }


def _result(
    contenders: Mapping[str, _Contender],
    starts: Mapping[str, list[Start]],
    traces: Sequence[Mapping[str, float]],
    bundle: Path,
) -> PartResult:
    files = [path for path in bundle.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    zipped = _zipped_bytes(bundle, files)
    result = PartResult(
        f"fresh processes, {_ROUNDS} rounds, a whole core; the bundle has {len(files)} files of "
        f"{size / 1e3:.0f} KB, {zipped / 1e3:.0f} KB zipped"
    )
    wall = {name: [one.wall for one in measured] for name, measured in starts.items()}
    result.ratios["cold_start_vs_boto3"] = ratio_of_medians(wall["ours"], wall["boto3"])
    result.noise["cold start, ours / ours"] = ratio_of_medians(wall["again"], wall["ours"])
    rows = []
    for name, contender in contenders.items():
        low, high = quartiles(wall[name])
        seconds = median(wall[name])
        modules = starts[name][0].modules
        cpu = median(one.cpu for one in starts[name])
        result.numbers[name] = {"wall_seconds": seconds, "cpu_seconds": cpu, "modules": modules}
        rows.append(
            [
                contender.what,
                f"{1e3 * seconds:.0f} ({1e3 * low:.0f} to {1e3 * high:.0f})",
                f"{1e3 * cpu:.0f}",
                str(modules),
                f"{ratio_of_medians(wall[name], wall['boto3']).value:.2f}",
            ]
        )
    header = ["import and init", "ms (half of them)", "CPU ms", "modules", "to the boto3 client"]
    result.tables["cold-start"] = Table(header, rows)
    result.tables["imports"] = _imports_table(traces)
    result.numbers["bundle"] = {"files": len(files), "bytes": size, "zipped_bytes": zipped}
    return result


def _imports_table(traces: Sequence[Mapping[str, float]]) -> Table:
    packages = {
        package: [sum(own for name, own in trace.items() if _package(name) == package) for trace in traces]
        for package in {_package(name) for name in traces[0]}
    }
    slowest = sorted(packages, key=lambda package: -median(packages[package]))[:_PACKAGES_SHOWN]
    rows = [
        [
            f"`{package}`",
            f"{sum(_package(name) == package for name in traces[0])}",
            f"{1e3 * median(packages[package]):.1f}",
        ]
        for package in slowest
    ]
    return Table(["imported by ours", "modules", "own time, traced (ms)"], rows)


def _package(module: str) -> str:
    return module.partition(".")[0]


def _zipped_bytes(bundle: Path, files: list[Path]) -> int:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in files:
            zipped.write(path, path.relative_to(bundle))
    return len(archive.getvalue())
