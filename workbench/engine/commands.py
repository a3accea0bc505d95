"""The commands ``shipments local …``."""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict

import click

from workbench.engine import engine as engines
from workbench.engine import gaps, subscriber, synthesis
from workbench.engine.clients import environment_variables, exports
from workbench.engine.deploy import DeployResult, deploy, deploy_with_cdk
from workbench.engine.engine import RunningEngine, State
from workbench.engine.errors import LocalEngineError
from workbench.engine.settings import Settings, settings_from
from workbench.engine.template import Substitution


@click.group(name="local")
def local() -> None:
    """Run the whole pipeline on this machine, on an emulated AWS.

    SHIPMENTS_PORT chooses the port (default 4566), ENV the stage (default dev).
    """


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON; messages go to stderr.")


@local.command()
@click.option("--fresh", is_flag=True, help="Discard everything that an earlier run stored.")
@_json
def up(*, fresh: bool, as_json: bool) -> None:
    """Start the engine and deploy the stack. You can repeat it; it deploys only changes.

    \b
    Example:
      shipments local up --fresh
    """
    with _readable_errors():
        settings = settings_from(os.environ)
        running = engines.start(settings, fresh=fresh)
        _say_started(running, err=as_json)
        started = time.monotonic()
        synthesized, is_new = synthesis.synthesize(
            settings.root, settings.environment, settings.assemblies_dir
        )
        if is_new:
            click.echo(f"Prepared the stack in {time.monotonic() - started:.1f} s.", err=as_json)
        deployed = deploy(running.endpoint, synthesized, settings.environment)
        if as_json:
            found = {
                "endpoint": running.endpoint,
                "started": running.started_now,
                "deploy": deployed.action,
                "outputs": deployed.outputs,
                "environment": environment_variables(running.endpoint),
            }
            click.echo(json.dumps(found))
            return
        _say_deployed(deployed)
        click.echo('\nTo use it, run these lines, or `eval "$(shipments local env)"`:\n')
        click.echo(exports(running.endpoint))


@local.command(name="deploy", short_help="Deploy to the running engine with the CDK CLI.")
@_json
def deploy_command(*, as_json: bool) -> None:
    """Deploy to the running engine with the CDK CLI, as `make deploy` does to AWS.

    \b
    Example:
      shipments local deploy
    """
    with _readable_errors():
        settings = settings_from(os.environ)
        endpoint = _require_running(settings)
        synthesized, _ = synthesis.synthesize(
            settings.root, settings.environment, settings.assemblies_dir, with_current_code=True
        )
        outputs = deploy_with_cdk(endpoint, synthesized, settings)
        if as_json:
            click.echo(json.dumps({"endpoint": endpoint, "outputs": outputs}))
        else:
            _say_outputs(outputs)


@local.command()
@_json
def down(*, as_json: bool) -> None:
    """Stop the engine. The next `up` has its data again.

    \b
    Example:
      shipments local down
    """
    with _readable_errors():
        stopped = engines.stop(settings_from(os.environ))
        if as_json:
            click.echo(json.dumps({"stopped": stopped}))
        else:
            click.echo("Stopped." if stopped else "No local engine of this directory is running.")


@local.command(short_help="Print the exports that point AWS tools at the engine.")
@_json
def env(*, as_json: bool) -> None:
    """Print the exports that point AWS tools at the engine, and nothing else.

    \b
    Example:
      eval "$(shipments local env)"
    """
    with _readable_errors():
        settings = settings_from(os.environ)
        endpoint = _require_running(settings)
        # Without SHIPMENTS_PORT, the engine that runs is meant.
        if os.environ.get("SHIPMENTS_PORT") and endpoint != settings.endpoint:
            raise LocalEngineError(
                f"The local engine of this directory runs at {endpoint}, not on port {settings.port}.",
                "Unset SHIPMENTS_PORT to use it, or stop it (make down) and start it on that port (make up).",
            )
        click.echo(json.dumps(environment_variables(endpoint)) if as_json else exports(endpoint))


