"""Bytes become records however they are cut, and a broken record costs itself and no other."""

import codecs
import csv
import io
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hands.doubles import hand_module

readers = hand_module("data-pipeline", "pipeline_readers")
rows = hand_module("data-pipeline", "pipeline_rows")
spec = hand_module("data-pipeline", "pipeline_spec")
JobFailed = hand_module("data-pipeline", "pipeline_errors").JobFailed

FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


def read(
    chunks: Iterable[bytes],
    form: str = "csv",
    source: Mapping[str, object] = MappingProxyType({}),
    *,
    exact: bool = False,
    piece: int = 1,
) -> tuple[list[tuple[int, object]], list[tuple[int, str, str]], tuple[str, ...]]:
    """Numbered rows, (number, code, reason) of the rejected, names."""
    rejected: list[tuple[int, str, str]] = []
    ledger = rows.Ledger(lambda reject: rejected.append((reject.number, reject.code, reject.reason)))
    before = readers.PIECE
    setattr(readers, "PIECE", piece)  # noqa: B010 - a module that is loaded by name
    try:
        reader = readers.reader_for(spec.Source(path="data/in", format=form, **source), ledger, exact=exact)
        found: list[tuple[int, object]] = []
        for records in [r for chunk in chunks for r in reader.feed(chunk)] + list(reader.finish()):
            found += zip(records.numbers, records.rows, strict=True)
    finally:
        setattr(readers, "PIECE", before)  # noqa: B010
    assert reader.rows == len(found) + len(rejected)
    return found, rejected, reader.names


def cut(raw: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(raw) + 1) for place in places})
    return [raw[a:b] for a, b in zip([0, *ends], [*ends, len(raw)], strict=True)]


@given(
    table=st.lists(st.lists(FIELDS, min_size=2, max_size=2), max_size=6),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    places=st.lists(st.integers(0, 500), max_size=8),
)
def test_csv_reads_what_was_written_wherever_it_is_cut(
    table: list[list[str]], line_end: str, places: list[int]
) -> None:
    text = io.StringIO(newline="")
    quoted = line_end == "\r"  # as it does not quote "\n" then
    writer = csv.writer(text, lineterminator=line_end, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL)
    writer.writerows([["a", "b"], *table])
    found, rejected, names = read(cut(text.getvalue().encode(), places))
    assert names == ("a", "b")
    assert not rejected
    assert [row for _, row in found] == table
    assert [number for number, _ in found] == list(range(1, len(table) + 1))


@given(raw=st.text('ab,"\n\r\u00e9', max_size=60).map(str.encode), places=st.lists(st.integers(0, 60), max_size=6))
def test_any_text_gives_the_same_rows_and_rejects_wherever_it_is_cut(raw: bytes, places: list[int]) -> None:
    whole = read([raw], source={"header": False, "columns": ("x", "y")}, piece=10**6)
    found = read(cut(raw, places), source={"header": False, "columns": ("x", "y")})
    assert (sorted(whole[0]), sorted(whole[1])) == (sorted(found[0]), sorted(found[1]))


def test_a_quote_that_never_closes_costs_its_own_line_only() -> None:
    found, rejected, _ = read([b'a,b\n1,2\n"3,4\n5,6\n7,8\n'])
    assert [row for _, row in found] == [["1", "2"], ["5", "6"], ["7", "8"]]
    assert [(number, code) for number, code, _ in rejected] == [(2, "malformed")]
    assert [number for number, _ in found] == [1, 3, 4]


def test_a_quote_that_swallows_the_next_lines_quote_costs_its_own_line_only() -> None:
    found, rejected, _ = read([b'a,b\n1,"x\n2,"y"\n3,z\n'])
    assert [row for _, row in found] == [["2", "y"], ["3", "z"]]
    assert [number for number, _, _ in rejected] == [1]


def test_rows_with_other_numbers_of_fields_are_rejected_and_blank_lines_are_no_rows() -> None:
    found, rejected, _ = read([b"a,b\n1,2\n\n3\n4,5,6\n\n7,8\n"])
    assert found == [(1, ["1", "2"]), (4, ["7", "8"])]
    assert [(number, reason) for number, _, reason in rejected] == [
        (2, "1 field where there are 2 columns"), (3, "3 fields where there are 2 columns"),
    ]  # fmt: skip


def test_bytes_outside_the_encoding_cost_their_row() -> None:
    found, rejected, _ = read([b"a,b\n1,\xe4\n2,\xc3\xa4\n"])
    assert found == [(2, ["2", "ä"])]
    assert [(number, code) for number, code, _ in rejected] == [(1, "malformed")]


@pytest.mark.parametrize(
    ("raw", "source"),
    [
        (codecs.BOM_UTF8 + "ä;ö\n1;2\n".encode(), {"delimiter": ";"}),
        ("ä\tö\n1\t2\n".encode("utf-16"), {"delimiter": "\t"}),
        ("ä|ö\n1|2\n".encode("latin-1"), {"delimiter": "|", "encoding": "latin-1"}),
        ("'ä','ö'\n'1','2'\n".encode("cp1252"), {"quote": "'", "encoding": "cp1252"}),
        (b"1,2\n", {"header": False, "columns": ("ä", "ö")}),
        (b"x,y\n1,2", {"columns": ("ä", "ö")}),
    ],
)
def test_dialects(raw: bytes, source: dict[str, object]) -> None:
    for chunks in ([raw], [raw[i : i + 1] for i in range(len(raw))]):
        assert read(chunks, source=source) == ([(1, ["1", "2"])], [], ("ä", "ö"))


