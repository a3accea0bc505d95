"""What CloudWatch makes of the few functions of metric math that the alarms use.

By https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html: arithmetic and
comparison take a missing value for 0 where another series has one, and are missing beside a number; ``IF`` is
missing where its condition is, where it is false and the other value is missing or left out, and 0 where it
is true and the value is missing; ``DIFF`` is missing where nothing precedes, and so is what ``REPEAT`` fills;
``HOUR`` never is.

An alarm evaluates its expression for a few periods more than it counts, two more in the example of
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Value = float | None
Series = list[Value]
_MORE_PERIODS: Final = 2

_OPERATORS: Final[Mapping[type, Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
}


def evaluate(expression: str, metrics: Mapping[str, Sequence[Value]]) -> Series:
    """Return the values of an expression; those of ``HOUR`` as if the first period began at midnight, UTC.

    Args:
        metrics: values by the metric's id, None where it has none; all of the same length.
    """
    return _evaluate(ast.parse(expression, mode="eval").body, metrics)


def states(alarm: Mapping[str, Any], **metrics: Series) -> list[bool]:
    """Whether an alarm is on after each period; of one whose bad values are high and missing ones good."""
    (expression,) = (each["Expression"] for each in alarm["Metrics"] if "Expression" in each)
    counted: int = alarm["EvaluationPeriods"]
    on = []
    for end in range(1, len(next(iter(metrics.values()))) + 1):
        begin = max(0, end - counted - _MORE_PERIODS)
        values = evaluate(expression, {name: series[begin:end] for name, series in metrics.items()})
        bad = [value is not None and value >= alarm["Threshold"] for value in values[-counted:]]
        on.append(sum(bad) >= alarm["DatapointsToAlarm"])
    return on


def _evaluate(node: ast.expr, metrics: Mapping[str, Sequence[Value]]) -> Series:
    length = len(next(iter(metrics.values())))
    match node:
        case ast.Name(id=name):
            return list(metrics[name])
        case ast.Constant(value=int(value)):
            return [float(value)] * length
        case ast.BinOp(left=left, op=op, right=right):
            return _combined(op, _evaluate(left, metrics), _evaluate(right, metrics))
        case ast.Compare(left=left, ops=[op], comparators=[ast.Constant(value=int(number))]):
            compare = _OPERATORS[type(op)]
            values = _evaluate(left, metrics)
            return [None if value is None else float(compare(value, number)) for value in values]
        case ast.Call(func=ast.Name(id="HOUR")):
            return [float(number % 24) for number in range(length)]
        case ast.Call(func=ast.Name(id="ABS"), args=[of]):
            return [None if value is None else abs(value) for value in _evaluate(of, metrics)]
        case ast.Call(func=ast.Name(id="DIFF"), args=[of]):
            return _difference(_evaluate(of, metrics))
        case ast.Call(func=ast.Name(id="FILL"), args=[of, ast.Constant(value=int(filler))]):
            return [float(filler) if value is None else value for value in _evaluate(of, metrics)]
        case ast.Call(func=ast.Name(id="FILL"), args=[of, ast.Name(id="REPEAT")]):
            return _repeated(_evaluate(of, metrics))
        case ast.Call(func=ast.Name(id="IF"), args=[condition, then, *rest]):
            otherwise = _evaluate(rest[0], metrics) if rest else [None] * length
            chosen = zip(_evaluate(condition, metrics), _evaluate(then, metrics), otherwise, strict=True)
            return [None if is_so is None else (yes or 0.0 if is_so else no) for is_so, yes, no in chosen]
    raise NotImplementedError(ast.unparse(node))


def _combined(op: ast.operator | ast.cmpop, left: Series, right: Series) -> Series:
    calculate = _OPERATORS[type(op)]
    return [
        None if one is None and other is None else float(calculate(one or 0.0, other or 0.0))
        for one, other in zip(left, right, strict=True)
    ]


def _repeated(values: Series) -> Series:
    latest: Value = None
    repeated: Series = []
    for value in values:
        latest = latest if value is None else value
        repeated.append(latest)
    return repeated


def _difference(values: Series) -> Series:
    before: Value = None
    differences: Series = []
    for value in values:
        differences.append(None if value is None or before is None else value - before)
        before = before if value is None else value
    return differences
