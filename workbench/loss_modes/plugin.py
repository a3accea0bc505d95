"""The rules as a plugin of CDK's own validation, so that no template that breaks one is ever deployed."""

import json
from pathlib import Path
from typing import Any, Final

import jsii
from aws_cdk import (
    IPolicyValidationContext,
    IPolicyValidationPlugin,
    PolicyValidationPluginReport,
    PolicyViolatingResource,
    PolicyViolation,
)

from workbench.loss_modes.model import Breach
from workbench.loss_modes.rules import RULES, breaches

NAME: Final = "LossModes"


@jsii.implements(IPolicyValidationPlugin)
class LossModes:
    """Reports each breach as an error at its resource."""

    @property
    def name(self) -> str:
        """Name in the report, and prefix of acknowledgements."""
        return NAME

    @property
    def version(self) -> str | None:
        """None: the rules have the version of the repository."""
        return None

    @property
    def rule_ids(self) -> list[str] | None:
        """Names of all rules."""
        return [rule.name for rule in RULES]

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:
        """Judge every template of the app."""
        violations = [
            _violation(breach, path) for path in context.template_paths for breach in breaches(_read(path))
        ]
        return PolicyValidationPluginReport(success=not violations, violations=violations)


def _read(path: str) -> dict[str, Any]:
    template: dict[str, Any] = json.loads(Path(path).read_text())
    return template


def _violation(breach: Breach, template_path: str) -> PolicyViolation:
    return PolicyViolation(
        rule_name=breach.rule.name,
        description=f"{breach.problem}. {breach.rule.lost}",
        severity="error",
        violating_resources=[
            PolicyViolatingResource(
                resource_logical_id=breach.logical_id, template_path=template_path, locations=["Properties"]
            )
        ],
    )
