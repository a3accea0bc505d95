"""What users install: the wheel in an environment that holds nothing else."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path
from zipfile import ZipFile

import httpx2
import pytest

from tests.integration.commands import exported
from tests.integration.conftest import ROOT, LocalEngine
from workbench.browsing import running_console

pytestmark = pytest.mark.engine

LIBRARY = """
from shipment_events.publishing.publisher import Publisher
result = Publisher.connect("dev").publish([{
    "shipment_id": "WHEEL-1", "event_timestamp": "2026-05-04T10:00:00Z", "event_type": "shipment.departed",
}])
assert (result.accepted, result.refused, result.unsent) == (1, [], []), result
"""


@dataclass(frozen=True)
class Installation:
    """An environment of its own with the wheel in it."""

    folder: Path

    def __call__(
        self, program: str, *arguments: str, environment: Mapping[str, str], status: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, away from the clone."""
        done = subprocess.run(
            [str(self.folder / "bin" / program), *arguments],
            cwd=self.folder, env=dict(environment), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == status, (arguments, done.stdout, done.stderr)
        return done


def _uv(*arguments: str) -> str:
    return subprocess.run(["uv", *arguments], check=True, capture_output=True, text=True, cwd=ROOT).stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the current sources."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


def _install(wheel: Path, folder: Path, extra: str = "") -> Installation:
    if shutil.which("uv") is None:
        pytest.skip("uv is not installed here, and pip would have to download the packages")
    _uv("venv", "--quiet", "--python", sys.executable, str(folder))
    try:
        # From the cache that `make setup` filled.
        _uv(
            "pip", "install", "--quiet", "--offline", "--python", str(folder / "bin" / "python"),
            "--constraint", "requirements-dev.lock", f"shipment-events{extra} @ {wheel.as_uri()}",
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        if "network was disabled" in error.stderr:
            pytest.skip("uv's cache does not have the packages: pip installed them")
        raise
    return Installation(folder)


@pytest.fixture(scope="module")
def library(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The wheel without extras."""
    return _install(wheel, tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def with_commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The wheel with its command line."""
    return _install(wheel, tmp_path_factory.mktemp("commands"), "[cli]")


def _closure(package: str) -> set[str]:
    """A package and all that it needs, by the metadata of this environment."""
    found = {package}
    for requirement in requires(package) or []:
        name, _, marker = requirement.partition(";")
        if "extra" not in marker:
            needed = "".join(c if c.isalnum() or c in "-_." else " " for c in name).split()[0]
            found |= _closure(needed.lower())
    return found


def test_the_wheel_has_all_files_of_the_console(wheel: Path) -> None:
    folder = ROOT / "src" / "shipment_events" / "console"
    files = {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert {".html", ".js", ".css", ".svg"} <= {path.suffix for path in files}
    assert {path.relative_to(ROOT / "src").as_posix() for path in files} <= set(ZipFile(wheel).namelist())


@pytest.mark.slow
def test_the_console_of_the_wheel_shows_a_stage(wheel: Path, tmp_path: Path, engine: LocalEngine) -> None:
    installed = _install(wheel, tmp_path / "console", "[console]")
    with (
        running_console(
            tmp_path,
            environment=exported(engine.endpoint),
            command=[str(installed.folder / "bin" / "shipments")],
        ) as (_, address),
        httpx2.Client(follow_redirects=True) as browser,
    ):
        shown = browser.get(address).text
        home = address.partition("/?")[0]
        for file in re.findall(r'(?:src|href)="(/static/[^"]+)"', shown):
            assert browser.get(home + file).status_code == 200
        # Which one it is depends on what other tests left in the stage that they share.
        assert re.search(
            'class="health (healthy|behind|failing)"', browser.get(f"{home}/panels/verdict").text
        )


@pytest.mark.slow
def test_a_team_builds_its_stack_with_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """The example imports nothing of ours but the construct. `make setup` brings node, which CDK needs."""
    installed = _install(wheel, tmp_path / "cdk", "[cdk]")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {"PATH": path, "HOME": str(tmp_path), "CDK_OUTDIR": str(tmp_path / "out")}
    installed("python", str(ROOT / "examples" / "subscriber" / "stack.py"), environment=environment)
    template = json.loads((tmp_path / "out" / "deliveries.template.json").read_text(encoding="utf-8"))
    queues = {
        each["Properties"]["QueueName"]
        for each in template["Resources"].values()
        if each["Type"] == "AWS::SQS::Queue"
    }
    assert queues == {"deliveries-dev", "deliveries-dlq-dev"}


def test_the_library_needs_boto3_alone(library: Installation) -> None:
    listed = json.loads(
        _uv("pip", "list", "--format", "json", "--python", str(library.folder / "bin" / "python"))
    )
    assert {package["name"] for package in listed} == {"shipment-events"} | _closure("boto3")


def test_a_producer_publishes_with_it(library: Installation, engine: LocalEngine) -> None:
    library("python", "-W", "error::DeprecationWarning", "-c", LIBRARY, environment=exported(engine.endpoint))


def test_the_command_says_how_to_install_it(library: Installation) -> None:
    said = library("shipments", "--help", environment=os.environ, status=1).stderr
    assert said == "error: the command line needs click: pip install 'shipment-events[cli]'\n"


def test_commands_work_against_a_running_stack(with_commands: Installation, engine: LocalEngine) -> None:
    environment = {**exported(engine.endpoint), "ENV": "dev", "COLUMNS": "200"}

    def shipments(*arguments: str, status: int = 0) -> str:
        return with_commands("shipments", *arguments, environment=environment, status=status).stdout

    good = {
        "shipment_id": "WHEEL-2",
        "event_timestamp": "2026-05-04T10:00:00Z",
        "event_type": "shipment.departed",
    }
    broken = {**good, "shipment_id": "WHEEL-3", "carrier": 7}
    lines = "".join(json.dumps(event) + "\n" for event in (good, broken))
    (with_commands.folder / "events.ndjson").write_text(lines, encoding="utf-8")
    report = json.loads(shipments("run", "events.ndjson", "--json"))
    assert (report["stored"], report["quarantined"], report["lost"]) == (1, 1, 0)
    assert "WHEEL-2" in shipments("timeline", "WHEEL-2")
    letters = json.loads(shipments("dead-letters", "list", "--shipment", "WHEEL-3", "--json", status=1))
    assert [letter["reason"] for letter in letters] == ["invalid_field"]
    assert json.loads(shipments("status", "--json", status=1))["health"] == "failing"
    shipments("dead-letters", "discard", "--shipment", "WHEEL-3", "--export", "given-up.ndjson", "--yes")
    assert json.loads(shipments("dead-letters", "list", "--shipment", "WHEEL-3", "--json")) == []
    assert "USD" in shipments("cost", "--events-per-day", "30000", "--stage", "prod")
    _, _, commands = shipments("--help").partition("Commands:")
    listed = {line.split()[0] for line in commands.splitlines() if line.strip()}
    assert "timeline" in listed
    # These are the workbench's, which only a clone has.
    assert not {"local", "drill", "feed"} & listed
