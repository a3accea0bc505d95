"""DynamoDB's answers to the calls that the compared functions make, from a dict.

What it cannot judge it refuses: a condition or statement of any other form is a ValidationException.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Item = dict[str, dict[str, Any]]
Key = tuple[str, ...]

_INSERT: Final = re.compile(r"""INSERT INTO "([\w.-]+)" VALUE \{('\w+': \?(?:, '\w+': \?)*)\}""")
_UPDATE: Final = re.compile(
    r'UPDATE "([\w.-]+)"((?: SET "\w+"=\?)+)((?: REMOVE "\w+")*) WHERE "shipment_id"=\? AND "version"=\?'
)
_ABSENT: Final = re.compile(r"attribute_not_exists\s*\(\s*#?\w+\s*\)")
# Powertools' condition of an idempotency record. Its other branches let an expired record be replaced, and
# one of an invocation that died; neither happens within a run.
_ABSENT_OR_EXPIRED: Final = re.compile(
    r"(attribute_not_exists\(#\w+\)) OR #expiry < :now OR \(#status = :inprogress AND "
    r"attribute_exists\(#in_progress_expiry\) AND #in_progress_expiry < :now_in_millis\)"
)
_SET: Final = re.compile(r"SET (#\w+ = :\w+(?:, #\w+ = :\w+)*)")
# Of a shipment event, of an idempotency record, or of a shipment.
_KEYS: Final = (("shipment_id", "event_timestamp"), ("id",), ("shipment_id",))
_QUERY_PAGE: Final = 1_000


class ServiceError(Exception):
    """The service refuses a request.

    Attributes:
        item: what is in the way, where the caller asked for it.
    """

    def __init__(self, code: str, message: str, item: Item | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.item = item


class Tables:
    """All tables, each made by its first item.

    Attributes:
        returns_old_items: whether a failed insert comes with the item in its place, where it was asked for.
    """

    def __init__(self) -> None:
        self.returns_old_items = False
        self._tables: dict[str, dict[Key, Item]] = {}
        self.operations: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "GetItem": self.get_item,
            "PutItem": self.put_item,
            "UpdateItem": self.update_item,
            "BatchExecuteStatement": self.batch_execute_statement,
            "BatchGetItem": self.batch_get_item,
            "Query": self.query,
        }

    def clear(self) -> None:
        """Forget every item."""
        self._tables.clear()

    def get_item(self, request: dict[str, Any]) -> dict[str, Any]:
        """An item, or nothing."""
        item = self._items(request["TableName"]).get(_key(request["Key"]))
        return {} if item is None else {"Item": item}

    def put_item(self, request: dict[str, Any]) -> dict[str, Any]:
        """Write an item, unless its condition fails.

        Raises:
            ServiceError: the condition fails, or is of another form than those known.
        """
        items = self._items(request["TableName"])
        item = request["Item"]
        old = items.get(_key(item))
        condition = " ".join(request.get("ConditionExpression", "").split())
        if condition and not (_ABSENT.fullmatch(condition) or _ABSENT_OR_EXPIRED.fullmatch(condition)):
            raise ServiceError("ValidationException", f"unknown condition: {condition}")
        if condition and old is not None:
            asked = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            raise ServiceError(
                "ConditionalCheckFailedException", "The conditional request failed", old if asked else None
            )
        items[_key(item)] = item
        return {}

    def update_item(self, request: dict[str, Any]) -> dict[str, Any]:
        """Set attributes of an item, which is made where it is absent.

        Raises:
            ServiceError: the expression is of another form than those known.
        """
        match = _SET.fullmatch(" ".join(request["UpdateExpression"].split()))
        if not match or "ConditionExpression" in request:
            raise ServiceError("ValidationException", f"unknown update: {request['UpdateExpression']}")
        item = self._items(request["TableName"]).setdefault(_key(request["Key"]), dict(request["Key"]))
        for assignment in match[1].split(", "):
            name, value = assignment.split(" = ")
            item[request["ExpressionAttributeNames"][name]] = request["ExpressionAttributeValues"][value]
        return {}

    def batch_execute_statement(self, request: dict[str, Any]) -> dict[str, Any]:
        """Insert items, each unless its key is taken, or update shipments, each if it has the version.

        Raises:
            ServiceError: a statement has another form, or two have the same key.
        """
        parsed = [_parse(statement) for statement in request["Statements"]]
        if len({(one.table, _key(one.item)) for one in parsed}) < len(parsed):
            raise ServiceError("ValidationException", "two statements of a request have the same key")
        return {
            "Responses": [self._insert(one) if one.version is None else self._update(one) for one in parsed]
        }

    def query(self, request: dict[str, Any]) -> dict[str, Any]:
        """A page of the events of a shipment."""
        ((_, shipment_id),) = request["ExpressionAttributeValues"].items()
        items = self._items(request["TableName"])
        own = sorted(key for key in items if key[0] == shipment_id["S"])
        if last := request.get("ExclusiveStartKey"):
            own = own[own.index(_key(last)) + 1 :]
        page: dict[str, Any] = {"Items": [items[key] for key in own[:_QUERY_PAGE]]}
        if len(own) > _QUERY_PAGE:
            names = ("shipment_id", "event_timestamp")
            page["LastEvaluatedKey"] = {name: page["Items"][-1][name] for name in names}
        return page

    def batch_get_item(self, request: dict[str, Any]) -> dict[str, Any]:
        """The attributes asked for of the items that are there."""
        found: dict[str, list[Item]] = {}
        for name, wanted in request["RequestItems"].items():
            names = wanted.get("ExpressionAttributeNames", {})
            items = self._items(name)
            there = [items[_key(key)] for key in wanted["Keys"] if _key(key) in items]
            if projection := wanted.get("ProjectionExpression"):
                paths = [
                    [names.get(part, part) for part in path.split(".")] for path in projection.split(", ")
                ]
                there = [_project(item, paths) for item in there]
            found[name] = there
        return {"Responses": found, "UnprocessedKeys": {}}

    def _insert(self, statement: "_Statement") -> dict[str, Any]:
        old = self._items(statement.table).setdefault(_key(statement.item), statement.item)
        if old is statement.item:
            return {"TableName": statement.table}
        error: dict[str, Any] = {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}
        if self.returns_old_items and statement.wants_old_item:
            error["Item"] = old
        return {"TableName": statement.table, "Error": error}

    def _update(self, statement: "_Statement") -> dict[str, Any]:
        items, key = self._items(statement.table), _key(statement.item)
        old = items.get(key)
        if old is None or old["version"] != statement.version:
            error = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
            return {"TableName": statement.table, "Error": error}
        kept = {name: value for name, value in old.items() if name not in statement.removed}
        items[key] = kept | statement.item
        return {"TableName": statement.table}

    def _items(self, table: str) -> dict[Key, Item]:
        return self._tables.setdefault(table, {})


@dataclass(frozen=True)
class _Statement:
    """An INSERT, or an UPDATE of the item with a version."""

    table: str
    item: Item
    removed: frozenset[str] = frozenset()
    version: Mapping[str, Any] | None = None
    wants_old_item: bool = False


def _parse(statement: Mapping[str, Any]) -> _Statement:
    text, parameters = statement["Statement"], statement["Parameters"]
    wants_old = statement.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    if match := _INSERT.fullmatch(text):
        item = dict(zip(re.findall(r"'(\w+)'", match[2]), parameters, strict=True))
        return _Statement(match[1], item, wants_old_item=wants_old)
    if match := _UPDATE.fullmatch(text):
        *values, shipment_id, version = parameters
        item = dict(zip(re.findall(r'"(\w+)"', match[2]), values, strict=True))
        removed = frozenset(re.findall(r'"(\w+)"', match[3]))
        return _Statement(match[1], {"shipment_id": shipment_id, **item}, removed, version)
    raise ServiceError("ValidationException", f"unknown statement: {text}")


def _key(item: Item) -> Key:
    for names in _KEYS:
        if all(name in item for name in names):
            return tuple(item[name]["S"] for name in names)
    raise ServiceError("ValidationException", "One or more parameter values were invalid: missing the key")


def _project(item: Item, paths: list[list[str]]) -> Item:
    """Attributes at the paths, each of one or two parts, within the maps they are in."""
    projected: Item = {}
    for name, *inner in paths:
        if not inner:
            projected[name] = item[name]
        elif (value := item.get(name, {}).get("M", {}).get(inner[0])) is not None:
            projected.setdefault(name, {"M": {}})["M"][inner[0]] = value
    return projected
