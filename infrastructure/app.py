"""Synthesizes the stack of one stage into ``cdk.out``; needs no AWS account, no network and no Docker.

The stage comes from the environment variable ``ENV`` or from ``-c env=…`` of the CDK CLI. The receivers of
its alarms are in its settings. ``ALARM_EMAIL`` or ``-c alarm_email=…`` adds an address. ``SLACK_WORKSPACE``
and ``SLACK_CHANNEL``, or ``-c slack_workspace=…`` and ``-c slack_channel=…``, name another channel.
``ALARMS_WITHOUT_RECEIVERS`` or ``-c alarms_without_receivers=…`` says why there is no receiver.

``-c first_deploy=true`` leaves out the protection of stack and table, because CloudFormation could not roll
back a failed first deploy with it. ``make deploy`` deploys again without this option right after.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from aws_cdk import App

from infrastructure.stack import ShipmentEventsStack
from infrastructure.validation import accept_findings, enforce_rules
from shipment_events.stage_options import SlackChannel
from shipment_events.stages import DEFAULT_STAGE, StageSettings, settings_for

REPOSITORY: Final = Path(__file__).resolve().parent.parent


def build_app(settings: StageSettings, outdir: Path) -> App:
    """Return the app with the stack of the stage, ready for ``synth()`` into ``outdir``."""
    app = _empty_app(outdir)
    _fill(app, settings)
    return app


def main() -> None:
    """Synthesize. Exit with status 1 and one line if the stage is not valid or breaks a security rule."""
    # The CDK CLI names the folder that it reads. Without the CLI, it is cdk.out of the repository.
    app = _empty_app(Path(os.environ.get("CDK_OUTDIR", REPOSITORY / "cdk.out")))
    try:
        stage = _chosen(app, variable="ENV", context="env")
        settings = settings_for(DEFAULT_STAGE if stage is None else stage)
        if app.node.try_get_context("first_deploy") == "true":
            settings = replace(settings, deletion_protection=False)
        _fill(app, _with_receivers(app, settings))
    except ValueError as error:
        sys.exit(f"error: {error}")
    try:
        app.synth()
    except RuntimeError as error:
        if "ValidationFailed" not in str(error):
            raise
        sys.exit(f"error: {error}")


def _empty_app(outdir: Path) -> App:
    return App(outdir=str(outdir), analytics_reporting=False)


def _fill(app: App, settings: StageSettings) -> None:
    if not settings.has_receivers and settings.alarms_without_receivers is None:
        raise ValueError(
            f"the alarms of {settings.environment} have no receiver. Write addresses into alarm_emails"
            f" of {settings.environment} in src/shipment_events/stages.py, or a channel into slack. To add an"
            " address to this deploy only, set ALARM_EMAIL. If none is needed, write the reason into"
            " alarms_without_receivers there, or into the variable ALARMS_WITHOUT_RECEIVERS"
        )
    accept_findings(ShipmentEventsStack(app, settings=settings), settings)
    enforce_rules(app)


def _with_receivers(app: App, settings: StageSettings) -> StageSettings:
    email = _chosen(app, variable="ALARM_EMAIL", context="alarm_email")
    # An empty variable adds nobody: a workflow sets the variables that its repository lacks to an empty text.
    added = () if not email or email in settings.alarm_emails else (email,)
    reason = _chosen(app, variable="ALARMS_WITHOUT_RECEIVERS", context="alarms_without_receivers")
    return replace(
        settings,
        alarm_emails=(*settings.alarm_emails, *added),
        slack=_chosen_channel(app) or settings.slack,
        alarms_without_receivers=reason or settings.alarms_without_receivers,
    )


def _chosen_channel(app: App) -> SlackChannel | None:
    workspace = _chosen(app, variable="SLACK_WORKSPACE", context="slack_workspace")
    channel = _chosen(app, variable="SLACK_CHANNEL", context="slack_channel")
    if not workspace and not channel:
        return None
    if not workspace or not channel:
        raise ValueError("a Slack channel needs both SLACK_WORKSPACE and SLACK_CHANNEL")
    return SlackChannel(workspace_id=workspace, channel_id=channel)


def _chosen(app: App, *, variable: str, context: str) -> str | None:
    """Return the choice from the variable or the context. Raises ValueError if the two differ."""
    by_variable: str | None = os.environ.get(variable)
    by_context: str | None = app.node.try_get_context(context)
    if by_variable is not None and by_context is not None and by_variable != by_context:
        raise ValueError(f"{variable} is {by_variable!r}, but the context {context} is {by_context!r}")
    return by_variable if by_variable is not None else by_context


if __name__ == "__main__":
    main()
