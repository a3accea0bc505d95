"""DynamoDB's answers to the calls that the compared processors make, from a dict.

What it cannot judge it refuses: a condition or statement of any other form is a ValidationException.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

Item = dict[str, dict[str, Any]]
Key = tuple[str, ...]

_INSERT: Final = re.compile(r"""INSERT INTO "([\w.-]+)" VALUE \{('\w+': \?(?:, '\w+': \?)*)\}""")
_ABSENT: Final = re.compile(r"attribute_not_exists\s*\(\s*#?\w+\s*\)")
# Powertools' condition of an idempotency record. Its other branches let an expired record be replaced, and
# one of an invocation that died; neither happens within a run.
_ABSENT_OR_EXPIRED: Final = re.compile(
    r"(attribute_not_exists\(#\w+\)) OR #expiry < :now OR \(#status = :inprogress AND "
    r"attribute_exists\(#in_progress_expiry\) AND #in_progress_expiry < :now_in_millis\)"
)
_SET: Final = re.compile(r"SET (#\w+ = :\w+(?:, #\w+ = :\w+)*)")
# Of a shipment event, or of an idempotency record.
_KEYS: Final = (("shipment_id", "event_timestamp"), ("id",))


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
            "PutItem": self.put_item,
            "UpdateItem": self.update_item,
            "BatchExecuteStatement": self.batch_execute_statement,
            "BatchGetItem": self.batch_get_item,
        }

    def clear(self) -> None:
        """Forget every item."""
        self._tables.clear()

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
        """Insert items, each unless its key is taken.

        Raises:
            ServiceError: a statement is no INSERT of parameters, or two have the same key.
        """
        inserts = [(statement, *_parse_insert(statement)) for statement in request["Statements"]]
        if len({(table, _key(item)) for _, table, item in inserts}) < len(inserts):
            raise ServiceError("ValidationException", "two statements of a request have the same key")
        return {"Responses": [self._insert(*insert) for insert in inserts]}

    def batch_get_item(self, request: dict[str, Any]) -> dict[str, Any]:
        """The attributes asked for of the items that are there."""
        found: dict[str, list[Item]] = {}
        for name, wanted in request["RequestItems"].items():
            names = wanted.get("ExpressionAttributeNames", {})
            paths = [
                [names.get(part, part) for part in path.split(".")]
                for path in wanted["ProjectionExpression"].split(", ")
            ]
            items = self._items(name)
            there = [items[_key(key)] for key in wanted["Keys"] if _key(key) in items]
            found[name] = [_project(item, paths) for item in there]
        return {"Responses": found, "UnprocessedKeys": {}}

    def _insert(self, statement: Mapping[str, Any], table: str, item: Item) -> dict[str, Any]:
        old = self._items(table).setdefault(_key(item), item)
        if old is item:
            return {"TableName": table}
        error: dict[str, Any] = {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}
        if self.returns_old_items and statement.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
            error["Item"] = old
        return {"TableName": table, "Error": error}

    def _items(self, table: str) -> dict[Key, Item]:
        return self._tables.setdefault(table, {})


def _parse_insert(statement: Mapping[str, Any]) -> tuple[str, Item]:
    match = _INSERT.fullmatch(statement["Statement"])
    if not match:
        raise ServiceError("ValidationException", f"unknown statement: {statement['Statement']}")
    names = re.findall(r"'(\w+)'", match[2])
    return match[1], dict(zip(names, statement["Parameters"], strict=True))


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
