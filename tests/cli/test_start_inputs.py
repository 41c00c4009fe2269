"""What `maniple start` makes of key=value, by what the Hand's `run` is annotated as."""

from pathlib import Path
from typing import Any

from tests.cli.shell import Shell


def test_an_input_is_read_as_its_param_is_annotated(shell: Shell, tmp_path: Path) -> None:
    folder = Path(shell.good("new", "typed-task", "--into", tmp_path).strip())
    (folder / "main.py").write_text(
        "from runtime import Hand\n\n\nclass TypedTask(Hand):\n"
        "    async def run(self, n: int = 0, x: float = 0.0, on: bool = False, of: list[str] = [], s: str = '', t=''):\n"
        "        return [n, x, on, of, s, t]\n"
    )
    shell.good("install", folder, "--yes")
    value: Any = shell.result("start", "typed-task", "n=3", "x=2", "on=true", 'of=["a"]', "s=4", "t=5", "--wait")[
        "value"
    ]
    assert (value, type(value[1])) == ([3, 2.0, True, ["a"], "4", "5"], float)
    value = shell.result("start", "typed-task", "n:=3", 's:={"a": 1}', "--wait")["value"]
    assert value[0::4] == [3, {"a": 1}]
    for word, of in (("n=three", "an int"), ("on=maybe", "a bool"), ("of=a,b", "a list")):
        ran = shell.run("start", "typed-task", word)
        assert (ran.code, f"not {of}" in ran.err) == (2, True), ran.err
    assert "run" in shell.run("start", "typed-task", "m=3", "--wait").err, (
        "a name that it does not know is its own matter"
    )
    shell.good("remove", "typed-task", "--purge", "--yes")
