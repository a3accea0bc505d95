"""Starts that go wrong, with stand-ins for the engine and for what sits on its port."""

import ast
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from workbench.engine import engine, health, processes, record, serve
from workbench.engine.engine import State
from workbench.engine.errors import LocalEngineError
from workbench.engine.health import free_port
from workbench.engine.processes import group_members
from workbench.engine.settings import HOST, Settings

ROOT = Path(__file__).resolve().parents[3]


def install(root: Path, script: str) -> None:
    """Put a shell script in the place of the engine's interpreter."""
    python = root / ".venv-engine" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path, home=tmp_path / ".local", port=free_port())


@pytest.fixture
def web_server() -> Iterator[int]:
    """Port of an HTTP server that is no engine."""
    server = http.server.HTTPServer((HOST, 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


class TestStart:
    def test_without_an_installed_engine(self, settings: Settings) -> None:
        with pytest.raises(LocalEngineError, match="make setup"):
            engine.start(settings)

    def test_an_engine_that_dies_shows_its_last_words(self, settings: Settings) -> None:
        install(settings.root, "echo no such module; exit 3")
        with pytest.raises(LocalEngineError, match=r"exit status 3[^$]*no such module"):
            engine.start(settings)
        assert engine.status(settings).state is State.STOPPED

    def test_an_engine_that_stays_silent_is_ended(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "START_SECONDS", 0.3)
        install(settings.root, 'echo $$ > "$HOME/../pid"; sleep 60')
        with pytest.raises(LocalEngineError, match="silent"):
            engine.start(settings)
        assert group_members(int((settings.home / "pid").read_text())) == []
        assert engine.status(settings).state is State.STOPPED

    def test_ctrl_c_leaves_nothing_behind(self, settings: Settings) -> None:
        install(settings.root, 'echo $$ > "$HOME/../pid"; sleep 60')
        program = (
            "from pathlib import Path\n"
            "from workbench.engine import engine\n"
            "from workbench.engine.settings import Settings\n"
            f"engine.start(Settings(root=Path({str(settings.root)!r}), "
            f"home=Path({str(settings.home)!r}), port={settings.port}))\n"
        )
        starting = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
        while not settings.record_file.exists() or not (settings.home / "pid").exists():
            time.sleep(0.02)
        starting.send_signal(signal.SIGINT)
        _, errors = starting.communicate(timeout=20)
        assert b"KeyboardInterrupt" in errors
        assert group_members(int((settings.home / "pid").read_text())) == []
        assert not settings.record_file.exists()

    def test_a_port_taken_by_a_web_server(self, settings: Settings, web_server: int) -> None:
        taken = Settings(root=settings.root, home=settings.home, port=web_server)
        with pytest.raises(LocalEngineError, match=f"Port {web_server} is taken by a program"):
            engine.start(taken)

    def test_a_port_taken_by_something_that_never_answers(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        patient = health.occupant
        monkeypatch.setattr(health, "occupant", lambda port: patient(port, timeout=0.2))
        with socket.socket() as squatter:
            squatter.bind((HOST, settings.port))
            squatter.listen()
            with pytest.raises(LocalEngineError, match="is taken"):
                engine.start(settings)

    def test_fresh_does_not_end_the_engine_of_another_port(self, settings: Settings) -> None:
        with running(settings) as process:
            other = Settings(root=settings.root, home=settings.home, port=free_port())
            with pytest.raises(LocalEngineError, match=f"already runs on port {settings.port}, not"):
                engine.start(other, fresh=True)
            assert processes.is_running(process)
            assert record.read(settings.record_file) is not None

    def test_fresh_ends_the_engine_of_this_port(self, settings: Settings) -> None:
        install(settings.root, "exit 3")
        with running(settings) as process:
            with pytest.raises(LocalEngineError, match="exit status 3"):
                engine.start(settings, fresh=True)
            assert not processes.is_running(process)

    def test_litter_in_the_scratch_folder_does_not_matter(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        install(settings.root, "exit 3")
        settings.temporary_dir.mkdir(parents=True)
        monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
        with pytest.raises(LocalEngineError, match="exit status 3"):
            engine.start(settings)

    def test_a_file_in_the_place_of_the_scratch_folder_is_named(self, settings: Settings) -> None:
        install(settings.root, "exit 3")
        settings.home.mkdir()
        settings.temporary_dir.touch()
        with pytest.raises(LocalEngineError, match=f"{settings.temporary_dir} cannot be made: File exists"):
            engine.start(settings)


class TestCrash:
    def test_it_is_not_forgotten_before_the_next_start(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with running(settings) as process:
            processes.end_group(process, grace=0)
        assert not engine.stop(settings)
        assert engine.status(settings).state is State.CRASHED
        install(settings.root, "echo ready; sleep 60")
        monkeypatch.setattr(health, "answers", lambda *_: True)
        try:
            assert engine.start(settings).after_crash
        finally:
            assert engine.stop(settings)
        assert engine.status(settings).state is State.STOPPED

    def test_it_does_not_matter_to_a_fresh_start(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with running(settings) as process:
            processes.end_group(process, grace=0)
        install(settings.root, "echo ready; sleep 60")
        monkeypatch.setattr(health, "answers", lambda *_: True)
        try:
            assert not engine.start(settings, fresh=True).after_crash
        finally:
            assert engine.stop(settings)


class TestRecord:
    def test_a_damaged_one_counts_as_none(self, settings: Settings) -> None:
        settings.home.mkdir()
        for text in ("", "{", "[]", '{"pid": "x"}'):
            settings.record_file.write_text(text)
            assert record.read(settings.record_file) is None
        assert engine.status(settings).state is State.STOPPED
        assert not engine.stop(settings)

    def test_keeps_what_identifies_the_process(self, settings: Settings) -> None:
        settings.home.mkdir()
        created = psutil.Process().create_time()
        record.Record(pid=os.getpid(), created=created, port=1).write(settings.record_file)
        known = record.read(settings.record_file)
        assert known is not None
        assert known.process() == psutil.Process()
        assert known.started == datetime.fromtimestamp(created, UTC).isoformat(timespec="seconds")


class TestProcesses:
    def test_an_id_that_went_to_another_program_is_another_process(self) -> None:
        created = psutil.Process().create_time()
        assert processes.find(os.getpid(), created) == psutil.Process()
        assert processes.find(os.getpid(), created + 0.5) is not None, "the clock was corrected meanwhile"
        assert processes.find(os.getpid(), created - 60) is None

    def test_one_that_ended_is_none_even_while_it_is_a_zombie(self) -> None:
        ended = psutil.Popen(["true"])
        created = ended.create_time()
        while ended.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert processes.find(ended.pid, created) is None
        ended.wait()
        assert processes.find(ended.pid, created) is None

    def test_ends_children_whose_parent_left_before_them(self) -> None:
        leader = shell("sleep 60 & (sleep 60 &) ; echo ready; wait")
        members = processes.group_members(leader.pid)
        assert len(members) == 3
        assert processes.end_group(leader, grace=5), "it left when it was asked to"
        assert not any(map(processes.is_running, members))

    def test_kills_what_does_not_leave_when_it_is_asked_to(self) -> None:
        leader = shell("trap '' TERM; echo ready; while true; do sleep 0.1; done")
        assert not processes.end_group(leader, grace=0.2)
        assert processes.group_members(leader.pid) == []

    def test_does_not_wait_for_a_zombie_to_be_reaped(self) -> None:
        """The parent here never does that, as the first process of a container may not."""
        program = (
            "import subprocess, time\n"
            "child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
            "print(child.pid, flush=True)\n"
            "time.sleep(60)\n"
        )
        parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        try:
            assert parent.stdout is not None
            child = psutil.Process(int(parent.stdout.readline()))
            started = time.monotonic()
            assert processes.end_group(child, grace=3)
            assert time.monotonic() - started < 1
            assert child.status() == psutil.STATUS_ZOMBIE
        finally:
            parent.kill()
            parent.communicate()

    def test_one_that_has_ended_before(self) -> None:
        leader = shell("echo ready")
        leader.wait()
        assert processes.end_group(leader, grace=5)


class TestProgram:
    """What the engine's own interpreter runs."""

    @pytest.mark.parametrize("name", ["serve", "adaptations", "shortcuts", "stream_delivery"])
    def test_needs_nothing_but_the_engine_and_the_standard_library(self, name: str) -> None:
        tree = ast.parse(Path(serve.__file__).with_name(f"{name}.py").read_text())
        modules = [
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        ] + [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        others = {each for each in modules if each.split(".")[0] not in sys.stdlib_module_names}
        assert {each for each in others if each.split(".")[0] != "ministack"} <= {
            "workbench.engine.adaptations",
            "workbench.engine.stream_delivery",
        }

    def test_does_not_adapt_an_engine_that_it_was_not_written_for(self) -> None:
        python = Settings(root=ROOT, home=ROOT, port=0).engine_python
        program = (
            "from ministack.services import dynamodb\n"
            "dynamodb._set_item = dynamodb._remove_item\n"
            "from workbench.engine import adaptations\n"
            "adaptations.adapt()\n"
        )
        ended = subprocess.run(
            [python, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )
        assert ended.returncode == 1
        assert "dynamodb._set_item is not as its adaptation in workbench/engine expects it" in ended.stderr


@contextmanager
def running(settings: Settings) -> Iterator[psutil.Process]:
    """A process that stands for the engine, with its record."""
    process = shell("echo ready; sleep 60")
    settings.home.mkdir(exist_ok=True)
    known = record.Record(pid=process.pid, created=process.create_time(), port=settings.port)
    known.write(settings.record_file)
    try:
        yield process
    finally:
        processes.end_group(process, grace=0)


def shell(script: str) -> psutil.Popen:
    """A shell that leads a group of its own, after the first line that it wrote."""
    leader = psutil.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    assert leader.stdout.readline() == b"ready\n"
    return leader
