"""Alarms that come before SQS deletes what waits too long, whatever somebody reads meanwhile."""

import pytest

from tests.infrastructure.metric_math import Series, evaluate
from tests.infrastructure.template import Template
from tests.infrastructure.watched import alarm_metrics, alarm_named, watches


def test_main_queue_pages_long_before_its_events_expire(every_template: Template) -> None:
    alarm = alarm_named(every_template, "oldest-message-hours")
    queue = every_template.properties(
        "AWS::SQS::Queue", QueueName=f"shipmentevents-queue-{every_template.environment}"
    )
    assert watches(alarm) == ("ApproximateAgeOfOldestMessage", {"QueueName": queue["QueueName"]})
    assert alarm["Threshold"] == 3600
    assert alarm["Threshold"] <= queue["MessageRetentionPeriod"] / 2


def test_oldest_dead_letter_pages_days_before_it_expires(every_template: Template) -> None:
    """A letter expires by its first send time, which may be the whole retention of the queue ago.

    It is no older, in the dead-letter queue, than that queue has been in use: so the alarm is on before.
    """
    alarm = alarm_named(every_template, "dead-letters-old")
    kept = [
        every_template.properties("AWS::SQS::Queue", QueueName=f"{name}-{every_template.environment}")[
            "MessageRetentionPeriod"
        ]
        for name in ("shipmentevents-dlq", "shipmentevents-queue")
    ]
    (period,) = {each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each}
    looked_back = period * alarm["EvaluationPeriods"]
    assert alarm["EvaluationPeriods"] == alarm["DatapointsToAlarm"]
    assert looked_back <= kept[0] - kept[1] - 2 * 86_400
    # CloudWatch refuses more: 7 days, and a day where a period is shorter than an hour.
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    assert period >= 3600
    assert looked_back <= 7 * 86_400


def test_reading_dead_letters_blinds_no_alarm_on_old_ones(every_template: Template) -> None:
    """SQS leaves what was received three times out of the age, and what is being read out of the visible.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    """
    for name in ("dead-letters-old", "dead-letters-daily"):
        alarm = alarm_named(every_template, name)
        watched = {metric: dimensions for _, metric, dimensions in alarm_metrics(alarm)}
        dead_letters = {"QueueName": f"shipmentevents-dlq-{every_template.environment}"}
        assert watched == {
            "ApproximateNumberOfMessagesVisible": dead_letters,
            "ApproximateNumberOfMessagesNotVisible": dead_letters,
        }
        (expression,) = (each["Expression"] for each in alarm["Metrics"] if "Expression" in each)
        assert "waiting + in_work" in expression
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert _values(every_template, "dead-letters-old", waiting=[0, 3, 0, 0], in_work=[None, None, 3, 0]) == [
        0, 3, 3, 0,
    ]  # fmt: skip


def test_dead_letters_that_wait_are_told_once_a_day(every_template: Template) -> None:
    """An alarm notifies when it changes: one that stays on says nothing of letters that came later."""
    hours = _values(every_template, "dead-letters-daily", waiting=[2] * 48, in_work=[None] * 48)
    assert [hour for hour, value in enumerate(hours) if value] == [8, 32]
    assert not any(_values(every_template, "dead-letters-daily", waiting=[0] * 48, in_work=[0] * 48))


def test_new_dead_letters_are_told_while_old_ones_wait(every_template: Template) -> None:
    alarm = alarm_named(every_template, "dead-letters-new")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert alarm["DatapointsToAlarm"] == 1
    # Of the first letter the alarm dead-letters tells; the queue has no metrics while it is asleep.
    waiting: Series = [None, 0, 5, 5, 7, 7, 3, 3, 3, 4, 4]
    asleep: Series = [None] * len(waiting)
    assert _new_letters(every_template, waiting, asleep) == {5: 2, 10: 1}


@pytest.mark.parametrize(
    ("waiting", "in_work"),
    [
        pytest.param([5, 5, 5, 8, 8], [0, 0, 5, 0, 0], id="put back"),
        pytest.param([5, 0, 3, 3, 8], [0, 5, 5, 5, 0], id="while in work"),
        pytest.param([5, 0, 0, 0, 3], [0, 5, 8, 8, 5], id="read as well"),
    ],
)
def test_new_dead_letters_are_told_while_somebody_reads_old_ones(
    every_template: Template, waiting: Series, in_work: Series
) -> None:
    assert set(_new_letters(every_template, waiting, in_work).values()) == {3}


@pytest.mark.parametrize(
    ("waiting", "in_work"),
    [
        pytest.param([5, 5, 0, 5, 5], [None, 5, 5, 5, None], id="counted twice for a minute"),
        pytest.param([5, 5, 3, 0, 0, 5, 5], [0, 0, 2, 5, 5, 0, 0], id="a few at a time"),
        pytest.param([9, 9, 4, 4, 4, 9, 9], [0, 0, 2, 5, 5, 0, 0], id="not counted for a minute"),
        pytest.param([5, 5, 0, 0, 0, 0], [0, 0, 5, 5, 0, 0], id="taken away"),
    ],
)
def test_dead_letters_that_come_back_from_a_reader_are_not_new(
    every_template: Template, waiting: Series, in_work: Series
) -> None:
    # The alarm may look at the series from any point on.
    for begin in range(len(waiting)):
        assert not _new_letters(every_template, waiting[begin:], in_work[begin:])


def test_the_counts_of_new_dead_letters_are_of_one_moment(every_template: Template) -> None:
    """SQS reports a value a minute. Of a longer period, the two maxima would be of different minutes."""
    alarm = alarm_named(every_template, "dead-letters-new")
    assert {each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each} == {60}
    assert alarm["EvaluationPeriods"] == 60


def _new_letters(template: Template, waiting: Series, in_work: Series) -> dict[int, float]:
    """The numbers of new letters, by the index of the period."""
    found = _values(template, "dead-letters-new", waiting=waiting, in_work=in_work)
    return {index: value for index, value in enumerate(found) if value is not None and value >= 1}


def _values(template: Template, alarm: str, **metrics: Series) -> Series:
    """Values of the alarm's expression for values of its metrics."""
    (expression,) = (
        each["Expression"] for each in alarm_named(template, alarm)["Metrics"] if "Expression" in each
    )
    return evaluate(expression, metrics)
