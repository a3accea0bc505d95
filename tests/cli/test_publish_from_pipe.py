"""``shipments publish`` and ``shipments run`` from a pipe that pauses, as processes that are interrupted."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

_COMMAND: Final = "from shipment_events.cli import main; main(prog_name='shipments')"


class SmallBus(ThreadingHTTPServer):
    """An EventBridge endpoint that accepts each event, or throttles each."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.throttles = False
        self.details: set[str] = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: SmallBus

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer: dict[str, Any] = {"Name": "bus"}
        if self.headers["x-amz-target"].endswith("PutEvents"):
            self.server.details |= {entry["Detail"] for entry in asked["Entries"]}
            said = {"ErrorCode": "ThrottlingException"} if self.server.throttles else {"EventId": "id"}
            answer = {"FailedEntryCount": 0, "Entries": [said] * len(asked["Entries"])}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def bus() -> Iterator[SmallBus]:
    with SmallBus() as server:
        yield server
        server.shutdown()


def wait_for(what: str, is_there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_there():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def start(folder: Path, bus: SmallBus, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{bus.server_port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-central-1",
    }
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND, *arguments],
        cwd=folder, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def events(first: int, last: int) -> bytes:
    fields = {"event_timestamp": "2025-03-01T14:05:00+01:00", "event_type": "shipment.departed"}
    texts = (json.dumps({"shipment_id": f"S-{number}", **fields}) for number in range(first, last + 1))
    return "".join(f"{text}\n" for text in texts).encode()


@pytest.mark.parametrize(
    ("name", "how"), [("-", signal.SIGINT), ("fifo", signal.SIGTERM)], ids=["standard input", "named pipe"]
)
def test_a_pausing_pipe_holds_nothing_back_and_an_interrupt_loses_nothing(
    tmp_path: Path, bus: SmallBus, name: str, how: signal.Signals
) -> None:
    if name == "fifo":
        os.mkfifo(tmp_path / name)
    process = start(tmp_path, bus, "publish", "--journal", "journal", name)
    assert process.stdin
    with process, process.stdin if name == "-" else (tmp_path / name).open("wb") as pipe:
        pipe.write(events(1, 3))
        pipe.flush()
        journal = tmp_path / "journal"
        wait_for("the receipts of a partial batch are not written", lambda: len(lines(journal)) == 3)
        bus.throttles = True
        pipe.write(events(4, 40))
        pipe.flush()
        wait_for("events are held back", lambda: len(bus.details) == 40)
        process.send_signal(how)
        assert process.wait(20) == 130
        assert process.stderr
        said = process.stderr.read().decode()
    kept = [event["shipment_id"] for event in lines(tmp_path / "unsent.ndjson")]
    assert sorted(kept) == sorted(f"S-{number}" for number in range(4, 41))
    assert [json.loads(record["detail"])["shipment_id"] for record in lines(journal)] == ["S-1", "S-2", "S-3"]
    assert "Interrupted; the bus has accepted 3 events" in said
    assert "shipments --env dev publish unsent.ndjson" in said
    assert "Traceback" not in said
