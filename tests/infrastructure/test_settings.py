"""Numbers of a stage, and which stages there are."""

import importlib
import sys
from dataclasses import FrozenInstanceError, replace

import pytest

from infrastructure.bundled_function import LOG_RETENTION
from infrastructure.rollout import _CANARIES
from shipment_events.processor.retries import RetryPolicy
from shipment_events.stage_limits import (
    CANARY_MINUTES,
    LAMBDA_MAX_TIMEOUT_SECONDS,
    LOG_RETENTION_DAYS,
    MAX_VISIBILITY_MULTIPLE,
    MIN_API_TIMEOUT_SECONDS,
    MIN_PROCESSOR_TIMEOUT_SECONDS,
    MIN_TRACKER_TIMEOUT_SECONDS,
    MIN_WATCHER_TIMEOUT_SECONDS,
    SQS_MAX_VISIBILITY_SECONDS,
)
from shipment_events.stage_options import JwtIssuer, ProvisionedPollers
from shipment_events.stages import STAGES, UnknownStageError, settings_for
from shipment_events.tracking.tracker import Patience
from shipment_events.tracking.watcher import RESERVE
from tests.api.test_reads import MODULE as API_MODULE
from tests.api.test_reads import SETTINGS
from tests.processor.test_handler import AWS
from tests.processor.test_handler import import_handler as import_processor


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_each_stage_has_settings(name: str) -> None:
    assert settings_for(name).environment == name


@pytest.mark.parametrize("name", ["", "qa", "Dev", "dev ", "prod;rm", "../prod"])
def test_unknown_or_ill_formed_stage_is_refused_with_the_list(name: str) -> None:
    with pytest.raises(UnknownStageError) as refusal:
        settings_for(name)
    assert str(refusal.value) == f"{name!r} is not a stage; allowed: dev, staging, prod"


def test_only_dev_can_be_thrown_away() -> None:
    assert {name for name, stage in STAGES.items() if not stage.deletion_protection} == {"dev"}
    assert all(stage.retain_data for stage in STAGES.values())


