"""The comparison of what commands print with --json with docs/json.md finds a difference of any kind.

`Shell` makes it for every result that any test asks for.
"""

from importlib import import_module

import click
import pytest

from kernel.cli import commands
from tests.cli import json_page


def test_the_page_has_a_section_for_every_command_with_a_result_and_names_only_types_that_it_explains() -> None:
    sections = json_page.page()
    with_results = {
        f"maniple {name}"
        for name in commands.all_commands()
        if any("--json" in option.opts for option in _command(name).params)
    }
    assert {name for name in sections if name.startswith("maniple ")} == with_results
    assert json_page.kinds() - {"table", "missing"} <= json_page.PLAIN.keys() | (sections.keys() - with_results)


def _command(name: str) -> click.Command:
    found = getattr(import_module(f"kernel.cli.{commands.module_of(name)}"), commands.module_of(name))
    assert isinstance(found, click.Command)
    return found


@pytest.mark.parametrize(
    ("out", "wrong"),
    [
        ('{"stopped": 1}', []),
        ('{"stopped": true}', [".stopped is True, not int"]),
        ('{"stopped": 1, "more": 2}', [".more was printed, and is not on the page"]),
        ("{}", [".stopped is on the page, and was not printed"]),
    ],
)
def test_a_key_that_is_new_gone_or_of_another_type_is_found(out: str, wrong: list[str]) -> None:
    assert json_page.differences(["stop", "echo", "--json"], out) == [f"maniple stop --json: {each}" for each in wrong]
