"""`maniple skills`, as people use it: looked through, asked about, installed, granted, shown and removed."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.shell import Shell, copied_home, is_one_clear_line
from tests.living import Kernel, Source, make_home, write_hand

AGENT = """
[hand]
name = "{name}"
version = "1.0.0"
description = "Thinks."
kind = "task"
autonomy = "readonly"

[agent]
model = "default"
playbook = "PLAYBOOK.md"

[capabilities]
"model.complete" = ["default"]
"""
MAIL = {
    "SKILL.md": "---\nname: mail\ndescription: Writes mails.\nlicense: MIT\n---\nGreet.\u200b\n<!-- obey -->\n",
    "scripts/a.py": "print(1)\n",
}


@pytest.fixture(scope="module")
def shell(made: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A home with two agents, of which only `tidy` asks for skills."""
    work = tmp_path_factory.mktemp("skills")
    shell = copied_home(made, work / "home")
    shell.good("up")
    try:
        shell.good("install", agent(work, "tidy", '"skills.*" = ["*"]\n'), "--yes")
        shell.good("install", agent(work, "plain"), "--yes")
        yield shell
    finally:
        shell.run("down")


def agent(folder: Path, name: str, more: str = "", **skills: Mapping[str, str]) -> Path:
    place = write_hand(folder / name, Source(AGENT.format(name=name) + more, ""), PLAYBOOK_md="Think.")
    (place / "main.py").unlink()
    for skill, files in skills.items():
        write(place / "skills" / skill, files)
    return place


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def test_a_skill_is_looked_through_installed_granted_replaced_and_removed(shell: Shell, tmp_path: Path) -> None:
    folder = write(tmp_path / "mail", MAIL)
    asked = shell.run("skills", "install", folder, "--for", "tidy")
    assert asked.code == 2
    assert f"`maniple skills install {folder} --for tidy --yes`" in asked.err
    lines = asked.err.splitlines()
    assert {"mail: Writes mails.", "  license: MIT", "    SKILL.md:6: U+200B", "    SKILL.md:7: obey"} <= set(lines)
    assert shell.result("skills", "list") == {"skills": [], "unreadable": {}}

    told = shell.result("skills", "install", folder, "--for", "tidy", "--yes")
    assert (told["name"], told["read_by"], told["replaced"]) == ("mail", ["tidy"], False)
    assert [one["kind"] for one in told["findings"]] == ["script", "hidden", "comment"]  # type: ignore[attr-defined]
    assert "mail" in shell.good("skills", "list")
    assert shell.result("grants", "tidy")["grants"]["tidy"][-1]["method"] == "skills.mail"  # type: ignore[index]
    shown = shell.good("skills", "show", "mail")
    assert "Greet.\\u{200b}" in shown
    assert shell.result("skills", "show", "mail")["digest"] == told["digest"]

    write(folder, {"SKILL.md": MAIL["SKILL.md"].replace("Greet", "Thank"), "b.md": "b"})
    ran = shell.run("skills", "install", folder, "--yes")
    assert ran.code == 0
    assert {"  SKILL.md: changed", "  b.md: new", "It may be read by tidy already."} <= set(ran.err.splitlines())
    assert shell.result("skills", "show", "mail")["read_by"] == ["tidy"]

    assert shell.result("skills", "remove", "mail") == {"name": "mail", "taken_from": ["tidy"]}
    assert "skills.mail" not in shell.good("grants")
    assert "skills" not in shell.good("hands")
    for words in (("remove", "mail"), ("show", "mail"), ("show", "tidy/mail")):
        ran = shell.run("skills", *words)
        assert (ran.code, is_one_clear_line(ran)) == (1, True)


def test_a_skill_that_takes_the_name_of_a_removed_one_takes_no_grant_of_it(shell: Shell, tmp_path: Path) -> None:
    folder = write(tmp_path / "mail", MAIL)
    other = write(tmp_path / "post", {"SKILL.md": MAIL["SKILL.md"].replace("mail\n", "post\n")})
    shell.good("skills", "install", folder, "--for", "tidy", "--yes")
    shell.good("skills", "install", other, "--yes")
    assert [one["name"] for one in shell.result("skills", "list")["skills"]] == ["mail", "post"]  # type: ignore[attr-defined]
    shell.good("remove", "skills")
    assert "skills.mail" in shell.good("grants")
    assert shell.result("skills", "install", folder, "--yes")["read_by"] == []
    assert "skills.mail" not in shell.good("grants")
    shell.good("skills", "remove", "mail")


@pytest.mark.parametrize(
    ("hand", "code", "told"),
    [
        ("plain", 2, "plain does not ask for skills"),
        ("nobody", 1, "no Hand 'nobody' is installed: see `maniple hands`"),
        ("tid", 1, "no Hand 'tid' is installed, did you mean \"tidy\": see `maniple hands`"),
    ],
)
def test_a_skill_is_granted_only_to_whom_asks_for_skills(
    shell: Shell, tmp_path: Path, hand: str, code: int, told: str
) -> None:
    ran = shell.run("skills", "install", write(tmp_path / "mail", MAIL), "--yes", "--for", hand)
    assert (ran.code, told in ran.err) == (code, True), ran
    assert is_one_clear_line(ran)
    assert "mail" not in shell.good("skills", "list")


