"""Put a synthesized stack on the local engine, or bring it up to date there."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events import names
from shipment_events.local import assembly, assets, gaps
from shipment_events.local.clients import LOCAL_CONFIG, local_session
from shipment_events.local.completion import complete
from shipment_events.local.errors import LocalEngineError
from shipment_events.local.readiness import wait_until_ready
from shipment_events.local.stack import Action, Stack

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
    substitutions: tuple[gaps.Substitution, ...]
    seconds: float


def deploy(endpoint: str, cloud_assembly_dir: Path, environment: str) -> DeployResult:
    """Create or update the environment's stack on the engine and wait until it is ready.

    Raises LocalEngineError if the folder holds no such stack, the engine does not answer, a resource cannot
    be created (named with its reason; what was there before stays), or the stack does not get ready.
    """
    started = time.monotonic()
    synthesized = assembly.load(cloud_assembly_dir, names.stack_name(environment))
    prepared = gaps.prepare(synthesized.template)
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
        outputs, physical_ids = stack.outputs(), stack.physical_ids()
        complete(session, endpoint, prepared, outputs, physical_ids)
        wait_until_ready(session, endpoint, prepared.template, physical_ids, code_hashes)
    except (BotoCoreError, ClientError) as error:
        raise LocalEngineError(
            f"The local engine at {endpoint} refused the deploy of {synthesized.name}: {error}",
            "Put it right and deploy again; the engine's log says more.",
        ) from error
    return DeployResult(
        stack_name=synthesized.name,
        environment=environment,
        action=action,
        outputs=gaps.public_outputs(outputs),
        substitutions=prepared.substitutions,
        seconds=time.monotonic() - started,
    )
