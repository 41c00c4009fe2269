"""A module of WebAssembly that is not what its Hand provides, or not there: told before anything is installed."""

import shutil
from pathlib import Path

from tests.cli.shell import Shell
from tests.living import ROOT


def test_check_and_install_tell_what_a_module_lacks(shell: Shell, tmp_path: Path) -> None:
    folder = Path(shell.good("new", "lacking", "--wasm", "--into", tmp_path).strip())
    text = (folder / "main.wat").read_text()
    (folder / "main.wat").write_text(text.replace('(export "run")', '(export "walk")'))
    problems = shell.run("check", folder, "--json").table()["problems"]
    assert isinstance(problems, list)
    assert [one["what"] for one in problems] == ["it exports no function run(i32, i32) -> i64"]
    ran = shell.run("install", folder, "--yes")
    assert ran.code == 1
    assert "it exports no function run" in ran.err
    (folder / "main.wat").unlink()
    assert "there is no such file" in shell.run("install", folder, "--yes").err


def test_a_fault_in_the_text_of_a_module_is_told_at_its_place(shell: Shell, tmp_path: Path) -> None:
    folder = Path(shell.good("new", "typo", "--wasm", "--into", tmp_path).strip())
    (folder / "main.wat").write_text("(module\n  (memroy 1))\n")
    assert f"{folder}/main.wat:2:4: expected valid module field\n" in shell.run("check", folder).out
    assert f"{folder}/main.wat:2:4 cannot be run: expected valid" in shell.run("install", folder, "--yes").err


def test_a_module_that_is_not_built_yet_is_to_be_built(shell: Shell, tmp_path: Path) -> None:
    sources = shutil.ignore_patterns("*.wasm")
    folder = shutil.copytree(ROOT / "docs" / "examples" / "wasm-c", tmp_path / "primes", ignore=sources)
    problems = shell.run("check", folder, "--json").table()["problems"]
    assert isinstance(problems, list)
    missing = "wasm names primes.wasm, but there is no such file"
    told = [(one["file"], one["what"], one["instead"]) for one in problems]
    assert told == [(f"{folder}/HAND.toml", missing, "build the module, or change wasm")]
