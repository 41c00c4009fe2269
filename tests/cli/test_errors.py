"""Whatever goes wrong, a person gets one clear line and the next command to type, and a script its exit code."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import click
import pytest

from kernel.cli import commands
from kernel.cli.exits import Exit
from kernel.cli.main import CommandGroup, _os_error, run
from tests.cli.shell import MANIPLE, Ran, Shell, copied_home, is_one_clear_line
from tests.spread import spread

ARGUMENTS: Final[Mapping[str, Sequence[str]]] = {
    "grant": ["x", "a.b", "*"], "revoke": ["x", "a.b"], "roots add": ["x", "."], "keys revoke": ["00000000", "--yes"],
    "call": ["a.b"], "approve": ["1"], "deny": ["1"], "answer": ["1", "yes"], "decide": ["r-0000000000000000", "finish"],
    "erase": ["r-0000000000000000", "--yes"], "memory erase": ["--shared", "x", "--yes"], "mcp offer": ["x", "time.now"],
    "cancel": ["r-0000000000000000"], "wait": ["r-0000000000000000"], "memory forget": ["1"],
    "audit show": ["1"], "audit prove": ["1"],
    "run-show": ["r-0000000000000000"], "replay": ["r-0000000000000000"],
    "tell": ["r-0000000000000000", "x"],
}  # fmt: skip
"""What a command is given, where not each of its arguments may be `x`."""

ALONE: Final = frozenset(
    {"init", "doctor", "new", "check", "completion", "keys new", "mcp known", "pipeline check", "audit verify-proof"}
    | {"seal", "verify", "keys add", "keys rotate", "mcp add", "pipeline add", "skills install", "install"}
)
"""What needs neither a home nor a kernel, or looks first at a file that it is given."""

OF_THE_HOME: Final = frozenset(
    {"up", "logs", "runs", "run-show", "replay", "usage", "keys list"}
    | {f"audit {name}" for name in ("tail", "show", "search", "verify", "prove", "export")}
)
"""What needs a home, and no kernel."""


def found(name: str) -> click.Command:
    """A command by its full name."""
    at: click.Command = CommandGroup("maniple", commands.TOP, about="")
    for word in name.split():
        assert isinstance(at, CommandGroup)
        below = at.get_command(click.Context(at), word)
        assert below is not None
        at = below
    return at


def words_of(name: str) -> list[str]:
    """A command with as many arguments as it needs."""
    needed = [one for one in found(name).params if isinstance(one, click.Argument) and one.required]
    return [*name.split(), *ARGUMENTS.get(name, ["x"] * len(needed))]


def _told(home: Path, name: str, capsys: pytest.CaptureFixture[str]) -> Ran:
    """What a command comes to, in this process: one for each would take a minute."""
    code = run(["--home", str(home), *words_of(name)])
    return Ran(code, *capsys.readouterr())


def test_without_a_kernel_every_command_says_so_at_once(made: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    for name in sorted(commands.all_commands().keys() - ALONE - OF_THE_HOME):
        ran = _told(made.home, name, capsys)
        assert (ran.code, ran.out) == (3, ""), (name, ran)
        assert is_one_clear_line(ran), (name, ran)
        assert f"`maniple --home {made.home} up`" in ran.err, (name, ran)


def test_without_a_home_every_command_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in sorted(commands.all_commands().keys() - ALONE):
        ran = _told(tmp_path / "none", name, capsys)
        assert (ran.code, ran.out) == (1, ""), (name, ran)
        assert is_one_clear_line(ran), (name, ran)
        assert f"`maniple --home {tmp_path / 'none'} init`" in ran.err, (name, ran)


@pytest.mark.parametrize(("words", "code", "mend"), [(("ps",), 3, "up"), (("audit", "tail"), 1, "init")])
def test_a_command_in_a_process_of_its_own_says_so_too(
    words: tuple[str, ...], code: int, mend: str, made: Shell, tmp_path: Path
) -> None:
    ran = (made if code == 3 else Shell(tmp_path / "none")).run(*words)
    assert (ran.code, ran.out, is_one_clear_line(ran), f"`maniple {mend}`" in ran.err) == (code, "", True, True), ran


@pytest.mark.parametrize("name", commands.all_commands())
def test_wrong_usage_is_told_with_where_to_look(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = run([*name.split(), "--no-such-option"])
    told = capsys.readouterr()
    assert is_one_clear_line(Ran(code, told.out, told.err))
    assert (code, told.out) == (2, "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("decide", "r-1"), "maniple: finish|restart is missing"),
        (("memory", "forget", "x"), "maniple: NUMBER: `x` is not a whole number from 1 to"),
        (("memory", "search", "x", "--most", "101"), "maniple: --most: `101` is not a whole number from 1 to 100"),
        (("artifacts", "--most", "501"), "maniple: --most: `501` is not a whole number from 1 to 500"),
        (("mcp", "serve", "desk", "--port", "65536"), "maniple: --port: `65536` is not a whole number from 0 to 65535"),
        (
            ("approve", "1", "--rule", "--days", "200000"),
            "maniple: --days: `200000` is not a whole number from 1 to 366",
        ),
        (
            ("audit", "search", "--until", "9999-12-31T23:59:59-14:00"),
            "maniple: 9999-12-31T23:59:59-14:00 is not a time",
        ),
        (("audit", "verify-proof", "/tmp"), "maniple: /tmp: is a directory; name a file in it"),
    ],
)
def test_wrong_words_are_told_in_our_own(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    ran = Shell(tmp_path).run(*words)
    assert ran.err.startswith(told), ran
    assert ran.code == (1 if "directory" in told else 2)


def test_a_key_that_would_expire_when_no_time_can_be_written_is_told(made: Shell) -> None:
    ran = made.run("keys", "add", made.home / "keys" / "log.pub", "--hands", "*", "--expires", "2300-01-01")
    assert (ran.code, ran.err.count("\n"), "after 2255" in ran.err) == (2, 1, True)


@pytest.mark.parametrize(
    "words", [("keys", "add", "KEY", "--hands", "*", "--expires", "4000d"), ("audit", "search", "--since", "4000d")]
)
def test_a_span_too_long_is_told_as_that(made: Shell, words: tuple[str, ...]) -> None:
    ran = made.run(*(str(made.home / "keys" / "log.pub") if word == "KEY" else word for word in words))
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran
    assert ': "4000d" is more than ten years; write at most "3650d"' in ran.err


def test_what_is_no_text_is_no_run_s_id(made: Shell) -> None:
    ran = made.run("run-show", os.fsdecode(b"r-\xff"))
    assert (ran.code, is_one_clear_line(ran), "is not a run's id" in ran.err) == (2, True, True)


@pytest.mark.parametrize("words", [("strat",), ("audit", "verfy"), ("nonsense",), ("start",), ("roots", "add", "x")])
def test_a_mistyped_command_is_told_with_what_was_meant(words: tuple[str, ...], tmp_path: Path) -> None:
    ran = Shell(tmp_path).run(*words)
    assert ran.code == 2
    assert is_one_clear_line(ran)
    if words[-1] in ("strat", "verfy"):
        assert "did you mean" in ran.err


def test_the_mend_names_the_home_that_was_named(tmp_path: Path, made: Shell) -> None:
    ran = Shell(tmp_path).run("--home", str(made.home), "ps")
    assert f"`maniple --home {made.home} up`" in ran.err


def _write(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(text)

    return write


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


DAMAGE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "home.toml is not TOML": ("home.toml", _write("format = [")),
    "home.toml of another format": ("home.toml", _write('format = 9\norigin = "x"\nhash_seed = 1\n')),
    "home.toml misses a key": ("home.toml", _write("format = 1\n")),
    "home.toml holds no text": ("home.toml", lambda path: path.write_bytes(b"\xff\xfe")),
    "no log.key": ("keys/log.key", Path.unlink),
    "a cut log.key": ("keys/log.key", _cut),
    "a log.key of letters": ("keys/log.key", _write("not hex at all")),
    "no kernel.key": ("keys/kernel.key", Path.unlink),
    "a cut kernel.key": ("keys/kernel.key", _cut),
    "no operator.key": ("keys/operator.key", Path.unlink),
    "a cut operator.key": ("keys/operator.key", _cut),
    "no keys": ("keys", shutil.rmtree),
    "open to others": (".", lambda path: path.chmod(0o755)),
    "a changed log": (
        "log/entries/000000.jsonl",
        lambda path: path.write_bytes(path.read_bytes().replace(b"a", b"b", 1)),
    ),
    "no checkpoint": ("log/checkpoint", _write("")),
}


@pytest.mark.parametrize("what", spread(DAMAGE, 8))
def test_a_damaged_home_does_not_start_and_says_why(what: str, made: Shell, tmp_path: Path) -> None:
    shell = copied_home(made, tmp_path / "home")
    (shell.home / "log" / "snapshot").unlink(missing_ok=True)
    path, spoil = DAMAGE[what]
    spoil(shell.home / path)
    ran = shell.run("up")
    assert ran.code == 1, ran
    assert is_one_clear_line(ran), ran
    assert str(shell.home / ("log" if path.startswith("log/") else path)) in ran.err, ran


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("hash_seed", "-1", "write a whole number from 0 to 4294967295"),
        ("hash_seed", str(1 << 32), "write a whole number from 0 to 4294967295"),
        ("origin", '""', "write the name, without blanks"),
        ("origin", '"a+b"', "write the name, without blanks"),
    ],
)
def test_a_home_toml_that_holds_what_no_home_has_is_named(
    key: str, value: str, wanted: str, made: Shell, tmp_path: Path
) -> None:
    """With such a seed a kernel would start whose template dies at once; with such an origin log.key would be blamed."""
    shell = copied_home(made, tmp_path / "home")
    path = shell.home / "home.toml"
    path.write_text(re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", path.read_text()))
    ran = shell.run("up")
    assert is_one_clear_line(ran)
    line = 1 + path.read_text().splitlines().index(f"{key} = {value}")
    assert (ran.code, f"{path}:{line}:" in ran.err, key in ran.err, wanted in ran.err) == (1, True, True, True), ran


@pytest.mark.parametrize(
    ("value", "told"),
    [("9" * 5_000, ":3:13: this is a number of more than 64"), ("[" * 5_000, ":1:1: the file is nested")],
)
def test_a_home_toml_that_cannot_be_read_at_all_is_named(value: str, told: str, made: Shell, tmp_path: Path) -> None:
    shell = copied_home(made, tmp_path / "home")
    path = shell.home / "home.toml"
    path.write_text(re.sub(r"(?m)^hash_seed = .*$", f"hash_seed = {value}", path.read_text()))
    ran = shell.run("up")
    assert (ran.code, is_one_clear_line(ran), f"{path}{told}" in ran.err) == (1, True, True), ran


@pytest.mark.parametrize("key", ["operator.key", "kernel.pub"])
def test_a_missing_or_damaged_key_of_the_operator_is_named(key: str, shell: Shell, tmp_path: Path) -> None:
    linked = tmp_path / "home"
    linked.mkdir(mode=0o700)
    for name in ("home.toml", "run", "log"):
        (linked / name).symlink_to(shell.home / name)
    shutil.copytree(shell.home / "keys", linked / "keys")
    other = Shell(linked)
    assert other.run("status").code == 0
    (linked / "keys" / key).write_text("x" * 40)
    ran = other.run("status")
    assert (ran.code, "Traceback" in ran.err) == (1, False)
    (linked / "keys" / key).unlink()
    ran = other.run("status")
    assert (ran.code, key in ran.err) == (1, True)


@pytest.mark.wide
def test_a_stale_socket_is_no_kernel(made: Shell, tmp_path: Path) -> None:
    shell = copied_home(made, tmp_path / "home")
    with socket.socket(socket.AF_UNIX) as stale:
        folder = os.open(shell.home / "run", os.O_PATH)
        stale.bind(f"/proc/self/fd/{folder}/bus")
        os.close(folder)
    assert shell.run("ps").code == 3
    shell.good("up")
    shell.good("down")


def test_whoever_listens_and_says_nothing_is_not_waited_for_for_ever(made: Shell, tmp_path: Path) -> None:
    shell = copied_home(made, tmp_path / "home")
    with socket.socket(socket.AF_UNIX) as silent:
        folder = os.open(shell.home / "run", os.O_PATH)
        silent.bind(f"/proc/self/fd/{folder}/bus")
        os.close(folder)
        silent.listen()
        ran = shell.run("ps")
    assert ran.code == 1
    assert "does not answer" in ran.err


def _into(path: str, *words: str | Path, shell: Shell) -> "subprocess.CompletedProcess[bytes]":
    with open(path, "wb") as sink:
        return subprocess.run(
            [*MANIPLE, *map(str, words)], stdout=sink, stderr=subprocess.PIPE, env=shell.environment(), check=False
        )


@pytest.mark.wide
@pytest.mark.parametrize(
    "words", spread([(("hands",),), (("audit", "tail"),), (("audit", "verify"),), (("methods", "--json"),)], 2)
)
def test_a_result_that_finds_no_room_is_a_failure(words: tuple[str, ...], shell: Shell) -> None:
    done = _into("/dev/full", *words, shell=shell)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"no space left" in done.stderr


def test_closed_standard_descriptors_do_no_harm(shell: Shell) -> None:
    for closing in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        line = " ".join([*map(_quoted, [*MANIPLE, "hands"]), closing])
        done = subprocess.run(["sh", "-c", line], capture_output=True, env=shell.environment(), check=False)
        assert done.returncode in (0, 1), closing
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("new", "x"), ("roots", "add", "a", ".")])
def test_a_working_folder_that_is_gone_is_told(words: tuple[str, ...], tmp_path: Path, shell: Shell) -> None:
    (tmp_path / "gone").mkdir()
    line = f"cd gone && rmdir ../gone && exec {' '.join(map(_quoted, [*MANIPLE, *words]))}"
    done = subprocess.run(
        ["sh", "-c", line], capture_output=True, env=shell.environment(), check=False, cwd=tmp_path, text=True
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.endswith("maniple: the folder that you are in is gone: `cd` to one that is there\n")


@pytest.mark.wide
@pytest.mark.parametrize("words", [("memory", "export"), ("artifacts", "abc"), ("chat", "--name", "closed")])
def test_bytes_and_words_for_a_closed_stdout_are_no_fault_of_ours(words: tuple[str, ...], shell: Shell) -> None:
    line = " ".join([*map(_quoted, [*MANIPLE, *words]), ">&-"])
    done = subprocess.run(
        ["sh", "-c", line], input=b"hello\n/quit\n", capture_output=True, env=shell.environment(), check=False
    )  # fmt: skip
    assert b"fault of Maniple's own" not in done.stderr


@pytest.mark.parametrize(
    "words",
    spread(
        [
            (("memory", "import", "-", "--shared", "s"),),
            (("audit", "verify-proof", "-"),),
            (("ask", "-"),),
            (("chat",),),
        ],
        2,
    ),
)
def test_what_is_read_from_a_closed_standard_input_is_asked_for(words: tuple[str, ...], shell: Shell) -> None:
    line = " ".join([*map(_quoted, [*MANIPLE, *words]), "<&-"])
    done = subprocess.run(["sh", "-c", line], capture_output=True, env=shell.environment(), check=False)
    assert (done.returncode, b"standard input is closed" in done.stderr) == (Exit.USAGE, True)


@pytest.mark.parametrize("words", [("ask", "-"), ("chat",)])
def test_what_is_no_text_on_standard_input_is_said(words: tuple[str, ...], shell: Shell) -> None:
    ran = shell.run(*words, stdin=b"\xff\xfe\n")
    assert (ran.code, "on standard input is not UTF-8 text" in ran.err) == (Exit.USAGE, True)
    assert is_one_clear_line(ran)


def test_a_question_that_is_no_text_is_said(shell: Shell) -> None:
    done = subprocess.run(
        [*map(os.fsencode, MANIPLE), b"ask", b"\xff"], capture_output=True, env=shell.environment(), check=False
    )
    assert (done.returncode, b"the question is not UTF-8 text" in done.stderr) == (Exit.USAGE, True)


def _quoted(text: str) -> str:
    return f"'{text}'"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_told_and_leaves_nothing_half_made(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        shell = Shell(disk / "home")
        ran = shell.run("init")
        assert (ran.code, ran.err.count("\n"), str(disk) in ran.err) == (1, 1, True), ran
        assert "no space left on device; make room on its disk, then type the same again" in ran.err
        assert not shell.home.exists()
        assert os.listdir(disk) == []
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_an_error_of_a_file_that_is_known_by_its_descriptor_is_told() -> None:
    assert _os_error(IsADirectoryError(21, "Is a directory", 5)) == "is a directory"