def test_visibility_follows_the_timeout() -> None:
    settings = settings_for("dev")
    assert settings.visibility_timeout_seconds == 360
    assert replace(settings, processor_timeout_seconds=100).visibility_timeout_seconds == 600


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        settings_for("dev").batch_size = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("visibility_timeout_multiple", 5),
        ("visibility_timeout_multiple", 8),
        ("processor_timeout_seconds", 0),
        ("processor_timeout_seconds", 19),
        ("processor_timeout_seconds", 901),
        ("queue_max_receives", 2),
        ("queue_max_receives", 481),
        ("queue_retention_days", 15),
        ("dead_letter_retention_days", 6),
        ("dead_letter_age_threshold_days", 0),
        ("dead_letter_age_threshold_days", 8),
        ("dead_letter_reminder_hour", 24),
        ("queue_age_page_seconds", 299),
        ("queue_age_page_seconds", 2 * 86_400 + 1),
        ("dead_letter_retention_days", 15),
        ("queue_long_poll_seconds", 21),
        ("delivery_retry_attempts", 186),
        ("delivery_max_age_hours", 25),
        ("batch_size", 11),
        ("event_retention_days", 0),
        ("batching_window_seconds", -1),
        ("batching_window_seconds", 6),
        ("log_retention_days", 31),
        ("canary_minutes", 5),
        ("canary_minutes", 20),
        ("processor_max_concurrency", 1),
        ("status_index_shards", 1),
        ("status_index_shards", 1_001),
        ("warm_write_units", 3_999),
        ("expected_event_hours", 0),
        ("expected_event_hours", 25),
        ("tracker_timeout_seconds", 39),
        ("tracker_timeout_seconds", 901),
        ("watcher_minutes", 4),
        ("watcher_timeout_seconds", 19),
        ("watcher_timeout_seconds", 901),
        ("api_timeout_seconds", 10),
        ("api_timeout_seconds", 30),
        ("api_requests_per_second", 0),
        ("api_burst", 5_001),
    ],
)
def test_what_a_service_would_refuse_is_refused_here(field: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{field} is {value}, allowed is"):
        replace(settings_for("dev"), **{field: value})  # type: ignore[arg-type]


def test_a_refusal_names_the_setting_that_is_wrong() -> None:
    """Not the next one, whose limit follows from it."""
    with pytest.raises(ValueError, match=r"event_retention_days is 0, allowed is 1 to …"):
        replace(settings_for("dev"), event_retention_days=0)
    with pytest.raises(ValueError, match="processor_timeout_seconds is 0, allowed is 20 to 900"):
        replace(settings_for("dev"), processor_timeout_seconds=0)


def test_each_allowed_choice_has_its_value_in_cdk() -> None:
    """What is allowed and not here would end a synthesis with a KeyError; the rest could not be chosen."""
    assert set(LOG_RETENTION_DAYS) == LOG_RETENTION.keys()
    assert set(CANARY_MINUTES) == _CANARIES.keys()


def test_the_processor_can_retry_within_an_invocation() -> None:
    """At the highest multiple, the whole budget of retries fits into the timeout."""

    def share(multiple: int) -> float:
        policy = RetryPolicy.within(multiple * 60)
        return (policy.budget + policy.reserve) / 60

    assert share(MAX_VISIBILITY_MULTIPLE) <= 1 < share(MAX_VISIBILITY_MULTIPLE + 1)
    assert MAX_VISIBILITY_MULTIPLE * LAMBDA_MAX_TIMEOUT_SECONDS <= SQS_MAX_VISIBILITY_SECONDS


def test_shortest_timeout_of_the_processor_leaves_a_response_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shortest = replace(settings_for("dev"), processor_timeout_seconds=MIN_PROCESSOR_TIMEOUT_SECONDS)
    visibility = str(shortest.visibility_timeout_seconds)
    processor = import_processor(monkeypatch, VISIBILITY_TIMEOUT_SECONDS=visibility)._PROCESSOR
    assert processor.table._client.meta.config.read_timeout == 1


def test_shortest_timeout_of_the_tracker_has_room_for_all_its_patience() -> None:
    patience = Patience()
    assert patience.budget + patience.reserve + patience.reading == MIN_TRACKER_TIMEOUT_SECONDS


def test_shortest_timeout_of_the_watcher_has_room_for_two_requests() -> None:
    assert MIN_WATCHER_TIMEOUT_SECONDS == 2 * RESERVE


def test_shortest_timeout_of_the_api_has_room_for_two_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each at its longest; botocore grants the greeting of TLS as much time again as the connection."""
    for name, value in (SETTINGS | AWS).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, API_MODULE, raising=False)
    module = importlib.import_module(API_MODULE)
    attempts = 2 * (2 * module.CONNECT_TIMEOUT + module.READ_TIMEOUT)
    assert attempts < MIN_API_TIMEOUT_SECONDS == attempts + 1


def test_alarm_on_old_dead_letters_leaves_days_to_act() -> None:
    """Of a letter that waited in the queue until it nearly expired there, two days are left at least."""
    with pytest.raises(ValueError, match="dead_letter_age_threshold_days is 5, allowed is 1 to 4"):
        replace(settings_for("dev"), dead_letter_retention_days=10)


def test_batching_window_is_of_whole_seconds() -> None:
    """Lambda takes no others."""
    with pytest.raises(
        ValueError, match=r"batching_window_seconds is 0\.5, allowed is 0 to 5, whole numbers"
    ):
        replace(settings_for("dev"), batching_window_seconds=0.5)  # type: ignore[arg-type]


ISSUER = {"issuer": "https://login.example.org/tenant", "audience": "shipments", "scope": "shipments/read"}


def test_an_issuer_of_tokens_needs_audience_and_scope() -> None:
    assert replace(settings_for("prod"), api_jwt=JwtIssuer(**ISSUER)).api_jwt == JwtIssuer(**ISSUER)
    for field in ISSUER:
        with pytest.raises(TypeError, match=field):
            JwtIssuer(**{name: text for name, text in ISSUER.items() if name != field})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("issuer", "http://login.example.org"),
        ("issuer", "login.example.org"),
        ("issuer", "https:///tenant"),
        ("issuer", ""),
        ("audience", ""),
        ("audience", "two words"),
        ("scope", ""),
        ("scope", "read write"),
    ],
)
def test_a_half_configured_issuer_is_refused(field: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{field} of api_jwt is '{value}', expected"):
        JwtIssuer(**{**ISSUER, field: value})


@pytest.mark.parametrize(("minimum", "maximum"), [(1, 10), (201, 300), (10, 9), (2, 10_001)])
def test_pollers_that_lambda_would_refuse_are_refused_here(minimum: int, maximum: int) -> None:
    with pytest.raises(ValueError, match=f"provisioned_pollers is {minimum} to {maximum}, allowed is"):
        ProvisionedPollers(minimum=minimum, maximum=maximum)


def test_pollers_go_as_far_as_lambda_goes() -> None:
    assert ProvisionedPollers(minimum=200, maximum=10_000).maximum == 10_000


def test_pollers_bound_the_batches_in_their_stead() -> None:
    settings = settings_for("dev")
    assert settings.most_concurrent_batches == 10
    pollers = ProvisionedPollers(minimum=2, maximum=30)
    assert replace(settings, provisioned_pollers=pollers).most_concurrent_batches == 300


def test_only_dev_takes_a_new_version_at_once() -> None:
    assert {name: stage.canary_minutes for name, stage in STAGES.items()} == {
        "dev": None,
        "staging": 10,
        "prod": 10,
    }


def test_every_stage_stores_at_once() -> None:
    """The promise is less than a second, and a batching window is at least one."""
    assert {stage.batching_window_seconds for stage in STAGES.values()} == {0}


def test_options_for_higher_loads_are_off() -> None:
    for stage in STAGES.values():
        assert stage.provisioned_pollers is None
        assert stage.status_index_shards is None
        assert stage.warm_write_units is None


@pytest.mark.parametrize("address", ["", "nobody", "@", "@example.org", "someone@"])
def test_alarm_email_has_to_be_an_address(address: str) -> None:
    with pytest.raises(ValueError, match="not an e-mail address"):
        replace(settings_for("dev"), alarm_emails=("oncall@example.org", address))


def test_an_address_is_subscribed_once() -> None:
    with pytest.raises(ValueError, match="alarm_emails has an address twice"):
        replace(settings_for("dev"), alarm_emails=("a@example.org", "a@example.org"))


def test_only_dev_says_that_nobody_has_to_hear_its_alarms() -> None:
    assert {name for name, stage in STAGES.items() if stage.alarms_without_receivers} == {"dev"}
    assert not any(stage.has_receivers for stage in STAGES.values())
