"""The one table of HAND.toml's keys: name, type, default and meaning of each (pure).

Separate because three users share it: the checker (the keys, their types, which are required), the generator of
docs/hand-toml.md, and a test that compares it with schema.py. To add a key: a row here, a field in schema.py, a bad
file. `*` in a path stands for a name that the author chooses.
"""

from typing import Final, NamedTuple

from manifests import example, schemas
from manifests.confinement import layers
from manifests.schema import PROGRAM_FOLDERS
from manifests.values import LIMITS, format_limit

REQUIRED: Final = "required"
NONE: Final = ""


class Key(NamedTuple):
    """One key: path, type in words, default as TOML ("required", or "" for none), unit, and meaning.

    choices: the only texts allowed, if it has a fixed set.
    """

    path: str
    type: str
    default: str
    unit: str
    doc: str
    choices: tuple[str, ...] = ()


def _limit(name: str, doc: str) -> Key:
    kept = {"bytes": ("size", "bytes"), "ms": ("duration", "time"), "count": ("count", "count")}
    of_type, unit = kept[LIMITS[name].unit]
    limit = LIMITS[name]
    span = f"{unit}, {format_limit(name, limit.floor)} to {format_limit(name, limit.ceiling)}"
    return Key(f"limits.{name}", of_type, format_limit(name, limit.default), span, doc)


SECTIONS: Final[dict[str, str]] = {
    "hand": "The Hand's identity, and how it runs.",
    "agent": "Instead of code in [hand]: a model that thinks, with the Hand's granted methods as its tools; see "
    "[agents.md](agents.md).",
    "capabilities": "Everything the Hand may ask for, a row per method. Nothing else is possible.",
    "lends": "What only the runs it spawns may ask for, in its name, and not the Hand itself; shown so at install.",
    "provides.*": 'A method the Hand provides, under its own name, such as [provides."monitoring.check"].',
    "events": "The events it publishes and subscribes to.",
    "limits": "Limits of each run. For a service, cpu and wall are per call.",
    "budget": "The most it may spend on calls, its own and those made for it; see [budgets.md](budgets.md).",
    "restart": "Services: when to restart after the process ended by itself.",
    "confinement": "What its process needs that the usual confinement forbids, and the layers it requires.",
    "schedule": "When the Hand `scheduling` starts it. Give one of cron, every, at and on; see [schedules](schedules.md).",
    "settings.*": "One typed setting. The operator reads and changes it with `maniple settings`.",
    "requires": "What the machine must have, checked before each start. For a secret use a setting with `secret = true`.",
}

_PARAM_TYPES: Final = (
    "string, int, float, bool, bytes, duration, size, list, dict or any; a ? at the end makes it optional"
)

