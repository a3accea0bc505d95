"""Start, stop and find the local engine of a directory."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import psutil

from workbench.engine import health, record
from workbench.engine.errors import LocalEngineError
from workbench.engine.processes import end_group
from workbench.engine.record import Record
from workbench.engine.settings import HOST, REGION, Settings, endpoint

START_SECONDS: Final = 30.0
# The socket of a killed engine stays open for a moment after its process ended.
_LINGER_SECONDS: Final = 2.0
# The engine writes its state when it stops, which takes seconds for a large table. If it is killed, the state
# is lost.
STOP_SECONDS: Final = 180.0
_LOG_LINES: Final = 5
_PROGRAM: Final = Path(__file__).with_name("serve.py")


class State(StrEnum):
    """State of a directory's engine."""

    STOPPED = "stopped"
    RUNNING = "running"
    NOT_ANSWERING = "not answering"
    CRASHED = "crashed"


@dataclass(frozen=True, kw_only=True)
class RunningEngine:
    """An engine that serves requests. ``started_now`` is False if it was already running.

    ``after_crash`` is True if the engine before it did not stop cleanly. What that engine stored is lost.
    """

    endpoint: str
    port: int
    pid: int
    started: str
    started_now: bool
    after_crash: bool = False


@dataclass(frozen=True, kw_only=True)
class Status:
    """State of a directory's engine, with its record if there is one."""

    state: State
    endpoint: str | None = None
    pid: int | None = None
    started: str | None = None


def start(
    settings: Settings,
    *,
    extra_environment: Mapping[str, str] | None = None,
    fresh: bool = False,
) -> RunningEngine:
    """Start the engine of this directory unless it runs, and wait until it answers.

    ``extra_environment`` reaches the engine and every function it runs, for example ``AUTH=true`` or
    ``AWS_ENDPOINT_URL_DYNAMODB``. ``fresh`` discards everything that an earlier run stored on the port.
    Raises LocalEngineError if the port is taken, or if the engine is not installed, runs on another port or
    with other settings, does not answer or ends.
    """
    extra = dict(extra_environment or {})
    with _exclusive(settings):
        known = record.read(settings.record_file)
        process = known.process() if known is not None else None
        if known is not None and process is not None:
            _require_same_port(known, settings)
        if process is not None and fresh:
            end_group(process, grace=0)
        elif known is not None and process is not None:
            _require_same(known, settings, extra)
            return _running(known, started_now=False)

        _require_free_port(settings)
        _forget(settings)
        if fresh:
            shutil.rmtree(settings.state_dir, ignore_errors=True)
        return _launch(settings, extra, after_crash=known is not None and not fresh)


def stop(settings: Settings) -> bool:
    """Stop the engine of this directory and all its processes; its state stays.

    Returns False if none ran. Raises LocalEngineError if it had to be killed, because its state is then lost.
    """
    if not settings.home.exists():
        return False
    with _exclusive(settings):
        known = record.read(settings.record_file)
        process = known.process() if known is not None else None
        if process is None:
            # The record of a crashed engine stays, so that the next start says what is lost.
            return False
        polite = end_group(process, grace=STOP_SECONDS)
        _forget(settings)
    if not polite:
        raise LocalEngineError(
            f"The local engine (process {process.pid}) had to be killed after {STOP_SECONDS:.0f} s.",
            f"What it stored since it started is lost. Its log: {settings.log_file}",
        )
    return True


def status(settings: Settings) -> Status:
    """Return the state of this directory's engine. Changes nothing."""
    known = record.read(settings.record_file)
    if known is None:
        return Status(state=State.STOPPED)
    if known.process() is None:
        state = State.CRASHED
    elif health.answers(known.port, settings.home):
        state = State.RUNNING
    else:
        state = State.NOT_ANSWERING
    return Status(state=state, endpoint=endpoint(known.port), pid=known.pid, started=known.started)


