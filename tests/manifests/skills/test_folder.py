"""The Hand that holds skills that were installed alone: a manifest that checks whole, whatever they are called and say."""

import tomli_w

from manifests.check import check
from manifests.skills import folder, reading
from manifests.skills.reading import Skill
from manifests.versions import is_older

NOON = 1_795_694_461_000_000  # 2026-11-26T12:01:01Z, in microseconds


def skill(name: str, description: str = "d") -> Skill:
    return Skill(name=name, description=description, body="", files={"SKILL.md": b"x", "a/b": b"y"})


def test_each_skill_is_a_method_that_reads_and_has_a_label() -> None:
    manifest = check(tomli_w.dumps(folder.manifest_of("1.0.0", [skill("mail", "Writes \u202emails."), skill("3d")])))
    assert list(manifest.provides) == ["skills.3d", "skills.mail"]
    mail = manifest.provides["skills.mail"]
    assert (mail.summary, mail.effect, mail.idempotent, mail.labels) == (
        "Writes \\u{202e}mails.",
        "read",
        True,
        ("skill",),
    )
    assert manifest.capabilities == ()


def test_as_many_as_there_may_be_fit_with_the_longest_names_and_descriptions() -> None:
    held = [skill(f"{at:02}-{'x' * 61}", "\\" * 1024) for at in range(reading.SHELF_MOST)]
    manifest = check(tomli_w.dumps(folder.manifest_of("1.0.0", held)))
    assert len(manifest.provides) == reading.SHELF_MOST


def test_its_files_are_the_skills_and_what_reads_them() -> None:
    assert sorted(folder.files_of([skill("mail")])) == ["main.py", "skills/mail/SKILL.md", "skills/mail/a/b"]


def test_a_version_is_later_than_the_one_before_whatever_the_clock_says() -> None:
    now = folder.version_after("", NOON)
    assert now == "2026.1126.43261000"
    for before in ("2026.1126.1", now, "2031.101.7", "1.0.0"):
        assert is_older(before, folder.version_after(before, NOON))
    assert is_older(folder.version_after(now, NOON + 5_000), folder.version_after("", NOON + 10_000)), (
        "all were removed"
    )
