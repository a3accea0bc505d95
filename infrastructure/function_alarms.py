"""The alarms that each function has: the same metrics and thresholds, by the name of the function."""

from dataclasses import dataclass

from infrastructure.alarm_spec import AlarmSpec, Urgency
from infrastructure.metrics import PipelineMetrics
from shipment_events.stages import StageSettings


@dataclass(frozen=True)
class FunctionAlarms:
    """A row of the alarm table names one of them, and says what it means for this function."""

    settings: StageSettings
    function_name: str
    timeout_seconds: int

    @property
    def _metrics(self) -> PipelineMetrics:
        return PipelineMetrics(
            self.settings.environment, period_seconds=self.settings.alarm_rate_period_seconds
        )

    def error_rate(self, name: str, *, meaning: str, look_at: str) -> AlarmSpec:
        """The share of invocations that crash or time out."""
        return AlarmSpec(
            name=name,
            urgency=Urgency.PAGE,
            metric=self._metrics.error_rate(self.function_name),
            threshold=self.settings.error_rate_threshold_percent,
            above=True,
            meaning=meaning,
            look_at=look_at,
        )

    def throttles(self, name: str, *, meaning: str, look_at: str) -> AlarmSpec:
        """Invocations for which the account has no concurrency left."""
        return AlarmSpec(
            name=name,
            urgency=Urgency.WARNING,
            metric=self._metrics.function(self.function_name, "Throttles", "Sum"),
            threshold=self.settings.throttles_threshold,
            meaning=meaning,
            look_at=look_at,
        )

    def slow(self, name: str, *, meaning: str, look_at: str) -> AlarmSpec:
        """An invocation that takes nearly the whole timeout."""
        return AlarmSpec(
            name=name,
            urgency=Urgency.WARNING,
            metric=self._metrics.function(self.function_name, "Duration", "Maximum"),
            threshold=self.timeout_seconds * 1000 * self.settings.duration_threshold_percent / 100,
            meaning=meaning,
            look_at=look_at,
        )
