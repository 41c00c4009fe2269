"""What `maniple new` makes works as it is, whatever name is chosen; and the home's own key is not lost by chance."""

import shutil
from pathlib import Path

import pytest

from manifests.names import RESERVED
from tests.cli.shell import Shell
from tests.living import ECHO, ROOT, Kernel, install, make_home


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


@pytest.mark.parametrize("name", ["files", "data-pipeline"])
def test_no_folder_is_made_for_the_name_of_a_hand_that_comes_with_maniple(name: str, tmp_path: Path) -> None:
    ran = Shell(make_home(tmp_path / "home")).run("new", name, "--into", tmp_path)
    assert (ran.code, ran.out, "comes with Maniple" in ran.err, f"my-{name}" in ran.err) == (2, "", True, True)
    assert not (tmp_path / name).exists()


@pytest.mark.wide
def test_who_seals_with_a_revoked_key_is_told_at_once_and_at_each_later_step_with_what_to_type(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        shell = Shell(kernel.home)
        folder, key = shell.good("new", "late", "--into", tmp_path).strip(), tmp_path / "ada.key"
        shell.good("keys", "new", key, "--name", "ada")
        (own,) = [row["id"] for row in shell.result("keys")["keys"]]  # type: ignore[attr-defined]
        sealed = shell.run("seal", folder)
        assert (sealed.code, sealed.err) == (0, "")
        assert shell.run("seal", folder, "--key", key).err == "", "it may be trusted elsewhere"
        shell.good("keys", "revoke", own, "--yes")
        sealed = shell.run("seal", folder)
        assert (sealed.code, f"{own} was revoked" in sealed.err) == (0, True)
        for ran in (sealed, shell.run("verify", folder), shell.run("install", folder, "--yes")):
            assert "--key FILE`" in ran.err, ran
            assert "with a key that is trusted" not in ran.err.partition("--key FILE`")[0], ran
            assert "look at what changed" not in ran.err, ran
        shell.good("keys", "add", f"{key}.pub", "--hands", "*")
        assert shell.run("seal", folder, "--key", key).err == ""
        shell.good("install", folder, "--yes")


@pytest.mark.wide
def test_who_revokes_the_homes_own_key_is_told_that_it_is_and_how_to_go_on(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, ECHO)
        shell = Shell(kernel.home)
        (own,) = [row["id"] for row in shell.result("keys")["keys"]]  # type: ignore[attr-defined]
        ran = shell.run("keys", "revoke", own, "--yes")
        assert (ran.code, "It was this home's own" in ran.err, "`maniple keys new FILE" in ran.err) == (0, True, True)
        assert shell.result("status")["held_back"] == ["echo"]
        assert "1 Hand cannot start: `maniple hands` tells which, and why" in shell.good("status")
        folder, key = shell.good("new", "again", "--into", tmp_path).strip(), tmp_path / "ada.key"
        shell.good("keys", "new", key, "--name", "ada")
        seal_key = f"{kernel.home}/keys/seal.key"
        refused = shell.run("install", folder, "--yes")
        assert (refused.code, f"{seal_key}, which this home seals with" in refused.err) == (4, True), refused
        assert f"`maniple keys rotate {own} FILE.pub`, and put it there, `mv FILE {seal_key}`" in refused.err
        ran = shell.run("keys", "rotate", own, f"{key}.pub")
        assert (ran.code, f"in the place of {seal_key}" in ran.err) == (0, True)
        refused = shell.run("install", folder, "--yes")
        assert (refused.code, f"put the secret half of {key.stem}+" in refused.err) == (4, True), refused
        assert (f"`mv FILE {seal_key}`" in refused.err, "from its folder" in refused.err) == (True, False), refused
        key.replace(kernel.home / "keys" / "seal.key")
        shutil.copytree(ROOT / "hands" / "time", tmp_path / "time", ignore=shutil.ignore_patterns("__pycache__"))
        for one in (folder, tmp_path / "time"):  # one of its own, and one of the bundled Hands
            shell.good("install", one, "--yes")
        assert "Hello" in shell.good("start", "again", "--wait")


def test_an_upgrade_says_which_methods_it_offers_no_more_before_it_asks(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, ECHO)
        shell = Shell(kernel.home)
        folder = Path(shell.good("new", "echo", "--into", tmp_path).strip())
        toml = (folder / "HAND.toml").read_text()
        (folder / "HAND.toml").write_text(toml.replace("0.1.0", "1.1.0"))
        ran = shell.run("install", folder)
        assert (ran.code, "It no longer offers: echo.say." in ran.err) == (2, True)
        shell.good("install", folder, "--yes")
        assert "no longer offers" not in shell.run("install", folder, "--yes").err
