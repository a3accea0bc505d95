"""The alarms of a stage with the HTTP API."""

from infrastructure.alarm_spec import AlarmSpec, Urgency
from infrastructure.function_alarms import FunctionAlarms
from infrastructure.metrics import MetricsByPeriod
from shipment_events.contract import names
from shipment_events.stages import StageSettings


def api_alarms(settings: StageSettings) -> list[AlarmSpec]:
    """Return the rows of the alarm table for the API."""
    function = FunctionAlarms(settings, names.api_name(settings.environment), settings.api_timeout_seconds)
    return [
        AlarmSpec(
            name="api-failed",
            urgency=Urgency.WARNING,
            metric=MetricsByPeriod(settings).windows.api(names.API_FAILED_METRIC, "Sum"),
            threshold=settings.api_failed_threshold,
            meaning="The API answered requests with status 500 or 503: a defect, or a table that does not "
            "respond.",
            look_at="field detail of the errors in the log of the API's function.",
        ),
        function.error_rate(
            "api-errors",
            meaning="The API's function crashes or times out, so readers get no answer.",
            look_at="the exception in its log, and the last deployment.",
        ),
        function.throttles(
            "api-throttles",
            meaning="The account's Lambda concurrency is used up, so readers get status 503.",
        ),
        function.slow(
            "slow-api",
            meaning="A request took nearly the whole timeout.",
            look_at="throttles of the tables, then api_memory_mb in stages.py.",
        ),
    ]
