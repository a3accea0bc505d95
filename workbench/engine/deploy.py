"""Deploys a synthesized stack to the local engine."""

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
from workbench.engine.settings import Settings, repository_root
from workbench.engine.stack import Action, Stack
from workbench.engine.template import Prepared, Substitution, prepare, public_outputs

_TEMPLATE_KEY: Final = "template.json"


@dataclass(frozen=True, kw_only=True)
class DeployResult:
    """A deployed stack that is ready to take events.

    ``seconds`` is the time of the deploy. ``substitutions`` are the resources that the engine cannot create
    as the template says.
    """

    stack_name: str
    environment: str
    action: Action
    outputs: dict[str, str]
    substitutions: tuple[Substitution, ...]
    seconds: float


def deploy(
    endpoint: str, cloud_assembly_dir: Path, environment: str, *, source: Path | None = None
) -> DeployResult:
    """Create or update the environment's stack on the engine and wait until it is ready.

    The functions run the current code of ``source``, even if the assembly is older. The default is the folder
    of the repository that their bundles are copied from. Raises LocalEngineError if the assembly does not
    have the stack, the engine does not answer, the engine cannot create a resource (the message has the
    reason, and existing resources stay), or the stack does not become ready.
    """
    started = time.monotonic()
    synthesized = assembly.load(cloud_assembly_dir, names.stack_name(environment))
    prepared = prepare(synthesized.template, endpoint)
    session = local_session()
    stack = Stack(
        session.client("cloudformation", endpoint_url=endpoint, config=LOCAL_CONFIG), synthesized.name
    )
    try:
        s3 = session.client("s3", endpoint_url=endpoint, config=LOCAL_CONFIG)
        uploaded = assets.upload(s3, synthesized.assets, source or repository_root() / assets.CODE_FOLDER)
        # By URL, because a template in the request may only be 51,200 bytes long.
        bucket = f"{synthesized.name}-templates"
        assets.put(s3, bucket, _TEMPLATE_KEY, json.dumps(prepared.template).encode())
        action = stack.apply(f"{endpoint}/{bucket}/{_TEMPLATE_KEY}")
        if _update_code(session, endpoint, stack, prepared, uploaded) and action == "unchanged":
            action = "updated"
        outputs = _finish(session, endpoint, stack, prepared, uploaded)
    except (BotoCoreError, ClientError) as error:
        raise LocalEngineError(
            f"The local engine at {endpoint} refused the deploy of {synthesized.name}: {error}",
            "Correct it and deploy again. The engine's log has details.",
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
    """Deploy with the CDK CLI as to AWS, bootstrap included.

    This is much slower than :func:`deploy`, and tests the path of a deploy to AWS. The CLI deploys the code
    in the assembly, so the assembly must have the current code. The CLI prints to the terminal. Returns the
    stack's outputs. Raises LocalEngineError if the CLI fails.
    """
    synthesized = assembly.load(cloud_assembly_dir, names.stack_name(settings.environment))
    prepared = prepare(synthesized.template, endpoint)
    session = local_session()
    cloudformation = session.client("cloudformation", endpoint_url=endpoint, config=LOCAL_CONFIG)
    try:
        s3 = session.client("s3", endpoint_url=endpoint, config=LOCAL_CONFIG)
        assets.make_room_for_bootstrap(s3, cloudformation, synthesized.assets)
    except (BotoCoreError, ClientError) as error:
        raise LocalEngineError(
            f"The local engine at {endpoint} could not be prepared for the CDK CLI: {error}",
            "Correct it and deploy again. The engine's log has details.",
        ) from error
    with tempfile.TemporaryDirectory(dir=settings.home, prefix="cdk-") as folder:
        adapted = Path(folder) / "cdk.out"
        shutil.copytree(cloud_assembly_dir, adapted)
        assembly.replace_template(adapted, synthesized.name, prepared.template)
        _run_cdk(endpoint, settings, "bootstrap", "--app", str(adapted))
        _run_cdk(endpoint, settings, "deploy", "--app", str(adapted), "--require-approval", "never")
    stack = Stack(cloudformation, synthesized.name)
    return public_outputs(_finish(session, endpoint, stack, prepared, {}))


def _update_code(
    session: boto3.Session,
    endpoint: str,
    stack: Stack,
    prepared: Prepared,
    uploaded: Mapping[str, assets.Uploaded],
) -> bool:
    """Update the code of each function that does not run the uploaded code; True if there was one.

    CloudFormation updates code only if its S3 key changed, and an existing assembly has the old key.
    """
    functions = session.client("lambda", endpoint_url=endpoint, config=LOCAL_CONFIG)
    physical_ids, updated = stack.physical_ids(), False
    for logical_id, resource in prepared.template["Resources"].items():
        if resource["Type"] != "AWS::Lambda::Function":
            continue
        name, key = physical_ids[logical_id], resource["Properties"]["Code"].get("S3Key", "")
        code = uploaded.get(key)
        if code and functions.get_function_configuration(FunctionName=name)["CodeSha256"] != code.sha256:
            functions.update_function_code(FunctionName=name, S3Bucket=code.bucket, S3Key=key)
            updated = True
    return updated


def _finish(
    session: boto3.Session,
    endpoint: str,
    stack: Stack,
    prepared: Prepared,
    uploaded: Mapping[str, assets.Uploaded],
) -> dict[str, str]:
    """Create what CloudFormation left out, wait until the stack is ready, and return its outputs."""
    outputs, physical_ids = stack.outputs(), stack.physical_ids()
    complete(session, endpoint, prepared, outputs, physical_ids)
    hashes = {key: asset.sha256 for key, asset in uploaded.items()}
    wait_until_ready(session, endpoint, prepared.template, physical_ids, hashes)
    return outputs


def _run_cdk(endpoint: str, settings: Settings, *arguments: str) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    # The CLI runs on the Node in the interpreter's folder.
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
            "Correct it and deploy again. The engine's log may have details.",
        ) from error
