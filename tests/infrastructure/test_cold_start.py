"""A cold start has a budget: what a botocore client needs, and our own few modules."""

import shutil
from pathlib import Path

import pytest

from benchmarks.cold_start.comparison import HANDLER, deployed_bundle
from benchmarks.cold_start.start import import_seconds, start
from tests.infrastructure.conftest import REPOSITORY
from tests.infrastructure.template import Template

CLIENT = "benchmarks.cold_start.handlers.bare_botocore"
# Measured on a quiet machine: 1.17 to 1.22.
BUDGET = 1.3
ROUNDS = 7


def imported_besides(bundle: Path) -> dict[str, float]:
    """What the handler imports and a botocore client does not, with its own seconds, slowest first."""
    client = import_seconds(CLIENT, REPOSITORY)
    handler = import_seconds(HANDLER, bundle)
    return {
        name: seconds
        for name, seconds in sorted(handler.items(), key=lambda item: -item[1])
        if name not in client
    }


def offenders(bundle: Path) -> dict[str, float]:
    """Those of them that are not ours."""
    return {
        name: seconds
        for name, seconds in imported_besides(bundle).items()
        if name.partition(".")[0] != "shipment_events"
    }


def test_handler_imports_nothing_that_a_botocore_client_does_not(template: Template) -> None:
    found = offenders(deployed_bundle(template.folder))
    assert not found, f"seconds of each module that costs a cold start its time: {found}"


@pytest.mark.parametrize("module", ["boto3", "xml.sax"])
def test_offender_is_named(template: Template, tmp_path: Path, module: str) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(deployed_bundle(template.folder), bundle)
    outcome = bundle / "shipment_events" / "contract" / "outcome.py"
    outcome.write_text(f"import {module}\n{outcome.read_text()}")
    assert module in offenders(bundle)


@pytest.mark.slow
def test_start_takes_little_longer_than_that_of_a_botocore_client(template: Template) -> None:
    bundle = deployed_bundle(template.folder)
    ratio = _ratio(bundle, ROUNDS)
    if ratio > BUDGET:
        # A busy machine only adds to the time, so more rounds come nearer to the truth.
        ratio = _ratio(bundle, 3 * ROUNDS)
    assert ratio <= BUDGET, f"{ratio:.2f} times a client's start; {imported_besides(bundle)}"


def _ratio(bundle: Path, rounds: int) -> float:
    """The least CPU time of our start, divided by the least of a client's."""
    ours, client = [], []
    for _ in range(rounds):
        ours.append(start(HANDLER, bundle).cpu)
        client.append(start(CLIENT, REPOSITORY).cpu)
    return min(ours) / min(client)
