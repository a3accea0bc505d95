"""The HTTP API: its routes, who may call them, its bounds and its log of accesses."""

import json
from dataclasses import replace
from typing import Any

import pytest
from aws_cdk import App, assertions

from infrastructure.stack import ShipmentEventsStack
from shipment_events.api.routes import ROUTES
from shipment_events.api.settings import ApiSettings
from shipment_events.stage_options import JwtIssuer
from shipment_events.stages import settings_for
from tests.infrastructure.template import API, PROCESSOR, Template, text

JWT = JwtIssuer(issuer="https://login.example.org", audience="shipments", scope="shipments/read")


def test_every_route_needs_a_signature(every_template: Template) -> None:
    routes = [route for _, route in every_template.of_type("AWS::ApiGatewayV2::Route")]
    assert {route["RouteKey"] for route in routes} == {route.key for route in ROUTES}
    assert {route["AuthorizationType"] for route in routes} == {"AWS_IAM"}
    integration = every_template.logical_id("AWS::ApiGatewayV2::Integration")
    assert {text(route["Target"]) for route in routes} == {f"integrations/${{{integration}}}"}


def test_function_is_called_by_its_alias_in_the_format_that_it_reads(every_template: Template) -> None:
    integration = every_template.properties("AWS::ApiGatewayV2::Integration")
    assert integration["IntegrationUri"] == every_template.ref("AWS::Lambda::Alias", of=API)
    assert (integration["IntegrationType"], integration["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0")


def test_no_other_site_may_use_it(every_template: Template) -> None:
    api = every_template.properties("AWS::ApiGatewayV2::Api")
    assert (api["Name"], api["ProtocolType"]) == (f"{API}-{every_template.environment}", "HTTP")
    assert "CorsConfiguration" not in api


def test_requests_are_bounded(every_template: Template) -> None:
    stage = every_template.properties("AWS::ApiGatewayV2::Stage")
    assert (stage["StageName"], stage["AutoDeploy"]) == ("$default", True)
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": 100, "ThrottlingBurstLimit": 200}


def test_log_of_accesses_has_no_personal_data(every_template: Template) -> None:
    """No path, query, address, agent or identity: only what API Gateway itself says of a request."""
    log = every_template.properties("AWS::ApiGatewayV2::Stage")["AccessLogSettings"]
    group = f"/aws/apigateway/{API}-{every_template.environment}"
    assert log["DestinationArn"] == every_template.arn("AWS::Logs::LogGroup", LogGroupName=group)
    assert every_template.properties("AWS::Logs::LogGroup", LogGroupName=group)["RetentionInDays"] == 30
    assert set(json.loads(log["Format"]).values()) == {
        f"$context.{name}"
        for name in (
            "requestId", "requestTime", "routeKey", "status", "responseLength", "responseLatency",
            "integrationLatency", "error.responseType", "authorizer.error", "integrationErrorMessage",
        )
    }  # fmt: skip


def test_function_runs_as_the_processor_does(every_template: Template) -> None:
    processor, api = (
        every_template.properties("AWS::Lambda::Function", of=name) for name in (PROCESSOR, API)
    )
    assert {name for name in processor if processor[name] != api[name]} == {
        "Code", "Description", "Environment", "FunctionName", "Handler", "LoggingConfig", "Role", "Timeout",
    }  # fmt: skip
    # API Gateway ends a request after 30 s.
    assert api["Timeout"] < 30


def test_function_understands_its_environment(template: Template) -> None:
    variables = template.properties("AWS::Lambda::Function", of=API)["Environment"]["Variables"]
    named = {name: text(value) for name, value in variables.items()}
    assert ApiSettings.from_environment(named) == ApiSettings(
        environment="dev",
        events_table_name=text(template.ref("AWS::DynamoDB::Table", **template.events_table)),
        shipments_table_name=text(template.ref("AWS::DynamoDB::Table", TableName="shipments-dev")),
    )


def stack_of(**settings: Any) -> ShipmentEventsStack:
    """The stack of a stage with these settings."""
    return ShipmentEventsStack(App(), settings=replace(settings_for("dev"), **settings))


def test_every_route_needs_a_token_of_the_issuer_for_the_audience_and_with_the_scope() -> None:
    """The local engine refuses all tokens, so nothing but the template says what AWS would do with one.

    API Gateway refuses a token of another issuer or audience with 401:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-jwt.html
    A token must have one of the scopes of the route, and a route without scopes takes any token:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
    AWS does not document the status of a missing scope. It is 403 in the standard for such tokens:
    https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    """
    template = assertions.Template.from_stack(stack_of(api_jwt=JWT))
    ((authorizer, tokens),) = template.find_resources("AWS::ApiGatewayV2::Authorizer").items()
    assert tokens["Properties"]["AuthorizerType"] == "JWT"
    assert tokens["Properties"]["JwtConfiguration"] == {"Issuer": JWT.issuer, "Audience": [JWT.audience]}
    routes = [each["Properties"] for each in template.find_resources("AWS::ApiGatewayV2::Route").values()]
    assert {route["RouteKey"] for route in routes} == {route.key for route in ROUTES}
    for route in routes:
        assert (route["AuthorizationType"], route["AuthorizerId"]) == ("JWT", {"Ref": authorizer})
        assert route["AuthorizationScopes"] == [JWT.scope]


@pytest.mark.parametrize("settings", [{"api": False}, {"tracking": False}])
def test_a_stage_can_be_without_it(settings: dict[str, Any]) -> None:
    assert stack_of(**settings).node.try_find_child("Api") is None
