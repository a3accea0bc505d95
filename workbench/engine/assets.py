"""Upload what a stack refers to: function code and templates."""

import hashlib
import io
import zipfile
from base64 import b64encode
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workbench.engine.assembly import Asset
from workbench.engine.settings import ACCOUNT, REGION

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.literals import StackStatusType
    from mypy_boto3_s3 import S3Client

# The first date that a zip archive can hold: a fixed one, so that equal contents make equal bytes.
_ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_TOOLKIT: Final = "CDKToolkit"
_STANDING: "Final[Sequence[StackStatusType]]" = ["CREATE_COMPLETE", "UPDATE_COMPLETE"]
_PSEUDO_PARAMETERS: Final = {
    "${AWS::AccountId}": ACCOUNT,
    "${AWS::Region}": REGION,
    "${AWS::Partition}": "aws",
}


def upload(s3: "S3Client", assets: Iterable[Asset]) -> dict[str, str]:
    """Upload assets to where the template expects them.

    Returns the SHA-256 of each, in base64 as Lambda gives it, by its key.
    """
    hashes = {}
    for asset in assets:
        content = asset.path.read_bytes() if asset.packaging == "file" else zip_folder(asset.path)
        put(s3, _without_pseudo_parameters(asset.bucket), _without_pseudo_parameters(asset.key), content)
        hashes[asset.key] = b64encode(hashlib.sha256(content).digest()).decode()
    return hashes


def put(s3: "S3Client", bucket: str, key: str, content: bytes) -> None:
    """Write one object, making its bucket if need be."""
    if bucket not in (found["Name"] for found in s3.list_buckets()["Buckets"]):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=content)


def make_room_for_bootstrap(
    s3: "S3Client", cloudformation: "CloudFormationClient", assets: Iterable[Asset]
) -> None:
    """Remove the buckets that ``upload`` made, where the CDK CLI has yet to make them in a stack of its own.

    It uploads the assets anew, and a function keeps the code that it was given.
    """
    stacks = cloudformation.get_paginator("list_stacks").paginate(StackStatusFilter=_STANDING)
    if any(stack["StackName"] == _TOOLKIT for page in stacks for stack in page["StackSummaries"]):
        return
    made = {found["Name"] for found in s3.list_buckets()["Buckets"]}
    for bucket in made & {_without_pseudo_parameters(asset.bucket) for asset in assets}:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for found in page.get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=found["Key"])
        s3.delete_bucket(Bucket=bucket)


def zip_folder(folder: Path) -> bytes:
    """Zip archive of a folder: the same bytes for the same contents, wherever and whenever it is made."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _ZIP_EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _without_pseudo_parameters(text: str) -> str:
    for parameter, value in _PSEUDO_PARAMETERS.items():
        text = text.replace(parameter, value)
    return text
