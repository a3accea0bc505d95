"""The tables of a stage, made through the API of the engine, with the names and indexes of the contract."""

from typing import Any

from shipment_events.contract import names

INDEXES = {
    names.SHIPMENT_STATUS_INDEX: "status",
    names.TRACKING_NUMBER_INDEX: "tracking_number",
    names.OPEN_INDEX: "open",
}


def make_events_table(client: Any, name: str) -> None:
    _make(client, name, ["shipment_id", "event_timestamp"])


def make_shipments_table(client: Any, name: str) -> None:
    indexes = [
        {
            "IndexName": index,
            "KeySchema": _keys([attribute, "latest_at"]),
            "Projection": {"ProjectionType": "ALL"},
        }
        for index, attribute in INDEXES.items()
    ]
    _make(client, name, ["shipment_id"], [*INDEXES.values(), "latest_at"], GlobalSecondaryIndexes=indexes)


def _make(client: Any, name: str, keys: list[str], others: list[str] | None = None, **more: Any) -> None:
    attributes = [*keys, *(others or [])]
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in attributes],
        KeySchema=_keys(keys),
        **more,
    )


def _keys(names: list[str]) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
    ]
