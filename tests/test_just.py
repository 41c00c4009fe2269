"""`./just` sets up an environment from nothing, from half, twice at once, in a folder with a space, or says what fails.

The real script and the real pip, offline: the packages wanted are wheels made here. One has a program `just` that prints
how it was called; the other is wanted without what it asks for, which is nowhere.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

SCRIPT: Final = Path(__file__).resolve().parent.parent / "just"
PROGRAM: Final = {"pretend_just-1.0.data/scripts/just": '#!/bin/sh\nprintf "%s\\n" "$@"\n'}


def _wheel(folder: Path, name: str, content: dict[str, str], further: str = "") -> str:
    """Write a wheel into a folder; the line that wants it, with its SHA-256."""
    told = f"{name}-1.0.dist-info"
    files = content | {
        f"{told}/METADATA": f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n{further}",
        f"{told}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{told}/RECORD": "",
    }
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member_name, text in files.items():
            member = zipfile.ZipInfo(member_name)
            member.external_attr = 0o100755 << 16
            wheel.writestr(member, text)
    return f"{name.replace('_', '-')}==1.0 --hash=sha256:{sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with nothing but `just`, its requirement and `kernel.cli`, in a folder with a space and a quote."""
    root = tmp_path / "it's a project"
    (root / "requirements").mkdir(parents=True)
    (root / "kernel" / "cli").mkdir(parents=True)
    (root / "kernel" / "cli" / "__main__.py").write_text(
        "import sys, kernel.cli\nprint(sys.argv[1:], sys.flags.isolated)\n"
    )
    shutil.copy(SCRIPT, root / "just")
    (root / "requirements" / "dev.txt").write_text(_wheel(tmp_path, "pretend_just", PROGRAM))
    alone = _wheel(tmp_path, "pretend_model", {"pretend_model.py": "HERE = 1\n"}, "Requires-Dist: nowhere\n")
    (root / "requirements" / "embed.txt").write_text(alone)
    return root


def _start(root: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": root.parent.as_uri(), "PYTHON": sys.executable}
    return subprocess.Popen(
        [root / "just", *arguments],
        cwd=root.parent,
        env={"PATH": os.environ["PATH"], "HOME": str(root.parent)} | offline | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _pretend_installed(root: Path) -> None:
    """Leave of an environment what pip writes of a package, and nothing of what the package brings."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    told = root / ".venv/lib" / version / "site-packages/pretend_just-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: pretend-just\nVersion: 1.0\n")
    (told / "INSTALLER").write_text("pip\n")
    (told / "RECORD").write_text("pretend_just-1.0.dist-info/METADATA,,\n")


def test_just_sets_up_and_hands_over(project: Path) -> None:
    # A half-finished one is mended: there is no stamp, and pip believes a package to be there whose program is missing.
    # Here two at once.
    _pretend_installed(project)
    with _start(project, "check", "a b") as first, _start(project, "check", "a b") as second:
        for process in (first, second):
            out, err = process.communicate(timeout=240)
            assert (process.returncode, err) == (0, "")
            assert out == f"--justfile\n{project}/justfile\ncheck\na b\n"

    # The launcher runs this project's code, isolated from the folder it is called in.
    ran = subprocess.run(
        [project / ".venv/bin/maniple", "ps", "a b"], capture_output=True, text=True, check=True, cwd="/"
    )
    assert ran.stdout == "['ps', 'a b'] 1\n"

    # Ready: nothing is installed again, so neither an index nor a Python to make it with is needed.
    with _start(project, "x", PIP_FIND_LINKS="", PYTHON="none") as process:
        out, err = process.communicate(timeout=240)
    assert (out.split()[-1], err) == ("x", "")

    # Where other versions are wanted, other bytes than the pinned ones are refused, and it is not ready any more.
    _wheel(project.parent, "pretend_more", {})
    (project / "requirements/dev.txt").write_text("pretend-more==1.0 --hash=sha256:" + "0" * 64 + "\n")
    with _start(project, "check") as process:
        out, err = process.communicate(timeout=240)
    assert (process.returncode, out) == (1, "")
    assert "DO NOT MATCH THE HASHES" in err
    assert "could not be set up" in err
    assert not (project / ".venv/stamp").exists()


@pytest.mark.parametrize("version", ["3, 10, 13", "3, 15, 0"])
def test_without_a_python_that_the_packages_are_built_for_just_says_what_to_do(project: Path, version: str) -> None:
    tools = project.parent / "tools"
    tools.mkdir()
    for tool in ("sh", "dirname", "cat", "cmp"):
        (tools / tool).symlink_to(shutil.which(tool) or "")
    other = tools / "python3"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$1" "import sys; sys.version_info = {version}; $2"\n')
    other.chmod(0o755)
    with _start(project, "check", PATH=str(tools), PYTHON="") as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "no Python from 3.11 to 3.14" in err
    assert "PYTHON=" in err
    assert not (project / ".venv").exists()