KEYS: Final[tuple[Key, ...]] = (
    Key("hand.name", "name", REQUIRED, "", "The Hand's name in kebab-case, at most 64 characters, unique in a home."),
    Key("hand.version", "version", REQUIRED, "", "A semantic version. One older than the last does not start."),
    Key("hand.description", "text", REQUIRED, "", "One sentence for the person who decides about installing it."),
    Key("hand.entry", "entry", NONE, "", "The Hand's class, as module:Class, in its folder."),
    Key(
        "hand.command",
        "command",
        NONE,
        "",
        "Instead of entry: a program in any language, and its arguments; see [command.md](command.md).",
    ),
    Key(
        "hand.speaks",
        "choice",
        '"lines"',
        "",
        "The protocol of a command. lines: that of [command.md](command.md). mcp: the Model Context Protocol on its "
        "standard streams, as `maniple mcp add` writes it; see [mcp.md](mcp.md).",
        ("lines", "mcp"),
    ),
    Key(
        "hand.wasm",
        "wasm",
        NONE,
        "",
        "Instead of entry: a WebAssembly module in its folder, .wasm or .wat; see [wasm.md](wasm.md).",
    ),
    Key(
        "hand.pipeline",
        "pipeline",
        NONE,
        "",
        "Instead of entry: a pipeline file in its folder. `maniple pipeline add` writes this.",
    ),
    Key(
        "hand.kind",
        "choice",
        REQUIRED,
        "",
        "task: one process per run. service: stays up and provides methods.",
        ("task", "service"),
    ),
    Key(
        "hand.autonomy",
        "choice",
        REQUIRED,
        "",
        "readonly: only methods with effect read. supervised: all it is granted, but calls with effect external wait for the "
        "operator's yes. full: all it is granted. See [approvals.md](approvals.md).",
        ("readonly", "supervised", "full"),
    ),
    Key(
        "hand.isolation",
        "choice",
        '"fork"',
        "",
        "fork: forked from the warm template. exec: its own interpreter. For a command this concerns the bridge: the program "
        "is always a separate process.",
        ("fork", "exec"),
    ),
    Key("hand.autostart", "bool", "false", "", "Services: start with the kernel instead of at the first call."),
    Key("hand.idle", "duration", '"60s"', "time", 'Services: stop after this time without a call. "0s": never.'),
    Key("hand.needs", "names", "[]", "", "Hands to be installed. They start first, stop last, and may not need it."),
    Key(
        "hand.on_upgrade",
        "choice",
        '"ask"',
        "",
        "Tasks: what happens to an unfinished run of this version when another is installed. finish: it goes on with this "
        "code. restart: it begins again with the new code. ask: it waits for `maniple decide`. See "
        "[resuming.md](resuming.md#upgrades).",
        ("finish", "restart", "ask"),
    ),
    Key(
        "agent.model",
        "model",
        REQUIRED,
        "",
        "The model: a route, or PROVIDER/MODEL. It is the resource of the Hand's calls of model.complete.",
    ),
    Key("agent.playbook", "Markdown file", NONE, "", "The instructions for each run, in its folder."),
    Key("agent.schema", "JSON file", NONE, "", "The JSON Schema of its answers, in its folder."),
    Key(
        "agent.task",
        "JSON file",
        NONE,
        "",
        "What to do without a language model, such as a list of steps, in its folder; see "
        "[agents.md](agents.md#without-a-language-model).",
    ),
    Key("agent.steps", "count", "40", "count, 1 to 1000", "The most answers of the model in one run."),
    Key("agent.tokens", "token count", NONE, "tokens", 'The most tokens for all of them, such as "200k".'),
    Key("agent.dollars", "dollar amount", NONE, "US dollars", 'The most they may cost together, such as "1.50".'),
    Key(
        "agent.window",
        "token count",
        NONE,
        "tokens",
        "The most for one request and its answer. By default the window listed for the model, or 32k if none is.",
    ),
    Key(
        "capabilities.*.allow",
        "patterns",
        REQUIRED,
        "",
        "Resource patterns. The row may be just this list. [] allows nothing.",
    ),
    Key(
        "capabilities.*.own",
        "bool",
        "false",
        "",
        "Services: used for every caller, whatever the caller's grants; shown so at install.",
    ),
    Key(
        "capabilities.*.approval",
        "bool",
        NONE,
        "",
        "true: each such call waits for the operator's yes. false: supervised Hands only; no such call waits, whatever its "
        "effect; shown so at install.",
    ),
    Key(
        "lends.*",
        "patterns",
        NONE,
        "",
        'A row per method with its resource patterns: `"files.read" = ["reports/**"]`.',
    ),
    Key("provides.*.summary", "summary", REQUIRED, "", "What the method does, in one line."),
    Key(
        "provides.*.resource",
        "choice",
        REQUIRED,
        "",
        "The kind of resource it acts on.",
        ("none", "name", "path", "url", "address", "namespace", "model"),
    ),
    Key(
        "provides.*.effect",
        "choice",
        REQUIRED,
        "",
        "read: changes nothing. write: changes this machine. external: acts beyond it.",
        ("read", "write", "external"),
    ),
    Key("provides.*.idempotent", "bool", "false", "", "The call may be repeated if its outcome was lost."),
    Key(
        "provides.*.asks",
        "bool",
        "false",
        "",
        "A question: each call waits for the operator's own answer, never a rule's. See [approvals.md](approvals.md).",
    ),
    Key(
        "provides.*.most",
        "cost",
        NONE,
        "tokens, US dollars",
        'The most a call costs if its caller gives no `most`: { tokens = "10k", dollars = "0.05" }. A unit left out is 0.',
    ),
    Key("provides.*.labels", "names", "[]", "", "The labels of its replies."),
    Key("provides.*.params", "types", "{}", "", f"Its arguments and their types: {_PARAM_TYPES}."),
    Key("provides.*.schemas", "schemas", "{}", "", schemas.MEANING),
    Key("provides.*.returns", "types", "{}", "", "The fields its reply must have; see [python.md](python.md#replies)."),
    Key("events.publishes", "names", "[]", "", "Names of its events, without the Hand's name in front."),
    Key("events.subscribes", "event patterns", "[]", "", "Events of other Hands, as publisher.event or publisher.*."),
    _limit("memory", "The most memory for data, of each process and of all its processes together."),
    _limit("cpu", "The most processor time of all its processes together, in whole seconds."),
    _limit("wall", "The most time from start to end. Waiting for the operator does not count."),
    _limit("processes", "The most processes. Threads count too."),
    _limit("open_files", "The most open descriptors."),
    _limit("file_size", "The largest file it may write."),
    _limit(
        "disk",
        "The most space that `scratch`, `state` and the run's [tape](resuming.md) may take together. Each directory entry"
        " counts as at least 4 KiB. Checked once a second.",
    ),
    _limit("calls_per_minute", "The most messages a minute. Refused, malformed and trivial ones count too."),
    _limit("in_flight", "The most calls open at once."),
    _limit("fuel", "WASM Hands: the most work for one call, about one unit per instruction of the module."),
    Key(
        "budget.tokens",
        "tokens",
        NONE,
        "tokens",
        'The most tokens in each hour, day or month, such as "200k/day"; a list for several: ["20k/hour", "1M/month"].',
    ),
    Key(
        "budget.dollars",
        "dollars",
        NONE,
        "US dollars",
        'The most money likewise, such as "2.00/day"; down to a millionth of a dollar.',
    ),
    Key(
        "restart.when",
        "choice",
        '"failure"',
        "",
        "After which ends it restarts.",
        ("never", "failure", "always"),
    ),
    Key(
        "restart.times",
        "count",
        "5",
        "count",
        "More restarts than this within the time below quarantine it until `maniple start`.",
    ),
    Key("restart.within", "duration", '"1m"', "time", "The time over which restarts are counted."),
    Key(
        "confinement.roots",
        "bool",
        "false",
        "",
        "Services: the kernel opens the granted roots for it as directory descriptors.",
    ),
    Key(
        "confinement.require",
        "layers",
        "[]",
        "",
        f"Refuse to start if one of these layers is missing: {', '.join(layers.NAMES)}.",
    ),
    Key(
        "confinement.network",
        "choice",
        '"none"',
        "",
        "none: no network at all. host: the machine's network, for services only; shown at install.",
        ("none", "host"),
    ),
    Key(
        "confinement.outside_read",
        "folders",
        "[]",
        "",
        "More folders and files of this machine that it may read; shown at install.",
    ),
    Key(
        "confinement.programs",
        "bool",
        "false",
        "",
        "It may run programs from this machine's system folders, as every command may; shown at install.",
    ),
    Key(
        "confinement.scratch",
        "choice",
        '"own"',
        "",
        "caller: tasks only; a run that answers a call works in its caller's scratch folder; shown at install.",
        ("own", "caller"),
    ),
    Key("schedule.cron", "cron", NONE, "", "Minute, hour, day of month, month, day of week."),
    Key("schedule.every", "duration", NONE, "time", "The time from one start to the next; at least a second."),
    Key("schedule.at", "moment", NONE, "", 'Once, at this time of the zone, such as "2026-12-01T09:00".'),
    Key("schedule.on", "event", NONE, "", "At each event publisher.event; asked for like one of [events]."),
    Key("schedule.where", "filter", "{}", "", "With on: the values that the event's body must have, by path."),
    Key("schedule.timezone", "zone", '"UTC"', "", 'The IANA zone of cron, at and quiet, such as "Europe/Berlin".'),
    Key(
        "schedule.missed",
        "choice",
        '"latest"',
        "",
        "Which starts missed while nothing ran are made up: none, the latest, or all.",
        ("skip", "latest", "all"),
    ),
    Key(
        "schedule.overlap",
        "choice",
        '"skip"',
        "",
        "If its last scheduled run still works: skip this start, queue it, or replace that run.",
        ("skip", "queue", "replace"),
    ),
    Key("schedule.jitter", "duration", '"0s"', "time", "Delays each start by up to this, fixed for each firing."),
    Key("schedule.quiet", "spans", "[]", "", 'Times of day, "22:00-07:00". A start within them waits for their end.'),
    Key("schedule.inputs", "inputs", "{}", "", "The inputs of each run. $time and $event stand for what started it."),
    Key(
        "settings.*.type",
        "choice",
        REQUIRED,
        "",
        "The type of the value.",
        ("string", "int", "float", "bool", "duration", "size", "list", "dict"),
    ),
    Key("settings.*.required", "bool", "false", "", "The Hand does not start until it has a value."),
    Key("settings.*.default", "value", NONE, "", "The value if none is given."),
    Key("settings.*.help", "text", '""', "", "Its purpose, in one line."),
    Key("settings.*.secret", "bool", "false", "", "Never shown, logged or put into a prompt."),
    Key("settings.*.choices", "choices", "[]", "", "The allowed values; for string and int."),
    Key("settings.*.min", "value", NONE, "", "The least value; for int, float, duration and size."),
    Key("settings.*.max", "value", NONE, "", "The greatest value; as min."),
    Key("requires.binaries", "programs", "[]", "", f"Programs that must be in one of {', '.join(PROGRAM_FOLDERS)}."),
    Key("requires.env", "variables", "[]", "", "Variables that must be set for the kernel. Runs do not get them."),
)

