"""Whether a Hand's class answers what its [provides] says, told by reading it; and that the runtime says the same."""

from pathlib import Path

import pytest

from kernel.cli import entry
from manifests.check import check
from manifests.coroutines import RESERVED, misfits
from runtime import hand
from runtime.code import HandFinder
from runtime.errors import HandBroken
from tests.living import ROOT

TOML = """
[hand]
name = "lines"
version = "1.0.0"
description = "Says a line."
entry = "main:Lines"
kind = "service"
autonomy = "readonly"

[provides."lines.say"]
summary = "Say it"
resource = "none"
effect = "read"
params = { text = "string", times = "int?" }
"""

HEAD = "from runtime import Call, Hand\n\nclass Lines(Hand):\n    "
GOOD = "async def say(self, call: Call, text: str, times: int = 1): ..."


def told(code: str, toml: str = TOML, **others: str) -> list[str]:
    """What is told of such a Hand. others: more modules in its folder."""
    files = {"HAND.toml": toml, "main.py": code, **{f"{name}.py": text for name, text in others.items()}}
    found = misfits("lines/", check(toml), {path: text.encode() for path, text in files.items()})
    return [f"{one.file}:{one.line}:{one.column}: {one.what}" for one in found]


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("x = 1", "main.py:3:1: class Lines has no `say`, which would answer lines.say"),
        ("async def said(self, call, text, times=1): ...", "main.py:3:1: class Lines has no `say`"),
        ("def say(self, call, text, times=1): ...", "main.py:4:5: `say` is not a coroutine"),
        ("async def say(self, call, text, times=1): yield b''", "main.py:4:5: `say` is a generator, not a coroutine"),
        ("async def say(self): ...", "main.py:4:5: `say` takes no call"),
        ("async def say(self, *, call, text, times=1): ...", "main.py:4:5: `say` takes no call"),
        ("async def say(self, text, times=1): ...", "main.py:4:5: `text` is a param of lines.say"),
        ("async def say(self, call, text): ...", "main.py:4:5: `say` does not take `times`, which [provides"),
        ("async def say(self, call): ...", "main.py:4:5: `say` does not take `text` and `times`, which"),
        ("async def say(self, call, times=1, *words): ...", "main.py:4:5: `say` does not take `text`"),
        ("async def say(self, call, text, times): ...", "main.py:4:37: `times` has no default, and HAND.toml says"),
        ("async def say(self, call, *, text, times): ...", "main.py:4:40: `times` has no default, and HAND.toml says"),
        ("async def say(self, call, text, /, **rest): ...", "main.py:4:31: `text` cannot be given by name"),
        ("async def say(self, call, tone, **rest): ...", "main.py:4:31: `tone` has no default, and is no param of"),
        (f"{GOOD}\n    async def say(self): ...", "main.py:5:5: `say` takes no call"),
    ],
)
def test_a_method_that_its_class_cannot_answer_is_told_and_the_runtime_refuses_it_too(body: str, wrong: str) -> None:
    (found,) = told(HEAD + body)
    assert found.startswith(f"lines/{wrong}")
    with pytest.raises(HandBroken):
        _started(HEAD + body)


def test_a_param_of_another_name_is_told_on_both_sides_with_the_head_to_write() -> None:
    toml = TOML.replace('text = "string", times = "int?"', 'times = "duration?", of = "string"')
    lacking, named = misfits("lines", check(toml), {"HAND.toml": toml.encode(), "main.py": (HEAD + GOOD).encode()})
    assert lacking.what.startswith("`say` does not take `of`, which")
    assert lacking.instead == "write async def say(self, call: Call, of: str, times: float | None = None)"
    assert named.what == "`text` has no default, and is no param of lines.say"


@pytest.mark.parametrize(
    "body",
    [
        GOOD,
        "async def say(self, call, *, text, times=1): ...",
        "async def say(self, call, /, **params): ...",
        "async def say(self, *all, **params): ...",
        "async def say(self, call, text, times=1, loud=False): ...",
        "async def on_call(self, call, arguments): ...",
        "def say(self): ...\n    async def say(self, call, text, times=None): ...",
        "async def say(self, call, **params):\n        def inner(): yield 1",
    ],
)
def test_what_the_runtime_takes_is_clean(body: str) -> None:
    assert told(HEAD + body) == []
    _started(HEAD + body)


