"""What an invocation logs, in bytes: ``python -m benchmarks.processor.log_bytes``.

The log bytes of ``shipment_events.cost.designs`` come from here. They do not include Lambda's own lines.
"""

import importlib
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any, Final

from benchmarks.fake_services.endpoint import running_endpoint
from benchmarks.processor.batches import batches
from benchmarks.processor.variables import STAGE, function_variables
from benchmarks.processor.worker import Context, Handler
from shipment_events.contract import names

HANDLERS: Final = {
    "ours": "shipment_events.processor.handler",
    "textbook": "benchmarks.processor.handlers.powertools_logged",
}
_TRACE: Final = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8"
_CONTEXT: Final = Context(
    function_name="shipment-event-processor-prod",
    function_version="12",
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:shipment-event-processor-prod:live",
)


def log_bytes(module: str) -> Mapping[str, int]:
    """Bytes that a handler logs of a batch of one, of ten, of ten with a repeat, and of ten in a trace."""
    with running_endpoint() as endpoint:
        table_name = names.table_name(STAGE.environment)
        os.environ |= {**endpoint.environment, **function_variables(endpoint.url, table_name)}
        # From before the import on: a logger keeps the stream that it has found.
        with redirect_stdout(io.StringIO()) as log:
            handler: Handler = importlib.import_module(module).handler
            sizes = []
            for batch, traced in _batches():
                os.environ["_X_AMZN_TRACE_ID"] = f"{_TRACE};Sampled={traced:d}"
                before = len(log.getvalue().encode())
                handler(batch, _CONTEXT)
                sizes.append(len(log.getvalue().encode()) - before)
    _, one, ten, ten_with_repeat, traced_ten = sizes
    return {"one": one, "ten": ten, "ten, one of them a repeat": ten_with_repeat, "ten, traced": traced_ten}


def _batches() -> Iterator[tuple[dict[str, Any], bool]]:
    """A first one, which is a cold start; then those that are measured. With each, whether it is traced."""
    records = next(batches(41, 1))["Records"]
    yield {"Records": records[:10]}, False
    yield {"Records": records[10:11]}, False
    yield {"Records": records[11:21]}, False
    yield {"Records": [records[0], *records[22:31]]}, False
    yield {"Records": records[31:41]}, True


def main() -> None:
    """Print the bytes of each design."""
    for name, module in HANDLERS.items():
        print(name, dict(log_bytes(module)))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
