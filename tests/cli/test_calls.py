"""Calls from the command line: typed by what the method declares, streamed both ways, ended as they ended."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import Shell, is_one_clear_line
from tests.living import ECHO, Source, write_hand


@pytest.fixture(scope="module")
def drawer(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that is a root named `drawer`."""
    folder = tmp_path_factory.mktemp("drawer")
    shell.result("roots", "add", "drawer", folder)
    yield folder
    shell.result("roots", "remove", "drawer")


def test_a_call_prints_what_it_brings(shell: Shell) -> None:
    told = shell.result("call", "echo.say", "text=42")
    assert told == {"value": {"text": "42"}, "labels": [], "cost": None, "streamed": 0}
    assert shell.result("call", "echo.say", 'text:="x y"')["value"] == {"text": "x y"}


def test_arguments_are_typed_before_anything_is_sent(shell: Shell) -> None:
    for words, why in (
        (("echo.say",), "`text` is missing"),
        (("echo.say", "txet=hi"), 'did you mean "text"'),
        (("echo.say", "text:=4"), "not a string"),
        (("echo.say", "text"), "not key=value"),
        (("files.stat",), "acts on a path"),
        (("files.read", "drawer/x", "offset=many"), "`offset`"),
    ):
        ran = shell.run("call", *words)
        assert (ran.code, why in ran.err) == (2, True), ran


def test_bytes_stream_out_and_in_whole(shell: Shell, drawer: Path, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096 * 3 + b"end"
    (tmp_path / "up").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    told = shell.result("call", "files.write", "drawer/big", "--upload", tmp_path / "up")
    assert told["value"] == {"size": len(content), "sha256": digest}
    assert (drawer / "big").read_bytes() == content
    down = tmp_path / "down"
    told = shell.result("call", "files.read", "drawer/big", "--output", down)
    assert told["streamed"] == len(content)
    assert "files" in told["labels"]  # type: ignore[operator]
    assert down.read_bytes() == content


def test_a_call_that_fails_leaves_its_output_as_it_was(shell: Shell, drawer: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"before")
    assert shell.run("call", "files.read", "drawer/absent", "--output", tmp_path / "kept").code == 1
    assert (tmp_path / "kept").read_bytes() == b"before"
    shell.good("call", "files.write", "drawer/same", "--upload", tmp_path / "kept", "--output", tmp_path / "kept")
    assert (drawer / "same").read_bytes() == b"before"


def test_streamed_bytes_go_to_stdout_and_the_value_to_stderr(shell: Shell, drawer: Path) -> None:
    shell.good("call", "files.write", "drawer/note", "--upload", "-", stdin="piped\n")
    ran = shell.run("call", "files.read", "drawer/note")
    assert ran.out == "piped\n"
    assert '"sha256"' in ran.err
    assert ran.err.endswith("}\nlabels: files\n"), "as of any other call"
    assert shell.run("call", "files.read", "drawer/note", "--json").err.endswith("}\n")


def test_ends_other_than_done_have_their_codes(shell: Shell, drawer: Path) -> None:
    assert shell.run("call", "files.read", "drawer/absent").code == 1
    assert shell.run("call", "files.read", "drawer/../etc").code == 4
    ran = shell.run("call", "nobody.does")
    assert ran.code == 1
    assert "maniple methods" in ran.err
    slow = shell.run("call", "kernel.sleep", "milliseconds=60000", "--timeout", "100ms")
    assert slow.code == 1
    assert "deadline" in slow.err or "within its time" in slow.err
    for wrong in ("soon", "0s"):
        assert shell.run("call", "echo.say", "text=x", "--timeout", wrong).code == 2
    assert shell.run("call", "echo.say", "text=x", "--upload", "/nowhere/at/all").code == 1


def test_methods_are_listed_and_shown_in_full(shell: Shell) -> None:
    out = shell.good("methods")
    assert "echo.say" in out
    assert "kernel.ps" not in out
    assert "kernel.ps" in shell.good("methods", "--kernel")
    assert "Say it back" in shell.good("methods", "echo.say")
    rows = shell.result("methods", "echo")["methods"]
    assert isinstance(rows, list)
    assert [row["params"] for row in rows] == [{"text": "string"}]
    assert shell.run("methods", "nobody").code == 1


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("show", "bad name"), 2, "'bad name' is not a name: "),
        (("remove", "bad name", "--purge"), 2, "'bad name' is not a name: "),
        (("start", "bad name"), 2, "'bad name' is not a name: "),
        (("start", "echo", "--most", "tokens=5"), 1, "echo is a service and takes no inputs and no `most`: see"),
        (("roots", "add", "Bad Name", "."), 2, "'Bad Name' is not a name for a root: "),
        (("roots", "remove", "Bad Name"), 2, "'Bad Name' is not a name: "),
        (("call", "nope.x"), 1, "nothing provides 'nope.x': see `maniple methods`"),
        (
            ("call", "files.raed", "x"),
            1,
            "nothing provides 'files.raed', did you mean \"files.read\": see `maniple methods`",
        ),
        (("call", "say"), 1, "nothing provides 'say', did you mean \"echo.say\": see `maniple methods`"),
        (("call", "echo"), 1, "echo is a Hand and no method: see `maniple methods echo`"),
        (("call", "echo.say", "text:=1", "txet=hi"), 2, '`txet` is not a param; did you mean "text"?'),
        (("methods", "echo.sya"), 1, "nothing provides 'echo.sya', did you mean \"echo.say\": see `maniple methods`"),
        (("methods", "fils"), 1, "nothing provides 'fils', did you mean \"files\": see `maniple methods`"),
        (("erase", "r-0000000000000000", "--yes"), 1, "there is no tape of a run"),
        *(
            ((*one, "nope"), 2, "nope is not a run's id")
            for one in [("wait",), ("cancel",), ("run-show",), ("replay",)]
        ),
        (("erase", "nope", "--yes"), 2, "nope is not a run's id"),
        (("tell", "nope", "x"), 2, "nope is not a run's id"),
        (("stop", "r-0000000000000000"), 1, "no run r-0000000000000000 is live"),
        (("stop", "nope"), 1, "no Hand 'nope' is installed"),
        (("usage", "--hand", "nope"), 1, "no Hand 'nope'"),
        (("keys", "revoke", "00000000"), 1, "no key 00000000 is trusted here; see `maniple keys list`"),
        (("approve", "1"), 1, "call 1 does not wait for approval, or not any more: see `maniple approvals`"),
        (("deny", "1"), 1, "call 1 does not wait for approval"),
        (("answer", "1", "yes"), 1, "question 1 does not wait for an answer"),
        (("ask", "--hand", "echo", "hi"), 1, "echo is a service and takes no questions: see `maniple methods echo`"),
        (
            ("call", "echo.say", "text=hi", "x=1"),
            2,
            "`x` is not a param; there are text: see `maniple methods echo.say`",
        ),
        (
            ("call", "files.read"),
            2,
            "files.read acts on a path: name it after the method: see `maniple methods files.read`",
        ),
    ],
)
def test_words_that_cannot_be_right_end_with_2_and_what_is_not_there_with_1(
    words: tuple[str, ...], code: int, says: str, shell: Shell
) -> None:
    ran = shell.run(*words)
    assert (ran.code, is_one_clear_line(ran)) == (code, True), ran
    assert ran.err.startswith(f"maniple: {says}")
    assert "kernel." not in ran.err, "a name of the inside tells a person nothing"


