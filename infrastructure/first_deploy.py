"""Whether a deploy will make the stack of a stage anew: ``make deploy`` asks this first.

The CDK CLI turns termination protection on before the first resource is made, and a table with deletion
protection cannot be rolled back. A first deploy that fails would leave a stack that the next one can neither
update nor delete. So ``make deploy`` makes a stage without either protection, and adds both once it stands.
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
"""States of a stack whose first deploy failed; such a stack cannot be updated."""
_DEPLOY_ROLE: Final = "arn:{partition}:iam::{account}:role/cdk-hnb659fds-deploy-role-{account}-{region}"
_REGION_VARIABLES: Final = ("AWS_REGION", "AMAZON_REGION", "AWS_DEFAULT_REGION", "AMAZON_DEFAULT_REGION")


class FailedStackError(Exception):
    """What a failed first deploy left cannot be deleted; the message says what to do."""


def is_first_deploy(cloudformation: "CloudFormationClient", stack_name: str) -> bool:
    """Return whether the next deploy creates the stack.

    The stack of a first deploy that failed is deleted, even where it is protected. Its table and queues stay,
    if they could not be rolled back.

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
    # Under review, a change set was made and never executed: there is no resource yet.
    return status in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE")


def _delete(cloudformation: "CloudFormationClient", stack_name: str) -> None:
    cloudformation.delete_stack(StackName=stack_name)
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack_name)
    except WaiterError as error:
        raise FailedStackError(
            f"{stack_name}, left by a first deploy that failed, cannot be deleted: {error}\n"
            "See its events, then: aws cloudformation delete-stack"
            f" --stack-name {stack_name} --deletion-mode FORCE_DELETE_STACK"
        ) from error


def _cloudformation() -> "CloudFormationClient":
    """As the CDK CLI does: in the same region, with the role of the bootstrap if it may be assumed."""
    chosen = next((os.environ[name] for name in _REGION_VARIABLES if os.environ.get(name)), None)
    region = chosen or boto3.Session().region_name or "us-east-1"
    session = boto3.Session(region_name=region)
    sts = session.client("sts")
    caller = sts.get_caller_identity()
    role = _DEPLOY_ROLE.format(
        partition=caller["Arn"].split(":")[1], account=caller["Account"], region=region
    )
    try:
        assumed = sts.assume_role(RoleArn=role, RoleSessionName="first-deploy")["Credentials"]
    except ClientError:
        # Bootstrapped with another qualifier, or an administrator's own credentials: they may do.
        return session.client("cloudformation")
    return session.client(
        "cloudformation",
        aws_access_key_id=assumed["AccessKeyId"],
        aws_secret_access_key=assumed["SecretAccessKey"],
        aws_session_token=assumed["SessionToken"],
    )


def main() -> None:
    """Print ``first`` if the next deploy creates a stack that is to be protected, else nothing."""
    try:
        stage = settings_for(os.environ.get("ENV", DEFAULT_STAGE))
        is_first = is_first_deploy(_cloudformation(), names.stack_name(stage.environment))
        if is_first and stage.deletion_protection:
            sys.stdout.write("first\n")
    except (BotoCoreError, ClientError, FailedStackError, UnknownStageError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