def test_without_header_or_names_the_columns_are_numbered() -> None:
    assert read([b"1,2\n"], source={"header": False})[2] == ("column_1", "column_2")


@pytest.mark.parametrize(
    ("raw", "source", "why"),
    [
        (b"", {}, "is empty"),
        (b"a,a\n", {}, '"a" more than once'),
        (b"a,\n1,2\n", {}, "source.columns"),
        (b"a;b\n1;2\n", {}, "delimiter = ';'"),
        (b'"a,b\n', {}, "header cannot be read"),
        (b"a,b\n", {"columns": ("x",)}, "2 columns, and source.columns names 1"),
        ("a,b\n".encode("utf-16"), {"encoding": "utf-8"}, 'encoding = "utf-16"'),
        (b"a,b\n" + b"x" * (1024 * 1024 + 10), {}, "over 1 MiB"),
        ("name,größe\n".encode("latin-1"), {}, 'the header is not UTF-8. Write source.encoding, such as "latin-1"'),
        ("name\r\n".encode("utf-16-le"), {}, 'UTF-16 without its mark. Write encoding = "utf-16-le"'),
        (
            "name\nAda\n".encode("utf-16-be"),
            {"columns": ("x",)},
            'UTF-16 without its mark. Write encoding = "utf-16-be"',
        ),
    ],
)
def test_a_csv_that_cannot_be_read_at_all_says_why(raw: bytes, source: dict[str, object], why: str) -> None:
    with pytest.raises(JobFailed, match=why) as raised:
        read([raw], source=source)
    assert raised.value.code == "source"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=3), max_size=6)


@given(objects=OBJECTS, places=st.lists(st.integers(0, 500), max_size=8))
def test_json_lines_and_arrays_read_what_was_written_wherever_they_are_cut(
    objects: list[dict[str, object]], places: list[int]
) -> None:
    lines = "".join(json.dumps(item) + "\n" for item in objects).encode()
    assert [row for _, row in read(cut(lines, places), "jsonl")[0]] == objects
    array = json.dumps(objects, indent=1).encode()
    assert [row for _, row in read(cut(array, places), "json")[0]] == objects
    if objects:
        within = json.dumps({"x": 1, "a": {"b": objects}}).encode()
        assert [row for _, row in read(cut(within, places), "json", {"records": "a.b"})[0]] == objects


def test_broken_json_lines_are_rejected_one_by_one() -> None:
    found, rejected, _ = read(
        [codecs.BOM_UTF8 + b'{"a":1}\r\n{"a":\n\n[1]\n{"a":"\xff"}\n' + b"[" * 3000 + b'\n{"a":2}'], "jsonl"
    )
    assert found == [(1, {"a": 1}), (6, {"a": 2})]
    assert [(number, code) for number, code, _ in rejected] == [(n, "malformed") for n in (2, 3, 4, 5)]


def test_items_of_an_array_that_are_no_objects_are_rejected() -> None:
    found, rejected, _ = read([b'[{"a":1}, 5, {"a":2}]'], "json")
    assert found == [(1, {"a": 1}), (3, {"a": 2})]
    assert [number for number, _, _ in rejected] == [2]


@pytest.mark.parametrize(
    ("raw", "source", "why"),
    [
        (b'{"a":1}\n{"a":2}', {}, 'format = "jsonl"'),
        (b'[{"a":1},', {}, "not JSON after row 1"),
        (b'[{"a":1}]x', {}, "not JSON"),
        (b'{"rows":[]}', {"records": "row"}, 'no array "row"'),
        (b"nonsense", {}, "array"),
    ],
)
def test_a_document_that_is_no_array_says_why(raw: bytes, source: dict[str, object], why: str) -> None:
    with pytest.raises(JobFailed, match=why):
        read([raw], "json", source)


ENDLESS = b'{"x":[' + b"{}," * (400 * 1024)


@pytest.mark.parametrize(("before", "source"), [(b"[{},", {}), (b'{"a":{"b":[{},', {"records": "a.b"})])
def test_an_item_that_goes_on_and_on_ends_the_job_before_it_is_read(before: bytes, source: dict[str, object]) -> None:
    raw = before + ENDLESS
    with pytest.raises(JobFailed, match="the item after row 1 is over 1 MiB"):
        read([raw[at : at + readers.PIECE] for at in range(0, len(raw), readers.PIECE)], "json", source)


def test_what_lies_beside_the_array_may_be_of_any_length() -> None:
    aside = ENDLESS + b'0],"y":"' + b"z" * (2 * readers.RECORD_MAX) + b'"}'
    raw = b'{"before":' + aside + b',"rows":[{"n":1}],"after":' + aside + b"}"
    chunks = [raw[at : at + readers.PIECE] for at in range(0, len(raw), readers.PIECE)]
    assert read(chunks, "json", {"records": "rows"})[0] == [(1, {"n": 1})]


def test_numbers_are_exact_where_decimals_are_declared() -> None:
    assert read([b'{"a":0.10}'], "jsonl", exact=True)[0] == [(1, {"a": Decimal("0.10")})]
    assert str(read([b'[{"a":0.10}]'], "json")[0][0][1]["a"]) == "0.10"  # type: ignore[index]


@pytest.mark.parametrize(("raw", "form"), [(b'[{"a":1,"b":2,"a":3}]', "json"), (b'{"a":1,"b":2,"a":3}', "jsonl")])
def test_of_a_key_that_stands_there_twice_the_last_value_counts(raw: bytes, form: str) -> None:
    assert read([raw], form)[:2] == ([(1, {"a": 3, "b": 2})], [])