LATER: Final[dict[str, str]] = {
    "metrics": "will declare counters and gauges that the Hand reports",
}
"""Keys and sections that a later version will accept, and what each will do."""

AT: Final[dict[str, Key]] = {key.path: key for key in KEYS}


def keys_of(section: str) -> dict[str, Key]:
    """Return the keys of one section, by their last part: keys_of("limits")["memory"]."""
    return {key.path.rpartition(".")[2]: key for key in KEYS if key.path.rpartition(".")[0] == section}


def page() -> str:
    """Return the reference of HAND.toml as Markdown, section by section; LATER comes last."""
    lines = [*example.HEAD]
    for section, doc in SECTIONS.items():
        header = section.replace("*", "NAME")
        lines += [
            "",
            f"## [{header}]",
            "",
            doc,
            "",
            "| key | type | default | unit | meaning |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(key) for key in KEYS if key.path.rpartition(".")[0] in (section, f"{section}.*")]
    lines += ["", "## Later", "", "These are refused until a later version supports them:", ""]
    lines += [f"- `{path.replace('*', 'NAME')}` {doc}" for path, doc in LATER.items()]
    return "\n".join(lines) + "\n"


def _row(key: Key) -> str:
    of_type = " or ".join(f'`"{choice}"`' for choice in key.choices) or key.type
    default = key.default if key.default in (REQUIRED, NONE) else f"`{key.default}`"
    return f"| `{key.path.rpartition('.')[2]}` | {of_type} | {default} | {key.unit} | {key.doc} |"
