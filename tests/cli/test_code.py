"""What can be told of a Hand's Python by reading it: `check` tells it, and `install` refuses it before anything is sealed."""

import os
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.living import ECHO, write_hand


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("class Faulty(:", "main.py:1:14: this is not Python: invalid syntax"),
        ("class Other: pass", "main.py:1:1: it has no class Faulty"),
        ("x = 1" + "+1" * 100_000, "main.py:1:1: an expression in it is nested too deeply to be read"),
        ("x = " + "-" * 100_000 + "1", "main.py:1:1: an expression in it is nested too deeply to be read"),
        ("class Faulty(Hand):\n    def run(self): return 1", "main.py:2:5: `run` is not a coroutine"),
        ("class Faulty(Hand):\n    async def walk(self): pass", "main.py:1:1: class Faulty has no run"),
    ],
)
def test_check_tells_and_install_refuses_code_that_could_not_start(
    shell: Shell, tmp_path: Path, code: str, problem: str
) -> None:
    folder = Path(shell.good("new", "faulty", "--into", tmp_path).strip())
    (folder / "main.py").write_text(code)
    for words in (("check", folder), ("install", folder, "--yes")):
        ran = shell.run(*words)
        assert ran.code == 1
        assert problem in ran.out + ran.err
    assert shell.run("show", "faulty").code == 1  # it was neither sealed nor installed
    assert not (folder / "HAND.seal").exists()


def test_check_and_install_compare_what_a_hand_provides_with_its_code(shell: Shell, tmp_path: Path) -> None:
    folder = Path(shell.good("new", "unlike", "--service", "--into", tmp_path).strip())
    code = folder / "main.py"
    code.write_text(code.read_text().replace("who: str", "whom: str"))
    toml = (folder / "HAND.toml").read_text()
    (folder / "HAND.toml").write_text(f"{toml}\n{toml[toml.index('[provides') :].replace('greet', 'leave')}")
    line = 1 + code.read_text().splitlines().index("class Unlike(Hand):")
    for words in (("check", folder), ("install", folder, "--yes")):
        ran = shell.run(*words)
        assert ran.code == 1
        for said in (
            f"main.py:{line}:1: class Unlike has no `leave`, which would answer unlike.leave\n",
            "    write async def leave(self, call: Call, who: str | None = None)\n",
            f'main.py:{line + 1}:5: `greet` does not take `who`, which [provides."unlike.greet"] declares\n',
        ):
            assert said in ran.out + ran.err
    assert not (folder / "HAND.seal").exists()


def test_check_points_at_what_does_nothing_cannot_be_imported_or_should_not_be_sealed(
    shell: Shell, tmp_path: Path
) -> None:
    folder = write_hand(tmp_path / "hand", ECHO, own_py="")
    code = folder / "main.py"
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").touch()
    code.write_text("import own, zmq, nowhere\n" + code.read_text() + "        self.progress(1, 2)\n")
    ran = shell.run("check", folder)
    assert ran.code == 0
    assert [line.partition(": ")[2].split(",")[0] for line in ran.out.splitlines()[::2]] == [
        "it is sealed and installed with the rest", "there is no module nowhere",
        "self.progress without await does nothing",
    ]  # fmt: skip


def test_check_tells_of_every_file_that_would_hide_a_module_and_install_refuses_it(
    shell: Shell, tmp_path: Path
) -> None:
    folder = Path(shell.good("new", "hider", "--into", tmp_path).strip())
    for name in ("json.py", "email/__init__.py", "email/parts.py", "wire/deep/one.py", "mine.py", "notes/json.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    for words in (("check", folder), ("install", folder, "--yes")):
        ran = shell.run(*words)
        assert ran.code == 1
        said = [line.partition(" would hide")[0].rpartition("/hider/")[2] for line in (ran.out + ran.err).splitlines()]
        assert [line for line in said if ".py" in line] == [
            f"{path}:1:1: it" for path in ("email/__init__.py", "json.py", "wire/deep/one.py")
        ]
    assert not (folder / "HAND.seal").exists()


@pytest.mark.parametrize(
    "code",
    ["class Base(Hand):\n    async def run(self): pass\nclass Sound(Base): pass", "from elsewhere import Sound"],
)
def test_code_of_which_reading_cannot_tell_is_installed(shell: Shell, tmp_path: Path, code: str) -> None:
    folder = Path(shell.good("new", "sound", "--into", tmp_path).strip())
    (folder / "main.py").write_text(code)
    assert shell.run("check", folder).code == 0
    shell.good("install", folder, "--yes")
    shell.good("remove", "sound")


def test_code_beside_the_entry_that_nobody_can_read_is_passed_over(shell: Shell, tmp_path: Path) -> None:
    folder = Path(shell.good("new", "beside", "--into", tmp_path).strip())
    for name, code in (("a", "1" + "+1" * 100_000), ("b", "-" * 100_000 + "1"), ("c", "a" + ".b" * 1_000), ("d", "(")):
        (folder / f"{name}.py").write_text(code)
    assert shell.result("check", folder)["ok"] is True


@pytest.mark.parametrize("is_invalid", [False, True])
def test_check_tells_all_that_cannot_be_sealed_and_what_else_is_wrong(
    is_invalid: bool, shell: Shell, tmp_path: Path
) -> None:
    folder = write_hand(tmp_path / "bad", ECHO)
    (folder / "__pycache__").mkdir()
    (folder / "elsewhere").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    (folder / "main.py").write_text("def (")
    if is_invalid:
        (folder / "HAND.toml").write_text("[hand]\n")
    ran = shell.run("check", folder)
    assert ran.code == 1
    for what in ("__pycache__ was left behind", "elsewhere is a link", "pipe is neither a file nor a folder"):
        assert what in ran.out, ran
    assert ("[hand] does not say" if is_invalid else "this is not Python") in ran.out, ran
    (folder / "main.py").unlink()
    (folder / "main.py").symlink_to("/etc/passwd")
    told = shell.run("check", folder).out
    assert ("main.py is a link" in told, "the module that entry names" in told) == (True, False)
