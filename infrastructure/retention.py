"""The removal policy of table and queues."""

from aws_cdk import RemovalPolicy

from shipment_events.stages import StageSettings


def removal_policy(settings: StageSettings) -> RemovalPolicy:
    """Return the removal policy of resources that hold events: retained, unless ``retain_data`` is off.

    If CloudFormation rolls back the operation that created a resource, it deletes the resource anyway. It is
    empty then, and its name would make the next deploy fail.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
    """
    if settings.retain_data:
        return RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
    return RemovalPolicy.DESTROY
