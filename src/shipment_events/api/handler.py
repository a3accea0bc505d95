"""Entry point of the API's function. Each call answers one request; the client is made once per container."""

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.api.answers import Answer, found, problem
from shipment_events.api.parameters import read_parameters
from shipment_events.api.problems import ProblemError, internal, invalid_cursor, unavailable
from shipment_events.api.reads import LASTING, Reads
from shipment_events.api.routes import ROUTES, Route
from shipment_events.api.settings import ApiSettings
from shipment_events.api.telemetry import report_failure, report_request
from shipment_events.aws_errors import error_code
from shipment_events.function.clients import FunctionClients
from shipment_events.function.direct_client import DirectDynamoDBClient

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from shipment_events.function.context import LambdaContext

# Seconds. The two attempts of a read take less than the function's timeout.
CONNECT_TIMEOUT: Final = 1
READ_TIMEOUT: Final = 3

_ROUTES: Final[Mapping[str, Route]] = {route.key: route for route in ROUTES}


def handler(event: Mapping[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Answer a request.

    Args:
        event: the request in payload format 2.0:
            https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    start = time.perf_counter()
    answer = _answer(event, context.aws_request_id)
    report_request(
        event["routeKey"],
        answer.status,
        round((time.perf_counter() - start) * 1000),
        environment=_SETTINGS.environment,
        request_id=context.aws_request_id,
        version=context.function_version,
    )
    return answer.for_gateway


def _answer(event: Mapping[str, Any], request_id: str) -> Answer:
    key, raw_query = event["routeKey"], event.get("rawQueryString") or ""
    try:
        route = _ROUTES[key]
        values = read_parameters(route.parameters, event.get("pathParameters") or {}, raw_query)
        try:
            body = route.answer(_READS, _SETTINGS.environment, values)
        except ClientError as error:
            # A cursor that somebody made up can be a position outside of the query's range.
            if error_code(error) == "ValidationException" and "cursor" in values:
                raise invalid_cursor() from None
            raise
        return found(body, event["headers"].get("if-none-match"))
    except ProblemError as error:
        return problem(error)
    except (ClientError, BotoCoreError) as error:
        why = error_code(error)
        report_failure(key, why, request_id)
        return problem(internal() if why in LASTING else unavailable())
    except Exception as error:  # noqa: BLE001 - a defect must not show the client a trace
        report_failure(key, type(error).__name__, request_id, error)
        return problem(internal())


def _build_reads(settings: ApiSettings) -> Reads:
    clients = FunctionClients(connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT)
    # Half of a read's CPU time would be botocore's conversion of values.
    direct = DirectDynamoDBClient(clients.make("dynamodb"), clients.session)
    return Reads(
        cast("DynamoDBClient", direct),
        shipments=settings.shipments_table_name,
        events=settings.events_table_name,
    )


_SETTINGS = ApiSettings.from_environment(os.environ)
_READS = _build_reads(_SETTINGS)
