"""Starts that go wrong, with stand-ins for the engine and for what sits on its port."""

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.engine import engine, health, record
from workbench.engine.engine import State
from workbench.engine.errors import LocalEngineError
from workbench.engine.health import free_port
from workbench.engine.processes import command_line, group_members
from workbench.engine.settings import HOST, Settings


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


class TestRecord:
    def test_a_damaged_one_counts_as_none(self, settings: Settings) -> None:
        settings.home.mkdir()
        for text in ("", "{", "[]", '{"pid": "x"}'):
            settings.record_file.write_text(text)
            assert record.read(settings.record_file) is None
        assert engine.status(settings).state is State.STOPPED
        assert not engine.stop(settings)

    def test_an_engine_of_another_folder_is_not_ours(self, settings: Settings) -> None:
        other = subprocess.Popen(
            [sys.executable, "-X", record.mark(settings.home / "x"), "-c", "input()"], stdin=subprocess.PIPE
        )
        try:
            # The system knows the arguments of a process a moment later than the process itself.
            while command_line(other.pid) is None:
                time.sleep(0.01)
            found = record.Record(pid=other.pid, port=1, started="")
            assert found.is_alive(settings.home / "x")
            assert not found.is_alive(settings.home / "y")
            assert not found.is_alive(settings.home), "its name is only the beginning of the other's"
        finally:
            other.communicate()


class TestProcesses:
    def test_a_running_one_and_one_that_ended(self) -> None:
        assert Path(sys.executable).name in (command_line(os.getpid()) or "")
        ended = subprocess.Popen(["true"])
        ended.wait()
        assert command_line(ended.pid) is None
