"""Rules that synthesis enforces, and the only way to accept a finding of any judge."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from aws_cdk import Acknowledgment, App, CfnResource, Validations
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct

from workbench.loss_modes.plugin import LossModes

_LINT_RULE: Final = re.compile(r"[EWI]\d{4}")
_CHECKOV_RULE: Final = re.compile(r"CKV2?_AWS_\d+")


@dataclass(frozen=True)
class Acknowledgement:
    """A finding that is accepted on a construct and all below it, and why."""

    place: str
    """Path of the construct."""
    rule: str
    reason: str


_recorded: ContextVar[list[Acknowledgement] | None] = ContextVar("recorded", default=None)


def enforce_rules(app: App) -> None:
    """Let ``app.synth()`` fail on every finding, not acknowledged, of our own rules and of AwsSolutions.

    The report is written to ``validation-report.json`` beside the templates.
    """
    Validations.of(app).add_plugins(AwsSolutionsChecks(app, verbose=True), LossModes())


def acknowledge(construct: IConstruct, rules: Sequence[str], reason: str) -> None:
    """Accept the findings of ``rules`` on ``construct`` and below, for a ``reason`` a reviewer can check."""
    recorded = _recorded.get()
    if recorded is not None:
        recorded.extend(Acknowledgement(construct.node.path, rule, reason) for rule in rules)
        return
    for rule in rules:
        if _LINT_RULE.fullmatch(rule):
            _add_metadata(construct, "cfn-lint", {"config": {"ignore_checks": [rule]}})
        elif not _CHECKOV_RULE.fullmatch(rule):
            Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))
    if skipped := [{"id": rule, "comment": reason} for rule in rules if _CHECKOV_RULE.fullmatch(rule)]:
        _add_metadata(construct, "checkov", {"skip": skipped})


@contextmanager
def recording() -> Iterator[list[Acknowledgement]]:
    """Collect what is acknowledged, instead of acting on it, so that judges say all they find."""
    acknowledged: list[Acknowledgement] = []
    token = _recorded.set(acknowledged)
    try:
        yield acknowledged
    finally:
        _recorded.reset(token)


def _add_metadata(construct: IConstruct, tool: str, value: dict[str, Any]) -> None:
    resource = construct.node.default_child
    if not isinstance(resource, CfnResource):
        raise TypeError(f"{construct.node.path} is not one resource")
    present = resource.get_metadata(tool)
    if present and tool == "checkov":
        value = {"skip": [*present["skip"], *value["skip"]]}
    resource.add_metadata(tool, value)
