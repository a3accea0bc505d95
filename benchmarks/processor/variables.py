"""The environment variables of a measured function, with the numbers of a stage."""

from datetime import timedelta
from typing import Final

from shipment_events.processor.settings import ProcessorSettings
from shipment_events.stages import settings_for

STAGE: Final = settings_for("prod")


def function_variables(url: str, table_name: str) -> dict[str, str]:
    """The variables of the processor, whose queues are paths below ``url``.

    The stage shards no index, because the compared handlers do not.
    """
    return ProcessorSettings(
        environment=STAGE.environment,
        table_name=table_name,
        queue_url=f"{url}/queue",
        dead_letter_queue_url=f"{url}/dead-letters",
        visibility_timeout=STAGE.visibility_timeout_seconds,
        retention=timedelta(days=STAGE.event_retention_days),
    ).variables()
