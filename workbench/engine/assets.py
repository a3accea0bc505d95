"""Uploads the assets of a stack: function code and templates."""

import hashlib
import io
import zipfile
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workbench.engine.assembly import Asset
from workbench.engine.settings import ACCOUNT, REGION

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.literals import StackStatusType
    from mypy_boto3_s3 import S3Client

CODE_FOLDER: Final = "src"
"""Folder of the repository that the bundles of functions are copied from."""

# The first date that a zip archive can hold. A fixed date gives equal contents equal bytes.
_ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_TOOLKIT: Final = "CDKToolkit"
_STANDING: "Final[Sequence[StackStatusType]]" = ["CREATE_COMPLETE", "UPDATE_COMPLETE"]
_PSEUDO_PARAMETERS: Final = {
    "${AWS::AccountId}": ACCOUNT,
    "${AWS::Region}": REGION,
    "${AWS::Partition}": "aws",
}


@dataclass(frozen=True)
class Uploaded:
    """Location of an asset. ``sha256`` is its hash in base64, as Lambda returns it."""

    bucket: str
    sha256: str


def upload(s3: "S3Client", assets: Iterable[Asset], source: Path) -> dict[str, Uploaded]:
    """Upload assets to the buckets and keys of the template; returns them by key.

    What is a copy of files of the folder ``source`` is uploaded as these files are now: the assembly may be
    older than they are.
    """
    uploaded = {}
    for asset in assets:
        if asset.packaging == "file":
            content = asset.path.read_bytes()
        else:
            content = zip_files(current_files(asset, source))
        bucket = _without_pseudo_parameters(asset.bucket)
        put(s3, bucket, _without_pseudo_parameters(asset.key), content)
        uploaded[asset.key] = Uploaded(bucket, b64encode(hashlib.sha256(content).digest()).decode())
    return uploaded


def own_files(asset: Asset) -> dict[str, Path]:
    """The files of a folder asset by their path in it."""
    paths = [path for path in asset.path.rglob("*") if path.is_file()]
    return {path.relative_to(asset.path).as_posix(): path for path in paths}


def current_files(asset: Asset, source: Path) -> dict[str, Path]:
    """The files of ``source`` that a folder asset is a copy of, by their path; its own if it is no copy."""
    own = own_files(asset)
    current = {name: source / name for name in own}
    return current if all(path.is_file() for path in current.values()) else own


def put(s3: "S3Client", bucket: str, key: str, content: bytes) -> None:
    """Write one object, and create its bucket if it does not exist."""
    if bucket not in (found["Name"] for found in s3.list_buckets()["Buckets"]):
        # If the answer to an earlier request was lost, the bucket exists already.
        with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=content)


def make_room_for_bootstrap(
    s3: "S3Client", cloudformation: "CloudFormationClient", assets: Iterable[Asset]
) -> None:
    """Remove the buckets that ``upload`` made, where the CDK CLI has yet to make them in a stack of its own.

    It uploads the assets anew, and a function keeps the code that it was given.
    """
    stacks = cloudformation.get_paginator("list_stacks").paginate(StackStatusFilter=_STANDING)
    if any(
        stack["StackName"] == _TOOLKIT and stack["StackStatus"] in _STANDING
        for page in stacks
        for stack in page["StackSummaries"]
    ):
        return
    made = {found["Name"] for found in s3.list_buckets()["Buckets"]}
    for bucket in made & {_without_pseudo_parameters(asset.bucket) for asset in assets}:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for found in page.get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=found["Key"])
        # If the answer to an earlier request was lost, the bucket is deleted already.
        with suppress(s3.exceptions.NoSuchBucket):
            s3.delete_bucket(Bucket=bucket)


def zip_files(files: Mapping[str, Path]) -> bytes:
    """Zip archive of files by their path in it. The same contents always give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _without_pseudo_parameters(text: str) -> str:
    for parameter, value in _PSEUDO_PARAMETERS.items():
        text = text.replace(parameter, value)
    return text