@contextlib.contextmanager
def _exclusive(settings: Settings) -> Iterator[None]:
    """Keep two commands of one directory from starting and stopping at the same time."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _require_same_port(known: Record, settings: Settings) -> None:
    if known.port != settings.port:
        raise LocalEngineError(
            f"The local engine of this directory already runs on port {known.port}, not {settings.port}.",
            f"Stop it first (make down), or use it: SHIPMENTS_PORT={known.port}.",
        )


def _require_same(known: Record, settings: Settings, extra: Mapping[str, str]) -> None:
    if known.extra_environment != extra:
        raise LocalEngineError(
            "The local engine of this directory runs with another environment.",
            "Stop it (make down), then start it again (make up).",
        )
    deadline = time.monotonic() + START_SECONDS / 3
    while not health.answers(known.port, settings.home):
        if time.monotonic() > deadline:
            raise LocalEngineError(
                f"The local engine (process {known.pid}) runs but does not answer on port {known.port}.",
                f"Stop it (make down) and start it again. Its log: {settings.log_file}",
            )
        time.sleep(0.2)


def _require_free_port(settings: Settings) -> None:
    deadline = time.monotonic() + _LINGER_SECONDS
    while (found := health.occupant(settings.port)) is not None:
        if found.home is not None or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    if found is None:
        return
    if found.home == settings.home:
        raise LocalEngineError(
            f"The engine of this directory answers on port {settings.port}, but its record is missing.",
            f"End it by hand (lsof -ti tcp:{settings.port} shows its process), then try again.",
        )
    elsewhere = f"stop it there (make -C {found.home.parent} down)" if found.home else "stop it"
    raise LocalEngineError(
        f"Port {settings.port} is taken by {found.description}.",
        f"Either {elsewhere}, or choose a free port: SHIPMENTS_PORT={health.free_port()}",
    )


def _launch(settings: Settings, extra: Mapping[str, str], *, after_crash: bool) -> RunningEngine:
    if not settings.engine_python.exists():
        raise LocalEngineError(
            f"The local engine is not installed: {settings.engine_python} does not exist.",
            "Run `make setup`.",
        )
    try:
        # A process that an earlier engine left may still write there.
        settings.temporary_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalEngineError(
            f"The local engine's folder {settings.temporary_dir} cannot be made: {error.strerror}.",
            "Remove what is in its place, then try again.",
        ) from error
    if settings.log_file.exists():
        settings.log_file.replace(settings.log_file.with_suffix(".previous.log"))
    with contextlib.ExitStack() as undo, settings.log_file.open("wb") as log:
        process = psutil.Popen(
            # Without -P, Python would look for modules in the program's folder first.
            [settings.engine_python, "-P", _PROGRAM],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=settings.temporary_dir,
            env=_environment(settings, extra),
            # It gets its own process group, so that Ctrl-C in the terminal does not reach it and `stop` can
            # end the whole group.
            start_new_session=True,
        )
        undo.callback(_forget, settings)
        undo.callback(end_group, process, grace=2)
        started = Record(
            pid=process.pid,
            created=process.create_time(),
            port=settings.port,
            extra_environment=extra,
        )
        started.write(settings.record_file)
        _wait_until_it_answers(settings, process)
        undo.pop_all()
    return _running(started, started_now=True, after_crash=after_crash)


def _wait_until_it_answers(settings: Settings, process: psutil.Popen) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not health.answers(settings.port, settings.home):
        code = process.poll()
        if code is not None:
            raise LocalEngineError(
                f"The local engine ended at its start (exit status {code}):{_last_lines(settings.log_file)}",
                f"Its log: {settings.log_file}",
            )
        if time.monotonic() > deadline:
            raise LocalEngineError(
                f"The local engine is silent after {START_SECONDS:.0f} s:{_last_lines(settings.log_file)}",
                f"Its log: {settings.log_file}",
            )
        time.sleep(0.05)


def _environment(settings: Settings, extra: Mapping[str, str]) -> dict[str, str]:
    """The engine's whole environment.

    The engine passes its environment on to the functions. So it must not contain the user's profile,
    credentials or configuration files.
    """
    environment = {
        "PATH": os.pathsep.join([str(settings.engine_python.parent), "/usr/bin", "/bin"]),
        "HOME": str(settings.temporary_dir),
        "TMPDIR": str(settings.temporary_dir),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONUNBUFFERED": "1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "GATEWAY_PORT": str(settings.port),
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "MINISTACK_REGION": REGION,
        # At INFO the engine logs the function's whole output, which its logs service already has.
        "LOG_LEVEL": "WARNING",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(settings.state_dir),
        health.LABEL_VARIABLE: health.label(settings.home),
    }
    # Some Python builds need it to find their own library.
    library_path = os.environ.get("LD_LIBRARY_PATH")
    if library_path is not None:
        environment["LD_LIBRARY_PATH"] = library_path
    return {**environment, **extra}


def _forget(settings: Settings) -> None:
    settings.record_file.unlink(missing_ok=True)
    shutil.rmtree(settings.temporary_dir, ignore_errors=True)


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "\n  ".join(["", *lines[-_LOG_LINES:]]) if lines else " it wrote nothing."


def _running(known: Record, *, started_now: bool, after_crash: bool = False) -> RunningEngine:
    return RunningEngine(
        endpoint=endpoint(known.port),
        port=known.port,
        pid=known.pid,
        started=known.started,
        started_now=started_now,
        after_crash=after_crash,
    )
