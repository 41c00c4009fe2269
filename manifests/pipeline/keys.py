"""The one table of a pipeline file's keys: name, type, default and meaning of each (pure).

Its rows are like those of manifests/reference.py: the checker reads by them, and docs/pipeline-toml.md is made of them. To
add a key: a row here, a field in schema.py, its reader in reading.py, a bad file in tests/manifests/pipeline/bad/.
"""

from typing import Final

from manifests.reference import NONE, REQUIRED, Key

STEPS_MOST: Final = 200
AT_ONCE_MOST: Final = 256
TIMES_MOST: Final = 100
WALL_MOST_MS: Final = 365 * 86_400_000
SHORTEST_MS: Final = 100
BACKOFF_MOST_MS: Final = 7 * 86_400_000
"""The longest time that a run can sleep at once (wire/limits.py)."""

SECTIONS: Final[dict[str, str]] = {
    "pipeline": "The pipeline's identity, and the limits of a whole run.",
    "inputs": 'The inputs of a run: a row per input with name and type, `day = "string"`. The types are those of '
    "`params` in [HAND.toml](hand-toml.md). A ? at the end makes an input optional; if left out it is null.",
    "lends": "The most that the steps' runs may do. Without this section: what their Hands were granted when it was added.",
    "steps.*": "A step: one run of a task Hand, or with for_each one run per item of a list.",
    "finally.*": "A step that always runs at the end: in file order, one at a time.",
    "undo": "The run that undoes a finished piece of a step. A table in its step: `undo = { hand = … }`.",
    "retry": "A table in its step: `retry = { times = 3 }`.",
    "schedule": "When the Hand `scheduling` starts it, and with which `inputs`. The keys are those of `[schedule]` in "
    "[HAND.toml](hand-toml.md); see [schedules](schedules.md).",
    "outputs": "What a run returns: a row per output with name and value, usually an expression.",
}

_PIPELINE: Final = (
    Key("pipeline.name", "name", REQUIRED, "", "Its name as a Hand, in kebab-case; the file is NAME.pipeline.toml."),
    Key("pipeline.version", "version", REQUIRED, "", "A semantic version. One older than the last does not start."),
    Key("pipeline.description", "text", REQUIRED, "", "One sentence for the person who decides about adding it."),
    Key("pipeline.wall", "duration", '"1d"', "time", "The most time for a whole run."),
    Key("pipeline.parallel", "count", "8", "count, 1 to 256", "The most runs of steps at once."),
)
_WORK: Final = (
    Key("hand", "name", NONE, "", "The task Hand to run."),
    Key("pipeline", "name", NONE, "", "Instead of hand: an added pipeline."),
    Key("with", "given", "{}", "", "The run's inputs, by name: values, and texts with expressions."),
    Key("retry", "retry", NONE, "", "How often to retry after a failure. Without it, never."),
    Key("timeout", "duration", NONE, "time", "The most time for one try. The Hand's `wall` applies, too."),
)
_STEP: Final = (
    Key("needs", "fields", "[]", "", "Steps that must be over first. Steps named in its expressions are needed anyway."),
    Key("when", "condition", NONE, "", "An expression. If it gives false, the step is skipped and its output is null."),
    Key("for_each", "items", NONE, "", "A list, or an expression that gives one: one run per `item`, with `index` from 0."),
    Key("parallel", "count", "1", "count, 1 to 256", "With for_each: the most items at once."),
    Key("approval", "reason", NONE, "",
     "true, or a text with a reason: begins only after your yes to exactly these inputs. See [approvals](approvals.md)."),
    Key("on_failure", "failure", '"stop"', "",
     "stop: the pipeline fails. skip: its output is null, and the others go on. Else: the step to run in its place."),
    Key("undo", "undo", NONE, "", "The run that undoes each of its finished pieces if the pipeline fails."),
)  # fmt: skip
_LAST: Final = (
    Key("when", "condition", NONE, "", "An expression, such as `\"${outcome == 'failed'}\"`."),
    Key(
        "on_failure", "failure", '"stop"', "", "stop: the pipeline fails, if it had not. skip: the failure is ignored."
    ),
)

KEYS: Final[tuple[Key, ...]] = (
    *_PIPELINE,
    *(row._replace(path=f"steps.*.{row.path}") for row in (*_WORK, *_STEP)),
    *(row._replace(path=f"finally.*.{row.path}") for row in (*_WORK, *_LAST)),
    *(row._replace(path=f"undo.{row.path}") for row in _WORK),
    Key("retry.times", "count", REQUIRED, "count, 1 to 100", "Tries after the first."),
    Key(
        "retry.backoff",
        "duration",
        '"1s"',
        "time",
        "The wait before the first retry, at most 7 days; doubled for each further one.",
    ),
    Key(
        "retry.on",
        "codes",
        "[]",
        "",
        "Codes of failures after which to retry. Without it, all but those that a retry cannot fix: "
        "arguments, cancelled, capability, chain, denied, expired, expression, readonly, seal, unknown hand.",
    ),
)

_SHOWN: Final = {
    "codes": "list of codes", "condition": "expression", "failure": "text", "fields": "list of steps", "given": "table",
    "items": "list or expression", "reason": "true or text", "retry": "table", "undo": "table",
}  # fmt: skip
"""Types in words for the reference."""


def keys_of(section: str) -> dict[str, Key]:
    """Return the keys of one section, by their last part."""
    return {key.path.rpartition(".")[2]: key for key in KEYS if key.path.rpartition(".")[0] == section}


def page() -> str:
    """Return the reference of pipeline files as Markdown, section by section."""
    lines = [
        "# Pipeline files",
        "",
        "This is the reference of every key. Unknown keys, wrong types and bad values are errors;",
        "`maniple pipeline check FILE` reports all of them at once. [Pipelines](pipelines.md) has an example, and says how a",
        "pipeline runs and what an expression may contain.",
    ]
    for section, doc in SECTIONS.items():
        lines += ["", f"## [{section.replace('*', 'NAME')}]", "", doc]
        if keys := keys_of(section):
            lines += ["", "| key | type | default | unit | meaning |", "|---|---|---|---|---|"]
            lines += [_row(name, key) for name, key in keys.items()]
    return "\n".join(lines) + "\n"


def _row(name: str, key: Key) -> str:
    default = key.default if key.default in (REQUIRED, NONE) else f"`{key.default}`"
    return f"| `{name}` | {_SHOWN.get(key.type, key.type)} | {default} | {key.unit} | {key.doc} |"
