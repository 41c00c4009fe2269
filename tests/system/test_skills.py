"""Skills in a living kernel, with the Hand `model` playing a script: read when asked for, placed for a shell, resumed."""

import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kernel.cli import package, skill_folders
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit, NotDone
from manifests.skills import reading
from tests.living import ROOT, Kernel, Source, install, make_home, write_hand
from tests.spread import spread
from tests.system import chaos, fates, thinking
from tests.system.fates import entries, ran, until
from tests.system.recordings import replay
from tests.system.thinking import ask, furnish, script, turns

FORMS = {
    "SKILL.md": "---\nname: forms\ndescription: Fills in forms. Use it when a form is to be filled in.\n---\n"
    "# Forms\n\nFirst count the fields. The rules are in references/rules.md.\n",
    "references/rules.md": "A field that is not known stays empty.\n",
    "scripts/count.sh": 'echo "$1 fields" >> counted; cat counted\n',
}
MAIL = {
    "SKILL.md": "---\nname: mail\ndescription: Writes mails.\n---\nBegin with a greeting.\n",
    "scripts/greet.sh": "echo hello from mail\n",
    "assets/big.bin": "x" * 700_000,
}
NEEDED = '"skills.*" = ["*"]\n"shell.run" = ["*"]'


def add(kernel: Kernel, folder: Path, name: str, *, more: str = "", **skills: Mapping[str, str]) -> None:
    """Install an agent with these skills sealed in its folder."""
    toml = thinking.HEAD.replace("NAME", name).replace("MORE", more)
    toml += '\n[agent]\nmodel = "scripted/script"\nplaybook = "PLAYBOOK.md"\n'
    place = write_hand(folder / name, Source(toml, ""), PLAYBOOK_md=thinking.PLAYBOOK)
    (place / "main.py").unlink()
    for skill, files in skills.items():
        write(place / "skills" / skill, files)
    install(kernel, place)


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel with a model, a shell, the agent `tidy` with a sealed skill, and one skill that it is not granted."""
    work = tmp_path_factory.mktemp("skills")
    with Kernel(make_home(work / "home")) as kernel:
        furnish(kernel)
        install(kernel, ROOT / "hands" / "shell")
        add(kernel, work, "tidy", more=NEEDED, forms=FORMS)
        with kernel.client() as client:
            put(kernel, client, skill_folders.read(str(write(work / "mail", MAIL))))
        yield kernel
        kernel.down()


def put(kernel: Kernel, client: Client, *skills: reading.Skill) -> None:
    """Install these skills alone, in the place of all others."""
    skill_folders.replace_all(client, skills, skill_folders.read_installed(client).version)


@pytest.fixture
def granted(client: Client) -> Iterator[None]:
    """`tidy` may read the skill that was installed alone."""
    client.call("kernel.grant", "tidy", {"capabilities": [{"method": "skills.mail", "allow": ["*"]}]})
    yield
    client.call("kernel.revoke", "tidy", {"method": "skills.mail"})


def answered(client: Client, *each: Mapping[str, object]) -> tuple[object, str]:
    """What a run of `tidy` that plays these turns comes to, and its id."""
    script(client, turns(*each))
    run = fates.begin(client, "tidy", task="fill in the form")
    told = fates.outcome(client, run)
    assert told["outcome"] == "done", told
    return told["value"]["answer"], run


def test_a_sealed_skill_is_told_by_its_description_and_read_when_asked_for(kernel: Kernel, client: Client) -> None:
    answer, run = answered(
        client,
        {"calls": [ask("read_skill", name="forms")], "when": "forms: Fills in forms."},
        {"calls": [ask("read_skill", name="forms", file="references/rules.md")], "when": "First count the fields."},
        {"text": "It stays empty.", "when": "A field that is not known"},
    )
    assert answer == "It stays empty."
    made = {one.method for one in entries(kernel.home, "call") if one.run == run or one.principal == run}
    assert not [method for method in made if method.startswith("skills.")]


def test_a_skill_that_is_not_granted_is_not_there(client: Client) -> None:
    answer, _ = answered(
        client, {"calls": [ask("read_skill", name="mail")]}, {"text": "None.", "when": "there is no skill 'mail'"}
    )
    assert answer == "None."


@pytest.mark.usefixtures("granted")
def test_an_installed_skill_is_read_by_a_call_marked_and_bounded(kernel: Kernel, client: Client) -> None:
    answer, run = answered(
        client,
        {"calls": [ask("read_skill", name="mail")], "when": "- mail: Writes mails."},
        {"calls": [ask("read_skill", name="mail", file="../main.py")], "when": "from='skills.mail' labels=skill>>"},
        {"calls": [ask("read_skill", name="mail", file="assets/big.bin")], "when": "the skill has no file"},
        {"text": "Greet first.", "when": "read on with read_result"},
    )
    assert answer == "Greet first."
    made = [one for one in entries(kernel.home, "call") if one.principal == run and one.method == "skills.mail"]
    assert len(made) == 3
    ends = {one.call: one for one in entries(kernel.home, "end")}
    assert "skill" in ends[made[0].call].labels


@pytest.mark.usefixtures("granted")
def test_scripts_of_skills_are_run_by_the_shell_and_by_nothing_else(kernel: Kernel, client: Client) -> None:
    answer, run = answered(
        client,
        {"calls": [ask("place_skill", name="forms"), ask("place_skill", name="mail")]},
        {"calls": [ask("shell_run", command="sh skills/forms/scripts/count.sh 3; sh skills/mail/scripts/greet.sh")]},
        {"calls": [ask("shell_run", command="wc -c < skills/mail/assets/big.bin")], "when": "hello from mail"},
        {"text": "Three.", "when": "700000"},
    )
    assert answer == "Three."
    begun = [one.method for one in entries(kernel.home, "call") if one.principal == run and one.method == "shell.run"]
    assert len(begun) == 2


@pytest.mark.parametrize("killed", spread(["the run", "the kernel"], 1))
def test_an_agent_that_is_killed_goes_on_with_its_skills(kernel: Kernel, killed: str) -> None:
    count = "sh skills/forms/scripts/count.sh 3"
    lines = turns(
        {"calls": [ask("read_skill", name="forms"), ask("read_skill", name="mail")]},
        {"calls": [ask("place_skill", name="forms"), ask("place_skill", name="mail")], "when": "First count"},
        {"calls": [ask("shell_run", command=f"{count}; echo changed > skills/forms/references/rules.md")]},
        {"calls": [ask("desk_look", name="left", seconds=1.0)]},
        {"calls": [ask("shell_run", command=f"{count}; cat skills/forms/references/rules.md")]},
        {"text": "Twice.", "when": "3 fields\n3 fields\nchanged"},
    )
    with kernel.client() as client:
        client.call("kernel.grant", "tidy", {"capabilities": [{"method": "skills.mail", "allow": ["*"]}]})
        script(client, lines)
        run = fates.begin(client, "tidy", task="fill in the form")
    until(lambda: _asked(kernel, run, "desk.look") == 1, "it looks into the drawer")
    if killed == "the kernel":
        kernel.kill()
        kernel.up()
    for row in fates.runs(kernel, "tidy") if killed == "the run" else ():
        if row["run"] == run and row["pid"]:
            os.kill(int(str(row["pid"])), signal.SIGKILL)
    told: Any = chaos.outcome_of(kernel, run)
    with kernel.client() as client:
        client.call("kernel.revoke", "tidy", {"method": "skills.mail"})
    assert told["outcome"] == "done", told
    assert told["value"]["answer"] == "Twice."
    assert (_asked(kernel, run, "model.complete"), _asked(kernel, run, "shell.run")) == (6, 2)
    assert sum(one.run == run for one in entries(kernel.home, "run.start")) == 2


def _asked(kernel: Kernel, run: str, method: str) -> int:
    return sum(one.principal == run and one.method == method for one in entries(kernel.home, "call"))


@pytest.mark.wide
@pytest.mark.usefixtures("granted")
def test_a_run_with_skills_is_replayed_offline(kernel: Kernel, client: Client) -> None:
    _, run = answered(
        client,
        {"calls": [ask("read_skill", name="mail"), ask("place_skill", name="mail"), ask("place_skill", name="forms")]},
        {"text": "done"},
    )
    said = replay(kernel, run)
    assert said.code == 0, said


@pytest.mark.usefixtures("granted")
def test_a_skill_that_is_changed_after_it_was_installed_is_not_read(kernel: Kernel, client: Client) -> None:
    (folder,) = [path for path in (kernel.home / "hands").iterdir() if path.name.startswith("skills-")]
    file = folder / "skills" / "mail" / "SKILL.md"
    kept = file.read_bytes()
    client.call("kernel.stop", "skills")
    try:
        file.write_bytes(kept.replace(b"a greeting", b"my orders"))
        with pytest.raises(NotDone):
            client.call("skills.mail")
        with pytest.raises(Ended) as refused:
            skill_folders.read_installed(client)
        assert refused.value.code is Exit.REFUSED
        assert "skills/mail/SKILL.md was changed after sealing" in str(refused.value)
        (folder / "HAND.seal").unlink()
        with pytest.raises(Ended, match="was changed after sealing"):
            skill_folders.read_installed(client)
    finally:
        file.write_bytes(kept)
        put_back = skill_folders.read(str(write(kernel.home.parent / "again" / "mail", MAIL)))
        client.call("kernel.remove", "skills")
        put(kernel, client, put_back)
    told: Any = client.call("skills.mail").value
    assert told == {"files": ["assets/big.bin", "scripts/greet.sh"], "text": "Begin with a greeting.\n"}


def test_a_sealed_skill_that_is_none_ends_its_agents_run(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    add(kernel, tmp_path, "broken", forms={"SKILL.md": "---\nname: other\ndescription: d\n---\n"})
    told = ran(client, "broken", task="go")
    assert told["outcome"] != "done"


def test_no_link_becomes_a_skills_file(tmp_path: Path) -> None:
    folder = write(tmp_path / "forms", FORMS)
    (folder / "references" / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(Ended, match="is a link"):
        skill_folders.read(str(folder))
    shutil.rmtree(folder / "references")
    (folder / "references").symlink_to("/etc")
    with pytest.raises(Ended, match="is a link"):
        package.read_files(str(folder))
