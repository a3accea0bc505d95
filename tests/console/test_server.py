"""The command: it listens on this machine only, ends when asked to, and logs no secret."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from click.testing import CliRunner

from shipment_events.cli import main
from shipment_events.console.jobs import Job
from shipment_events.console.server import PortTakenError, listen, serve
from shipment_events.pipeline import Pipeline
from shipment_events.stages import settings_for
from tests.console.stage import Services
from workbench.browsing import running_console


@contextmanager
def console(folder: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running command, and the address that it printed."""
    around = {**os.environ, "AWS_REGION": "eu-central-1", **environment}
    with running_console(folder, environment=around) as found:
        yield found


def test_it_ends_on_a_signal_and_logs_no_secret(tmp_path: Path) -> None:
    with console(tmp_path) as (server, address):
        with httpx2.Client(follow_redirects=True) as browser:
            assert "Overview" in browser.get(address).text
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        _, log = server.communicate(timeout=40)
        assert server.returncode == 0
        assert time.monotonic() - began < 10
        assert "Traceback" not in log
        assert address.partition("token=")[2] not in log


def test_ctrl_c_ends_it_although_aws_does_not_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        endpoint = f"http://127.0.0.1:{mute.getsockname()[1]}"
        keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL": endpoint}
        with console(tmp_path, **keys) as (server, address):
            port = int(re.findall(r":(\d+)/", address)[0])
            cookie = httpx2.get(address).headers["set-cookie"].partition(";")[0]
            with socket.create_connection(("127.0.0.1", port)) as waiting:
                request = f"GET /panels/alarms HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n\r\n"
                waiting.sendall(request.encode())
                mute.accept()
                server.send_signal(signal.SIGINT)
                _, log = server.communicate(timeout=40)
                assert server.returncode == 0
                assert "Traceback" not in log


def test_a_change_ends_properly_also_without_the_end_of_the_application(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Job] = []

    def act(job: Job) -> None:
        deadline = time.monotonic() + 10
        while not job.is_stopping and time.monotonic() < deadline:
            time.sleep(0.01)

    async def forced(server: uvicorn.Server, _: object) -> None:
        """What uvicorn does after a second Ctrl-C: no end of the lifespan, and the signal again."""
        app: Any = server.config.app
        jobs.append(app.state.console.jobs.begin("redriven", 1, act))
        raise KeyboardInterrupt

    monkeypatch.setattr(uvicorn.Server, "serve", forced)
    session: Any = services
    pipeline = Pipeline(settings_for("dev"), session)
    serve(pipeline, 0, allow_changes=True, opens=False, copies=tmp_path, on_ready=lambda _: None)
    assert [(job.is_stopping, job.ended is not None, job.why) for job in jobs] == [(True, True, "")]


def test_it_listens_on_loopback_only() -> None:
    sockets = listen(0)
    try:
        assert {one.getsockname()[0] for one in sockets} <= {"127.0.0.1", "::1"}
        assert len({one.getsockname()[1] for one in sockets}) == 1
        with pytest.raises(PortTakenError, match="cannot be used"):
            listen(sockets[0].getsockname()[1])
    finally:
        for one in sockets:
            one.close()


def test_a_taken_port_is_said_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = CliRunner().invoke(main, ["console", "--port", str(other.getsockname()[1])])
    assert done.exit_code == 2
    assert "Choose another port with --port" in done.output


def test_without_its_extra_the_command_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("shipment_events.console")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = CliRunner().invoke(main, ["console"])
    assert done.exit_code == 2
    assert "pip install 'shipment-events[console]'" in done.output


def test_other_commands_do_not_import_it() -> None:
    others = "{'starlette', 'uvicorn', 'jinja2'}"
    code = f"import sys, shipment_events.cli; sys.exit(bool({others} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
