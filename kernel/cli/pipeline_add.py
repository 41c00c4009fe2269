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
    """Add or upgrade a pipeline: checks it, shows what it asks for, asks you, seals it and installs it as a Hand.

    It may start runs of the Hands that its steps name, and nothing else. Such a run may do only what both its Hand and
    the pipeline are granted; `maniple grants` lists the pipeline's grants as lent.

    An upgrade shows only what is new, and keeps grants.
    """
    text = pipelines.read_file(file)
    with session.client() as client:
        hands = pipelines.KnownHands(client)
        pipeline = check(text, file=file, hands=hands)
        hand = pipelines.make_folder(pipeline, text, lends_of(pipeline, hands))
        again = f"maniple pipeline add {shlex.quote(file)} --yes"
        install.confirm_and_install(session, client, hand, yes=yes, next_=again)
    inputs = [f"{name}=…" for name, of in pipeline.inputs.items() if not of.endswith("?")]
    session.say(f"Next: `{' '.join(['maniple pipeline run', pipeline.name, *inputs, '--watch'])}`")
