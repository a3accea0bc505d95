import gzip
import io
import json
import os
import tracemalloc
from collections.abc import Callable, Generator, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipment_events.contract.exact_json import loads
from shipment_events.contract.outcome import InvalidEventError, Reason
from shipment_events.publishing import event_files
from shipment_events.publishing.event_files import EventFileError, EventText, read_events
from shipment_events.publishing.publish_file import to_entry

Read = Callable[[bytes], list[EventText]]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    path = tmp_path_factory.mktemp("files") / "events"

    def read_bytes(content: bytes) -> list[EventText]:
        path.write_bytes(content)
        return list(read_events(str(path)))

    return read_bytes


def texts(events: list[EventText]) -> list[tuple[int, str]]:
    return [(event.position, event.text) for event in events]


@pytest.fixture
def small_events(monkeypatch: pytest.MonkeyPatch) -> int:
    """A small limit, so that a test can exceed it many times."""
    limit = 1024
    monkeypatch.setattr(event_files, "MAX_EVENT_BYTES", limit)
    return limit


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def pack(request: pytest.FixtureRequest) -> Callable[[bytes], bytes]:
    return gzip.compress if request.param else bytes


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n \r\n\t\n", []),
        (b'{"a":1}\n{"b":2}\n', [(1, '{"a":1}'), (2, '{"b":2}')]),
        (b'{"a":1}\n{"b":2}', [(1, '{"a":1}'), (2, '{"b":2}')]),
        (b'{"a":1}\r\n{"b":2}\r\n', [(1, '{"a":1}'), (2, '{"b":2}')]),
        (b'\xef\xbb\xbf{"a":1}\n{"b":2}\n', [(1, '{"a":1}'), (2, '{"b":2}')]),
        (b'\n\n  {"a":1}  \n\n\r\n{"b":2}\n\n', [(3, '{"a":1}'), (6, '{"b":2}')]),
        (b"nonsense\n{}\n", [(1, "nonsense"), (2, "{}")]),
        ('{"a":"\u2028 \x85 東京"}\n'.encode(), [(1, '{"a":"\u2028 \x85 東京"}')]),
    ],
    ids=[
        "empty", "blank", "lines", "no final newline", "crlf", "bom", "blank lines", "broken line",
        "line separators of Unicode",
    ],
)  # fmt: skip
def test_reads_lines(read: Read, pack: Any, content: bytes, expected: object) -> None:
    events = read(pack(content))
    assert texts(events) == expected
    assert all(event.unit == "line" and not event.is_cut for event in events)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[]", []),
        (" \n [ \n ] \n ", []),
        ('[{"a":1}]', ['{"a":1}']),
        ('[{"a":1},{"b":2}]\n', ['{"a":1}', '{"b":2}']),
        ('\ufeff[\r\n  {"a": [1, {"b": "]"}]},\r\n  {"c": "\\"]"}\r\n]\r\n', None),
        (
            '[1, -2.50, 3e5, true, null, "x", [], [[1]]]',
            ["1", "-2.50", "3e5", "true", "null", '"x"', "[]", "[[1]]"],
        ),
        ("\n\n[\n1\n]", ["1"]),
    ],
    ids=["empty", "empty spaced", "one", "one line", "pretty, with a bom", "any values", "after blank lines"],
)  # fmt: skip
def test_reads_arrays(read: Read, pack: Any, content: str, expected: list[str] | None) -> None:
    events = read(pack(content.encode()))
    if expected is None:
        expected = ['{"a": [1, {"b": "]"}]}', '{"c": "\\"]"}']
    assert texts(events) == list(enumerate(expected, start=1))
    assert all(event.unit == "element" for event in events)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("content", ['{"a":"Łódź"}\n{"a":1}', '[{"a":1}]', "\ufeff{}"])
