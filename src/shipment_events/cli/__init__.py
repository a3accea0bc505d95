"""``shipments``: the command line. Each command parses, makes one call of the library and presents."""

import signal
import sys
from importlib.metadata import entry_points
from typing import Any, Final

import click

from shipment_events.cli.api import api
from shipment_events.cli.audit import audit
from shipment_events.cli.console import console
from shipment_events.cli.cost import cost
from shipment_events.cli.dead_letter_repairs import discard_command, redrive_command
from shipment_events.cli.dead_letters import dead_letters
from shipment_events.cli.errors import INTERRUPTED, FailedError, sentence
from shipment_events.cli.events import events
from shipment_events.cli.presentation import printable
from shipment_events.cli.publish import publish
from shipment_events.cli.rebuild import rebuild
from shipment_events.cli.recover import recover
from shipment_events.cli.replay import replay
from shipment_events.cli.run import run
from shipment_events.cli.schema import schema
from shipment_events.cli.shipments import list_command, where
from shipment_events.cli.status import status
from shipment_events.cli.timeline import timeline
from shipment_events.cli.trace import trace
from shipment_events.pipeline import Pipeline
from shipment_events.stages import DEFAULT_STAGE, STAGES

__all__ = ["main"]

_FURTHER_COMMANDS: Final = "shipment_events.commands"
"""Entry points by which other packages add commands; the workbench of a clone uses them."""

_LONGEST_ERROR: Final = 1_000


class _Commands(click.Group):
    """Shows an expected error as a sentence and the next step, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        # SIGTERM ends a command as Ctrl-C does: it releases the messages it holds and reports what it did.
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nInterrupted.", err=True)
            sys.exit(INTERRUPTED)
        except click.ClickException as error:
            # A message may quote a file or an event. Only our own messages have more than one line.
            error.message = printable(error.message, "\n", most=_LONGEST_ERROR)  # type: ignore[misc]
            error.exit_code = FailedError.exit_code  # type: ignore[misc]
            raise
        except Exception as error:
            if said := sentence(error):
                raise FailedError(printable(said, most=_LONGEST_ERROR)) from error
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

    The command finds credentials, region and endpoint as the AWS CLI does. For the local engine, first run:
    eval "$(shipments local env)"

    Exit status: 0 all is well, 1 the command found something (its help says what), 2 an error, 130
    interrupted.
    """
    ctx.obj = Pipeline.connect(environment)


dead_letters.add_command(redrive_command)
dead_letters.add_command(discard_command)
for command in (
    publish,
    where,
    list_command,
    api,
    timeline,
    events,
    trace,
    status,
    console,
    dead_letters,
    audit,
    replay,
    recover,
    rebuild,
    run,
    cost,
    schema,
):
    main.add_command(command)
for entry_point in sorted(entry_points(group=_FURTHER_COMMANDS), key=lambda point: point.name):
    main.add_command(entry_point.load())
