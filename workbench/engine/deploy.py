"""Put a synthesized stack on the local engine, or bring it up to date there."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.contract import names
from workbench.engine import assembly, assets
from workbench.engine.clients import LOCAL_CONFIG, environment_variables, local_session
from workbench.engine.completion import complete
from workbench.engine.errors import LocalEngineError
from workbench.engine.readiness import wait_until_ready
from workbench.engine.settings import Settings
from workbench.engine.stack import Action, Stack
from workbench.engine.template import Prepared, Substitution, prepare, public_outputs

_TEMPLATE_KEY: Final = "template.json"


@dataclass(frozen=True, kw_only=True)
class DeployResult:
    """A deployed stack that is ready to take events.

    ``seconds`` is the time it took, ``substitutions`` what the engine could not create as the stack says.
    """

    stack_name: str
    environment: str
    action: Action
    outputs: dict[str, str]
    substitutions: tuple[Substitution, ...]
    seconds: float


def deploy(endpoint: str, cloud_assembly_dir: Path, environment: str) -> DeployResult:
    """Create or update the environment's stack on the engine and wait until it is ready.

    Raises LocalEngineError if the folder holds no such stack, the engine does not answer, a resource cannot
    be created (named with its reason; what was there before stays), or the stack does not get ready.
    """
    started = time.monotonic()
    synthesized = assembly.load(cloud_assembly_dir, names.stack_name(environment))
    prepared = prepare(synthesized.template)
    session = local_session()
    stack = Stack(
        session.client("cloudformation", endpoint_url=endpoint, config=LOCAL_CONFIG), synthesized.name
    )
    try:
        s3 = session.client("s3", endpoint_url=endpoint, config=LOCAL_CONFIG)
        code_hashes = assets.upload(s3, synthesized.assets)
        # By address, since the text itself may only be 51,200 bytes long.
        bucket = f"{synthesized.name}-templates"
        assets.put(s3, bucket, _TEMPLATE_KEY, json.dumps(prepared.template).encode())
        action = stack.apply(f"{endpoint}/{bucket}/{_TEMPLATE_KEY}")
        outputs = _finish(session, endpoint, stack, prepared, code_hashes)
    except (BotoCoreError, ClientError) as error:
        raise LocalEngineError(
            f"The local engine at {endpoint} refused the deploy of {synthesized.name}: {error}",
            "Put it right and deploy again; the engine's log says more.",
        ) from error
    return DeployResult(
        stack_name=synthesized.name,
        environment=environment,
        action=action,
        outputs=public_outputs(outputs),
        substitutions=prepared.substitutions,
        seconds=time.monotonic() - started,
    )


def deploy_with_cdk(endpoint: str, cloud_assembly_dir: Path, settings: Settings) -> dict[str, str]:
    """Deploy with the CDK CLI, the way a stack gets to AWS, bootstrap included.

    Much slower than :func:`deploy`; it tries the path that a deploy to AWS takes. What the CLI prints goes to
    the terminal. Returns the stack's outputs. Raises LocalEngineError if the CLI fails.
    """
    synthesized = assembly.load(cloud_assembly_dir, names.stack_name(settings.environment))
    prepared = prepare(synthesized.template)
    session = local_session()
    cloudformation = session.client("cloudformation", endpoint_url=endpoint, config=LOCAL_CONFIG)
    try:
        s3 = session.client("s3", endpoint_url=endpoint, config=LOCAL_CONFIG)
        assets.make_room_for_bootstrap(s3, cloudformation, synthesized.assets)
    except (BotoCoreError, ClientError) as error:
        raise LocalEngineError(
            f"The local engine at {endpoint} could not be readied for the CDK CLI: {error}",
            "Put it right and deploy again; the engine's log says more.",
        ) from error
    with tempfile.TemporaryDirectory(dir=settings.home, prefix="cdk-") as folder:
        adapted = Path(folder) / "cdk.out"
        shutil.copytree(cloud_assembly_dir, adapted)
        assembly.replace_template(adapted, synthesized.name, prepared.template)
        _run_cdk(endpoint, settings, "bootstrap", "--app", str(adapted))
        _run_cdk(endpoint, settings, "deploy", "--app", str(adapted), "--require-approval", "never")
    stack = Stack(cloudformation, synthesized.name)
    return public_outputs(_finish(session, endpoint, stack, prepared, {}))


def _finish(
    session: boto3.Session,
    endpoint: str,
    stack: Stack,
    prepared: Prepared,
    code_hashes: Mapping[str, str],
) -> dict[str, str]:
    """Make up what CloudFormation left out, wait until events can flow, and return the stack's outputs."""
    outputs, physical_ids = stack.outputs(), stack.physical_ids()
    complete(session, endpoint, prepared, outputs, physical_ids)
    wait_until_ready(session, endpoint, prepared.template, physical_ids, code_hashes)
    return outputs


def _run_cdk(endpoint: str, settings: Settings, *arguments: str) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    # The interpreter's folder has the Node that the CLI runs on.
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)])
    try:
        subprocess.run(  # noqa: S603 - the pinned CLI of this folder, with arguments of ours
            [settings.root / "node_modules" / ".bin" / "cdk", *arguments],
            cwd=settings.root,
            env={**inherited, **environment_variables(endpoint), "PATH": path},
            check=True,
        )
    except FileNotFoundError as error:
        raise LocalEngineError("The CDK CLI is not installed.", "`make deploy` installs it first.") from error
    except subprocess.CalledProcessError as error:
        raise LocalEngineError(
            f"The CDK CLI could not {arguments[0]} to {endpoint}; it printed the reason.",
            "Put it right and deploy again; the engine's log may say more.",
        ) from error
