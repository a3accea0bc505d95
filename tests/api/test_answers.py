"""Responses: tags, 304 and problems."""

import json

import pytest

from shipment_events.api.answers import found, problem
from shipment_events.api.problems import CODES, internal, invalid, invalid_cursor, not_found, unavailable

BODY = '{"status":"delivered"}'
TAG = found(BODY, None).headers["ETag"]


def test_a_tag_follows_the_body() -> None:
    assert found(BODY, None).headers["ETag"] == TAG
    assert found(BODY + " ", None).headers["ETag"] != TAG


@pytest.mark.parametrize("header", [TAG, f"W/{TAG}", f'"other", {TAG}', f'{TAG},"other"', "*", " * "])
def test_a_client_that_has_the_body_gets_304_without_it(header: str) -> None:
    answer = found(BODY, header)
    assert (answer.status, answer.body, answer.headers["ETag"]) == (304, "", TAG)


@pytest.mark.parametrize("header", ["", '"other"', TAG.strip('"'), TAG[:-2] + '"', '"', 'W/"*"'])
def test_a_client_that_has_another_body_gets_this_one(header: str) -> None:
    answer = found(BODY, header)
    assert (answer.status, answer.body) == (200, BODY)


@pytest.mark.parametrize(
    "error",
    [internal(), invalid("limit", "expected"), invalid_cursor(), not_found("expected"), unavailable()],
)
def test_a_problem_has_the_members_of_rfc_9457(error: Exception) -> None:
    answer = problem(error).for_gateway  # type: ignore[arg-type]
    body = json.loads(answer["body"])
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert body["status"] == answer["statusCode"]
    assert body["code"] in CODES
    assert body.keys() - {"parameter"} == {"type", "title", "status", "detail", "code"}
    assert ("Retry-After" in answer["headers"]) == (answer["statusCode"] == 503)
