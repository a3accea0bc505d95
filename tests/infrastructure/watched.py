"""What alarms and dashboard of a template watch."""

import json
from collections.abc import Iterator
from typing import Any

from tests.infrastructure.template import Template, text

ALARMED = ("Errors", "Throttles", "Duration")
SHOWN = ("Invocations", *ALARMED)


def alarm_metrics(alarm: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    stats = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", ()) if "MetricStat" in each]
    for metric in stats or [alarm]:
        yield metric["Namespace"], metric["MetricName"], dimensions(metric["Dimensions"])


def dashboard_metrics(template: Template) -> Iterator[tuple[str, str, dict[str, str]]]:
    for widget in dashboard(template)["widgets"]:
        for namespace, name, *rest in (
            each for each in widget["properties"].get("metrics", ()) if isinstance(each[0], str)
        ):
            pairs = [each for each in rest if isinstance(each, str)]
            yield namespace, name, dict(zip(pairs[::2], pairs[1::2], strict=True))


def dashboard(template: Template) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(
        text(template.properties("AWS::CloudWatch::Dashboard")["DashboardBody"])
    )
    return body


def dimensions(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {pair["Name"]: pair["Value"] for pair in pairs}


def alarm_named(template: Template, name: str) -> dict[str, Any]:
    return template.properties(
        "AWS::CloudWatch::Alarm", AlarmName=f"shipmentevents-{template.environment}-{name}"
    )


def watches(alarm: dict[str, Any]) -> tuple[str, dict[str, str]]:
    return alarm["MetricName"], dimensions(alarm["Dimensions"])


def unwatched(template: Template) -> dict[str, set[str]]:
    """What is missing for each function, by its name; empty if each has its alarms and its graphs."""
    alarmed = {
        (dimensions.get("FunctionName"), metric)
        for _, alarm in template.of_type("AWS::CloudWatch::Alarm")
        for _, metric, dimensions in alarm_metrics(alarm)
    }
    shown = {
        (dimensions.get("FunctionName"), metric) for _, metric, dimensions in dashboard_metrics(template)
    }
    missing = {}
    for _, function in template.of_type("AWS::Lambda::Function"):
        name = function["FunctionName"]
        found = {f"alarm on {metric}" for metric in ALARMED if (name, metric) not in alarmed}
        found |= {f"graph of {metric}" for metric in SHOWN if (name, metric) not in shown}
        if found:
            missing[name] = found
    return missing
