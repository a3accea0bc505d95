"""What is uploaded to the local engine."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from workbench.engine.assembly import Asset
from workbench.engine.assets import make_room_for_bootstrap

BUCKET = "assets"


def paginated(**page: Any) -> Any:
    return lambda _: SimpleNamespace(paginate=lambda **_: [page])


@pytest.mark.parametrize(("state", "deleted"), [("CREATE_COMPLETE", []), ("DELETE_COMPLETE", [BUCKET])])
def test_a_toolkit_that_is_gone_holds_no_bucket(state: str, deleted: list[str]) -> None:
    """Whatever of the wanted states a service filters by."""
    gone: list[str] = []
    s3 = SimpleNamespace(
        list_buckets=lambda: {"Buckets": [{"Name": BUCKET}]},
        get_paginator=paginated(Contents=[]),
        delete_bucket=lambda **request: gone.append(request["Bucket"]),
        exceptions=SimpleNamespace(NoSuchBucket=KeyError),
    )
    stacks = SimpleNamespace(
        get_paginator=paginated(StackSummaries=[{"StackName": "CDKToolkit", "StackStatus": state}])
    )
    make_room_for_bootstrap(cast("Any", s3), cast("Any", stacks), [Asset(Path(), "zip", BUCKET, "key")])
    assert gone == deleted
