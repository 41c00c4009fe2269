"""A kernel started by the command line, and its template, have no docstrings where Python can keep such bytecode."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernel.cli import starting
from tests.runtime.peer import ROOT


@pytest.mark.parametrize("kept", [{"kernel", "os"}, {"kernel"}, {"os"}, set[str]()], ids=" ".join)
@pytest.mark.parametrize("how", ["exists", "access"])
def test_docstrings_are_left_out_if_bytecode_without_them_can_be_kept(
    kept: set[str], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def holds(path: str, *_: int) -> bool:
        return ("kernel" if path.startswith(str(ROOT)) else "os") in kept

    monkeypatch.setattr(os, "access", holds if how == "access" else lambda *_: False)
    monkeypatch.setattr(os.path, "exists", holds if how == "exists" else lambda *_: False)
    assert ("-OO" in starting.kernel_command("home", 3)) == (kept == {"kernel", "os"})


@pytest.mark.parametrize("options", [[], ["-OO"]])
def test_a_template_is_without_docstrings_if_its_kernel_is(options: list[str], tmp_path: Path) -> None:
    script = """
import json, os, sys
from pathlib import Path
from kernel import launcher
from kernel.home import Home
from tests.bench.home import new_home
from wire.launch import WITHOUT_DOCSTRINGS
started = []
os.posix_spawn = lambda program, words, environment, **_: started.append(words) or 0
launcher.start_template(Home(str(new_home(Path(sys.argv[1])))))
print(json.dumps([WITHOUT_DOCSTRINGS in word for word in started[0]]))
"""
    start = [sys.executable, *options, "-c", script, str(tmp_path / "home")]
    seen = subprocess.run(start, cwd=ROOT, capture_output=True, text=True, check=True)
    assert any(json.loads(seen.stdout)) == bool(options)
