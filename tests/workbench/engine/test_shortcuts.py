"""The engine's shortcuts: they change no answer, and the engine does less."""

import json
import subprocess
from typing import Any

import pytest

from tests.integration.conftest import ROOT
from workbench.engine.settings import Settings

# The engine's own interpreter runs this program. Its output: what the same requests gave before and after.
PROGRAM = """
import json
from ministack.services import dynamodb, lambda_svc
from workbench.engine import shortcuts

parsed = []
parse = dynamodb.parse_partiql_statement

def counting(statement, parameters):
    parsed.append(statement)
    return parse(statement, parameters)

dynamodb.parse_partiql_statement = counting

def run(*statements):
    request = [{"Statement": text, "Parameters": given, **more} for text, given, more in statements]
    for statement in request:
        if not statement["Parameters"]:
            del statement["Parameters"]
    return json.loads(dynamodb._batch_execute_statement({"Statements": request})[2])

def observe():
    parsed.clear()
    dynamodb._create_table({
        "TableName": "things", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    })
    one, two = {"S": "1"}, {"S": "2"}
    map_of = {"M": {"x": {"L": [{"N": "1.50"}, {"NULL": True}, {"S": "ü"}]}}}
    insert = "INSERT INTO \\"things\\" VALUE {'id': ?, 'm': ?}"
    update = "UPDATE \\"things\\" SET \\"m\\"=? SET \\"n\\"=? WHERE \\"id\\"=? AND \\"n\\"=?"
    all_old = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    answers = [
        run((insert, [one, map_of], {}), (insert, [two, map_of], {}), (insert, [one, map_of], all_old)),
        run((update, [map_of, {"N": "1"}, one, {"N": "0"}], all_old)),
        run(("UPDATE \\"things\\" SET \\"n\\"=? WHERE \\"id\\"=?", [{"N": "0"}, one], {})),
        run((update, [map_of, {"N": "1"}, one, {"N": "0"}], all_old)),
        run(("UPDATE \\"things\\" SET \\"n\\"=1 WHERE \\"id\\"='3'", [], {}), ("NONSENSE", [one], {})),
        run(("SELECT * FROM \\"things\\" WHERE \\"id\\"=?", [one], {})),
        run(("SELECT * FROM \\"things\\"", [], {})),
        run(("DELETE FROM \\"things\\" WHERE \\"id\\"=?", [two], {})),
    ]
    batches = len(parsed)
    got = dynamodb._get_item({"TableName": "things", "Key": {"id": one}})
    answers.append(json.loads(got[2]))
    stored = dynamodb._tables["things"]["items"]["1"]["__no_sort__"]
    copied = dynamodb.copy.deepcopy(stored)
    copied["m"]["M"].clear()
    answers.append(stored)
    for condition in ("#i = :i", "#i = :i AND", "(#i = :i)", "#i = :i"):
        query = {
            "TableName": "things", "KeyConditionExpression": condition,
            "ExpressionAttributeNames": {"#i": "id"}, "ExpressionAttributeValues": {":i": one},
        }
        answers.append(json.loads(dynamodb._query(query)[2]))
    dynamodb._delete_table({"TableName": "things"})
    concurrency = [
        lambda_svc._sqs_esm_concurrency(
            {"ScalingConfig": {"MaximumConcurrency": most}}, {}, {}, {"is_fifo": fifo}
        )
        for most, fifo in ((10, False), (2, False), (10, True))
    ]
    return answers, batches, concurrency

before = observe()
shortcuts.take_shortcuts()
print(json.dumps([before, observe()]))
"""


@pytest.mark.engine
def test_answers_stay_and_less_is_done() -> None:
    python = Settings(root=ROOT, home=ROOT, port=0).engine_python
    ended = subprocess.run(
        [python, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    (before, parsed_before, allowed), (after, parsed_after, allowed_after) = json.loads(ended.stdout)
    assert after == before
    codes = [_codes(answer) for answer in before if "Responses" in answer]
    assert codes == [
        ["", "", "DuplicateItem"],
        ["ConditionalCheckFailed"],
        [""],
        [""],
        ["ConditionalCheckFailed", "ValidationError"],
        [""],
        ["ValidationError"],
        [""],
    ]
    # Statements that fail their check are parsed once. The one without parameters is still parsed twice.
    assert (parsed_before, parsed_after) == (20, 12)
    assert (allowed, allowed_after) == ([10, 2, 1], [3, 2, 1])


def _codes(answer: dict[str, Any]) -> list[str]:
    return [each.get("Error", {}).get("Code", "") for each in answer["Responses"]]
