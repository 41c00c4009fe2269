"""Skills in a living kernel, with the Hand `model` playing a script: read when asked for, placed for a shell, resumed."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kernel.cli.client import Client
from tests.living import Kernel, Source, install, make_home, write_hand
from tests.system import thinking
from tests.system.thinking import ask, furnish, ran, script, turns

FORMS = {
    "SKILL.md": "---\nname: forms\ndescription: Fills in forms. Use it when a form is to be filled in.\n---\n"
    "# Forms\n\nFirst count the fields. The rules are in references/rules.md.\n",
    "references/rules.md": "A field that is not known stays empty.\n",
    "scripts/count.py": "import sys\nprint(len(sys.argv), 'fields')\n",
}


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        furnish(kernel)
        yield kernel
        kernel.down()


@pytest.fixture
def client(kernel: Kernel) -> Iterator[Client]:
    with kernel.client() as client:
        yield client


def add(kernel: Kernel, folder: Path, skills: Mapping[str, Mapping[str, str]], *, more: str = "") -> None:
    """Install the agent `tidy` with these skills sealed in its folder."""
    toml = thinking.HEAD.replace("NAME", "tidy").replace("MORE", more)
    toml += '\n[agent]\nmodel = "scripted/script"\nplaybook = "PLAYBOOK.md"\n'
    place = write_hand(folder / "tidy", Source(toml, ""), PLAYBOOK_md=thinking.PLAYBOOK)
    (place / "main.py").unlink()
    for name, files in skills.items():
        for path, text in files.items():
            file = place / "skills" / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    install(kernel, place)


def test_a_sealed_skill_is_told_by_its_description_and_read_when_asked_for(
    kernel: Kernel, client: Client, tmp_path: Path
) -> None:
    add(kernel, tmp_path, {"forms": FORMS})
    lines = turns(
        {"calls": [ask("read_skill", name="forms")], "when": "forms: Fills in forms."},
        {"calls": [ask("read_skill", name="forms", file="references/rules.md")], "when": "First count the fields."},
        {"text": "It stays empty.", "when": "A field that is not known"},
    )
    script(client, lines)
    told = ran(client, "tidy", task="fill in the form")
    assert (told["outcome"], told.get("value", {}).get("answer")) == ("done", "It stays empty."), told
