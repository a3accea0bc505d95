"""How the drill's proxies listen."""

from typing import Final

from aiohttp import web

from workbench.engine.settings import HOST

# PutEvents accepts 1 MB of text. Escapes of JSON within JSON can make it several times as long.
MAX_REQUEST_BYTES: Final = 16 * 1024 * 1024


async def listen(app: web.Application, port: int) -> web.AppRunner:
    """Serve an application on loopback; ``cleanup`` of the runner cuts its connections at once.

    Raises:
        OSError: the port is taken.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port, reuse_address=True).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner
