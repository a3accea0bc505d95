"""How many metrics a stage has of its own, and how many its alarms watch: CloudWatch charges for each.

``shipments cost`` needs the numbers, and an installed wheel has no stack to count them in. So ``make docs``
writes them into ``shipment_events/cost/usage.py``.
"""

from collections.abc import Iterable
from dataclasses import replace

from aws_cdk import aws_cloudwatch as cloudwatch

from infrastructure.alarm_spec import AlarmSpec
from infrastructure.alarms import alarm_specs
from infrastructure.log_metrics import API_METRICS, PROCESSOR_METRICS, TRACKER_METRICS, WATCHER_METRICS
from infrastructure.rollout import guard_specs
from shipment_events.stages import DEFAULT_STAGE, settings_for


def as_constants() -> str:
    """The numbers as lines of Python."""
    settings = replace(settings_for(DEFAULT_STAGE), expected_event_hours=None, tracking=False, api=False)
    always = _metrics(alarm_specs(settings))
    tracking = _metrics(alarm_specs(replace(settings, tracking=True))) - always
    with_api = replace(settings, tracking=True, api=True)
    expecting = _metrics(alarm_specs(replace(settings, expected_event_hours=1))) - always
    lines = {
        "OWN_METRICS": len(PROCESSOR_METRICS),
        "TRACKING_METRICS": len(TRACKER_METRICS) + len(WATCHER_METRICS),
        "API_METRICS": len(API_METRICS),
        "ALARM_METRICS": always,
        "TRACKING_ALARM_METRICS": tracking,
        "API_ALARM_METRICS": _metrics(alarm_specs(with_api)) - always - tracking,
        "EXPECTED_EVENT_ALARM_METRICS": expecting,
        "GUARD_ALARM_METRICS": _metrics(guard_specs(settings, "1")),
    }
    return "\n".join(f"{name}: Final = {number}" for name, number in lines.items())


def _metrics(specs: Iterable[AlarmSpec]) -> int:
    return sum(
        len(spec.metric.using_metrics) if isinstance(spec.metric, cloudwatch.MathExpression) else 1
        for spec in specs
    )
