"""The alarms that every function has, with the same metrics and thresholds."""

from dataclasses import dataclass

from infrastructure.alarm_spec import AlarmSpec, Urgency
from infrastructure.metrics import MetricsByPeriod, PipelineMetrics
from shipment_events.stages import StageSettings


@dataclass(frozen=True)
class FunctionAlarms:
    """Makes rows of the alarm table for one function; the caller says what each alarm means for it."""

    settings: StageSettings
    function_name: str
    timeout_seconds: int

    @property
    def _metrics(self) -> PipelineMetrics:
        return MetricsByPeriod(self.settings).windows

    def error_rate(self, name: str, *, meaning: str, look_at: str) -> AlarmSpec:
        """Alarm on the share of invocations that crash or time out."""
        return AlarmSpec(
            name=name,
            urgency=Urgency.PAGE,
            metric=self._metrics.error_rate(self.function_name),
            threshold=self.settings.error_rate_threshold_percent,
            above=True,
            meaning=meaning,
            look_at=look_at,
        )

    def throttles(self, name: str, *, meaning: str) -> AlarmSpec:
        """Alarm on invocations for which the account has no concurrency left."""
        return AlarmSpec(
            name=name,
            urgency=Urgency.WARNING,
            metric=self._metrics.function(self.function_name, "Throttles", "Sum"),
            threshold=self.settings.throttles_threshold,
            meaning=meaning,
            look_at="which function uses the concurrency, and the account's quota.",
        )

    def slow(self, name: str, *, meaning: str, look_at: str) -> AlarmSpec:
        """Alarm on an invocation that takes nearly the whole timeout."""
        return AlarmSpec(
            name=name,
            urgency=Urgency.WARNING,
            metric=self._metrics.function(self.function_name, "Duration", "Maximum"),
            threshold=self.timeout_seconds * 1000 * self.settings.duration_threshold_percent / 100,
            meaning=meaning,
            look_at=look_at,
        )
