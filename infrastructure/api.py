"""The HTTP API that reads shipments: its routes, who may call them, its function and its log of accesses."""

import json
from typing import Final

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infrastructure.bundled_function import LOG_RETENTION, BundledFunction
from infrastructure.encryption import StageKey
from infrastructure.log_metrics import API_METRICS, LogMetrics
from shipment_events.api.paths import PATHS, route_key
from shipment_events.api.settings import ApiSettings
from shipment_events.contract import names
from shipment_events.stage_options import JwtIssuer
from shipment_events.stages import StageSettings

BUNDLED_ROOMS: Final = ("api", "contract", "function", "table", "tracking")

ACCESS_LOG: Final = {
    "requestId": "$context.requestId",
    "requestTime": "$context.requestTime",
    "routeKey": "$context.routeKey",
    "status": "$context.status",
    "responseLength": "$context.responseLength",
    "responseLatency": "$context.responseLatency",
    "integrationLatency": "$context.integrationLatency",
    "error": "$context.error.responseType",
    "authorizerError": "$context.authorizer.error",
    "integrationError": "$context.integrationErrorMessage",
}
"""A line of the log of accesses. It has no path, address, user agent or identity, because these are personal
data or can contain them.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html"""


class ApiFunction(BundledFunction):
    """The function behind the API. It only reads."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: StageSettings,
        key: StageKey,
        events: dynamodb.Table,
        shipments: dynamodb.Table,
    ) -> None:
        """Build the function of the stage's API."""
        super().__init__(
            scope,
            construct_id,
            settings=settings,
            key=key,
            name=names.api_name(settings.environment),
            called="API",
            description="Answers requests for shipments and their events",
            handler="api.handler.handler",
            rooms=BUNDLED_ROOMS,
            statements=_permissions(events, shipments),
            environment=ApiSettings(
                environment=settings.environment,
                events_table_name=events.table_name,
                shipments_table_name=shipments.table_name,
            ).variables(),
            memory_mb=settings.api_memory_mb,
            timeout_seconds=settings.api_timeout_seconds,
        )
        LogMetrics(self, "LogMetrics", of=self, metrics=API_METRICS)


class ShipmentsApi(Construct):
    """The HTTP API of the stage. Every route needs a signature (IAM), or a token of the stage's issuer.

    It has no CORS: browsers of other sites cannot use it, because their users' credentials would have to be
    in the browser.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: StageSettings,
        key: StageKey,
        events: dynamodb.Table,
        shipments: dynamodb.Table,
    ) -> None:
        """Build the API of the stage."""
        super().__init__(scope, construct_id)
        self._settings = settings
        self.reader = ApiFunction(
            self, "Function", settings=settings, key=key, events=events, shipments=shipments
        )
        self.api = apigateway.CfnApi(
            self,
            "Api",
            name=names.api_name(settings.environment),
            description="Reads shipments and their events",
            protocol_type="HTTP",
        )
        self.url = self.api.attr_api_endpoint
        self._build_routes()
        self._build_stage(self._build_access_log(key))

    def _build_routes(self) -> None:
        integration = apigateway.CfnIntegration(
            self,
            "Integration",
            api_id=self.api.ref,
            integration_type="AWS_PROXY",
            integration_uri=self.reader.alias.function_arn,
            payload_format_version="2.0",
        )
        # https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html
        lambda_.CfnPermission(
            self,
            "Permission",
            action="lambda:InvokeFunction",
            function_name=self.reader.alias.function_arn,
            principal="apigateway.amazonaws.com",
            source_arn=Stack.of(self).format_arn(
                service="execute-api", resource=self.api.ref, resource_name="*/*"
            ),
        )
        jwt = self._settings.api_jwt
        authorizer = None if jwt is None else self._build_authorizer(jwt)
        for operation, path in PATHS.items():
            apigateway.CfnRoute(
                self,
                operation,
                api_id=self.api.ref,
                route_key=route_key(path),
                target=f"integrations/{integration.ref}",
                authorization_type="AWS_IAM" if jwt is None else "JWT",
                authorizer_id=None if authorizer is None else authorizer.ref,
                authorization_scopes=None if jwt is None else [jwt.scope],
            )

    def _build_authorizer(self, jwt: JwtIssuer) -> apigateway.CfnAuthorizer:
        return apigateway.CfnAuthorizer(
            self,
            "Tokens",
            api_id=self.api.ref,
            name="tokens",
            authorizer_type="JWT",
            identity_source=["$request.header.Authorization"],
            jwt_configuration=apigateway.CfnAuthorizer.JWTConfigurationProperty(
                issuer=jwt.issuer, audience=[jwt.audience]
            ),
        )

    def _build_access_log(self, key: StageKey) -> logs.LogGroup:
        name = names.api_access_log_group_name(self._settings.environment)
        key.allow_logs(name)
        return logs.LogGroup(
            self,
            "Accesses",
            log_group_name=name,
            retention=LOG_RETENTION[self._settings.log_retention_days],
            encryption_key=key.key,
            # As the log groups of functions.
            removal_policy=RemovalPolicy.DESTROY,
        )

    def _build_stage(self, access_log: logs.LogGroup) -> None:
        apigateway.CfnStage(
            self,
            "Stage",
            api_id=self.api.ref,
            # The stage whose name is not part of the path.
            stage_name="$default",
            auto_deploy=True,
            access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=access_log.log_group_arn, format=json.dumps(ACCESS_LOG)
            ),
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=self._settings.api_requests_per_second,
                throttling_burst_limit=self._settings.api_burst,
            ),
        )


def _permissions(events: dynamodb.Table, shipments: dynamodb.Table) -> list[iam.PolicyStatement]:
    indexes = (names.SHIPMENT_STATUS_INDEX, names.TRACKING_NUMBER_INDEX)
    return [
        iam.PolicyStatement(
            sid="ReadShipment", actions=["dynamodb:GetItem"], resources=[shipments.table_arn]
        ),
        iam.PolicyStatement(
            sid="FindShipments",
            actions=["dynamodb:Query"],
            resources=[f"{shipments.table_arn}/index/{index}" for index in indexes],
        ),
        iam.PolicyStatement(sid="ReadEvents", actions=["dynamodb:Query"], resources=[events.table_arn]),
    ]
