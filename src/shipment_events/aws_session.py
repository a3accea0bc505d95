"""The default boto3 session."""

import os

import boto3


def aws_session() -> boto3.Session:
    """A session with boto3's credentials and region; ``AWS_REGION`` takes precedence.

    boto3 does not read that variable. The AWS CLI and the other SDKs read it first.
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    """
    return boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
