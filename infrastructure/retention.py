"""What becomes of table and queues when they leave the stack."""

from aws_cdk import RemovalPolicy

from shipment_events.stages import StageSettings


def removal_policy(settings: StageSettings) -> RemovalPolicy:
    """Return the policy of everything that holds events: it stays, or the settings say that it may go.

    The rollback of the very operation that made it deletes it all the same: it is empty then, and its name
    would be in the way of the next try.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
    """
    if settings.retain_data:
        return RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
    return RemovalPolicy.DESTROY
