"""The table of shipments. One request reads up to 100 states; another writes up to 25, with version checks.

No other module writes to this table.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from shipment_events.aws_errors import error_code
from shipment_events.contract.names import PARTITION_KEY
from shipment_events.table.item import attribute_json, value_of_attribute
from shipment_events.table.results import Rejected, Unavailable
from shipment_events.table.statements import (
    MAX_STATEMENTS,
    ConditionFailed,
    Done,
    Send,
    StatementResult,
    run_each,
)
from shipment_events.table.store import MAX_KEYS
from shipment_events.tracking.item import (
    VERSION,
    UnreadableStateError,
    tracked_item,
    tracked_of,
)
from shipment_events.tracking.step import Tracked

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_Thing = TypeVar("_Thing")


@dataclass(frozen=True, slots=True)
class Found:
    """The item of a shipment, if there is one.

    Attributes:
        tracked: the shipment; None if there is no item.
        values: the value of each attribute of the item.
    """

    tracked: Tracked | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The tracker did not write this item."""

    why: str


@dataclass(frozen=True, slots=True)
class Written:
    """The state was written now."""


@dataclass(frozen=True, slots=True)
class Overtaken:
    """The item has changed since it was read. It can be this state if the response to its write was lost."""


ReadResult = Found | Unreadable | Unavailable
WriteResult = Written | Overtaken | Unavailable | Rejected


class ShipmentTable:
    """The table of one environment.

    Args:
        client: DynamoDB client. It should not retry if the caller does.
        name: name of the table.
        retention: how long the table of events keeps an event.
        run_statements: as for :class:`~shipment_events.table.store.EventTable`.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        name: str,
        retention: timedelta,
        *,
        run_statements: Send | None = None,
    ) -> None:
        self.retention = retention
        self._client = client
        self.name = name
        self._send = run_statements or (lambda request: client.batch_execute_statement(**json.loads(request)))

    def read(self, shipment_ids: Collection[str]) -> dict[str, ReadResult]:
        """Read the states of shipments with consistent reads, up to 100 in one request.

        Unprocessed keys are ``Unavailable``. A response has at most 16 MB.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
        """
        found: dict[str, ReadResult] = {}
        for part in _parts(list(shipment_ids), MAX_KEYS):
            found |= self._read_part(part)
        return found

    def statement(self, tracked: Tracked, found: Found) -> str:
        """The statement that replaces the state that was found, as JSON text."""
        item = tracked_item(tracked, self.retention)
        if found.tracked is None:
            statement, values = self._insert(item)
        else:
            statement, values = self._update(item, found)
        parameters = ",".join(map(attribute_json, values))
        return f'{{"Statement":{json.dumps(statement)},"Parameters":[{parameters}]}}'

    def write(self, statements: Sequence[str]) -> Iterator[list[WriteResult]]:
        """Run statements (see :meth:`statement`), each for another shipment, in requests of 25.

        Yields:
            The results of each request, in the order of the statements. The caller may stop between requests.
        """
        for part in _parts(statements, MAX_STATEMENTS):
            yield list(map(_write_result, run_each(self._send, part)))

    def _read_part(self, ids: Sequence[str]) -> dict[str, ReadResult]:
        keys = [{PARTITION_KEY: {"S": shipment_id}} for shipment_id in ids]
        try:
            answer = self._client.batch_get_item(
                RequestItems={self.name: {"Keys": keys, "ConsistentRead": True}}
            )
        except (ClientError, BotoCoreError) as error:
            return dict.fromkeys(ids, Unavailable(error_code(error)))
        # Items that do not exist are not returned, so only a complete response proves that one is absent.
        if "Responses" not in answer or "UnprocessedKeys" not in answer:
            return dict.fromkeys(ids, Unavailable("IncompleteResponse"))
        found: dict[str, ReadResult] = dict.fromkeys(ids, Found())
        if unread := answer["UnprocessedKeys"].get(self.name):
            found |= {_id_of(key): Unavailable("UnprocessedKeys") for key in unread["Keys"]}
        for item in answer["Responses"].get(self.name, []):
            found[_id_of(item)] = _found(item)
        return found

    def _insert(self, item: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """An INSERT, which fails if the item exists.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.insert.html
        """
        values = ", ".join(f"'{name}': ?" for name in item)
        return f'INSERT INTO "{self.name}" VALUE {{{values}}}', list(item.values())

    def _update(self, item: Mapping[str, Any], found: Found) -> tuple[str, list[Any]]:
        """An UPDATE, which fails unless the item has the version that was read.

        A text that stays is left out. It would make the request larger and change nothing. The names are
        quoted, because some are reserved words.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.update.html
        """
        assert found.tracked is not None  # noqa: S101 - for the type checker: only a found item is updated
        # Only texts, because in Python True equals 1, in maps, too.
        texts = {name: value for name, value in found.values.items() if isinstance(value, str)}
        new = {name: value for name, value in item.items() if texts.get(name) != value}
        changes = [f'SET "{name}"=?' for name in new]
        changes += [f'REMOVE "{name}"' for name in sorted(found.values.keys() - item.keys())]
        where = f'WHERE "{PARTITION_KEY}"=? AND "{VERSION}"=?'
        statement = f'UPDATE "{self.name}" {" ".join(changes)} {where}'
        return statement, [*new.values(), item[PARTITION_KEY], item[VERSION] - 1]


def _parts(things: Sequence[_Thing], size: int) -> Iterator[Sequence[_Thing]]:
    return (things[start : start + size] for start in range(0, len(things), size))


def _id_of(item: Mapping[str, Any]) -> str:
    shipment_id: str = item[PARTITION_KEY]["S"]
    return shipment_id


def _found(item: Mapping[str, Any]) -> Found | Unreadable:
    try:
        values = {name: value_of_attribute(attribute) for name, attribute in item.items()}
        return Found(tracked_of(values), values)
    except UnreadableStateError as error:
        return Unreadable(str(error))


def _write_result(result: StatementResult) -> WriteResult:
    match result:
        case Done():
            return Written()
        case ConditionFailed():
            return Overtaken()
        case _:
            return result
