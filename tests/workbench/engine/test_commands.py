"""The commands, with an engine that is only said to run."""

import pytest
from click.testing import CliRunner, Result

from shipment_events.cli import main
from workbench.engine import engine
from workbench.engine.engine import State, Status


@pytest.fixture(autouse=True)
def runs_on_4880(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Status(state=State.RUNNING, endpoint="http://127.0.0.1:4880", pid=1, started="")
    monkeypatch.setattr(engine, "status", lambda _: found)


def env(port: str | None) -> Result:
    return CliRunner().invoke(main, ["local", "env"], env={"SHIPMENTS_PORT": port})


@pytest.mark.parametrize("port", ["4880", "", None])
def test_env_points_at_the_engine_that_runs(port: str | None) -> None:
    result = env(port)
    assert result.exit_code == 0
    assert "AWS_ENDPOINT_URL=http://127.0.0.1:4880" in result.stdout


def test_env_does_not_point_at_another_port_than_the_one_asked_for() -> None:
    result = env("4881")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "runs at http://127.0.0.1:4880, not on port 4881" in result.stderr
