"""The processor's signature is the one that botocore makes."""

import string
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from unittest.mock import patch

from botocore import auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from shipment_events.processor.signature import Signer

HEADERS: Final = {
    "content-type": "application/x-amz-json-1.0",
    "x-amz-target": "DynamoDB_20120810.BatchExecuteStatement",
}
A_DAY: Final = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)

words = st.text(string.ascii_letters + string.digits + "/+=", min_size=1, max_size=60)
credentials = st.builds(ReadOnlyCredentials, words, words, st.none() | words)
hosts = st.sampled_from(
    ["dynamodb.eu-central-1.amazonaws.com", "127.0.0.1:4566", "vpce-1.dynamodb.us-east-1.vpce.amazonaws.com"]
)
moments = st.integers(0, 100 * 366 * 86_400).map(lambda seconds: A_DAY + timedelta(seconds=seconds))


def botocores(
    host: str, region: str, body: bytes, known: ReadOnlyCredentials, now: datetime
) -> dict[str, str]:
    signer: Any = SigV4Auth(known, "dynamodb", region)
    request = AWSRequest("POST", f"https://{host}/", HEADERS, body)
    with patch.object(auth, "get_current_datetime", lambda: now):
        signer.add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@given(host=hosts, region=words, body=st.binary(min_size=1), known=credentials, now=moments)
def test_signature_is_botocores(
    host: str, region: str, body: bytes, known: ReadOnlyCredentials, now: datetime
) -> None:
    signed = Signer(host, "dynamodb", region).signed(HEADERS, body, known, now)
    assert signed.pop("host") == host
    assert signed == botocores(host, region, body, known, now)


@given(known=st.lists(credentials, min_size=1, max_size=3), days=st.lists(st.integers(0, 2), min_size=1))
def test_signer_follows_new_days_and_new_credentials(
    known: list[ReadOnlyCredentials], days: list[int]
) -> None:
    signer = Signer("host", "dynamodb", "eu-central-1")
    for number, day in enumerate(days):
        now, mine = A_DAY + timedelta(days=day), known[number % len(known)]
        signed = signer.signed(HEADERS, b"{}", mine, now)
        assert signed["authorization"] == botocores("host", "eu-central-1", b"{}", mine, now)["authorization"]
