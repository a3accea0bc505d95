"""One CloudFormation stack on the local engine: create it, update it, and report why that failed."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from botocore.exceptions import ClientError

from shipment_events.aws_errors import error_code
from workbench.engine.errors import LocalEngineError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

Action = Literal["created", "updated", "unchanged"]

DEPLOY_SECONDS: Final = 120.0
_NEVER_COMPLETED: Final = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")


class Stack:
    """A stack by name. It does not have to exist."""

    def __init__(self, cloudformation: "CloudFormationClient", name: str) -> None:
        self.name = name
        self._cloudformation = cloudformation

    def apply(self, template_url: str) -> Action:
        """Create or update the stack from the template, and wait until that ends.

        A stack whose first deploy failed is deleted first. Raises LocalEngineError with the resource that
        failed and its reason. A failed update does not change the stack.
        """
        self._wait_until_idle()
        existing = self._describe()
        if existing is not None and existing["StackStatus"] in _NEVER_COMPLETED:
            self._cloudformation.delete_stack(StackName=self.name)
            self._wait_until_idle()
            existing = None
        seen = (
            frozenset(event["EventId"] for event in self._events()) if existing is not None else frozenset()
        )
        if existing is None:
            self._create(template_url)
        elif not self._update(template_url):
            return "unchanged"
        self._wait_until_idle()
        self._require_success(seen)
        return "created" if existing is None else "updated"

    def outputs(self) -> dict[str, str]:
        """Values of the stack's outputs."""
        stack = self._describe()
        found = stack.get("Outputs", []) if stack is not None else []
        return {output["OutputKey"]: output["OutputValue"] for output in found}

    def physical_ids(self) -> dict[str, str]:
        """Physical ids of the stack's resources by logical id."""
        resources = self._cloudformation.describe_stack_resources(StackName=self.name)
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for resource in resources["StackResources"]
        }

    def _create(self, template_url: str) -> None:
        try:
            self._cloudformation.create_stack(
                StackName=self.name, TemplateURL=template_url, Capabilities=["CAPABILITY_NAMED_IAM"]
            )
        except ClientError as error:
            # The stack did not exist a moment ago, so an earlier request created it and its answer was lost.
            if error_code(error) != "AlreadyExistsException":
                raise

    def _update(self, template_url: str) -> bool:
        try:
            self._cloudformation.update_stack(
                StackName=self.name, TemplateURL=template_url, Capabilities=["CAPABILITY_NAMED_IAM"]
            )
        except ClientError as error:
            if "No updates are to be performed" in str(error):
                return False
            raise
        return True

    def _describe(self) -> "StackTypeDef | None":
        try:
            stacks = self._cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return stacks[0] if stacks and stacks[0]["StackStatus"] != "DELETE_COMPLETE" else None

    def _wait_until_idle(self) -> None:
        deadline = time.monotonic() + DEPLOY_SECONDS
        while (stack := self._describe()) is not None and stack["StackStatus"].endswith("_IN_PROGRESS"):
            if time.monotonic() > deadline:
                raise LocalEngineError(
                    f"{self.name} is still {stack['StackStatus']} after {DEPLOY_SECONDS:.0f} s.",
                    "`shipments local up --fresh` starts again and discards the stored data.",
                )
            time.sleep(0.05)

    def _require_success(self, seen: frozenset[str]) -> None:
        stack = self._describe()
        status = stack["StackStatus"] if stack is not None else "gone"
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return
        reasons = [
            f"{event['LogicalResourceId']} ({event['ResourceType']}): {event['ResourceStatusReason']}"
            for event in self._events()
            if event["EventId"] not in seen
            and event["ResourceStatus"].endswith("_FAILED")
            and event.get("ResourceStatusReason")
        ]
        # The newest event comes first. The oldest failure is the cause of the others.
        cause = reasons[-1] if reasons else "The engine gave no reason."
        raise LocalEngineError(
            f"The deploy of {self.name} failed ({status}). {cause}",
            "Correct it and deploy again. You do not have to clean up first.",
        )

    def _events(self) -> Iterator[Mapping[str, Any]]:
        paginator = self._cloudformation.get_paginator("describe_stack_events")
        for page in paginator.paginate(StackName=self.name):
            yield from page["StackEvents"]
