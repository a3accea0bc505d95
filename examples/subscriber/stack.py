"""A stack of a team's own: each delivery of a shipment, in a queue.

$ pip install 'shipment-events[cdk] @ git+URL'
$ npx cdk deploy --app 'python examples/subscriber/stack.py'
"""

from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions

from shipment_events.cdk import StatusSubscriber


def build(outdir: str | None = None) -> App:
    """The app, ready for ``synth()``. Without ``outdir``, the CDK CLI decides where to."""
    app = App(outdir=outdir)
    stack = Stack(app, "deliveries")
    alarms = sns.Topic(stack, "Alarms", enforce_ssl=True)
    alarms.add_subscription(subscriptions.EmailSubscription("team@example.org"))
    deliveries = StatusSubscriber(
        stack,
        "Deliveries",
        stage="dev",
        name="deliveries",
        kinds=["shipment.status_changed"],
        statuses=["delivered"],
        alarm_topic=alarms,
    )
    CfnOutput(stack, "QueueUrl", value=deliveries.queue.queue_url)
    return app


if __name__ == "__main__":
    build().synth()
