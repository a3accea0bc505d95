"""Tells ``make deploy`` whether it will create the stack of a stage.

The CDK CLI turns termination protection on before it creates the first resource, and CloudFormation cannot
roll back a table with deletion protection. If such a first deploy failed, the next deploy could not update or
delete the stack. So ``make deploy`` creates a stage without protection, and adds it with a second deploy.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-protect-stacks.html
"""

import os
import sys
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from shipment_events.contract import names
from shipment_events.stages import DEFAULT_STAGE, UnknownStageError, settings_for

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

FAILED_CREATIONS: Final = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED")
"""States of a stack whose first deploy failed. CloudFormation cannot update such a stack."""
_DEPLOY_ROLE: Final = "arn:{partition}:iam::{account}:role/cdk-hnb659fds-deploy-role-{account}-{region}"
_REGION_VARIABLES: Final = ("AWS_REGION", "AMAZON_REGION", "AWS_DEFAULT_REGION", "AMAZON_DEFAULT_REGION")


class FailedStackError(Exception):
    """The stack of a failed first deploy cannot be deleted. The message says what to do."""


def cdk_region() -> str:
    """Return the region to which the CDK CLI deploys a stack that names none."""
    chosen = next((os.environ[name] for name in _REGION_VARIABLES if os.environ.get(name)), None)
    return chosen or boto3.Session().region_name or "us-east-1"


def is_first_deploy(cloudformation: "CloudFormationClient", stack_name: str) -> bool:
    """Return whether the next deploy creates the stack.

    This deletes the stack of a first deploy that failed, even if it is protected. Its table and queues stay
    if CloudFormation could not roll them back.

    Raises:
        FailedStackError: that stack cannot be deleted.
        ClientError: the stack cannot be read.
    """
    try:
        (stack,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return True
        raise
    status = stack["StackStatus"]
    if status in FAILED_CREATIONS:
        if stack.get("EnableTerminationProtection"):
            cloudformation.update_termination_protection(
                StackName=stack_name, EnableTerminationProtection=False
            )
        _delete(cloudformation, stack_name)
        return True
    # In REVIEW_IN_PROGRESS, a change set was created but not executed, so the stack has no resource yet.
    return status in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE")


def _delete(cloudformation: "CloudFormationClient", stack_name: str) -> None:
    cloudformation.delete_stack(StackName=stack_name)
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack_name)
    except WaiterError as error:
        raise FailedStackError(
            f"the stack {stack_name} of a failed first deploy cannot be deleted: {error}\n"
            "Read its events, then run: aws cloudformation delete-stack"
            f" --stack-name {stack_name} --deletion-mode FORCE_DELETE_STACK"
        ) from error


def _cloudformation() -> "CloudFormationClient":
    """Return a client for the region and role of the CDK CLI: the bootstrap's role, if it can be assumed."""
    region = cdk_region()
    session = boto3.Session(region_name=region)
    sts = session.client("sts")
    caller = sts.get_caller_identity()
    role = _DEPLOY_ROLE.format(
        partition=caller["Arn"].split(":")[1], account=caller["Account"], region=region
    )
    try:
        assumed = sts.assume_role(RoleArn=role, RoleSessionName="first-deploy")["Credentials"]
    except ClientError:
        # The bootstrap has another qualifier, or the caller may not assume its role. The caller's own
        # credentials may be enough.
        return session.client("cloudformation")
    return session.client(
        "cloudformation",
        aws_access_key_id=assumed["AccessKeyId"],
        aws_secret_access_key=assumed["SecretAccessKey"],
        aws_session_token=assumed["SessionToken"],
    )


def main() -> None:
    """Print ``first`` if the next deploy creates a stack that needs protection, else nothing."""
    try:
        stage = settings_for(os.environ.get("ENV", DEFAULT_STAGE))
        is_first = is_first_deploy(_cloudformation(), names.stack_name(stage.environment))
        if is_first and stage.deletion_protection:
            sys.stdout.write("first\n")
    except (BotoCoreError, ClientError, FailedStackError, UnknownStageError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
