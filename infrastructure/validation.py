"""Security rules that synthesis enforces, and the only ways to accept a finding."""

from aws_cdk import Acknowledgment, App, CfnResource, Validations
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct


def enforce_security_rules(app: App) -> None:
    """Let ``app.synth()`` fail on every finding of cdk-nag's AwsSolutions pack that is not acknowledged.

    The report is written to ``validation-report.json`` beside the templates.
    """
    Validations.of(app).add_plugins(AwsSolutionsChecks(app, verbose=True))


def acknowledge(construct: IConstruct, finding: str, reason: str) -> None:
    """Accept ``finding`` of a rule on ``construct`` and below, for a ``reason`` that a reviewer can check."""
    Validations.of(construct).acknowledge(Acknowledgment(id=finding, reason=reason))


def acknowledge_lint(construct: IConstruct, rule: str) -> None:
    """Switch off the cfn-lint ``rule`` for the one resource behind ``construct``."""
    resource = construct.node.default_child
    if not isinstance(resource, CfnResource):
        raise TypeError(f"{construct.node.path} is not one resource")
    resource.add_metadata("cfn-lint", {"config": {"ignore_checks": [rule]}})