@local.command()
@_json
def status(*, as_json: bool) -> None:
    """Say whether the engine runs.

    \b
    Example:
      shipments local status --json

    Exit status: 0 it runs, 1 it does not.
    """
    with _readable_errors():
        settings = settings_from(os.environ)
        found = engines.status(settings)
        if as_json:
            click.echo(json.dumps({**asdict(found), "log": str(settings.log_file)}))
            sys.exit(0 if found.state is State.RUNNING else 1)
        match found.state:
            case State.RUNNING:
                click.echo(f"Running at {found.endpoint} (process {found.pid}, since {found.started}).")
                return
            case State.STOPPED:
                click.echo("Stopped.")
            case State.CRASHED:
                click.echo(f"Not running: it ended unexpectedly. Its log: {settings.log_file}")
            case State.NOT_ANSWERING:
                click.echo(
                    f"Process {found.pid} runs but does not answer at {found.endpoint}. "
                    f"Stop it (make down). Its log: {settings.log_file}"
                )
        sys.exit(1)


@local.command(short_help="Print the URL of an empty queue that subscribes to the status bus.")
@_json
def subscribe(*, as_json: bool) -> None:
    """Print the URL of an empty queue that subscribes to the status bus. It is made if there is none.

    A stage that does not track shipments has no status bus. Nothing is printed then.

    \b
    Example:
      shipments run events.ndjson --subscriber "$(shipments local subscribe)"
    """
    with _readable_errors():
        settings = settings_from(os.environ)
        url = subscriber.subscribe(_require_running(settings), settings.environment)
        if as_json:
            click.echo(json.dumps({"queue_url": url or None}))
        elif url:
            click.echo(url)


@local.command(name="gaps")
@_json
def list_gaps(*, as_json: bool) -> None:
    """Print all differences from AWS as a table in Markdown.

    \b
    Example:
      shipments local gaps
    """
    click.echo(json.dumps([asdict(gap) for gap in gaps.GAPS]) if as_json else gaps.as_markdown())


@contextmanager
def _readable_errors() -> Iterator[None]:
    try:
        yield
    except LocalEngineError as error:
        raise click.ClickException(f"{error}\n{error.next_step}") from error


def _require_running(settings: Settings) -> str:
    found = engines.status(settings)
    if found.state is not State.RUNNING or found.endpoint is None:
        raise LocalEngineError(f"The local engine is {found.state}.", "Start it: make up")
    return found.endpoint


def _say_started(running: RunningEngine, *, err: bool) -> None:
    if not running.started_now:
        click.echo(f"The local engine already runs at {running.endpoint}.", err=err)
        return
    if running.after_crash:
        click.echo(
            "The engine before this one did not stop cleanly. What it stored since its start is lost.",
            err=True,
        )
    click.echo(f"Started the local engine at {running.endpoint}.", err=err)


def _say_deployed(result: DeployResult) -> None:
    match result.action:
        case "unchanged":
            click.echo(f"{result.stack_name} is up to date; nothing to deploy.")
        case action:
            click.echo(f"{action.capitalize()} {result.stack_name} in {result.seconds:.1f} s.")
            click.echo("\nDifferent from AWS (docs/local-engine.md explains these and other differences):")
            for gap, things in _by_gap(result.substitutions).items():
                click.echo(f"  {gap.remedy:9} {gap.subject} ({', '.join(things)})")
    _say_outputs(result.outputs)


def _say_outputs(outputs: Mapping[str, str]) -> None:
    click.echo("")
    for key, value in sorted(outputs.items()):
        click.echo(f"  {key:20} {value}")


def _by_gap(substitutions: Iterable[Substitution]) -> dict[gaps.Gap, list[str]]:
    things: dict[gaps.Gap, list[str]] = {}
    for item in substitutions:
        things.setdefault(item.gap, []).append(item.name)
    return things


if __name__ == "__main__":
    local()
