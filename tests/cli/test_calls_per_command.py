"""What a command asks the kernel is in the log: it asks no more than it needs."""

from pathlib import Path

import pytest

from tests.cli.shell import Shell

PIPELINE = """
[pipeline]
name = "brief"
version = "1.0.0"
description = "Greets once."

[steps.one]
hand = "greeter"
"""


def _entries_of(shell: Shell, *words: str | Path) -> int:
    """How many entries of the log a command makes, which only reads."""
    sizes = []
    for each in ((), (), words):
        if each:
            shell.good(*each)
        size = shell.result("status")["entries"]
        assert isinstance(size, int)
        sizes.append(size)
    first, second, third = sizes
    return third - second - (second - first)


def test_a_check_of_a_pipeline_asks_only_of_the_hands_that_it_is_about(shell: Shell, tmp_path: Path) -> None:
    """The log told of 70 calls where a pipeline of two Hands was checked in a home of 20."""
    file = tmp_path / "brief.pipeline.toml"
    file.write_text(PIPELINE)
    assert _entries_of(shell, "pipeline", "check", file) <= 12


def test_a_list_of_pipelines_asks_of_no_service(shell: Shell) -> None:
    rows = shell.result("hands")["hands"]
    assert isinstance(rows, list)
    tasks = sum(row["kind"] == "task" for row in rows)
    assert _entries_of(shell, "pipeline", "list") <= 2 * (1 + tasks)


@pytest.mark.parametrize("words", [("plans",), ("artifacts",), ("memory", "stats")])
def test_names_of_memories_take_one_call(words: tuple[str, ...], shell: Shell) -> None:
    shell.good(*words)  # which starts the service that it asks
    assert _entries_of(shell, *words) <= 16
