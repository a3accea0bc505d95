"""The session of boto3 that is taken where the caller gives none."""

import os

import boto3


def aws_session() -> boto3.Session:
    """Credentials and region as boto3 finds them, but that ``AWS_REGION`` comes first.

    The AWS CLI and the other SDKs read that variable first, boto3 does not read it.
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    """
    return boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
