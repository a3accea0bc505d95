"""What the tables of the stage share: the policy that allows TLS only, and the type of a key."""

from aws_cdk import Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct


def tls_only_policy(scope: Construct, table_name: str) -> iam.PolicyDocument:
    """Return the resource policy of a table, which denies every call over plain HTTP."""
    # The ARN is built from the name, because a reference from the policy to its own table would be circular.
    # The policy covers the indexes. A stream has its own policy, which can only be attached later
    # (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/rbac-considerations.html).
    table_arn = Stack.of(scope).format_arn(service="dynamodb", resource="table", resource_name=table_name)
    return iam.PolicyDocument(
        statements=[
            iam.PolicyStatement(
                sid="DenyPlainHttp",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["dynamodb:*"],
                resources=[table_arn, f"{table_arn}/index/*"],
                conditions={"Bool": {"aws:SecureTransport": "false"}},
            )
        ]
    )


def text_attribute(name: str) -> dynamodb.Attribute:
    """Return the attribute as a key of a table or an index. All our keys are text."""
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
