"""Two drills of one clone: the second leaves the first alone, and clears away what a killed one left."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from workbench.drill import stage
from workbench.drill.folder import LOCK
from workbench.drill.run import JOURNAL, DrillPlan, run_drill
from workbench.engine import processes, synthesis
from workbench.engine.errors import LocalEngineError
from workbench.engine.record import Record
from workbench.engine.settings import Settings


def plan(folder: Path) -> DrillPlan:
    return DrillPlan(root=folder, folder=folder, seed=1)


@pytest.fixture
def no_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LocalEngineError("no stack", "none")

    monkeypatch.setattr(synthesis, "synthesize", fail)


@pytest.mark.usefixtures("no_stack")
def test_a_second_drill_says_which_process_has_the_folder(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text("of the first\n")
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from workbench.drill.folder import only_drill_of\n"
        "with only_drill_of(Path(sys.argv[1])):\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "ready\n"
    with pytest.raises(LocalEngineError, match=f"Process {first.pid} runs a drill in {tmp_path}"):
        run_drill(plan(tmp_path))
    assert (tmp_path / JOURNAL).read_text() == "of the first\n"
    first.communicate()
    with pytest.raises(LocalEngineError, match="no stack"):
        run_drill(plan(tmp_path))
    assert (tmp_path / LOCK).read_text() == str(os.getpid())


def test_the_engine_of_a_killed_drill_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = psutil.Popen(["sleep", "60"], start_new_session=True)
    home = tmp_path / "drill"
    home.mkdir()
    Record(pid=left.pid, created=left.create_time(), port=1).write(
        Settings(root=tmp_path, home=home).record_file
    )
    monkeypatch.setattr(synthesis, "synthesize", lambda *_: (tmp_path, False))
    with (
        pytest.raises(LocalEngineError, match="not installed"),
        stage.open_stage(tmp_path, home, 4880, visibility_timeout=18, engine_environment={}),
    ):
        pass
    assert not processes.is_running(left)
    assert not home.exists()