def test_a_wrong_name_of_a_root_leads_to_the_roots_and_a_wrong_path_too(shell: Shell, drawer: Path) -> None:
    assert shell.run("roots", "add", "Bad Name", ".").err.endswith("; see `maniple roots`\n")
    for path in (str(drawer / "same"), "./drawer/same"):
        assert shell.run("call", "files.stat", path).err.endswith("; see `maniple roots`\n")


def test_a_provider_that_has_nobody_to_ask_is_not_told_as_one_that_there_is_not(shell: Shell, tmp_path: Path) -> None:
    """A Hand may hand on the reason of the call that it made itself."""
    lost = ECHO.main.replace("import Call", "import Call, Failure").replace(
        'return {"text": text}', 'raise Failure("no provider", f"{text} is nowhere")'
    )
    shell.good("install", write_hand(tmp_path / "lost", Source(ECHO.toml.replace("echo", "lost"), lost)), "--yes")
    assert "say.more is nowhere" in shell.run("call", "lost.say", "text=say.more").err
    shell.good("remove", "lost")


def test_a_refusal_is_known_by_its_code_and_not_by_its_words(shell: Shell) -> None:
    """A resource stands in the kernel's sentence as it was typed, so that anybody can write into it what he likes."""
    ran = shell.run("call", "files.read", "drawer/../a is not a name to kernel.show: b")
    assert (ran.code, "refused: " in ran.err, "is not a name:" in ran.err) == (4, True, False), ran
    ran = shell.run("show", "a: b")
    assert (ran.code, "'a: b' is not a name: a name has 1 to 256 letters" in ran.err) == (2, True), ran


def test_what_is_not_frozen_is_not_thawed(shell: Shell) -> None:
    assert shell.good("thaw") == "Nothing was frozen.\n"
