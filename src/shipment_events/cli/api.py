"""``shipments api``."""

import json
import sys
from http import HTTPStatus

import click

from shipment_events.api.problems import PROBLEM_TYPE
from shipment_events.api_client import ApiResponse
from shipment_events.cli.errors import FailedError
from shipment_events.cli.options import NonEmptyText
from shipment_events.cli.presentation import LONGEST_SENTENCE, printable, printable_json
from shipment_events.pipeline import Pipeline


@click.group()
def api() -> None:
    """Call the HTTP API, signed with your AWS credentials."""


@api.command()
@click.argument("path", type=NonEmptyText())
@click.option("--etag", type=NonEmptyText(), metavar="TAG", help="Ask only for what changed since this ETag.")
@click.option("--json", "as_json", is_flag=True, help="Print status, headers and body as one JSON object.")
@click.pass_obj
def get(pipeline: Pipeline, path: str, *, etag: str | None, as_json: bool) -> None:
    """Print the JSON of PATH, which is percent-encoded. schemas/openapi.json describes all paths.

    \b
    Examples:
      shipments api get /shipments/C2K-00030
      shipments api get '/shipments?shipment_id=a%2Fb'
      shipments api get '/events?shipment_id=C2K-00030&limit=10' --json

    Exit status: 0 an answer or nothing new, 1 there is no such shipment, 2 an error.
    """
    answer = pipeline.api.get(path, etag=etag)
    if as_json and answer.status in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED):
        head = json.dumps({"status": answer.status, "headers": dict(answer.headers)})
        # The body is JSON already, and keeps every digit.
        click.echo(f'{head[:-1]}, "body": {printable_json(answer.body) or "null"}}}')
    elif answer.status == HTTPStatus.OK:
        click.echo(printable_json(answer.body))
    elif answer.status == HTTPStatus.NOT_MODIFIED:
        click.echo("Nothing has changed since this ETag.", err=True)
    elif answer.status == HTTPStatus.NOT_FOUND and answer.headers.get("content-type") == PROBLEM_TYPE:
        click.echo(f"There is no such shipment: {_detail(answer)}.", err=True)
        sys.exit(1)
    else:
        raise FailedError(f"the API answered {answer.status}: {_detail(answer)}.{_next_step(answer.status)}")


def _detail(answer: ApiResponse) -> str:
    """What API or API Gateway say of a request that they refuse."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = {}
    text = said.get("detail") or said.get("message") if isinstance(said, dict) else None
    return printable(text or "it gave no reason", most=LONGEST_SENTENCE).rstrip(".")


def _next_step(status: int) -> str:
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return " This stage takes tokens, not signatures: curl -H 'Authorization: Bearer TOKEN' URL"
        case HTTPStatus.FORBIDDEN:
            return " Your credentials need execute-api:Invoke on this API."
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE:
            return " Try again in a moment."
    return ""
