"""What synthesis refuses, and how an acknowledgement reaches each of the judges."""

import re
from typing import Final

from aws_cdk import Acknowledgment, App, CfnResource, Stack, Validations
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct

from infrastructure.acknowledgements import ACKNOWLEDGEMENTS, Table, accepted_in
from shipment_events.stages import StageSettings
from workbench.loss_modes.plugin import LossModes

_LINT_RULE: Final = re.compile(r"[EWI]\d{4}")
_CHECKOV_RULE: Final = re.compile(r"CKV2?_AWS_\d+")


def enforce_rules(app: App) -> None:
    """Let ``app.synth()`` fail on every finding, not accepted, of our own rules and of AwsSolutions.

    The report is written to ``validation-report.json`` beside the templates.
    """
    Validations.of(app).add_plugins(AwsSolutionsChecks(app, verbose=True), LossModes())


def accept_findings(stack: Stack, settings: StageSettings, table: Table = ACKNOWLEDGEMENTS) -> None:
    """Tell each judge what ``table`` accepts in the stack."""
    for construct, accepted in accepted_in(stack, settings, table):
        # cfn-lint and checkov read the template, and so does anybody else's scan of it.
        lint = [each.rule for each in accepted if _LINT_RULE.fullmatch(each.rule)]
        skip = [
            {"id": each.rule, "comment": each.reason}
            for each in accepted
            if _CHECKOV_RULE.fullmatch(each.rule)
        ]
        if lint:
            _resource(construct).add_metadata("cfn-lint", {"config": {"ignore_checks": lint}})
        if skip:
            _resource(construct).add_metadata("checkov", {"skip": skip})
        for each in accepted:
            if not (_LINT_RULE.fullmatch(each.rule) or _CHECKOV_RULE.fullmatch(each.rule)):
                Validations.of(construct).acknowledge(Acknowledgment(id=each.rule, reason=each.reason))


def _resource(construct: IConstruct) -> CfnResource:
    resource = construct.node.default_child or construct
    if not isinstance(resource, CfnResource):
        raise TypeError(f"{construct.node.path} is not one resource")
    return resource
