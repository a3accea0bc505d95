"""``shipments``: the command line, a thin layer over the operations."""

import sys
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from shipment_events.aws_errors import error_code
from shipment_events.cli.feed import feed, run
from shipment_events.cli.publish import publish
from shipment_events.cli.schema import schema
from shipment_events.cli.timeline import timeline
from shipment_events.local.commands import local
from shipment_events.operations.event_files import EventFileError
from shipment_events.operations.resources import StackNotFoundError

__all__ = ["main"]


class _Commands(click.Group):
    """Turns what AWS and files may answer into a sentence and what to do next."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (StackNotFoundError, EventFileError) as error:
            raise click.ClickException(str(error)) from error
        except NoCredentialsError as error:
            raise click.ClickException(
                "no AWS credentials. For the local engine run 'eval \"$(shipments local env)\"';"
                " for AWS sign in, for example with 'aws sso login', or set AWS_PROFILE."
            ) from error
        except NoRegionError as error:
            raise click.ClickException(
                "no AWS region. Set AWS_REGION, for example to eu-central-1."
            ) from error
        except ClientError as error:
            message = error.response.get("Error", {}).get("Message", "")
            raise click.ClickException(f"{error.operation_name}: {error_code(error)}: {message}") from error
        except BotoCoreError as error:
            raise click.ClickException(
                f"{error} Is the endpoint right (AWS_ENDPOINT_URL), and does the engine run ('make up')?"
            ) from error
        except KeyboardInterrupt:
            click.echo("\nInterrupted.", err=True)
            sys.exit(130)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--env", "environment", envvar="ENV", default="dev", show_default=True, show_envvar=True,
    help="Environment (stage) to work on.",
)  # fmt: skip
@click.version_option(package_name="shipment-events")
@click.pass_context
def main(ctx: click.Context, environment: str) -> None:
    """Publish shipment events, and see where each one ended.

    Credentials, region and endpoint are found as the AWS CLI finds them. For the local engine:
    eval "$(shipments local env)"
    """
    ctx.obj = environment


for command in (publish, timeline, feed, run, schema, local):
    main.add_command(command)
