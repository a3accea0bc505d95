"""Read the whole table of events with several threads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_READ_UNIT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class TableSize:
    """Size of a table. DynamoDB updates it about every six hours.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html

    Attributes:
        items: number of items.
        bytes: size of all items.
    """

    items: int
    bytes: int

    @property
    def read_units(self) -> int:
        """Read units of a consistent scan: one for each 4 KB."""
        return -(-self.bytes // _READ_UNIT_BYTES)


class TableScan:
    """A scan of one table in segments.

    Args:
        client: DynamoDB client. Several threads use it.
        name: name of the table.
    """

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self.name = name
        self._client = client

    def size(self) -> TableSize:
        """The approximate size of the table.

        Raises:
            botocore.exceptions.ClientError: the table cannot be described.
        """
        table = self._client.describe_table(TableName=self.name)["Table"]
        return TableSize(table.get("ItemCount", 0), table.get("TableSizeBytes", 0))

    def segment(self, number: int, segments: int) -> "Iterator[Mapping[str, AttributeValueTypeDef]]":
        """Items of one of several segments. One page is in memory at a time.

        Items with the same partition key follow each other, because DynamoDB stores them together. The
        documents do not promise this, so no caller may lose anything if it is not so.

        Raises:
            botocore.exceptions.ClientError: the table cannot be read.
        """
        pages = self._client.get_paginator("scan").paginate(
            TableName=self.name, Segment=number, TotalSegments=segments, ConsistentRead=True
        )
        for page in pages:
            yield from page["Items"]
