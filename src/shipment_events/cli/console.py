"""``shipments console``."""

from pathlib import Path

import click

from shipment_events.pipeline import Pipeline


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8765, show_default=True, help="0: any free one."
)
@click.option("--open", "opens", is_flag=True, help="Open the page in a browser.")
@click.option(
    "--allow-changes", is_flag=True, help="Let the page redrive and discard dead letters. Else it only reads."
)
@click.pass_obj
def console(pipeline: Pipeline, *, port: int, opens: bool, allow_changes: bool) -> None:
    """Serve a page about the pipeline to a browser on this machine.

    It shows the status, shipments and dead letters, with your credentials. It prints its address with a
    token, which is valid until Ctrl-C. Only this machine can reach it. Copies of redriven and discarded dead
    letters are written into the current folder.

    \b
    Examples:
      shipments console --open
      shipments --env prod console --allow-changes
    """
    try:
        from shipment_events.console.server import leave, serve  # noqa: PLC0415 - an extra of the package
    except ModuleNotFoundError as error:
        if error.name not in {"jinja2", "python_multipart", "starlette", "uvicorn"}:
            raise
        raise click.ClickException(
            f"the console needs {error.name}: pip install 'shipment-events[console]'"
        ) from error
    stage = pipeline.stage.environment

    def ready(address: str) -> None:
        click.echo(f"The console of {stage} is at\n\n  {address}\n")
        click.echo("Whoever has this address can use your AWS permissions. Ctrl-C ends it.", err=True)

    serve(pipeline, port, allow_changes=allow_changes, opens=opens, copies=Path.cwd(), on_ready=ready)
    leave()
