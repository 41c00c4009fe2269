"""A skill's folder by the rules of the format: names, lengths, what is optional, and what is no skill."""

import pytest

from manifests.skills import reading

HEAD = "---\nname: {name}\ndescription: {description}\n{more}---\n{body}"


def text(name: str = "forms", description: str = "Fills in forms.", more: str = "", body: str = "Do it.\n") -> bytes:
    return HEAD.format(name=name, description=description, more=more, body=body).encode()


def problems(name: str, files: dict[str, bytes]) -> str:
    skill, found = reading.read(name, files, f"skills/{name}")
    assert skill is None
    assert all(one.instead and one.line >= 1 for one in found)
    return "\n".join(map(str, found))


def test_a_skill_is_its_head_its_body_and_its_files() -> None:
    more = "license: MIT\ncompatibility: Requires git\nmetadata:\n  author: ada\n  more: [a]\n"
    more += "allowed-tools: Bash(git:*) Read\nmodel: x\n"
    files = {"SKILL.md": text(more=more), "references/a.md": b"a", "assets/logo.png": b"\x89PNG\xff"}
    skill, found = reading.read("forms", files, "skills/forms")
    assert not found
    assert skill is not None
    assert (skill.name, skill.description, skill.body, skill.license) == ("forms", "Fills in forms.", "Do it.\n", "MIT")
    assert (skill.metadata, skill.tools, skill.others) == (
        {"author": "ada", "more": "…"},
        ("Bash(git:*)", "Read"),
        ("model",),
    )
    assert skill.files == files


def test_keys_of_other_programs_are_passed_over_and_told() -> None:
    hooks = (
        "hooks:\n  PreToolUse:\n    - matcher: Bash\n      hooks:\n        - type: command\n          command: ./x.sh\n"
    )
    skill, found = reading.read("forms", {"SKILL.md": text(more=f"argument-hint: '[file]'\n{hooks}")}, "")
    assert not found
    assert skill is not None
    assert skill.others == ("argument-hint", "hooks")


def test_tools_may_be_a_list() -> None:
    skill, _ = reading.read("forms", {"SKILL.md": text(more="allowed-tools:\n  - Bash(git:*)\n  - Read\n")}, "")
    assert skill is not None
    assert skill.tools == ("Bash(git:*)", "Read")


@pytest.mark.parametrize("name", ["a", "pdf-forms", "3d", "a" * 64])
def test_a_name_of_the_format_is_taken(name: str) -> None:
    assert reading.read(name, {"SKILL.md": text(name)}, "")[0] is not None


@pytest.mark.parametrize("name", ["PDF", "-a", "a-", "a--b", "a_b", "a.b", "a b", "ä", "a" * 65, "..", "а"])
def test_a_name_that_the_format_has_not_is_refused(name: str) -> None:
    assert "is not a name for a skill" in problems(name, {"SKILL.md": text("forms")})
    assert "is not a name for a skill" in problems("forms", {"SKILL.md": text(name)})


WRONG = {
    "no SKILL.md": ({}, "there is no SKILL.md"),
    "none at all": ({"other.md": text()}, "write SKILL.md, with a head"),
    "another spelling": ({"skill.md": text()}, "rename skill.md"),
    "another name": ({"SKILL.md": text("other")}, "its name is other, its folder's is forms"),
    "no name": ({"SKILL.md": b"---\ndescription: a\n---\n"}, "its head has no name"),
    "a name that is a list": ({"SKILL.md": text("[forms]")}, "its head has no name"),
    "no description": ({"SKILL.md": b"---\nname: forms\n---\n"}, "its head has no description"),
    "an empty description": ({"SKILL.md": text(description="''")}, "its head has no description"),
    "a long description": ({"SKILL.md": text(description="d" * 1025)}, "1025 characters, 1024 at most"),
    "a long compatibility": ({"SKILL.md": text(more=f"compatibility: {'c' * 501}\n")}, "compatibility is not text"),
    "metadata that is a text": ({"SKILL.md": text(more="metadata: a\n")}, "metadata is not a table"),
    "tools that are a table": ({"SKILL.md": text(more="allowed-tools: {a: b}\n")}, "not a list of words"),
    "no head": ({"SKILL.md": b"# Forms\n"}, "does not begin with a head"),
    "no text": ({"SKILL.md": b"---\nname: \xff\n---\n"}, "not UTF-8 text"),
    "a bomb": ({"SKILL.md": text(more="a: &a [x]\nb: [*a, *a]\n")}, "an anchor"),
    "a huge SKILL.md": ({"SKILL.md": text(body="x" * reading.SKILL_MOST)}, "262144 at most"),
    "a way out": ({"SKILL.md": text(), "../a": b""}, "may not be"),
    "an absolute way": ({"SKILL.md": text(), "/etc/passwd": b""}, "may not be"),
    "a hidden character in a path": ({"SKILL.md": text(), "a\u202eb": b""}, "may not be"),
    "too many files": ({"SKILL.md": text(), **{f"f{at}": b"" for at in range(200)}}, "201 files, 200 at most"),
    "a huge file": ({"SKILL.md": text(), "a": bytes(reading.FILE_MOST + 1)}, "4194304 at most"),
    "much in all": ({"SKILL.md": text(), **{name: bytes(3 << 20) for name in "abc"}}, "8388608 at most"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_skill_is_told_with_what_to_write(what: str) -> None:
    files, why = WRONG[what]
    assert why in problems("forms", dict(files))


def test_a_file_and_a_skill_may_be_as_large_as_is_told() -> None:
    files = {"SKILL.md": text(), **{f"f{at}": b"" for at in range(198)}, "a": bytes(reading.FILE_MOST)}
    assert reading.read("forms", files, "")[1] == []
    more = f"license: {'l' * reading.DESCRIPTION_MOST}\ncompatibility: {'c' * reading.COMPATIBILITY_MOST}\n"
    head = text(description="d" * reading.DESCRIPTION_MOST, more=more, body="")
    assert reading.read("forms", {"SKILL.md": head + b"x" * (reading.SKILL_MOST - len(head))}, "")[1] == []


def test_a_problem_of_the_head_is_told_with_its_line() -> None:
    _, found = reading.read("forms", {"SKILL.md": text("other", "''")}, "skills/forms")
    assert [(one.file, one.line) for one in found] == [("skills/forms/SKILL.md", 2), ("skills/forms/SKILL.md", 3)]


def test_the_skills_of_a_hand_are_the_folders_below_skills() -> None:
    files = {
        "HAND.toml": b"",
        "skills/forms/SKILL.md": text(),
        "skills/forms/a/b": b"c",
        "skills/README.md": b"",
        "x/y": b"",
    }
    skills, found = reading.read_all(files, "tidy")
    assert not found
    assert [(one.name, sorted(one.files)) for one in skills] == [("forms", ["SKILL.md", "a/b"])]
    skills, found = reading.read_all({**files, "skills/mail/SKILL.md": text("forms")}, "tidy")
    assert [one.name for one in skills] == ["forms"]
    assert [one.file for one in found] == ["tidy/skills/mail/SKILL.md"]


def test_a_hand_has_a_bounded_number_of_skills() -> None:
    files = {f"skills/s{at}/SKILL.md": text(f"s{at}") for at in range(reading.SKILLS_MOST + 1)}
    _, found = reading.read_all(files, "tidy")
    assert [one.what for one in found] == ["it has 33 skills, 32 at most"]
    del files["skills/s0/SKILL.md"]
    assert reading.read_all(files, "tidy")[1] == []
