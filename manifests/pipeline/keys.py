"""The one table of a pipeline file's keys (pure): what each is called, holds, defaults to and means.

Its rows are those of manifests/reference.py: the checker reads by them, and docs/pipeline-toml.md is drawn from them. To
add a key: a row here, a field in schema.py, where it is read in reading.py, a bad file in tests/manifests/pipeline/bad/.
"""

from typing import Final

from manifests.reference import NONE, REQUIRED, Key

STEPS_MOST: Final = 200
AT_ONCE_MOST: Final = 256
TIMES_MOST: Final = 100
WALL_MOST_MS: Final = 365 * 86_400_000
SHORTEST_MS: Final = 100
BACKOFF_MOST_MS: Final = 7 * 86_400_000
"""As long as a run can sleep at once (wire/limits.py)."""

SECTIONS: Final[dict[str, str]] = {
    "pipeline": "Which pipeline it is, and what a whole run of it may take.",
    "inputs": 'What a run is given: a row per input, its name and its type, `day = "string"`. The types are those of '
    "`params` in [HAND.toml](hand-toml.md); with ? at its end it may be left out, and is null then.",
    "lends": "The most that its steps' runs may do. Without it: what their Hands were granted when it was added.",
    "steps.*": "A step: one run of a task Hand, or with for_each one for each item of a list.",
    "finally.*": "A step that runs at the end, however that came: in the order of the file, one after the other.",
    "undo": "What takes back a piece of a step that was done: a table in its step, as `undo = { hand = … }`.",
    "retry": "A table in its step: `retry = { times = 3 }`.",
    "schedule": "When the Hand `scheduling` starts it, and with which `inputs`: the keys are those of `[schedule]` in "
    "[HAND.toml](hand-toml.md), and mean [the same](schedules.md).",
    "outputs": "What a run returns: a row per output, its name and a value, mostly an expression.",
}

_PIPELINE: Final = (
    Key("pipeline.name", "name", REQUIRED, "", "Its name as a Hand, in kebab-case; the file is NAME.pipeline.toml."),
    Key("pipeline.version", "version", REQUIRED, "", "A semantic version. An older one than last time does not start."),
    Key("pipeline.description", "text", REQUIRED, "", "One sentence for the person who decides about adding it."),
    Key("pipeline.wall", "duration", '"1d"', "time", "The most time of a whole run."),
    Key("pipeline.parallel", "count", "8", "count, 1 to 256", "The most runs of steps at once."),
)
_WORK: Final = (
    Key("hand", "name", NONE, "", "The task Hand whose run it is."),
    Key("pipeline", "name", NONE, "", "Instead of hand: an added pipeline."),
    Key("with", "given", "{}", "", "The run's inputs, by name: values, and texts with expressions."),
    Key("retry", "retry", NONE, "", "How often it is tried again when it failed; without it not at all."),
    Key("timeout", "duration", NONE, "time", "The most time of one try; its Hand's `wall` holds besides."),
)
_STEP: Final = (
    Key("needs", "fields", "[]", "", "Steps that must be over first. Those that its expressions name are needed anyway."),
    Key("when", "condition", NONE, "", "An expression; when it gives false, the step is skipped and its output is null."),
    Key("for_each", "items", NONE, "", "A list, or an expression that gives one: a run for each `item`, at `index` from 0."),
    Key("parallel", "count", "1", "count, 1 to 256", "Of for_each: the most items at once."),
    Key("approval", "reason", NONE, "",
     "true, or a text that says why: it begins only after your yes, for exactly its inputs. See [approvals](approvals.md)."),
    Key("on_failure", "failure", '"stop"', "",
     "stop: the pipeline fails. skip: its output is null, and the others go on. Else the step that runs in its place."),
    Key("undo", "undo", NONE, "", "What takes back a piece of it that was done, when the pipeline fails."),
)  # fmt: skip
_LAST: Final = (
    Key("when", "condition", NONE, "", "An expression, such as `\"${outcome == 'failed'}\"`."),
    Key("on_failure", "failure", '"stop"', "", "stop: the pipeline failed, if it had not. skip: that does not matter."),
)

KEYS: Final[tuple[Key, ...]] = (
    *_PIPELINE,
    *(row._replace(path=f"steps.*.{row.path}") for row in (*_WORK, *_STEP)),
    *(row._replace(path=f"finally.*.{row.path}") for row in (*_WORK, *_LAST)),
    *(row._replace(path=f"undo.{row.path}") for row in _WORK),
    Key("retry.times", "count", REQUIRED, "count, 1 to 100", "Tries after the first one."),
    Key(
        "retry.backoff",
        "duration",
        '"1s"',
        "time",
        "The wait before the first of them, at most 7 days; doubled for each next.",
    ),
    Key(
        "retry.on",
        "codes",
        "[]",
        "",
        "Codes of failures after which it is tried again. Without it, any but those that trying again cannot mend: "
        "arguments, cancelled, capability, chain, denied, expired, expression, readonly, seal, unknown hand.",
    ),
)

_SHOWN: Final = {
    "codes": "list of codes", "condition": "expression", "failure": "text", "fields": "list of steps", "given": "table",
    "items": "list or expression", "reason": "true or text", "retry": "table", "undo": "table",
}  # fmt: skip
"""Types in words for the reference."""


def keys_of(section: str) -> dict[str, Key]:
    """The keys of one section, by their last part."""
    return {key.path.rpartition(".")[2]: key for key in KEYS if key.path.rpartition(".")[0] == section}


def page() -> str:
    """The reference of pipeline files as Markdown, section by section."""
    lines = [
        "# Pipeline files",
        "",
        "Unknown keys, wrong types and bad values are errors; `maniple pipeline check FILE` tells them all at once.",
        "How a pipeline runs, and what an expression may say: [pipelines](pipelines.md).",
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
