"""The metric filters of a template, applied to a line of the log by the rules of CloudWatch Logs.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.infrastructure.template import PROCESSOR, Template

_TERM: Final = re.compile(r'\(\$\.(?P<field>\w+) (?P<condition>>= 0|= "\*")\)')
_MOST_DIMENSIONS: Final = 3


@dataclass(frozen=True, order=True)
class Measured:
    """One value that a filter takes out of a line."""

    name: str
    dimensions: tuple[tuple[str, str], ...]
    value: float
    unit: str


def measured(template: Template, line: str, function: str = PROCESSOR) -> list[Measured]:
    """What the filters of the template find in one line of a function's log, by name."""
    fields = json.loads(line)
    log_group = template.ref("AWS::Logs::LogGroup", of=function)
    return sorted(
        _value(fields, transformation)
        for _, properties in template.of_type("AWS::Logs::MetricFilter")
        if properties["LogGroupName"] == log_group
        if all(_holds(fields, *term) for term in _terms(properties["FilterPattern"]))
        for transformation in properties["MetricTransformations"]
    )


def _terms(pattern: str) -> list[tuple[str, str]]:
    """Field and condition of each part of ``{ (…) && (…) }``; another form is an error of the test."""
    inner = pattern.removeprefix("{ ").removesuffix(" }")
    found = [_TERM.fullmatch(part) for part in inner.split(" && ")]
    assert pattern == f"{{ {inner} }}", pattern
    assert all(found), pattern
    return [(term["field"], term["condition"]) for term in found if term]


def _holds(fields: dict[str, Any], field: str, condition: str) -> bool:
    value = fields.get(field)
    if condition == ">= 0":
        return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return isinstance(value, str)


def _value(fields: dict[str, Any], transformation: dict[str, Any]) -> Measured:
    assert transformation["MetricNamespace"] == "ShipmentEvents"
    value = fields[transformation["MetricValue"].removeprefix("$.")]
    # AWS takes either of them.
    assert "DefaultValue" not in transformation
    dimensions = tuple(sorted(_dimensions(fields, transformation)))
    assert 1 <= len(dimensions) <= _MOST_DIMENSIONS
    return Measured(transformation["MetricName"], dimensions, value, transformation["Unit"])


def _dimensions(fields: dict[str, Any], transformation: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for dimension in transformation["Dimensions"]:
        source = dimension["Value"]
        # A dimension is a field of the line; CloudWatch takes no constant.
        assert source.startswith("$."), source
        yield dimension["Key"], fields[source.removeprefix("$.")]
