"""The alarms that every function has that follows the stream of the table of events."""

from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch

from infrastructure.alarm_spec import AlarmSpec, Urgency
from infrastructure.metrics import MetricsByPeriod
from shipment_events.stage_limits import SECONDS_PER_DAY, SECONDS_PER_HOUR
from shipment_events.stages import StageSettings


@dataclass(frozen=True, kw_only=True)
class StreamAlarms:
    """Makes rows of the alarm table for one function; the caller says what each alarm means for it.

    What is so of every stream or queue stands here, and follows the caller's words.
    """

    settings: StageSettings
    called: str
    """Short name of the function, as in :class:`~infrastructure.bundled_function.BundledFunction`."""
    function_name: str
    failures_name: str
    """Name of the queue of its failures."""

    def failures(self, name: str, *, threshold: int, meaning: str, look_at: str) -> AlarmSpec:
        """Alarm on what Lambda or the function gave up on."""
        return AlarmSpec(
            name=name,
            urgency=Urgency.PAGE,
            metric=MetricsByPeriod(self.settings).minutes.failures_queue(
                self.failures_name, "ApproximateNumberOfMessagesVisible", "Maximum"
            ),
            threshold=threshold,
            meaning=meaning,
            look_at=look_at,
        )

    def failures_old(self, name: str, *, days: int, retention_days: int, look_at: str) -> AlarmSpec:
        """Alarm on failures that nobody dealt with for ``days``."""
        return AlarmSpec(
            name=name,
            urgency=Urgency.PAGE,
            metric=MetricsByPeriod(self.settings).hours.failures_there(
                self.failures_name, f"Failures of the {self.called}"
            ),
            threshold=1,
            periods=days * SECONDS_PER_DAY // SECONDS_PER_HOUR,
            tells_end=False,
            meaning=f"The queue of the {self.called}'s failures was not empty for {days} days. SQS deletes a "
            f"failure after {retention_days} days.",
            look_at=look_at,
        )

    def lag(self, name: str, *, seconds: int, periods: int, meaning: str, look_at: str) -> AlarmSpec:
        """Alarm on records that are ``seconds`` old for some ``periods``."""
        return AlarmSpec(
            name=name,
            urgency=Urgency.WARNING,
            metric=self._age,
            threshold=seconds * 1000,
            periods=periods,
            meaning=f"{meaning} Nothing is lost.",
            look_at=look_at,
        )

    def long_lag(
        self, name: str, *, seconds: int, max_age_hours: int, meaning: str, look_at: str
    ) -> AlarmSpec:
        """Alarm on records that are ``seconds`` old, long before Lambda gives up on them."""
        return AlarmSpec(
            name=name,
            urgency=Urgency.PAGE,
            metric=self._age,
            threshold=seconds * 1000,
            meaning=f"{meaning} Lambda gives up on records after {max_age_hours} hours.",
            look_at=look_at,
        )

    def stopped(self, name: str, *, done: str, periods: int, meaning: str, look_at: str) -> AlarmSpec:
        """Alarm on stored events of which the function's own metric ``done`` counts none."""
        return AlarmSpec(
            name=name,
            urgency=Urgency.PAGE,
            # Without an invocation, there is no age. The bad windows have to be consecutive: single ones come
            # of events that are stored at a window's end and done in the next.
            metric=MetricsByPeriod(self.settings).windows.stored_and_none_since(done),
            threshold=1,
            periods=periods,
            # The alarm forgets an event that is older than the windows that CloudWatch reads.
            tells_end=False,
            meaning=f"{meaning} The stream deletes a record after a day.",
            look_at=look_at,
        )

    @property
    def _age(self) -> cloudwatch.Metric:
        # Lambda measures the age at each invocation, also if the invocation fails. A function's own measure
        # lacks the batches that it could not do.
        # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
        return MetricsByPeriod(self.settings).windows.function(self.function_name, "IteratorAge", "Maximum")
