"""``shipments``: the command line. Each command parses, makes one call of the library and presents."""

import signal
import sys
from importlib.metadata import entry_points
from typing import Any, Final

import click

from shipment_events.cli.audit import audit
from shipment_events.cli.cost import cost
from shipment_events.cli.dead_letter_repairs import discard_command, redrive_command
from shipment_events.cli.dead_letters import dead_letters
from shipment_events.cli.errors import INTERRUPTED, sentence
from shipment_events.cli.events import events
from shipment_events.cli.presentation import printable
from shipment_events.cli.publish import publish
from shipment_events.cli.recover import recover
from shipment_events.cli.replay import replay
from shipment_events.cli.run import run
from shipment_events.cli.schema import schema
from shipment_events.cli.status import status
from shipment_events.cli.timeline import timeline
from shipment_events.cli.trace import trace
from shipment_events.pipeline import Pipeline
from shipment_events.stages import DEFAULT_STAGE, STAGES

__all__ = ["main"]

_FURTHER_COMMANDS: Final = "shipment_events.commands"
"""Entry points of other packages that add a command; the workbench of a clone does."""


_LONGEST_ERROR: Final = 1_000


class _Commands(click.Group):
    """Turns what AWS and files may answer into a sentence and what to do next."""

    def invoke(self, ctx: click.Context) -> Any:
        # What ends a process politely ends it as Ctrl-C does: what is held is let go, what is done is said.
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nInterrupted.", err=True)
            sys.exit(INTERRUPTED)
        except click.ClickException as error:
            # Messages quote files and events; those of more than one line are our own.
            error.message = printable(error.message, "\n", most=_LONGEST_ERROR)  # type: ignore[misc]
            raise
        except Exception as error:
            if said := sentence(error):
                raise click.ClickException(printable(said, most=_LONGEST_ERROR)) from error
            raise
        finally:
            signal.signal(signal.SIGTERM, before)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--env", "environment", type=click.Choice(list(STAGES)), envvar="ENV", default=DEFAULT_STAGE,
    show_default=True, show_envvar=True, help="Stage to work on.",
)  # fmt: skip
@click.version_option(package_name="shipment-events")
@click.pass_context
def main(ctx: click.Context, environment: str) -> None:
    """Publish shipment events, and see where each one ended.

    Credentials, region and endpoint are found as the AWS CLI finds them. For the local engine:
    eval "$(shipments local env)"
    """
    ctx.obj = Pipeline.connect(environment)


dead_letters.add_command(redrive_command)
dead_letters.add_command(discard_command)
for command in (
    publish,
    timeline,
    events,
    trace,
    status,
    dead_letters,
    audit,
    replay,
    recover,
    run,
    cost,
    schema,
):
    main.add_command(command)
for entry_point in sorted(entry_points(group=_FURTHER_COMMANDS), key=lambda point: point.name):
    main.add_command(entry_point.load())
