"""The tree keeps the house rules, and each rule is seen to refuse a file that breaks it."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests import house, house_imports

ROOT: Final = Path(__file__).resolve().parent.parent

Rule = Callable[[str, str], list[str]]


def _tracked() -> dict[str, str]:
    """Every tracked text file of the project, by its path from the root."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    found = {}
    for path in filter(None, listing.split("\0")):
        file = ROOT / path
        if file.is_file() and b"\0" not in (raw := file.read_bytes()):
            found[path] = raw.decode("utf-8")
    return found


@pytest.fixture(scope="module", autouse=True)
def trees_are_kept() -> Iterator[None]:
    with house.keeping_trees():
        yield


@pytest.fixture(scope="module")
def tree() -> Mapping[str, str]:
    return _tracked()


def _python(tree: Mapping[str, str], *under: str) -> Iterator[tuple[str, str]]:
    for path, text in tree.items():
        if path.endswith(".py") and path.startswith(under or ""):
            yield path, text


def _code(path: str) -> bool:
    return path.endswith((".py", ".sql", ".sh")) or path in ("just", "justfile")


def _hand_modules(tree: Mapping[str, str]) -> dict[str, set[str]]:
    """The bare names of each Hand's modules, by the Hand's folder."""
    found: dict[str, set[str]] = {}
    for path, _ in _python(tree, "hands/"):
        parts = path.split("/")
        if len(parts) > 2:
            found.setdefault(parts[1], set()).add(parts[2].removesuffix(".py"))
    return found


def _hand_rule(hand: str, modules: Mapping[str, set[str]]) -> Rule:
    others = set().union(*(names for other, names in modules.items() if other != hand))
    return lambda path, text: house_imports.hand(path, text, modules[hand], others)


def _problems(rule: Rule, files: Iterator[tuple[str, str]]) -> str:
    return "\n".join(problem for path, text in files for problem in rule(path, text))


EVERY_MODULE: Final[tuple[Rule, ...]] = (
    house.bare_except,
    house.function_length,
    house.module_docstring,
    house.names,
)
EVERY_FILE: Final[tuple[Rule, ...]] = (house.machine_paths, house.registry_hosts, house.unfinished)


@pytest.mark.parametrize("rule", EVERY_MODULE, ids=lambda rule: rule.__name__)
def test_every_module_keeps(rule: Rule, tree: Mapping[str, str]) -> None:
    assert _problems(rule, _python(tree)) == ""


@pytest.mark.parametrize("rule", EVERY_FILE, ids=lambda rule: rule.__name__)
def test_every_file_keeps(rule: Rule, tree: Mapping[str, str]) -> None:
    assert _problems(rule, iter(tree.items())) == ""


def test_code_files_stay_short(tree: Mapping[str, str]) -> None:
    assert _problems(house.file_length, ((path, text) for path, text in tree.items() if _code(path))) == ""


def test_the_top_level_is_the_fixed_one(tree: Mapping[str, str]) -> None:
    assert house.layout(tree) == []


def test_the_kernel_can_be_read_in_an_afternoon(tree: Mapping[str, str]) -> None:
    assert house.kernel_length(_python(tree)) == []


def test_the_kernel_stands_on_a_short_list(tree: Mapping[str, str]) -> None:
    assert _problems(house_imports.kernel, _python(tree, "kernel/")) == ""


def test_wire_and_manifests_only_decide(tree: Mapping[str, str]) -> None:
    assert _problems(house_imports.pure_imports, _python(tree, "wire/", "manifests/")) == ""
    assert _problems(house_imports.pure_calls, _python(tree, "wire/", "manifests/")) == ""


def test_imports_point_down(tree: Mapping[str, str]) -> None:
    assert _problems(house_imports.layers, _python(tree, *(f"{package}/" for package in house_imports.PACKAGES))) == ""


def test_no_hand_imports_another(tree: Mapping[str, str]) -> None:
    modules = _hand_modules(tree)
    assert (
        "\n".join(_problems(_hand_rule(hand, modules), _python(tree, f"hands/{hand}/")) for hand in modules).strip()
        == ""
    )