@pytest.mark.parametrize(
    "code",
    [
        "class Lines(Hand): ...",  # Hand is whatever it is
        "from runtime import Hand\nimport library\nclass Lines(Hand, library.Says): ...",
        "from runtime import Hand\nfrom library import *\nclass Lines(Hand): ...",
        "from runtime import Hand\nHand = 3\nclass Lines(Hand): ...",
        "from library import Lines",
        "from . import Lines",
        "from runtime import Hand\nif Hand:\n    class Lines(Hand): ...",
        "from runtime import Hand\n@print\nclass Lines(Hand): ...",
        "from runtime import Hand\nclass Lines(Hand, metaclass=type): ...",
        "from runtime import Hand\nclass Lines(Hand):\n    say = print",
        "from runtime import Hand\nclass Lines(Hand):\n    @print\n    async def say(self): ...",
        "from runtime import Hand\nclass Lines(Hand):\n    if Hand:\n        async def say(self): ...",
        "from runtime import Hand\nclass Lines(Hand):\n    def __getattr__(self, name): ...",
        "from runtime import Hand\nclass Lines(Hand):\n    def __init__(self):\n        self.say = print",
        "from runtime import Hand\nclass Lines(Hand):\n    def __init__(self):\n        setattr(self, input(), print)",
        "from runtime import Hand\nclass Lines(Hand):\n    locals()['say'] = print",
        "from runtime import Hand\nclass Lines(Hand): ...\nLines.say = print",
        "from runtime import Hand\nclass Lines(Hand): ...\nsetattr(Lines, 'say', print)",
        "from runtime import Hand\nclass Lines(Lines): ...",
        "from other import Lines",
        "this is no Python",
    ],
)
def test_nothing_is_said_of_what_is_not_certain(code: str) -> None:
    assert told(code, other="from main import Lines") == []


def test_classes_of_the_same_folder_are_read_through() -> None:
    code = "import below.deep as deep\nfrom desk import Desk as Base\n\nclass Lines(Base, deep.More): ...\n"
    desk = "import runtime\n\nclass Desk(runtime.Hand): ...\n"
    deep = "class More(object):\n    async def say(self, call): ...\n"
    (found,) = told(code, desk=desk, **{"below/deep": deep})
    assert found.startswith("lines/below/deep.py:2:5: `say` does not take `text` and `times`")
    both = desk.replace("...", "\n    async def say(self): ...")
    assert told(code, desk=both, **{"below/deep": deep}) == []  # which of them comes first is Python's to say
    alone = code.replace("Base, deep.More", "deep.More")
    assert told(alone, desk=desk, **{"below/deep": deep}) == [
        "lines/main.py:4:1: class Lines is not made from runtime.Hand"
    ]
    assert told("from desk import Desk as Lines", desk=desk)[0].startswith("lines/desk.py:3:1: class Desk has no `say`")
    elsewhere = "class Other:\n    def __init__(self):\n        self.say = setattr(self, 1, 2)\n"
    assert len(told("from desk import Desk as Lines", desk=desk, other=elsewhere)) == 1


def test_a_folder_made_to_be_slow_is_read_soon() -> None:
    rows = ["from runtime import Hand", "class A0(Hand): ...", "class B0(Hand): ..."]
    for at in range(1, 400):
        rows += [f"class {one}{at}(A{at - 1}, B{at - 1}): ..." for one in "AB"]
    rows += [
        "class Lines(A399):",
        "    async def say(self, call, text, times=1):",
        "        return " + "-" * 2_000 + "1",
    ]
    assert told("\n".join(rows)) == []


@pytest.mark.parametrize("word", ["log", "in-background", "import", "3d"])
def test_a_method_that_no_coroutine_can_be_named_after_is_told_where_it_stands(word: str) -> None:
    toml = TOML.replace("lines.say", f"lines.{word}")
    (found,) = told(HEAD + GOOD, toml)
    assert found.startswith(f"lines/HAND.toml:10:11: lines.{word} would be answered by `{word.replace('-', '_')}`")
    with pytest.raises(HandBroken):
        _started(HEAD + GOOD, toml)


def test_what_every_hand_has_is_known() -> None:
    assert {name for name in hand._RESERVED if not name.startswith("_")} == RESERVED


@pytest.mark.parametrize("manifest", sorted([*ROOT.glob("hands/*/HAND.toml"), *ROOT.glob("docs/**/HAND.toml")]))
def test_every_hand_of_ours_is_clean(manifest: Path) -> None:
    folder = manifest.parent
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    read = check(manifest.read_text())
    if read.hand.entry:
        assert entry.problems(folder.name, read, files) == []
        if read.provides and folder.name != "time":  # which answers in on_call
            unanswered = {path: text.replace(b"async def ", b"async def no_") for path, text in files.items()}
            assert misfits(folder.name, read, unanswered) != []  # so it is one that can be read


def _started(code: str, toml: str = TOML) -> None:
    """Make the Hand as a run does. Raises HandBroken."""
    names: dict[str, object] = {"__name__": "main"}
    finder = HandFinder("lines", {"main.py": code.encode()})
    exec(finder.get_code("main"), names)
    kind = names["Lines"]
    assert isinstance(kind, type)
    assert issubclass(kind, hand.Hand)
    made = kind.__new__(kind)
    made._place = _Place(check(toml))  # type: ignore[assignment]
    made._check()


class _Place:
    """As much of a Hand's place as is looked at before it starts."""

    def __init__(self, manifest: object) -> None:
        self.manifest = manifest
