"""What `maniple new` makes works as it is, whatever name is chosen; and the home's own key is not lost by chance."""

from pathlib import Path

import pytest

from manifests.names import RESERVED
from tests.cli.shell import Shell
from tests.living import ECHO, Kernel, install, make_home


@pytest.mark.parametrize("name", ["true", "false", "none"])
def test_a_new_hand_named_as_a_word_of_python_is_in_order(name: str, tmp_path: Path) -> None:
    shell = Shell(make_home(tmp_path / "home"))
    folder = shell.good("new", name, "--into", tmp_path).strip()
    shell.good("check", folder)
    compile(Path(folder, "main.py").read_text(), "main.py", "exec")


@pytest.mark.parametrize("name", RESERVED)
def test_no_folder_is_made_for_a_name_that_no_hand_may_have(name: str, tmp_path: Path) -> None:
    shell = Shell(make_home(tmp_path / "home"))
    ran = shell.run("new", name, "--into", tmp_path)
    assert (ran.code, ran.out, f"`{name}` is a word of Maniple itself" in ran.err) == (2, "", True)
    assert not (tmp_path / name).exists()


def test_who_revokes_the_homes_own_key_is_told_that_it_is_and_how_to_go_on(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, ECHO)
        shell = Shell(kernel.home)
        (own,) = [row["id"] for row in shell.told("keys")["keys"]]  # type: ignore[attr-defined]
        ran = shell.run("keys", "revoke", own, "--yes")
        assert (ran.code, "It was this home's own" in ran.err, "`maniple keys new FILE`" in ran.err) == (0, True, True)
        folder, key = shell.good("new", "again", "--into", tmp_path).strip(), tmp_path / "ada.key"
        shell.good("keys", "new", key, "--name", "ada")
        shell.good("keys", "add", f"{key}.pub", "--hands", "*")
        shell.good("seal", folder, "--key", key)
        shell.good("install", folder, "--yes")
        assert "Hello" in shell.good("start", "again", "--wait")
