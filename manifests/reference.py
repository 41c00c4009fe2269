"""The one table of HAND.toml's keys: what each is called, holds, defaults to and means (pure).

Separate because three readers share it: the checker (which keys there are, of what type, required or not), the
generator of docs/hand-toml.md, and a test that holds it against schema.py. To add a key: a row here, a field in
schema.py, a bad file. `*` in a path stands for a name that the author chooses.
"""

from typing import Final, NamedTuple

from manifests import example, schemas
from manifests.confinement import layers
from manifests.schema import PROGRAM_FOLDERS
from manifests.values import LIMITS, format_limit

REQUIRED: Final = "required"
NONE: Final = ""


class Key(NamedTuple):
    """One key: path, type in words, default as TOML ("required", or "" for nothing), unit, and meaning.

    choices: the only texts allowed, when there are such.
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
    "hand": "Who the Hand is and how it runs.",
    "agent": "How it thinks, instead of code in [hand]: by a model, with the methods that it is granted as its tools; see "
    "[agents.md](agents.md).",
    "capabilities": "Everything it may ask for, a row per method; nothing else is possible.",
    "lends": "What the runs that it spawns may ask for besides, in its name, and it itself may not; shown so at install.",
    "provides.*": 'A method it offers, under its own name, such as [provides."monitoring.check"].',
    "events": "What it publishes and what it listens to.",
    "limits": "Per run; for a service, cpu and wall hold per call.",
    "budget": "What it may spend on calls that cost, its own and those made for it, see [budgets.md](budgets.md).",
    "restart": "Services: what happens when its process ends by itself.",
    "confinement": "What its process needs beyond the usual confinement.",
    "schedule": "When the Hand `scheduling` starts it: one of cron, every, at and on; see [schedules](schedules.md).",
    "settings.*": "One typed setting, which the operator can read and change with `maniple settings`.",
    "requires": "What must be on the machine; checked before a start. A secret is a setting with `secret = true`.",
}

_PARAM_TYPES: Final = (
    "string, int, float, bool, bytes, duration, size, list, dict or any, with ? at its end when it may be left out"
)

KEYS: Final[tuple[Key, ...]] = (
    Key("hand.name", "name", REQUIRED, "", "The Hand's name in kebab-case, at most 64 characters, unique in a home."),
    Key("hand.version", "version", REQUIRED, "", "A semantic version. An older one than last time does not start."),
    Key("hand.description", "text", REQUIRED, "", "One sentence for the person who decides about installing it."),
    Key("hand.entry", "entry", NONE, "", "The class that is the Hand, as module:Class, in the Hand's own folder."),
    Key(
        "hand.command",
        "command",
        NONE,
        "",
        "Instead of entry: a program and its arguments, in any language, as docs/command.md says.",
    ),
    Key(
        "hand.speaks",
        "choice",
        '"lines"',
        "",
        "What a command understands. lines: those of docs/command.md. mcp: the Model Context Protocol on its standard "
        "streams, as `maniple mcp add` writes it; see [mcp.md](mcp.md).",
        ("lines", "mcp"),
    ),
    Key(
        "hand.wasm",
        "wasm",
        NONE,
        "",
        "Instead of entry: the WebAssembly module that is the Hand, .wasm or .wat, in its folder; see [wasm.md](wasm.md).",
    ),
    Key(
        "hand.pipeline",
        "pipeline",
        NONE,
        "",
        "Instead of entry: the pipeline that is the Hand, in its folder, as `maniple pipeline add` puts it there.",
    ),
    Key(
        "hand.kind",
        "choice",
        REQUIRED,
        "",
        "task: a process per run. service: stays up and provides methods.",
        ("task", "service"),
    ),
    Key(
        "hand.autonomy",
        "choice",
        REQUIRED,
        "",
        "readonly: only methods with effect read. supervised: all it is granted, and what has effect external waits for the "
        "operator's yes. full: all it is granted. See [approvals.md](approvals.md).",
        ("readonly", "supervised", "full"),
    ),
    Key(
        "hand.isolation",
        "choice",
        '"fork"',
        "",
        "fork: from the warm template. exec: an interpreter of its own. Of a command it is said of its bridge: the program "
        "is a process of its own anyway.",
        ("fork", "exec"),
    ),
    Key("hand.autostart", "bool", "false", "", "Services: start with the kernel, not at the first call."),
    Key("hand.idle", "duration", '"60s"', "time", 'Services: stop when unused for so long. "0s": never.'),
    Key("hand.needs", "names", "[]", "", "Hands that must be installed; started before it, stopped after it."),
    Key(
        "hand.on_upgrade",
        "choice",
        '"ask"',
        "",
        "What becomes of an unfinished run of this version when another is installed. finish: it goes on with this code. "
        "restart: it begins anew with the new code. ask: it waits for `maniple decide`. Tasks only; see "
        "[resuming.md](resuming.md#upgrades).",
        ("finish", "restart", "ask"),
    ),
    Key(
        "agent.model",
        "model",
        REQUIRED,
        "",
        "Which model thinks: a route, or PROVIDER/MODEL. Its calls of model.complete are on it.",
    ),
    Key("agent.playbook", "Markdown file", NONE, "", "What it is to know and to do each time, in its folder."),
    Key("agent.schema", "JSON file", NONE, "", "The JSON Schema that its answers are of, in its folder."),
    Key(
        "agent.task",
        "JSON file",
        NONE,
        "",
        "What is done where there is no language model, such as a list of steps, in its folder; see "
        "[agents.md](agents.md#without-a-language-model).",
    ),
    Key("agent.steps", "count", "40", "count, 1 to 1000", "The most answers of the model in a run."),
    Key("agent.tokens", "token count", NONE, "tokens", 'The most tokens of all of them, such as "200k".'),
    Key("agent.dollars", "dollar amount", NONE, "US dollars", 'The most that they may cost, such as "1.50".'),
    Key(
        "agent.window",
        "token count",
        NONE,
        "tokens",
        "The most of one request and its answer. Left out: what is listed of the model, or 32k where nothing is.",
    ),
    Key(
        "capabilities.*.allow",
        "patterns",
        REQUIRED,
        "",
        "Patterns of resources. The row may be just this list. [] allows nothing.",
    ),
    Key(
        "capabilities.*.own",
        "bool",
        "false",
        "",
        "Services: used for every caller, whatever the caller is granted; shown so at install.",
    ),
    Key(
        "capabilities.*.approval",
        "bool",
        NONE,
        "",
        "true: each such call waits until the operator says yes. false: for supervised Hands, none does, whatever its "
        "effect; shown so at install.",
    ),
    Key(
        "lends.*",
        "patterns",
        NONE,
        "",
        'A row per method, and in it patterns of resources: `"files.read" = ["reports/**"]`.',
    ),
    Key("provides.*.summary", "summary", REQUIRED, "", "What the method does, in one line."),
    Key(
        "provides.*.resource",
        "choice",
        REQUIRED,
        "",
        "What kind of thing it acts on.",
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
    Key("provides.*.idempotent", "bool", "false", "", "May be made again when its outcome was lost."),
    Key(
        "provides.*.asks",
        "bool",
        "false",
        "",
        "A question to the operator: each Hand's call of it waits for his answer; no rule gives it. See approvals.md.",
    ),
    Key(
        "provides.*.most",
        "cost",
        NONE,
        "tokens, US dollars",
        'What a call costs at most whose caller does not say: { tokens = "10k", dollars = "0.05" }. One left out is nothing.',
    ),
    Key("provides.*.labels", "names", "[]", "", "What its replies are marked with."),
    Key("provides.*.params", "types", "{}", "", f"Its arguments and their types: {_PARAM_TYPES}."),
    Key("provides.*.schemas", "schemas", "{}", "", schemas.MEANING),
    Key("provides.*.returns", "types", "{}", "", "What its reply holds, with the same types."),
    Key("events.publishes", "names", "[]", "", "Names of its events, without its own name in front."),
    Key("events.subscribes", "event patterns", "[]", "", "Events of others, as publisher.event or publisher.*."),
    _limit("memory", "The most memory for data."),
    _limit("cpu", "The most processor time, of all its processes together, in whole seconds."),
    _limit("wall", "The most time from start to end; waiting for the operator does not count."),
    _limit("processes", "The most processes; threads count too."),
    _limit("open_files", "The most open descriptors."),
    _limit("file_size", "The largest file it may write."),
    _limit(
        "disk",
        "The most room that its own folders may take, `scratch` and `state` together, each entry counted as 4 KiB at least;"
        " looked at once a second.",
    ),
    _limit("calls_per_minute", "The most messages; refused, malformed and trivial ones count as well."),
    _limit("in_flight", "The most calls open at once."),
    _limit("fuel", "WASM Hands: the most work for one call, about one unit for each instruction of the module."),
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
        "After which ends it is started again.",
        ("never", "failure", "always"),
    ),
    Key(
        "restart.times",
        "count",
        "5",
        "count",
        "More restarts than that within the time below quarantine it, until the operator says start.",
    ),
    Key("restart.within", "duration", '"1m"', "time", "The time in which restarts are counted."),
    Key(
        "confinement.roots",
        "bool",
        "false",
        "",
        "Services: the operator's granted roots are opened for it as directory descriptors.",
    ),
    Key(
        "confinement.require",
        "layers",
        "[]",
        "",
        f"It does not start where one of these layers cannot be had: {', '.join(layers.NAMES)}.",
    ),
    Key(
        "confinement.network",
        "choice",
        '"none"',
        "",
        "host: services whose work is the network itself; shown at install. none: it has no network at all.",
        ("none", "host"),
    ),
    Key(
        "confinement.outside_read",
        "folders",
        "[]",
        "",
        "Folders and files of this machine that it may read besides; shown at install.",
    ),
    Key(
        "confinement.programs",
        "bool",
        "false",
        "",
        "It may start the programs of this machine's system folders, as a command may anyway; shown at install.",
    ),
    Key(
        "confinement.scratch",
        "choice",
        '"own"',
        "",
        "caller: tasks; a run that answers a call works in its caller's scratch folder; shown at install.",
        ("own", "caller"),
    ),
    Key("schedule.cron", "cron", NONE, "", "Minute, hour, day of month, month, day of week."),
    Key("schedule.every", "duration", NONE, "time", "So long from one start to the next; at least a second."),
    Key("schedule.at", "moment", NONE, "", 'Once, at this time of the zone, such as "2026-12-01T09:00".'),
    Key("schedule.on", "event", NONE, "", "At each event of this name, publisher.event, which it may hear."),
    Key("schedule.where", "filter", "{}", "", "With on: what values in the event's body must be, by their path."),
    Key("schedule.timezone", "zone", '"UTC"', "", 'Of cron, at and quiet: the zone by its IANA name, "Europe/Berlin".'),
    Key(
        "schedule.missed",
        "choice",
        '"latest"',
        "",
        "What of the starts that nobody was there for is made up: none, the last one, or all.",
        ("skip", "latest", "all"),
    ),
    Key(
        "schedule.overlap",
        "choice",
        '"skip"',
        "",
        "While its last scheduled run still works: skip this start, queue it, or replace that run.",
        ("skip", "queue", "replace"),
    ),
    Key("schedule.jitter", "duration", '"0s"', "time", "Each start is put off by up to so much, always by the same."),
    Key("schedule.quiet", "spans", "[]", "", 'Spans of a day, "22:00-07:00": starts in them wait for their end.'),
    Key("schedule.inputs", "inputs", "{}", "", "What each run is given; $time and $event stand for what started it."),
    Key(
        "settings.*.type",
        "choice",
        REQUIRED,
        "",
        "What the value is.",
        ("string", "int", "float", "bool", "duration", "size", "list", "dict"),
    ),
    Key("settings.*.required", "bool", "false", "", "The Hand does not start until it has a value."),
    Key("settings.*.default", "value", NONE, "", "The value when none is given."),
    Key("settings.*.help", "text", '""', "", "What it is for, in one line."),
    Key("settings.*.secret", "bool", "false", "", "Never shown, logged or put into a prompt."),
    Key("settings.*.choices", "choices", "[]", "", "The only values allowed; for string and int."),
    Key("settings.*.min", "value", NONE, "", "The least value; for int, float, duration and size."),
    Key("settings.*.max", "value", NONE, "", "The most; as min."),
    Key("requires.binaries", "programs", "[]", "", f"Programs that must be in one of {', '.join(PROGRAM_FOLDERS)}."),
    Key("requires.env", "variables", "[]", "", "Variables that must be set for the kernel; no run is given them."),
)

LATER: Final[dict[str, str]] = {
    "metrics": "will declare counters and gauges that the Hand reports",
}
"""Keys and sections that a later version accepts, and what each will do."""

AT: Final[dict[str, Key]] = {key.path: key for key in KEYS}


def keys_of(section: str) -> dict[str, Key]:
    """The keys of one section, by their last part: keys_of("limits")["memory"]."""
    return {key.path.rpartition(".")[2]: key for key in KEYS if key.path.rpartition(".")[0] == section}


def page() -> str:
    """The reference of HAND.toml as Markdown, section by section; ends with what comes later."""
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
    lines += ["", "## Later", "", "These are refused until they do something:", ""]
    lines += [f"- `{path.replace('*', 'NAME')}` {doc}" for path, doc in LATER.items()]
    return "\n".join(lines) + "\n"


def _row(key: Key) -> str:
    of_type = " or ".join(f'`"{choice}"`' for choice in key.choices) or key.type
    default = key.default if key.default in (REQUIRED, NONE) else f"`{key.default}`"
    return f"| `{key.path.rpartition('.')[2]}` | {of_type} | {default} | {key.unit} | {key.doc} |"
