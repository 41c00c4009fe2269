"""HAND.toml: everything it may say is read, everything else is told, all at once, with its place and the mend."""

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from manifests import example, reference, schema
from manifests.check import LONGEST, check
from manifests.errors import ManifestInvalid, Problem
from manifests.positions import Path as KeyPath
from manifests.positions import Positions
from manifests.readers import READERS
from manifests.schema import Manifest
from manifests.typed import TYPES
from manifests.values import LIMITS
from tests.manifests.texts import EVERYTHING

BAD = sorted((Path(__file__).parent / "bad").glob("*.toml"))
_EXPECTED = re.compile(r"^# (\d+):(\d+) (.*)\n#   -> (.*)$", re.MULTILINE)
HEAD = EVERYTHING[: EVERYTHING.index("[capabilities]")]


def _problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ManifestInvalid) as refused:
        check(text)
    return refused.value.problems


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_each_bad_file_gets_the_messages_written_in_it_and_no_other(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    expected = [Problem("HAND.toml", int(a), int(b), what, instead) for a, b, what, instead in _EXPECTED.findall(text)]
    assert expected
    assert list(_problems(text)) == expected


@pytest.mark.parametrize(
    ("coding", "what"), [("utf-8-sig", "it begins with a byte order mark"), ("utf-16-le", "it is not UTF-8 text")]
)
def test_a_file_that_an_editor_saved_in_other_letters_is_told_of_as_that(coding: str, what: str) -> None:
    """What is wrong cannot be seen in it, and a place in its first line says nothing."""
    (problem,) = _problems(EVERYTHING.encode(coding).decode())
    assert (problem.line, problem.column) == (1, 1)
    assert problem.what.startswith(what)
    assert problem.instead.startswith("save it as UTF-8")


@pytest.mark.parametrize("end", ["\r\n", "\n\n"])
def test_a_file_may_have_the_line_ends_of_any_system_tabs_and_no_last_one(end: str) -> None:
    text = EVERYTHING.replace(" = ", "\t=\t").rstrip("\n").replace("\n", end)
    assert check(text) == check(EVERYTHING)


def test_everything_a_file_may_say_is_read() -> None:
    manifest = check(EVERYTHING)
    assert manifest.hand.version == "1.2.0-rc.1+build.7"
    assert manifest.hand.idle_ms == 90_000
    assert [one.method for one in manifest.capabilities if one.own] == ["web.connect"]
    assert manifest.provides["monitoring.check"].params == {"timeout": "duration?", "expect": "string?"}
    assert manifest.limits == schema.Limits(
        memory=128 << 20,
        cpu_ms=30_000,
        wall_ms=500,
        processes=4,
        open_files=32,
        file_size=0,
        calls_per_minute=60,
        in_flight=2,
    )
    assert (manifest.restart.within_ms, manifest.confinement.roots) == (120_000, True)
    assert manifest.settings["every"] == schema.Setting(type="duration", default=900.0, min=1.0, max=86_400.0)
    assert manifest.settings["steps"].default == [{"select": ["a", "b"]}]
    assert manifest.requires.env == ("SLACK_TOKEN",)


def test_a_file_that_says_only_what_it_must_gets_the_defaults() -> None:
    text = "".join(line + "\n" for line in HEAD.splitlines() if not re.match("isolation|autostart|idle|needs", line))
    manifest = check(text)
    assert manifest == Manifest(hand=manifest.hand)
    assert manifest.hand.idle_ms == 60_000


def test_a_manifest_survives_the_snapshot_and_is_read_quickly() -> None:
    manifest = check(EVERYTHING)
    encoded = schema.encode(manifest)
    assert schema.decode(encoded) == manifest
    start = time.thread_time()  # which others on the machine cost nothing
    for _ in range(100):
        schema.decode(encoded)
    assert (time.thread_time() - start) / 100 < 0.002  # 200 µs wanted; a slow machine is given ten times that


def test_a_key_that_is_not_in_the_schema_is_refused_when_a_snapshot_is_read() -> None:
    encoded = schema.encode(check(EVERYTHING)).replace(b'"limits":{', b'"limits":{"more":1,')
    with pytest.raises(msgspec.ValidationError):
        schema.decode(encoded)


def test_the_file_name_given_is_the_one_told() -> None:
    with pytest.raises(ManifestInvalid) as refused:
        check("[hand]\nnam = 1\n", file="hands/x/HAND.toml")
    assert str(refused.value).startswith("hands/x/HAND.toml:1:2: ")


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 20_000,
        "x = " + "9" * 5_000,
        "x = 0x" + "f" * 5_000,
        "x" + ".x" * 2_000 + " = 1",
        "#" * (LONGEST + 1),
        "\ufeff[hand]",
        "x = \x00",
        "",
        "hand = 1\r\n",
    ],
    ids=["deep", "digits", "hex", "dotted", "long", "bom", "nul", "empty", "crlf"],
)
def test_a_text_made_to_break_the_reader_is_only_refused(text: str) -> None:
    assert _problems(text)


