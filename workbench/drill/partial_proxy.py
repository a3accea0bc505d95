"""The proxy that fails parts of requests and calls a hook when a batch is written."""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import aiohttp
from aiohttp import web

from workbench.drill.partial_faults import PartialFault, partial_fault
from workbench.drill.serving import MAX_REQUEST_BYTES, listen

_WRITE: Final = "BatchExecuteStatement"
# aiohttp sets these headers itself. The checksum is not correct for a changed answer.
_NOT_PASSED_ON: Final = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "x-amz-crc32", "keep-alive"}
)


@dataclass(frozen=True, slots=True)
class WriteHook:
    """Something to do once in the middle of a batch.

    Attributes:
        table: name of the table whose writes count. It tells the functions apart.
        after_write: True calls the hook after the table wrote an item and before the client gets the answer.
            False calls it before, and the table does not act.
        action: must be quick, because every request waits for it.
    """

    table: str
    after_write: bool
    action: Callable[[], None]


class PartialProxy:
    """Passes requests on to the engine.

    Attributes:
        share: share of the batch requests in which parts fail.
        hook: called at the next batch of writes, once.
        fired: number of faults by kind.
        last_fired_at: time of the last fault, seconds since 1970; 0 if there was none.
    """

    def __init__(self, engine_endpoint: str, rng: Random) -> None:
        self.share = 0.0
        self.hook: WriteHook | None = None
        self.fired: Counter[str] = Counter()
        self.last_fired_at = 0.0
        self._engine_endpoint = engine_endpoint
        self._rng = rng
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None

    async def start(self, port: int) -> None:
        """Listen on a port of loopback."""
        self._session = aiohttp.ClientSession(
            auto_decompress=False, timeout=aiohttp.ClientTimeout(total=60), trust_env=False
        )
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = await listen(app, port)

    async def stop(self) -> None:
        """Cut all connections."""
        if self._runner:
            await self._runner.cleanup()
        if self._session:
            await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        fault = self._fault(operation, body)
        if operation == _WRITE and self._call_hook(body, after_write=False):
            # The hook killed or stopped the sender, so the request must not reach the table.
            raise web.HTTPBadGateway
        if fault is None:
            status, headers, answer = await self._forward(request, body)
        elif fault.request is None:
            status, headers, answer = 200, {"Content-Type": request.headers["Content-Type"]}, b"{}"
        else:
            status, headers, answer = await self._forward(request, json.dumps(fault.request).encode())
        if operation == _WRITE and status == 200 and _wrote(answer):
            self._call_hook(body, after_write=True)
        if fault is not None and status == 200:
            answer = json.dumps(fault.complete(json.loads(answer))).encode()
            self.fired[fault.kind] += 1
            self.last_fired_at = time.time()
        return web.Response(status=status, headers=headers, body=answer)

    def _fault(self, operation: str, body: bytes) -> PartialFault | None:
        if self._rng.random() >= self.share:
            return None
        return partial_fault(operation, json.loads(body), self._rng)

    def _call_hook(self, body: bytes, *, after_write: bool) -> bool:
        hook = self.hook
        if hook is None or hook.after_write is not after_write or hook.table.encode() not in body:
            return False
        self.hook = None
        hook.action()
        return True

    async def _forward(self, request: web.Request, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if self._session is None:
            raise RuntimeError("the proxy is not started")
        try:
            async with self._session.request(
                request.method,
                self._engine_endpoint + request.rel_url.raw_path_qs,
                headers=_passed_on(request.headers),
                data=body,
                allow_redirects=False,
            ) as answer:
                return answer.status, _passed_on(answer.headers), await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            # The engine is down.
            raise web.HTTPBadGateway(text=str(error)) from error


def _wrote(answer: bytes) -> bool:
    """Whether a statement of a batch succeeded. A request that was not passed on has no responses."""
    return any("Error" not in response for response in json.loads(answer).get("Responses", []))


def _passed_on(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _NOT_PASSED_ON}
