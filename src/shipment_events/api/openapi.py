"""The OpenAPI document of the API, drawn from its routes."""

from collections.abc import Mapping
from typing import Any, Final

from shipment_events.api.parameters import Parameter
from shipment_events.api.problems import CODES, PROBLEM_TYPE
from shipment_events.api.representations import EVENT, SHIPMENT
from shipment_events.api.routes import ROUTES, Route

_NEXT_CURSOR: Final = {
    "next_cursor": {
        "type": ["string", "null"],
        "description": "The cursor of the next page; null on the last page.",
    }
}
_PROBLEMS: Final = {
    "400": "A parameter is wrong.",
    "404": "There is no such shipment.",
    "500": "A defect; the log has its trace.",
    "503": "The table does not respond now.",
}
_REFUSALS: Final = {
    "401": "API Gateway refused the token.",
    "403": "API Gateway refused the signature, the permissions or the scope.",
    "429": "Too many requests at once.",
}


def openapi_document() -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Shipment Events",
            "version": "1",
            "description": "State and events of shipments, for back ends. It only reads.",
        },
        "paths": {route.path: {"get": _operation(route)} for route in ROUTES},
        "components": {
            "schemas": {
                "Shipment": _object(SHIPMENT),
                "Event": _object(EVENT),
                "Shipments": _page("shipments", "Shipment"),
                "Events": _page("events", "Event"),
                "Problem": _PROBLEM,
            },
            "securitySchemes": {
                # The form that API Gateway uses:
                # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-authtype.html
                "sigv4": {
                    "type": "apiKey",
                    "name": "Authorization",
                    "in": "header",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                },
                "jwt": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
        "security": [{"sigv4": []}, {"jwt": []}],
    }


_PROBLEM: Final = {
    "type": "object",
    "description": "RFC 9457. The code is stable.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "enum": list(CODES)},
        "parameter": {"type": "string"},
    },
}


def _operation(route: Route) -> dict[str, Any]:
    answer = {"schema": {"$ref": f"#/components/schemas/{route.result}"}}
    tag = {"ETag": {"description": "For If-None-Match.", "schema": {"type": "string"}}}
    problem = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    can_be_missing = any(parameter.in_path for parameter in route.parameters)
    return {
        "operationId": route.operation,
        "summary": route.summary,
        "parameters": [*map(_parameter, route.parameters), _IF_NONE_MATCH],
        "responses": {
            "200": {
                "description": "Found.",
                "headers": tag,
                "content": {"application/json": answer},
            },
            "304": {"description": "The client has this response already.", "headers": tag},
            **{
                status: {"description": text, "content": problem}
                for status, text in _PROBLEMS.items()
                if status != "404" or can_be_missing
            },
            **{status: {"description": text} for status, text in _REFUSALS.items()},
        },
    }


_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of an earlier response. If nothing has changed, the response is 304.",
    "schema": {"type": "string"},
}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "path" if parameter.in_path else "query",
        "required": parameter.required,
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }


def _object(members: Mapping[str, tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(members),
        "properties": {name: {"description": text, **rules} for name, (text, rules) in members.items()},
    }


def _page(name: str, entry: str) -> dict[str, Any]:
    entries = {"type": "array", "items": {"$ref": f"#/components/schemas/{entry}"}}
    return {
        "type": "object",
        "required": [name, *_NEXT_CURSOR],
        "properties": {name: entries, **_NEXT_CURSOR},
    }