@pytest.mark.parametrize(
    "line",
    ["{key} = 1", "[{key}]", "x = {{ {key} = 1 }}", "[[{key}]]"],
    ids=["key", "table", "inline", "array"],
)
@pytest.mark.parametrize("part", ["x", '"x y"', "'x'", r'"\""', r'"\\"'])
def test_a_key_whose_parts_would_take_minutes_to_read_is_refused_where_it_stands(line: str, part: str) -> None:
    text = "a = 1\n" + line.format(key=" . ".join([part] * 10_000))
    (problem,) = _problems(text)
    assert (problem.line, problem.column) == (2, line.index("{key}") + 1 - line.count("{{"))
    assert problem.what == "the key has too many parts"


@pytest.mark.parametrize(
    "said",
    [
        r'"""a\"""b"""', r'"""a""""', r'"""a"""""', r"'''a''''", r'"""a\\"""', r"'a\'", r'"a\"b"', r'"a" # c "x',
        '"""\\\n\nb"""', "'''\na''b'''", "['''a\n]''', \"]\"]", '{a = "}", b = """\n}"""}', "[[1, 2], # ]\n]",
    ],
)  # fmt: skip
def test_a_problem_is_told_where_it_stands_whatever_texts_and_lists_come_before(said: str) -> None:
    text = f"[hand]\nx = {said}\nkind = 'bogus'\n"
    line = text.partition("kind = ")[0].count("\n") + 1
    assert (line, 8) in [(one.line, one.column) for one in _problems(text)]


def test_looking_for_such_a_key_passes_over_what_is_none() -> None:
    """Each of these is as long as a file may be, and would take minutes if each place in it were looked at anew."""
    for text in (
        "a" * 131_000, '"' * 131_000, "a." * 400 + "=", "'" + "a" * 131_000, "a. " * 40_000 + "\n" * 9,
        r"\"" * 65_000, '"' + r"\"" * 65_000,
    ):  # fmt: skip
        assert _problems(f"x = 1\n{text}"[:LONGEST])


@given(st.text(alphabet=st.sampled_from("[]{}=\"'.,#\n\\ ahnd1\t\r"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(ManifestInvalid):
        check(text)


_KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=4)
_SCALARS = st.one_of(st.text(max_size=5), st.integers(-9, 9), st.booleans(), st.dates(), st.floats(0, 1))
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=4), st.booleans())
def test_every_key_and_value_has_a_place_at_which_it_stands(tree: dict[str, Any], multiline: bool) -> None:
    text = tomli_w.dumps(tree, multiline_strings=multiline)
    lines = text.split("\n")
    positions = Positions(text)

    def walk(value: object, path: KeyPath) -> None:
        line, column = positions.value(path)
        assert 1 <= line <= len(lines)
        assert 1 <= column <= len(lines[line - 1]) + 1
        if path and isinstance(value, bool | int) and not isinstance(value, float):
            assert lines[line - 1][column - 1 :].startswith(str(value).lower())
        if isinstance(value, dict):
            for key, below in value.items():
                walk(below, (*path, key))
        if isinstance(value, list):
            for index, below in enumerate(value):
                walk(below, (*path, index))

    walk(tree, ())


# the table of keys and the schema ------------------------------------------------------------------------------------

_STRUCTS: dict[str, type[msgspec.Struct]] = {
    "hand": schema.HandSection,
    "capabilities.*": schema.Capability,
    "provides.*": schema.Provided,
    "events": schema.Events,
    "limits": schema.Limits,
    "budget": schema.Budget,
    "restart": schema.Restart,
    "confinement": schema.Confinement,
    "settings.*": schema.Setting,
    "requires": schema.Requires,
}


@pytest.mark.parametrize("section", _STRUCTS)
def test_the_table_of_keys_and_the_schema_agree(section: str) -> None:
    fields = {field.name: field for field in msgspec.structs.fields(_STRUCTS[section])}
    for given_by_its_place in ("method", "lent"):
        fields.pop(given_by_its_place, None)
    keys = reference.keys_of(section)
    named = {f"{name}_ms" if key.type == "duration" else name: key for name, key in keys.items()}
    assert named.keys() == fields.keys()
    for name, key in named.items():
        assert (key.default == reference.REQUIRED) == fields[name].required, name
        if key.choices:
            assert key.choices == get_args(fields[name].type), name