def test_every_message_says_who_sends_it(tree: Mapping[str, str]) -> None:
    assert house.message_docstrings("wire/headers.py", tree["wire/headers.py"]) == []


def test_the_justfile_stays_small(tree: Mapping[str, str]) -> None:
    assert house.recipes("justfile", tree["justfile"]) == []


def test_decisions_are_numbered_and_name_their_costs(tree: Mapping[str, str]) -> None:
    records = {path: text for path, text in tree.items() if path.startswith("docs/adr/0")}
    assert house.decisions(records) == []
    assert _problems(house.decision_costs, iter(records.items())) == ""


@pytest.mark.parametrize("file", ["requirements/base.in", "requirements/dev.in"])
def test_every_package_is_a_recorded_decision(file: str, tree: Mapping[str, str]) -> None:
    records = [text for path, text in tree.items() if path.startswith("docs/adr/0")]
    assert house.packages_decided(tree[file], records) == []


# Each rule refuses what breaks it ------------------------------------------------------------------------------------

HOME: Final = "/ro" + "ot/"
BROKEN: Final[tuple[tuple[Rule, str, str], ...]] = (
    (house.bare_except, "a.py", "try:\n    pass\nexcept:\n    pass\n"),
    (house.decision_costs, "docs/adr/0001-a.md", "# 1. A\n\n## What it costs\n\nNothing.\n"),
    (house.file_length, "a.py", "x = 1\n" * 401),
    (house.function_length, "a.py", "def f():\n" + "    x = 1\n" * 60),
    (house.function_length, "a.py", "class A:\n    async def f(self):\n" + "        x = 1\n" * 60),
    (house.machine_paths, "a.md", f"see {HOME}notes"),
    (house.machine_paths, "a.py", "x = '/ho" + "me/ada/x'"),
    (house.message_docstrings, "wire/headers.py", 'class A(Header, tag="a"):\n    """A message."""\n'),
    (house.module_docstring, "a.py", "x = 1\n"),
    (house.names, "kernel/utils.py", ""),
    (house.names, "kernel/common/a.py", ""),
    (house.names, "a.py", "class RunManager: ..."),
    (house.names, "a.py", "class HTTPHandler: ..."),
    (house.names, "a.py", "async def error_handler(): ..."),
    (house.names, "a.py", "def _data(): ..."),
    (house.recipes, "justfile", "".join(f"recipe-{letter} *args:\n    true\n" for letter in "abcdefghijk")),
    (house.registry_hosts, "a.txt", "--index-url " + "https://PyPI" + ".org/simple"),
    (house.unfinished, "a.py", "# FIX" + "ME later"),
    (house_imports.layers, "runtime/a.py", "from kernel.policy import decide"),
    (house_imports.layers, "runtime/a.py", "def f():\n    import memory"),
    (house_imports.layers, "memory/a.py", "from runtime import Hand"),
    (house_imports.layers, "kernel/a.py", "from memory import Store"),
    (house_imports.layers, "hands/a/main.py", "import kernel.policy"),
    (house_imports.layers, "wire/a.py", "from manifests import schema"),
    (house_imports.kernel, "kernel/a.py", "import sqlite3"),
    (house_imports.kernel, "kernel/a.py", "def f():\n    from urllib.request import urlopen"),
    (house_imports.kernel, "kernel/a.py", "import click"),
    (house_imports.kernel, "kernel/a.py", "from runtime import Hand"),
    (house_imports.kernel, "kernel/cli/a.py", "import rich"),
    (house_imports.pure_calls, "wire/a.py", "open('x')"),
    (house_imports.pure_calls, "wire/a.py", "datetime.now(UTC)"),
    (house_imports.pure_imports, "wire/a.py", "import os"),
    (house_imports.pure_imports, "wire/a.py", "def f():\n    import socket"),
    (house_imports.pure_imports, "wire/a.py", "from urllib.request import urlopen"),
    (house_imports.pure_imports, "wire/a.py", "from manifests import schema"),
    (house_imports.pure_imports, "manifests/a.py", "from pathlib import Path"),
)


@pytest.mark.parametrize(("rule", "path", "text"), BROKEN)
def test_a_rule_refuses_what_breaks_it(rule: Rule, path: str, text: str) -> None:
    assert len(rule(path, text)) == 1


