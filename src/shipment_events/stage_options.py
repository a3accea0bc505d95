"""Settings of a stage that belong together, each as an object that refuses what the service would refuse."""

import re
from dataclasses import dataclass

from shipment_events.stage_limits import InvalidSettingError


@dataclass(frozen=True, kw_only=True)
class ProvisionedPollers:
    """Provisioned pollers of the event source (counts). They are paid by the hour.

    Each makes up to 10 polls and reads up to 1 MB per second, and has up to 10 batches in work. They scale
    three times as fast as other pollers, and allow more than 1,250 concurrent batches.
    """

    minimum: int
    """Pollers that always run (2 to 200)."""
    maximum: int
    """Maximum number of pollers (2 to 10,000): https://docs.aws.amazon.com/lambda/latest/api/API_ProvisionedPollerConfig.html"""

    def __post_init__(self) -> None:
        """Refuse what Lambda would refuse."""
        if not (2 <= self.minimum <= 200 and self.minimum <= self.maximum <= 10_000):
            raise InvalidSettingError(
                f"provisioned_pollers is {self.minimum} to {self.maximum}, allowed is"
                " a minimum of 2 to 200 and a maximum from there to 10,000"
            )


@dataclass(frozen=True, kw_only=True)
class SlackChannel:
    """A Slack channel by its ids. The URLs of the workspace and the channel end with them."""

    workspace_id: str
    """Begins with ``T``. The account must be connected to this workspace."""
    channel_id: str
    """Begins with ``C``, or with ``G`` for an older private channel."""

    def __post_init__(self) -> None:
        """Refuse a value that is not such an id."""
        for field, value, initials in (
            ("slack_workspace", self.workspace_id, "TE"),
            ("slack_channel", self.channel_id, "CG"),
        ):
            if not re.fullmatch(rf"[{initials}][A-Z0-9]{{6,}}", value):
                raise InvalidSettingError(
                    f"{field} is {value!r}, expected a Slack id: {initials[0]}, then capitals and digits"
                )


@dataclass(frozen=True, kw_only=True)
class JwtIssuer:
    """An issuer of tokens (JWT) for the API. A token needs the audience and the scope.

    Without an audience, the API would accept tokens that were issued for any other service. Without a scope,
    it would accept the token of every user of the issuer.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
    """

    issuer: str
    """Its URL, as in claim ``iss``. API Gateway reads the keys from ``/.well-known/openid-configuration``."""
    audience: str
    """Value of claim ``aud``, or of ``client_id`` in a token without ``aud``."""
    scope: str
    """One of the words in claim ``scope`` or ``scp``."""

    def __post_init__(self) -> None:
        """Refuse an issuer that is half configured."""
        for field, value, form, expected in (
            ("issuer", self.issuer, r"https://[^\s/?#]+[^\s?#]*", "a URL with https"),
            ("audience", self.audience, r"\S+", "a text without spaces"),
            ("scope", self.scope, r"\S+", "one scope, a text without spaces"),
        ):
            if not re.fullmatch(form, value):
                raise InvalidSettingError(f"{field} of api_jwt is {value!r}, expected {expected}")
