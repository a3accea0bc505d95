"""The dashboard: what it shows, in which order."""

from shipment_events.contract.outcome import Outcome
from tests.infrastructure.template import Template
from tests.infrastructure.watched import dashboard, dashboard_metrics


def test_graph_of_outcomes_has_no_holes(template: Template) -> None:
    (graph,) = [
        widget["properties"]
        for widget in dashboard(template)["widgets"]
        if widget["properties"].get("title") == "Outcomes"
    ]
    shown = [metric[0] for metric in graph["metrics"] if isinstance(metric[0], dict)]
    assert [each["label"] for each in shown] == [outcome.metric for outcome in Outcome]
    assert all(each["expression"].startswith("FILL(") for each in shown)


def test_dashboard_shows_every_part(template: Template) -> None:
    shown = {
        (namespace, dimensions.get("QueueName"), name)
        for namespace, name, dimensions in dashboard_metrics(template)
    }
    queue, dead_letters = "shipmentevents-queue-dev", "shipmentevents-dlq-dev"
    assert shown >= {
        ("AWS/SQS", queue, "ApproximateNumberOfMessagesVisible"),
        ("AWS/SQS", queue, "ApproximateAgeOfOldestMessage"),
        ("AWS/SQS", queue, "NumberOfMessagesSent"),
        ("AWS/SQS", queue, "NumberOfMessagesDeleted"),
        ("AWS/SQS", dead_letters, "ApproximateNumberOfMessagesVisible"),
        ("AWS/Lambda", None, "Invocations"),
        ("AWS/Lambda", None, "Errors"),
        ("AWS/Lambda", None, "Duration"),
        ("AWS/Lambda", None, "Throttles"),
        ("AWS/DynamoDB", None, "ConsumedWriteCapacityUnits"),
        ("AWS/DynamoDB", None, "ConsumedReadCapacityUnits"),
        ("AWS/DynamoDB", None, "WriteThrottleEvents"),
        ("AWS/DynamoDB", None, "SystemErrors"),
    }


def test_first_row_answers_the_three_questions(every_template: Template) -> None:
    widgets = dashboard(every_template)["widgets"]
    top = sorted((each for each in widgets if each["y"] == 0), key=lambda each: int(each["x"]))
    assert [each["properties"]["title"] for each in top] == [
        "Is it healthy?",
        "How far behind?",
        "What fails?",
    ]
    assert len(top[0]["properties"]["alarms"]) == len(list(every_template.of_type("AWS::CloudWatch::Alarm")))


def test_every_row_fills_the_width(template: Template) -> None:
    rows: dict[int, int] = {}
    for widget in dashboard(template)["widgets"]:
        rows[widget["y"]] = rows.get(widget["y"], 0) + widget["width"]
    assert set(rows.values()) == {24}
