"""Synthesizes the stack of one stage into ``cdk.out``; needs no AWS account, no network and no Docker.

The stage comes from the environment variable ``ENV`` or from ``-c env=…`` of the CDK CLI, the address for
alarms from ``ALARM_EMAIL`` or ``-c alarm_email=…``, and their Slack channel from ``SLACK_WORKSPACE`` and
``SLACK_CHANNEL`` or ``-c slack_workspace=…`` and ``-c slack_channel=…``.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from aws_cdk import App

from infrastructure.stack import ShipmentEventsStack
from infrastructure.validation import enforce_rules
from shipment_events.stages import DEFAULT_STAGE, SlackChannel, StageSettings, settings_for

REPOSITORY: Final = Path(__file__).resolve().parent.parent


def build_app(settings: StageSettings, outdir: Path) -> App:
    """Return the app with the stack of the stage, ready for ``synth()`` into ``outdir``."""
    app = _empty_app(outdir)
    _fill(app, settings)
    return app


def main() -> None:
    """Synthesize; end with one line and status 1 where the stage is refused or a security rule is broken."""
    # The CDK CLI names the folder that it will read; without it, the place does not depend on where we stand.
    app = _empty_app(Path(os.environ.get("CDK_OUTDIR", REPOSITORY / "cdk.out")))
    try:
        stage = _chosen(app, variable="ENV", context="env")
        settings = settings_for(DEFAULT_STAGE if stage is None else stage)
        email = _chosen(app, variable="ALARM_EMAIL", context="alarm_email")
        settings = replace(
            settings,
            alarm_email=email or settings.alarm_email,
            slack=_chosen_channel(app) or settings.slack,
        )
        _fill(app, settings)
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
    ShipmentEventsStack(app, settings=settings)
    enforce_rules(app)


def _chosen_channel(app: App) -> SlackChannel | None:
    workspace = _chosen(app, variable="SLACK_WORKSPACE", context="slack_workspace")
    channel = _chosen(app, variable="SLACK_CHANNEL", context="slack_channel")
    if not workspace and not channel:
        return None
    if not workspace or not channel:
        raise ValueError("a Slack channel needs both SLACK_WORKSPACE and SLACK_CHANNEL")
    return SlackChannel(workspace_id=workspace, channel_id=channel)


def _chosen(app: App, *, variable: str, context: str) -> str | None:
    """Return what the user chose in either place; two different answers are an error, not a precedence."""
    by_variable: str | None = os.environ.get(variable)
    by_context: str | None = app.node.try_get_context(context)
    if by_variable is not None and by_context is not None and by_variable != by_context:
        raise ValueError(f"{variable} is {by_variable!r}, but the context {context} is {by_context!r}")
    return by_variable if by_variable is not None else by_context


if __name__ == "__main__":
    main()
