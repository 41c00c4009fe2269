"""The checker of pipeline files: turns the text into a Pipeline, or reports every problem in it at once (pure).

The command line passes the installed Hands. The interpreter does not: Hands are then not checked, since the kernel refuses
missing ones. Problems are like those of HAND.toml: file, line, column, what is wrong, what to write.
"""

from collections.abc import Mapping
from typing import Final

from manifests import schedule_rules
from manifests.check import load, read_lends
from manifests.errors import ManifestInvalid
from manifests.findings import Findings, spelled
from manifests.names import is_field
from manifests.pipeline.binding import Binding
from manifests.pipeline.installed import Known, check_against_hands
from manifests.pipeline.reading import Table, can_be_sent, read_head, read_steps
from manifests.pipeline.schema import Pipeline
from manifests.readers import BAD, READERS
from manifests.reference import AT
from manifests.scheduled_inputs import check_given
from manifests.tables import read_table
from manifests.typed import type_words

DAY_MS: Final = 86_400_000


def check(text: str, *, file: str, hands: Mapping[str, Known] | None = None) -> Pipeline:
    """Return the pipeline. Raises ManifestInvalid with every problem. file: its name in them; hands: those installed."""
    raw = load(text, file)
    found = Findings()
    section = read_head(found, raw, file)
    inputs = _inputs(found, raw.get("inputs", {}))
    lends = read_lends(found, _plain_table(found, "lends", raw["lends"])) if "lends" in raw else None
    rows = read_steps(found, "steps", raw["steps"]) if "steps" in raw else {}
    if not raw.get("steps"):
        found.at_key((), "there is no step", 'write [steps.first], and in it hand = "..."')
    last = read_steps(found, "finally", raw.get("finally", {}))
    binding = Binding(found, inputs, rows, last)
    bound, after = binding.steps(), binding.last()
    outputs = _plain_table(found, "outputs", raw.get("outputs", {}))
    for name, value in outputs.items():
        can_be_sent(found, ("outputs", name), value)
        if not is_field(name):
            found.at_key(("outputs", name), f'"{name}" cannot be the name of an output', 'write small letters and "_"')
    binding.outputs(outputs)
    schedule = _schedule(found, raw, section.get("name"), inputs)
    made = _build(
        section, inputs=inputs, lends=lends, steps=bound, last=after, outputs=dict(outputs), schedule=dict(schedule)
    )
    if hands is not None:
        check_against_hands(found, made, hands, binding)
    if found:
        raise ManifestInvalid(found.placed(text, file))
    return made


def _inputs(found: Findings, raw: object) -> dict[str, str]:
    read = READERS["types"](found, ("inputs",), raw, AT["provides.*.params"])
    if read is not BAD and isinstance(read, dict):
        return {str(name): str(of) for name, of in read.items()}
    return {str(name): "any?" for name in raw} if isinstance(raw, dict) else {}


def _schedule(found: Findings, raw: Table, name: object, inputs: Mapping[str, str]) -> Table:
    """Return the table [schedule], after checking it like that of a HAND.toml, and its inputs like those of a run."""
    if "schedule" not in raw:
        return {}
    read = read_table(found, "schedule", ("schedule",), raw["schedule"])
    schedule_rules.check_schedule(found, {"hand": {"kind": "task", "name": name}, "schedule": read}, raw)
    check_given(found, read.get("inputs"), inputs)
    return _plain_table(found, "schedule", raw["schedule"])


def _plain_table(found: Findings, section: str, raw: object) -> Table:
    if isinstance(raw, dict):
        return raw
    found.at_value(
        (section,), f"{spelled((section,))} is {type_words(raw)}, not a table", f"write [{section}] as a table"
    )
    return {}


def _build(section: Table, **rest: object) -> Pipeline:
    """Build the Pipeline. Values that could not be read have a placeholder; a problem was noted for each."""
    wall, parallel = section.get("wall", DAY_MS), section.get("parallel", 8)
    return Pipeline(
        name=str(section.get("name", "")),
        version=str(section.get("version", "")),
        description=str(section.get("description", "")),
        wall_ms=wall if isinstance(wall, int) else DAY_MS,
        parallel=parallel if isinstance(parallel, int) else 8,
        **rest,  # type: ignore[arg-type]  # each is of its field's type, as check() shows
    )