KEPT: Final[tuple[tuple[Rule, str, str], ...]] = (
    (house.bare_except, "a.py", "try:\n    pass\nexcept OSError:\n    pass\n"),
    (house.file_length, "a.py", "x = 1\n" * 400),
    (house.function_length, "a.py", "def f():\n" + "    x = 1\n" * 59),
    (house.machine_paths, "a.md", "reports/ro" + "ot/notes and https://x.example/ho" + "me/ada/"),
    (house.message_docstrings, "wire/headers.py", 'class A(Header, tag="a"):\n    """Sent by the kernel."""\n'),
    (house.message_docstrings, "wire/headers.py", "class Header(Struct):\n    x: int\n"),
    (house.names, "hands/data-pipeline/main.py", "class DataPipeline: ...\ndef metadata(): ...\ndef handle(): ...\n"),
    (
        house.recipes,
        "justfile",
        'python := "x"\n' + "".join(f"recipe-{c}:\n    true\n" for c in "abcdefghij") + "_a:\n",
    ),
    (house_imports.kernel, "kernel/cli/a.py", "import click, tomli_w, os.path\nfrom kernel import policy\n"),
    (house_imports.pure_calls, "wire/a.py", "re.compile('x')"),
    (house_imports.pure_imports, "manifests/a.py", "from wire import limits\nfrom urllib.parse import quote\n"),
)


@pytest.mark.parametrize(("rule", "path", "text"), KEPT)
def test_a_rule_passes_what_keeps_it(rule: Rule, path: str, text: str) -> None:
    assert rule(path, text) == []


@pytest.mark.parametrize(
    "line", ["import kernel", "from hands.web import main", "import beneath", "from beneath import Tree"]
)
def test_a_hand_that_imports_another_is_found(line: str) -> None:
    assert len(house_imports.hand("hands/web/main.py", line, {"main", "dial"}, {"main", "beneath"})) == 1


def test_a_hand_may_import_its_own_modules_and_what_it_links() -> None:
    text = "import os, dial, psutil\nfrom main import Web\nfrom runtime import Hand\n"
    assert house_imports.hand("hands/web/main.py", text, {"main", "dial"}, {"main", "os"}) == []


def test_a_stranger_and_a_gap_at_the_top_are_found() -> None:
    assert house.layout((house.LAYOUT - {"LICENSE"}) | {"scripts/a.sh"}) == [
        "scripts does not belong at the top",
        "LICENSE is missing at the top",
    ]


def test_a_kernel_too_long_is_found_and_its_command_line_is_not_counted() -> None:
    assert house.kernel_length([("kernel/a.py", "a = 1\n" * 2_600), ("kernel/cli/a.py", "a = 1\n" * 9)]) == []
    assert len(house.kernel_length([("kernel/a.py", "a = 1\n" * 2_600), ("kernel/b.py", "b = 1\n")])) == 1
    assert len(house.kernel_length([("kernel/a.py", "\n" * 4_101)])) == 1
    assert house.kernel_length([("kernel/a.py", "a = 1\n" * 2_600), ("kernel/process/a.py", "a = 1\n" * 800)]) == []
    for room, most in house.ROOMS.items():
        assert len(house.kernel_length([(f"{room}a.py", "a = 1\n" * (most + 1))])) == 1


def test_what_explains_is_not_counted_as_code() -> None:
    text = '"""Says what it is.\n\nAnd why.\n"""\n\n# why\nA = 1\n"""What A is."""\n\n\n'
    text += 'def f() -> str:\n    """It."""\n    return "x"\n'
    assert house.code_lines(text) == 3


@pytest.mark.parametrize("numbers", [(2,), (1, 3), (1, 1, 2)])
def test_a_gap_or_twin_among_decisions_is_found(numbers: tuple[int, ...]) -> None:
    assert len(house.decisions(f"docs/adr/{number:04}-{'abc'[at]}.md" for at, number in enumerate(numbers))) == 1


def test_a_package_without_a_record_is_found() -> None:
    assert len(house.packages_decided("-r base.in\n# why\nclick\nleft-pad\n", ["| `click` | parses |"])) == 1
