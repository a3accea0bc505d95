"""AWS clients that reach only the local engine and ignore the user's own AWS configuration."""

import os
from types import SimpleNamespace
from typing import Any, Final

import boto3
import botocore.session
from botocore.config import Config

from shipment_events.pipeline import Pipeline
from shipment_events.stages import settings_for
from workbench.engine.settings import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY

# With an empty proxy table, requests to this machine do not go through a company's proxy.
LOCAL_CONFIG: Final = Config(
    proxies={},
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=5,
    read_timeout=60,
    use_fips_endpoint=False,
    use_dualstack_endpoint=False,
    s3={"addressing_style": "path"},
)


def local_session() -> boto3.Session:
    """Session with the engine's credentials. It does not read the user's profile or files.

    Make clients from it with ``endpoint_url`` and ``config=LOCAL_CONFIG``.
    """
    core = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    return boto3.Session(
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        region_name=REGION,
        botocore_session=core,
    )


def environment_variables(endpoint: str) -> dict[str, str]:
    """Environment variables that point any AWS tool at the engine."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    }


def exports(endpoint: str) -> str:
    """The same variables as lines for a shell."""
    lines = [f"export {name}={value}" for name, value in environment_variables(endpoint).items()]
    return "\n".join([*lines, "unset AWS_PROFILE AWS_SESSION_TOKEN"])


def engine_pipeline(endpoint: str, environment: str) -> Pipeline:
    """The pipeline of a stage on the engine."""
    session: Any = local_session()
    on_engine: Any = SimpleNamespace(
        client=lambda service, config: session.client(service, endpoint_url=endpoint, config=config)
    )
    return Pipeline(settings_for(environment), on_engine)