def test_every_default_in_the_table_is_what_the_schema_gives() -> None:
    sections: dict[str, list[str]] = {}
    for key in reference.KEYS:
        section, _, name = key.path.rpartition(".")
        if "*" not in section and key.default not in (reference.REQUIRED, reference.NONE) and name != "fuel":
            sections.setdefault(section, []).append(f"{name} = {key.default}")
    required = re.sub(r"(?m)^(isolation|autostart|idle|needs) = .*\n", "", HEAD)
    written, schedule = required + "\n".join(sections.pop("hand")) + "\n", sections.pop("schedule")
    agent = "\n".join(sections.pop("agent"))
    written += "".join(f"[{section}]\n" + "\n".join(rows) + "\n" for section, rows in sections.items())
    assert check(written) == check(required)
    wasm = re.sub(r"(?ms)^entry = .*?$", 'wasm = "main.wat"', required)
    fuel = reference.AT["limits.fuel"].default
    assert check(f"{wasm}\n[limits]\nfuel = {fuel}\n") == check(wasm)
    task = required.replace('kind = "service"', 'kind = "task"')
    thinks = re.sub(r"(?m)^entry = .*$", "", task) + '[capabilities]\n"model.*" = ["*"]\n[agent]\nmodel = "default"\n'
    assert check(f"{thinks}{agent}\n") == check(thinks)
    for when, others in (
        ('at = "2026-12-01T09:00"', ("where",)),
        ('on = "web.seen"', ("missed", "jitter", "timezone")),
    ):
        rows = "\n".join(row for row in schedule if not row.startswith(others))
        assert check(f"{task}\n[schedule]\n{when}\n{rows}\n") == check(f"{task}\n[schedule]\n{when}\n")


def test_what_thinks_says_with_which_model_and_by_which_files() -> None:
    head = re.sub(r"(?m)^(entry|isolation|autostart|idle|needs) = .*\n", "", HEAD).replace('"service"', '"task"')
    manifest = check(
        f"""{head}
[capabilities]
"model.complete" = ["anthropic/*"]
[agent]
model = "anthropic/claude-x"
playbook = "PLAYBOOK.md"
schema = "schemas/answer.json"
task = "task.json"
steps = 12
tokens = "200k"
dollars = "1.50"
window = "8k"
"""
    )
    assert manifest.agent == schema.Agent(
        model="anthropic/claude-x", playbook="PLAYBOOK.md", schema="schemas/answer.json", task="task.json", steps=12,
        tokens=200_000,
        dollars=1_500_000, window=8_000,
    )  # fmt: skip
    assert schema.decode(schema.encode(manifest)) == manifest


def test_every_type_in_the_table_has_a_reader_and_every_key_a_meaning() -> None:
    assert {key.type for key in reference.KEYS} == READERS.keys()
    assert all(key.doc for key in reference.KEYS)
    assert {key.path.partition(".")[0] for key in reference.KEYS} == {
        one.partition(".")[0] for one in reference.SECTIONS
    }
    assert set(get_args(schema.SettingType)) < set(TYPES)


def test_every_key_that_comes_later_says_what_it_will_do() -> None:
    for path, doc in reference.LATER.items():
        written = path.replace("*", '"web.fetch"')
        section, _, name = written.rpartition(".")
        text = (f"[{section}]\n{name} = 1\n" if section else f"[{name}]\n").replace("[capabilities.", "[capabilities.")
        assert any(doc in problem.what and "later" in problem.what for problem in _problems(text)), path


def test_the_reference_page_shows_every_key_with_its_limits() -> None:
    page = reference.page()
    for key in reference.KEYS:
        assert f"| `{key.path.rpartition('.')[2]}` |" in page
        assert key.doc in page
    assert '"48MiB" to "64GiB"' in page
    assert len(LIMITS) == 10


def test_starting_from_a_snapshot_imports_nothing_heavy() -> None:
    script = (
        "import sys, manifests.schema, manifests.grants, manifests.capabilities, manifests.values\n"
        "one = manifests.schema.Capability(method='web.fetch', allow=('https://a.example/**',))\n"
        "g = manifests.grants.GrantSet.of([one])\n"
        "assert g.allows('web.fetch', 'https://a.example/x')\n"
        "heavy = {'tomllib', 'idna', 'urllib', 'urllib.parse', 'ipaddress', 'socket', 'difflib', 'nacl'}\n"
        "print(*heavy & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_example_of_the_reference_is_in_order() -> None:
    made = check(example.EXAMPLE)
    assert made.hand.name == "rain-watch"
    assert example.EXAMPLE in reference.page()
