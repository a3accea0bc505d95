"""All rules, and the judgement of a template by them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from workbench.loss_modes import consumption, delivery, observation, storage, streams
from workbench.loss_modes.model import Breach, Rule, Template

RULES: Final[tuple[Rule, ...]] = (
    *delivery.RULES,
    *consumption.RULES,
    *storage.RULES,
    *streams.RULES,
    *observation.RULES,
)


def breaches(template: Mapping[str, Any]) -> Iterator[Breach]:
    """Every rule that a resource of the parsed CloudFormation template breaks."""
    wrapped = Template(template)
    for rule in RULES:
        for logical_id, problem in rule.check(wrapped):
            yield Breach(rule, logical_id, problem)
