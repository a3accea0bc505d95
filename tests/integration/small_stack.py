"""A hand-made cloud assembly: a table, a queue and a function, made in no time and easy to break."""

import json
from pathlib import Path
from typing import Any

ENVIRONMENT = "small"
STACK = "shipmentevents-small"
FUNCTION = "small-function"
TABLE = "small-table"
QUEUE = "small-queue"

ECHO = "import os\ndef handler(event, context):\n    return dict(os.environ)\n"


def write_assembly(folder: Path, *, code: str = ECHO, extra: dict[str, Any] | None = None) -> Path:
    """Write an assembly whose function has the code, with ``extra`` resources."""
    asset = folder / "asset.code"
    asset.mkdir(parents=True, exist_ok=True)
    (asset / "index.py").write_text(code)
    key = f"{abs(hash(code))}.zip"
    bucket = "cdk-assets-${AWS::AccountId}-${AWS::Region}"
    role = {"Version": "2012-10-17", "Statement": []}
    template = {
        "Resources": {
            "Table": {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "TableName": TABLE,
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                },
            },
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": QUEUE}},
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": role}},
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "FunctionName": FUNCTION,
                    "Runtime": "python3.12",
                    "Handler": "index.handler",
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Code": {"S3Bucket": {"Fn::Sub": bucket}, "S3Key": key},
                },
            },
            "Source": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "FunctionName": {"Ref": "Function"},
                    "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
                },
            },
            **(extra or {}),
        },
        "Outputs": {"QueueUrl": {"Value": {"Ref": "Queue"}}},
    }
    (folder / "stack.template.json").write_text(json.dumps(template))
    (folder / "stack.assets.json").write_text(
        json.dumps(
            {
                "files": {
                    "code": {
                        "source": {"path": "asset.code", "packaging": "zip"},
                        "destinations": {"here": {"bucketName": bucket, "objectKey": key}},
                    }
                }
            }
        )
    )
    (folder / "manifest.json").write_text(
        json.dumps(
            {
                "artifacts": {
                    "stack.assets": {
                        "type": "cdk:asset-manifest",
                        "properties": {"file": "stack.assets.json"},
                    },
                    "stack": {
                        "type": "aws:cloudformation:stack",
                        "properties": {"templateFile": "stack.template.json", "stackName": STACK},
                        "dependencies": ["stack.assets"],
                    },
                }
            }
        )
    )
    return folder
