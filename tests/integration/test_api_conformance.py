"""The API of a stage on an engine that checks signatures, against its own OpenAPI document."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from hypothesis import HealthCheck, Phase, given, settings
from requests import PreparedRequest
from requests.auth import AuthBase
from schemathesis.specs.openapi.checks import positive_data_acceptance

from shipment_events.contract import names
from tests.integration.conftest import ENVIRONMENT, ROOT, LocalEngine, client_factory
from tests.integration.test_deployed_api import put_shipments
from workbench.engine import engine as engines
from workbench.engine.clients import local_session
from workbench.engine.deploy import deploy
from workbench.engine.health import free_port
from workbench.engine.settings import REGION, Settings

pytestmark = [pytest.mark.engine, pytest.mark.slow]

EXAMPLES: Final = 200
"""Requests for each operation."""
# The document cannot say that exactly one of three parameters is needed, or that a cursor has a checksum. So
# only the route without these accepts whatever its schema allows.
UNTOLD: Final[dict[str, list[Any]]] = {
    path: [] if path == "/shipments/{id}" else [positive_data_acceptance]
    for path in ("/shipments", "/shipments/{id}", "/shipments/{id}/events", "/events")
}
SCHEMA: Final = schemathesis.openapi.from_dict(json.loads((ROOT / "schemas" / "openapi.json").read_text()))


class Signature(AuthBase):
    """Signs a request as ``shipments api get`` does."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        signed = AWSRequest(request.method, request.url)
        credentials: Any = local_session().get_credentials()
        SigV4Auth(credentials, "execute-api", REGION).add_auth(signed)
        request.headers.update(dict(signed.headers))
        return request


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, real_assembly: Path) -> Iterator[str]:
    home = tmp_path_factory.mktemp("engine")
    own = Settings(root=ROOT, home=home, port=free_port(), environment=ENVIRONMENT)
    try:
        running = engines.start(own, extra_environment={"AUTH": "true"})
        outputs = deploy(running.endpoint, real_assembly, ENVIRONMENT).outputs
        put_shipments(LocalEngine(running.endpoint, ENVIRONMENT, outputs, client_factory(running.endpoint)))
        yield outputs[names.OUTPUT_API_URL]
    finally:
        engines.stop(own)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("operation", UNTOLD)
def test_every_response_is_as_the_document_says(url: str, operation: str) -> None:
    """Status, media type, headers and body, for requests that the document allows and for others."""
    described = SCHEMA[operation]["GET"]
    statuses = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=described.as_strategy()
        | described.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
    )
    def run(case: schemathesis.Case[Any]) -> None:
        response = case.call(base_url=url, auth=Signature())
        statuses.add(response.status_code)
        case.validate_response(response, excluded_checks=UNTOLD[operation])

    run()
    assert set(SCHEMA) == UNTOLD.keys()
    assert 400 in statuses
    assert max(statuses) < 500