def test_what_is_no_skill_is_refused_with_what_to_mend(shell: Shell, tmp_path: Path) -> None:
    folder = write(tmp_path / "mail", {"SKILL.md": "---\nname: post\ndescription: d\n---\n"})
    ran = shell.run("skills", "install", folder, "--yes")
    assert ran.code == 1
    assert is_one_clear_line(ran)
    assert "then type the same again" in ran.err
    assert f"{folder}/SKILL.md:2: its name is post, its folder's is mail: write `name: mail`" in ran.err
    assert shell.run("skills", "install", tmp_path / "nothing").code == 2
    (folder / "link").symlink_to("/etc/passwd")
    ran = shell.run("skills", "install", folder, "--yes")
    assert (ran.code, "link is a link" in ran.err) == (1, True)


def _rotate(shell: Shell, key: Path) -> None:
    """Another key is the home's own."""
    own = shell.result("keys")["keys"][0]["id"]  # type: ignore[index]
    shell.good("keys", "new", key, "--name", key.stem)
    shell.good("keys", "rotate", own, f"{key}.pub", "--yes")
    key.replace(shell.home / "keys" / "seal.key")


@pytest.mark.wide
def test_skills_that_a_key_sealed_that_counts_no_more_are_sealed_anew_when_one_is_installed_again(
    tmp_path: Path,
) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        shell = Shell(kernel.home)
        shell.good("install", agent(tmp_path, "tidy", '"skills.*" = ["*"]\n'), "--yes")
        folder = write(tmp_path / "mail", MAIL)
        other = write(tmp_path / "post", {"SKILL.md": MAIL["SKILL.md"].replace("mail\n", "post\n")})
        for one in (folder, other):
            shell.good("skills", "install", one, "--for", "tidy", "--yes")
        _rotate(shell, tmp_path / "ada.key")
        assert "counts no more" in shell.good("hands")
        ran = shell.run("skills", "list")
        assert (ran.code, "`maniple skills install DIR` of one of them seals all of them again" in ran.err) == (
            0,
            True,
        ), ran
        ran = shell.run("skills", "install", folder, "--yes")
        assert (ran.code, "all that are installed alone are sealed anew: mail, post" in ran.err) == (0, True), ran
        listed = shell.result("skills", "list")["skills"]
        assert [(one["name"], one["read_by"]) for one in listed] == [("mail", ["tidy"]), ("post", ["tidy"])]  # type: ignore[attr-defined]
        assert shell.result("call", "skills.post")["value"]
        held = str(shell.result("show", "skills")["hand"]["folder"])  # type: ignore[index]
        _rotate(shell, tmp_path / "eve.key")
        (kernel.home / "hands" / held / "skills" / "post" / "SKILL.md").write_text("changed")
        ran = shell.run("skills", "install", folder, "--yes")
        assert (ran.code, "post/SKILL.md was changed" in ran.err) == (4, True), ran
        manifest = kernel.home / "hands" / held / "HAND.toml"
        for spoiled in (b"[hand", None):
            manifest.write_bytes(spoiled) if spoiled else manifest.unlink()
            ran = shell.run("skills", "list")
            told = f"{held} is not as it was sealed" in ran.err and "`maniple remove skills` takes all" in ran.err
            assert (ran.code, told, is_one_clear_line(ran)) == (4, True, True), ran


def test_a_folder_is_looked_at_without_a_kernel(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "no-home")
    folder = write(tmp_path / "mail", MAIL)
    told = shell.result("skills", "show", folder)
    assert is_one_clear_line(shell.run("skills", "show", "./nothing"))
    assert (told["files"], told["read_by"]) == ({"SKILL.md": len(MAIL["SKILL.md"].encode()), "scripts/a.py": 9}, [])


def test_skills_that_are_sealed_with_a_hand_are_checked_shown_and_listed(shell: Shell, tmp_path: Path) -> None:
    folder = agent(tmp_path, "clerk", mail=MAIL)
    shell.good("check", folder)
    ran = shell.run("install", folder, "--yes")
    assert ran.code == 0
    assert {"mail: Writes mails.", "    SKILL.md:7: obey"} <= set(ran.err.splitlines())
    (row,) = [one for one in shell.result("skills", "list")["skills"] if one["of"]]  # type: ignore[attr-defined]
    assert (row["name"], row["of"], row["read_by"]) == ("mail", "clerk", ["clerk"])
    assert shell.result("skills", "show", "clerk/mail")["body"] == "Greet.\u200b\n<!-- obey -->\n"
    (place,) = (shell.home / "hands").glob("plain-*")
    place.rename(tmp_path / "away")
    ran = shell.run("skills", "list")
    assert ("clerk" in ran.out, "plain is not read: " in ran.err) == (True, True), ran
    assert shell.result("skills", "show", "clerk/mail")["name"] == "mail"
    (tmp_path / "away").rename(place)
    write(folder, {"skills/mail/SKILL.md": "# no head"})
    ran = shell.run("check", folder)
    assert (ran.code, "SKILL.md:1:1: it does not begin with a head" in ran.out) == (1, True)
    ran = shell.run("install", folder, "--yes")
    assert (ran.code, is_one_clear_line(ran)) == (1, True)
