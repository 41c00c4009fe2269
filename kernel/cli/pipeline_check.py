"""`maniple pipeline check` (acts)."""

import shlex

import click

from kernel.cli import named_files, pipelines
from kernel.cli.check import CheckResult, problem_lines
from kernel.cli.exits import Ended
from kernel.cli.frame import Session, command
from manifests.errors import ManifestInvalid, Problem
from manifests.pipeline.check import check


@command()
@click.argument("file", metavar="FILE", type=named_files.PATH)
def pipeline_check(session: Session, file: str) -> None:
    """List every problem in a pipeline's file, each with its line, column, and what to write instead.

    The whole file is checked, also against the installed Hands: whether they are there, what they take, whether they
    were granted what they ask for, and whether the pipeline would run itself. So the kernel must run.
    """
    text = pipelines.read_file(file)
    problems: tuple[Problem, ...] = ()
    with session.client() as client:
        try:
            check(text, file=file, hands=pipelines.KnownHands(client))
        except ManifestInvalid as error:
            problems = error.problems
    session.result(
        CheckResult(ok=not problems, problems=tuple(problem._asdict() for problem in problems)),
        lambda: "\n".join(map(problem_lines, problems)),
    )
    if problems:
        number = f"{len(problems)} problems" if len(problems) > 1 else "one problem"
        again = f"maniple pipeline check {shlex.quote(file)}"
        raise Ended(f"{number} in {file}: mend what is named, then `{again}` again")
    session.say(f"{file} is in order: `maniple pipeline add {shlex.quote(file)}`")