def test_says_which_other_encoding_a_file_has(read: Read, pack: Any, content: str, encoding: str) -> None:
    said = f"it is in {encoding[:6].upper()}.*expected UTF-8.*iconv -f UTF-"
    with pytest.raises(EventFileError, match=said):
        read(pack(content.encode(encoding)))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def encode(value: Any, indent: int | None, *, ascii_only: bool) -> str:
    """JSON with every digit."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only, default=lambda number: f"D{number}D")
    for number in set(numbers_in(value)):
        text = text.replace(f'"D{number}D"', str(number))
    return text


def numbers_in(value: Any) -> Iterator[Decimal]:
    if isinstance(value, Decimal):
        yield value
    elif isinstance(value, dict | list):
        for element in value.values() if isinstance(value, dict) else value:
            yield from numbers_in(element)


@given(
    events=st.lists(VALUES.filter(lambda value: not isinstance(value, list)), max_size=8),
    chunk=st.integers(1, 40),
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
    pack=st.sampled_from([bytes, gzip.compress]),
)
def test_an_array_and_lines_of_the_same_events_read_the_same_at_any_chunk_size(
    read: Read, events: list[Any], *, chunk: int, indent: int | None, ascii_only: bool, pack: Any
) -> None:
    lines = "".join(f"{encode(event, None, ascii_only=ascii_only)}\n" for event in events)
    array = encode(events, indent, ascii_only=ascii_only)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_files, "_CHUNK_BYTES", chunk)
        from_lines = read(pack(lines.encode()))
        from_array = read(pack(array.encode()))
    parsed = [json.loads(event.text, parse_float=Decimal) for event in from_lines]
    assert parsed == [
        json.loads(encode(event, None, ascii_only=False), parse_float=Decimal) for event in events
    ]
    assert [json.loads(event.text, parse_float=Decimal) for event in from_array] == parsed
    assert [event.position for event in from_array] == [event.position for event in from_lines]


def test_a_number_at_the_border_of_a_chunk_is_read_whole(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    for chunk in range(1, 12):
        monkeypatch.setattr(event_files, "_CHUNK_BYTES", chunk)
        assert texts(read(b"[\n1234567,\n89.5e10\n]")) == [(1, "1234567"), (2, "89.5e10")]


@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_reads_a_huge_array_in_flat_memory(tmp_path: Path, newline: bytes) -> None:
    path = tmp_path / "huge.json"
    element = b'{"shipment_id":"S-1","text":"%s"}' % (b"x" * 200)
    with path.open("wb") as file:
        file.write(b"[" + newline + element)
        for _ in range(60_000):
            file.write(b"," + newline + element)
        file.write(newline + b"]")
    assert path.stat().st_size > 3 * event_files.MAX_EVENT_BYTES
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_events(str(path)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 60_001
    # One line without an end is read up to the limit of an event before it proves to be an array.
    assert peak < (0.5 if newline else 6) * event_files.MAX_EVENT_BYTES


def test_an_element_longer_than_a_chunk_is_one_event(read: Read) -> None:
    long = json.dumps({"a": "ł" * 400_000}, ensure_ascii=False)
    assert texts(read(f"[\n{long}, 1]".encode())) == [(1, long), (2, "1")]


@pytest.mark.parametrize(
    ("content", "read_before", "message"),
    [
        (b'[{"a":1},{"b":', 1, "element 2: the array is broken here"),
        (b'[\n{"a":1},\n{"b":2}', 2, "element 3: the array is broken here (the file ends here)"),
        (b'[{"a":1},', 1, "element 2: the array is broken here"),
        (b"[", 0, "element 1: the array is broken here"),
        (b'[\n{"a":1},\n]', 1, "element 2: the array is broken here"),
        (b'[\n{"a":1}\n{"b":2}\n]', 1, "element 2: the array is broken here (expected a comma before it)"),
        (b"[\n,1]", 0, "element 1: the array is broken here"),
        (b"[\n1,\noops,\n3]", 1, "element 2: the array is broken here"),
        (b'[\n{"a":1}\n]\n{"b":2}\n', 1, "element 1 is the last of the array, but more text follows"),
        (b"[\n1]" + b" " * 300_000 + b"x", 1, "element 1 is the last of the array, but more text follows"),
    ],
)
def test_says_where_an_array_is_broken_and_gives_what_is_before(
    tmp_path: Path, pack: Any, content: bytes, read_before: int, message: str
) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(pack(content))
    events = read_events(str(path))
    assert [next(events).position for _ in range(read_before)] == list(range(1, read_before + 1))
    with pytest.raises(EventFileError) as broken:
        next(events)
    assert str(broken.value).startswith(f"{path}: {message}")


def test_an_array_in_the_first_of_many_lines_is_one_broken_event(read: Read) -> None:
    events = read(b'[{"a":1}]\n{"b":2}\n[]\n')
    assert texts(events) == [(1, '[{"a":1}]'), (2, '{"b":2}'), (3, "[]")]
    with pytest.raises(InvalidEventError) as refused:
        to_entry(events[0])
    assert refused.value.reason is Reason.INVALID_ENVELOPE


def test_bytes_that_are_no_utf8_spoil_their_own_event_only(read: Read) -> None:
    valid = json.dumps(
        {"shipment_id": "S", "event_timestamp": "2025-01-01T00:00:00Z", "event_type": "shipment.x", "d": "é"},
        ensure_ascii=False,
    )
    latin = valid.encode("latin-1")
    for content in (b"%s\n%s\n%s\n", b"[\n%s,\n%s,\n%s\n]"):
        first, broken, last = read(content % (valid.encode(), latin, valid.encode()))
        assert first.text == last.text == valid
        assert (first.position, broken.position, last.position) == (1, 2, 3)
        with pytest.raises(InvalidEventError) as refused:
            to_entry(broken)
        assert refused.value.reason is Reason.INVALID_TEXT
        assert broken.text.encode("utf-8", "surrogateescape") == latin


def test_an_over_long_line_is_one_broken_event(read: Read, pack: Any, small_events: int) -> None:
    # Each part of the limit's length would be an event if the line were split.
    event = b'{"a":1}'.ljust(small_events)
    events = read(pack(b'{"first":1}\n' + event * 3 + b'\n{"last":1}\n'))
    assert [(e.position, e.is_cut) for e in events] == [(1, False), (2, True), (3, False)]
    assert events[2].text == '{"last":1}'
    with pytest.raises(InvalidEventError) as refused:
        to_entry(events[1])
    assert refused.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("length", [-1, 0, 1])
@pytest.mark.parametrize("ending", [b"", b"\n", b"\n{}"])
def test_lines_about_the_limit(read: Read, small_events: int, length: int, ending: bytes) -> None:
    events = read(b'"%s"%s' % (b"x" * (small_events - 2 + length), ending))
    assert [event.position for event in events] == [1, 2][: len(events)]
    assert len(events) == (2 if ending.endswith(b"}") else 1)
    assert events[0].is_cut == (length >= 0)


def test_an_endless_line_takes_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "zeros.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(64):
            file.write(b"0" * 1_000_000)
    tracemalloc.start()
    try:
        (event,) = read_events(str(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert event.is_cut
    assert peak < 8 * event_files.MAX_EVENT_BYTES


@pytest.mark.usefixtures("small_events")
def test_an_over_long_element_is_refused(read: Read) -> None:
    with pytest.raises(EventFileError, match="element 1: the array is broken here"):
        read(b'[\n"%s"]' % (b"x" * 200_000))


def test_reads_gzip_of_several_members(read: Read) -> None:
    assert texts(read(gzip.compress(b"1\n") + gzip.compress(b"2\n"))) == [(1, "1"), (2, "2")]


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[: len(packed) // 2],
        lambda packed: packed[:-4],
        lambda packed: packed[:-8] + b"\0\0\0\0" + packed[-4:],
        lambda packed: packed[: len(packed) // 2] + b"\xff" * 8 + packed[len(packed) // 2 + 8 :],
        lambda packed: packed + b"rubbish",
        lambda _: b"\x1f\x8b",
        lambda _: b"\x1f\x8bnot gzip",
        lambda packed: packed[:10] + b"\xff" * 20,
    ],
    ids=[
        "cut",
        "no length",
        "checksum",
        "overwritten",
        "trailing rubbish",
        "magic alone",
        "magic and rubbish",
        "no deflate",
    ],
)
def test_says_that_gzip_is_broken(read: Read, damage: Callable[[bytes], bytes]) -> None:
    content = "".join(
        json.dumps({"number": number, "hash": hash(number * 0.1)}) + "\n" for number in range(5_000)
    )
    with pytest.raises(EventFileError, match=r"events: .+"):
        read(damage(gzip.compress(content.encode())))


def test_gives_the_lines_before_gzip_breaks(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    content = b"".join(b'{"number":%d}\n' % number for number in range(50_000))
    path.write_bytes(gzip.compress(content)[:-5_000])
    read_before: list[str] = []
    with pytest.raises(EventFileError, match=r"cut\.gz: Compressed file ended"):
        read_before.extend(event.text for event in read_events(str(path)))
    assert len(read_before) > 10_000
    assert read_before == [f'{{"number":{number}}}' for number in range(len(read_before))]


def test_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EventFileError, match=r"absent\.ndjson: No such file or directory"):
        next(read_events(str(tmp_path / "absent.ndjson")))
    with pytest.raises(EventFileError, match="Is a directory"):
        next(read_events(str(tmp_path)))


@pytest.mark.parametrize(
    "content", [b'{"a":1}\n{"b":2}', gzip.compress(b'{"a":1}\n{"b":2}')], ids=["plain", "gzip"]
)
def test_reads_standard_input_and_leaves_it_open(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO(content))
    monkeypatch.setattr("sys.stdin", stdin)
    assert texts(list(read_events("-"))) == [(1, '{"a":1}'), (2, '{"b":2}')]
    assert not stdin.buffer.closed


def test_gives_an_event_as_soon_as_a_pipe_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as stdin, open(writing, "wb", buffering=0) as producer:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=stdin))
        events = read_events("-")
        for number in range(3):
            producer.write(b'{"number":%d}\n' % number)
            assert next(events).text == f'{{"number":{number}}}'
        assert isinstance(events, Generator)
        events.close()


def test_lets_a_watcher_see_how_far_the_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"{}\n" * 10)
    seen: list[int] = []

    def watch(raw: BinaryIO, size: int) -> BinaryIO:
        seen.append(size)
        return raw

    assert len(list(read_events(str(path), watch))) == 10
    assert seen == [30]


def test_texts_are_read_to_the_last_digit(read: Read) -> None:
    number = "0.12345678901234567890123456789012345678"
    (line,) = read(f'{{"x":{number}}}'.encode())
    (element,) = read(f'[{{"x":{number}}}]'.encode())
    assert loads(line.text) == loads(element.text) == {"x": Decimal(number)}
