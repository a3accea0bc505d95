"""The fault proxies between function, publisher and engine, in their own thread.

    client ──> microburst, one for each service ──> partial faults ──> engine

microburst fails whole requests as AWS does. A small proxy behind it fails single parts of a request. Both
listen only on loopback.
"""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any

from aiohttp import web
from microburst.core.pipeline import Microburst

from workbench.drill.faults import SERVICES, NamedRule
from workbench.drill.partial_proxy import PartialProxy, WriteHook
from workbench.drill.serving import MAX_REQUEST_BYTES, listen
from workbench.engine.settings import endpoint


class FaultProxies:
    """A proxy for each service; a context manager.

    Args:
        engine_port: the engine's port on loopback.
        ports: one for each of :data:`SERVICES`, and one named ``partial``.
        seed: the seed of all random choices.
    """

    def __init__(self, engine_port: int, ports: Mapping[str, int], seed: int) -> None:
        self._ports = ports
        self._seed = seed
        self._partial = PartialProxy(endpoint(engine_port), random.Random(seed))  # noqa: S311 - a run must be repeatable
        upstream = endpoint(ports["partial"])
        self._bursts = {service: Microburst(upstream, resign=False) for service in SERVICES}
        self._kinds: dict[str, dict[int, str]] = {service: {} for service in SERVICES}
        self._runners: dict[str, web.AppRunner] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxies", daemon=True)

    def endpoint(self, service: str) -> str:
        """Address of a service's proxy."""
        return endpoint(self._ports[service])

    @property
    def function_environment(self) -> dict[str, str]:
        """Environment variables that send the functions' requests through the proxies."""
        return {f"AWS_ENDPOINT_URL_{service.upper()}": self.endpoint(service) for service in SERVICES}

    def set_faults(self, service: str, rules: Iterable[NamedRule]) -> None:
        """Replace the faults of a service's whole requests. An empty list ends them."""
        self._run(self._set_faults(service, list(rules)))

    def set_partial_faults(self, share: float) -> None:
        """Let parts of this share of the batch requests fail."""
        self._partial.share = share

    def at_next_write(self, hook: WriteHook | None) -> None:
        """Call a hook once, when the next batch of writes reaches the table. None removes the hook.

        After the return, no hook from before is at work or will be called.
        """
        self._run(self._set_hook(hook))

    def refuse(self, service: str) -> None:
        """Cut the connections of a service and refuse new ones, until :meth:`accept`."""
        self._run(self._stop(service))

    def accept(self, service: str) -> None:
        """Take connections again."""
        self._run(self._start(service))

    def fired(self) -> Counter[str]:
        """Number of faults by kind, from the proxies' own records."""
        counts = Counter(self._partial.fired)
        for service, burst in self._bursts.items():
            for rule_id, entry in list(burst.stats.by_rule.items()):
                counts[self._kinds[service][rule_id]] += entry["fired"]
        return counts

    def last_fired_at(self) -> float:
        """Time of the last fault, seconds since 1970; 0 if there was none."""
        times: list[float] = [burst.fired[-1].ts for burst in self._bursts.values() if burst.fired]
        return max([self._partial.last_fired_at, *times])

    def __enter__(self) -> "FaultProxies":
        # microburst uses the generator of the module random.
        random.seed(self._seed)
        self._thread.start()
        try:
            self._run(self._partial.start(self._ports["partial"]))
            for service in SERVICES:
                self._run(self._start(service))
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        for service in SERVICES:
            self._run(self._stop(service))
        self._run(self._partial.stop())
        self._run(_end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _set_hook(self, hook: WriteHook | None) -> None:
        # Hooks are called on this thread, too.
        self._partial.hook = hook

    async def _set_faults(self, service: str, rules: list[NamedRule]) -> None:
        made = self._bursts[service].engine.set_rules([named.rule for named in rules])
        self._kinds[service].update((rule.id, named.kind) for rule, named in zip(made, rules, strict=True))

    async def _start(self, service: str) -> None:
        burst = self._bursts[service]
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.on_startup.append(burst.start)
        app.on_cleanup.append(burst.stop)
        app.router.add_route("*", "/{tail:.*}", burst.handle_proxy)
        self._runners[service] = await listen(app, self._ports[service])

    async def _stop(self, service: str) -> None:
        if runner := self._runners.pop(service, None):
            await runner.cleanup()


async def _end_tasks() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
