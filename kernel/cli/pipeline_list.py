"""`maniple pipeline list` (acts)."""

from msgspec import Struct

from kernel.cli import pipelines, screen
from kernel.cli.frame import Session, command
from kernel.cli.pipelines import InstalledPipeline


class Listed(Struct, frozen=True, kw_only=True):
    """One row. steps: their number, with those of [finally]; hands: those whose runs it starts."""

    name: str
    version: str
    description: str
    inputs: dict[str, str]
    steps: int
    hands: tuple[str, ...]


@command()
def pipeline_list(session: Session) -> None:
    """List every pipeline: what it takes, and the Hands whose runs it starts."""
    with session.client() as client:
        readable, unreadable = pipelines.fetch_all(client)
    found = [_row(one) for one in readable]
    none = "" if unreadable else "There is no pipeline yet: `maniple pipeline add FILE`"
    session.result({"pipelines": found, "unreadable": unreadable}, lambda: _drawn(found), nothing=none)
    for name, why in unreadable.items():
        session.say(f"{name} cannot be read: {screen.visible(why)}")


def _row(one: InstalledPipeline) -> Listed:
    pipeline = one.pipeline
    return Listed(
        name=pipeline.name,
        version=one.version,
        description=pipeline.description,
        inputs=pipeline.inputs,
        steps=len(pipeline.steps) + len(pipeline.last),
        hands=pipeline.hands(),
    )


def _drawn(found: list[Listed]) -> str:
    if not found:
        return ""
    rows = (
        (
            one.name,
            one.version,
            str(one.steps),
            " ".join(f"{name}={of}" for name, of in one.inputs.items()),
            ", ".join(one.hands),
            one.description,
        )
        for one in found
    )
    return screen.table(("PIPELINE", "VERSION", "STEPS", "INPUTS", "HANDS", "DOES"), rows, right=("STEPS",))
