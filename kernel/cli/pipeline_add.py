"""`maniple pipeline add` (acts)."""

import shlex

import click

from kernel.cli import install, named_files, pipelines
from kernel.cli.frame import Session, command
from manifests.pipeline.check import check
from manifests.pipeline.installed import lends_of


@command()
@click.argument("file", metavar="FILE", type=named_files.PATH)
@click.option("--yes", is_flag=True, help="Grant all it asks for, without a question.")
def pipeline_add(session: Session, file: str, yes: bool) -> None:
    """Add a pipeline, or upgrade it: checks it, shows in words what it asks for, asks, seals it and installs it as a Hand.

    It may begin runs of the Hands that its steps name, and nothing else. What those runs may do is the less of what their
    Hands are granted and of what the pipeline is granted here, which `maniple grants` shows as lent.

    An upgrade shows only what is new, and keeps grants.
    """
    text = pipelines.read_file(file)
    with session.client() as client:
        hands = pipelines.installed(client)
        pipeline = check(text, file=file, hands=hands)
        made = pipelines.folder(pipeline, text, lends_of(pipeline, hands))
        again = f"maniple pipeline add {shlex.quote(file)} --yes"
        install.carry_out(session, client, made, yes=yes, next_=again)
    inputs = [f"{name}=…" for name, of in pipeline.inputs.items() if not of.endswith("?")]
    session.say(f"Next: `{' '.join(['maniple pipeline run', pipeline.name, *inputs, '--watch'])}`")
