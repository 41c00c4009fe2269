"""Rules of HAND.toml that need more than one key to decide (pure).

Each takes the values that the readers accepted and notes problems. A key that a reader refused is absent, so that one
mistake is reported once.
"""

from collections.abc import Mapping
from typing import Final

from manifests import capabilities as kinds
from manifests import grants
from manifests.errors import ValueInvalid
from manifests.findings import Findings, spelled
from manifests.names import RESERVED, is_field
from manifests.positions import Path
from manifests.schema import ASK, Setting
from manifests.settings import check_one
from manifests.typed import convert
from manifests.values import LIMITS, WASM_LEAST, format_limit

Section = Mapping[str, object]

RANGED: Final = ("int", "float", "duration", "size")
CHOOSABLE: Final = ("string", "int")
SHORTEST_WITHIN_MS: Final = 1_000
MOST_RESTARTS: Final = 1_000
MOST_STEPS: Final = 1_000
THINKS: Final = "model.complete"
SPAWNS: Final = "kernel.spawn"
"""The method that a Hand with an [agent] needs, and the one that starts runs of other Hands."""


CODE: Final[dict[str, str]] = {
    "entry": '"main:MyHand"', "command": '["node", "server.js"]', "wasm": '"main.wasm"',
    "pipeline": '"nightly.pipeline.toml"',
}  # fmt: skip
"""The keys of [hand] that name a Hand's code, each with an example; a Hand has at most one."""

WIDER: Final[dict[str, tuple[object, ...]]] = {
    "network": ("none",), "outside_read": ((),), "programs": (False,), "roots": (False,), "scratch": ("own",)
}  # fmt: skip
"""The keys of [confinement] that give a run more access, each with the values that do not."""


def check_hand(found: Findings, section: Section, raw: object, *, thinks: bool) -> None:
    """Note a reserved name, a Hand that needs itself, and one without code or with several kinds of it.

    thinks: whether it has a section [agent], which takes the place of code.
    """
    present = [key for key in CODE if isinstance(raw, dict) and key in raw]
    if thinks and present:
        found.at_key(("agent",), f"[agent] stands beside hand.{present[0]}", "leave one of them out")
    if isinstance(raw, dict) and not present and not thinks:
        examples = ", or ".join(f"{key} = {example}" for key, example in CODE.items())
        found.at_key(("hand",), "[hand] does not say what its code is", f"write {examples}, or a section [agent]")
    for key in present[1:]:
        found.at_key(("hand", key), f"hand.{key} stands beside hand.{present[0]}", "leave one of them out")
    if section.get("speaks") == "mcp" and "command" not in present:
        found.at_value(("hand", "speaks"), "hand.speaks is for Hands with a command", "leave it out")
    name = section.get("name")
    if name in RESERVED:
        found.at_value(("hand", "name"), f'"{name}" is a word of Maniple itself', "choose another name")
    needs = section.get("needs", ())
    if isinstance(needs, tuple) and name in needs:
        found.at_value(("hand", "needs", needs.index(name)), f'"{name}" needs itself', "leave it out")


def check_wasm(found: Findings, sections: Mapping[str, Section]) -> None:
    """Note keys that do not apply to WASM Hands, those for WASM Hands only, and a memory limit too small for one."""
    if "wasm" not in sections["hand"]:
        if "fuel" in sections["limits"] and (sections["agent"] or CODE.keys() & sections["hand"].keys()):
            found.at_key(("limits", "fuel"), "limits.fuel is for WASM Hands only", "leave it out")
        return
    paths: list[Path] = [("events", key) for key in sections["events"]]
    paths += [("confinement", key) for key in WIDER if sections["confinement"].get(key) not in (None, *WIDER[key])]
    for path in paths:
        found.at_key(path, f"{spelled(path)} is not for WASM Hands, which only call and answer", "leave it out")
    memory, least = sections["limits"].get("memory"), format_limit("memory", WASM_LEAST)
    if isinstance(memory, int) and memory < WASM_LEAST:
        found.at_value(
            ("limits", "memory"),
            f"limits.memory = {format_limit('memory', memory)} is too small for a WASM Hand",
            f"write at least {least}",
        )


def check_services(found: Findings, sections: Mapping[str, Section], capabilities: Mapping[str, Section]) -> None:
    """Note keys of a task that apply to services only."""
    if sections["hand"].get("kind") != "task":
        return
    paths: list[Path] = [("hand", "idle")] if "idle" in sections["hand"] else []
    if sections["hand"].get("autostart"):
        paths.append(("hand", "autostart"))
    paths += [("restart", key) for key in sections["restart"]]
    if sections["confinement"].get("roots"):
        paths.append(("confinement", "roots"))
    if sections["confinement"].get("network") == "host":
        paths.append(("confinement", "network"))
    paths += [("capabilities", method, "own") for method, row in capabilities.items() if row.get("own")]
    for path in paths:
        found.at_key(
            path, f"{spelled(path)} is for services, and this Hand is a task", 'leave it out, or write kind = "service"'
        )


def check_tasks(found: Findings, section: Section, provides: Section) -> None:
    """Note a pipeline that is a service or provides methods, and `on_upgrade` of a service, which has no unfinished runs."""
    if "pipeline" in section:
        _refuse_methods(found, provides, "pipeline")
        if section.get("kind") == "service":
            found.at_value(("hand", "kind"), "hand.kind is service, and a pipeline is a task", 'write kind = "task"')
    if section.get("kind") == "service" and section.get("on_upgrade", ASK) != ASK:
        found.at_key(("hand", "on_upgrade"), "hand.on_upgrade is for tasks, and this Hand is a service", "leave it out")


def _refuse_methods(found: Findings, provides: Section, works: str) -> None:
    """Note every provided method of a Hand without code. works: what the Hand has instead of code."""
    for method in provides:
        found.at_key(("provides", method), f"{method} has no code that would answer it", f"leave it out, or {works}")


def check_agent(
    found: Findings, sections: Mapping[str, Section], capabilities: Mapping[str, Section], provides: Section
) -> None:
    """Note an [agent] that is a service, provides methods, lacks a grant for its model, or has no steps."""
    section = sections["agent"]
    if not section:
        return
    if sections["hand"].get("kind") == "service":
        found.at_value(
            ("hand", "kind"), "hand.kind is service, and a Hand with [agent] is a task", 'write kind = "task"'
        )
    _refuse_methods(found, provides, "[agent]")
    steps, model = section.get("steps"), section.get("model")
    if isinstance(steps, int) and not 1 <= steps <= MOST_STEPS:
        found.at_value(("agent", "steps"), f"agent.steps = {steps} is out of range", f"write 1 to {MOST_STEPS}")
    rows = [row.get("allow") for method, row in capabilities.items() if grants.reaches(method, THINKS)]
    allowed = [pattern for row in rows if isinstance(row, tuple) for pattern in row]
    if isinstance(model, str) and not any(kinds.covers(pattern, model) for pattern in allowed):
        found.at_value(
            ("agent", "model"),
            f'[capabilities] does not let it ask the model "{model}"',
            f'write "{THINKS}" = ["{model}"] there',
        )


def check_empty_capabilities(found: Findings, capabilities: Mapping[str, Section]) -> None:
    """Note capabilities that allow no resource."""
    for method, row in capabilities.items():
        if row.get("allow") == ():
            found.at_key(
                ("capabilities", method),
                f"{spelled(('capabilities', method))} allows no resource, and so nothing",
                'write ["*"], or narrower patterns, or leave it out',
            )


def check_lends(found: Findings, lends: Section, capabilities: Mapping[str, Section]) -> None:
    """Note [lends] in a Hand that cannot spawn runs."""
    if lends and not any(row.get("allow") and grants.reaches(method, SPAWNS) for method, row in capabilities.items()):
        found.at_key(
            ("lends",),
            "[lends] is for the runs that a Hand spawns, and [capabilities] does not let this one",
            f'leave it out, or write "{SPAWNS}" = ["..."] there',
        )


def check_programs(found: Findings, sections: Mapping[str, Section], provides: Section) -> None:
    """Note keys that a command implies or cannot use, an MCP server that is a task, and a misplaced `scratch`."""
    if sections["hand"].get("speaks") == "mcp" and sections["hand"].get("kind") == "task":
        found.at_value(("hand", "kind"), "hand.kind is task, and an MCP server stays up", 'write kind = "service"')
    if sections["confinement"].get("programs") and sections["hand"].get("command"):
        found.at_key(
            ("confinement", "programs"), "confinement.programs says what hand.command says already", "leave it out"
        )
    if sections["confinement"].get("roots") and sections["hand"].get("command"):
        found.at_key(
            ("confinement", "roots"),
            "confinement.roots opens descriptors that a command is not given",
            "leave it out, and ask `files`",
        )
    if sections["confinement"].get("scratch") != "caller":
        return
    if sections["hand"].get("kind") == "task" and not provides:
        found.at_key(
            ("confinement", "scratch"),
            "confinement.scratch is for runs that answer a call, and this Hand provides no method",
            "leave it out, or write a [provides] row",
        )
    if sections["hand"].get("kind") == "service":
        found.at_key(
            ("confinement", "scratch"),
            "confinement.scratch is for tasks, and this Hand is a service with many callers at once",
            'leave it out, or write kind = "task"',
        )


def check_approvals(found: Findings, hand: Section, capabilities: Mapping[str, Section]) -> None:
    """Note `approval` on kernel methods that are never held, and `approval = false` where autonomy holds no calls."""
    spared = {f"kernel.{verb}" for verb in ("spawn", "stop", "pause", "resume")}
    for method, row in capabilities.items():
        path = ("capabilities", method, "approval")
        is_said = row.get("approval") or (row.get("approval") is False and method != "kernel.*")
        if is_said and method.startswith("kernel.") and method not in spared:
            found.at_key(
                path, f"nobody is asked about {method}", f"leave it out; it is for {', '.join(sorted(spared))}"
            )
        elif row.get("approval") is False and hand.get("autonomy", "supervised") != "supervised":
            found.at_key(
                path, f"{spelled(path)} = false changes nothing", 'leave it out, or write autonomy = "supervised"'
            )


def check_network(found: Findings, sections: Mapping[str, Section]) -> None:
    """Note a Hand that requires the network namespace and gives it up with network = "host"."""
    asked = sections["confinement"]
    required = asked.get("require")
    if asked.get("network") == "host" and isinstance(required, tuple) and "network-namespace" in required:
        found.at_key(
            ("confinement", "network"),
            "confinement.network is given up here, and confinement.require wants its namespace",
            'leave out network = "host", or "network-namespace" in require',
        )


def is_requestable(found: Findings, method: str, section: str = "capabilities") -> bool:
    """Whether a key of [capabilities] or [lends] is a method pattern that a Hand may request; notes why not."""
    path = (section, method)
    if not grants.is_method_pattern(method):
        instead = 'write it in quotes like "web.fetch" or "web.*"' + (
            "; each kind of method has its own row" if method in ("*", "**") else ""
        )
        found.at_key(path, f'"{method}" is not a method', instead)
        return False
    if method.startswith("kernel.") and method != "kernel.*" and method not in grants.HAND_KERNEL_METHODS:
        known = ", ".join(sorted(one.removeprefix("kernel.") for one in grants.HAND_KERNEL_METHODS))
        found.at_key(path, f'"{method}" is not a method of the kernel that a Hand may hold', f"those are {known}")
        return False
    return True


def check_provided(found: Findings, method: str, name: object, earlier: Mapping[str, str]) -> None:
    """Note a provided method that is not under the Hand's name, or that shares its function with another.

    earlier: methods already seen, by the name of the function that the runtime calls for them.
    """
    path = ("provides", method)
    if not grants.is_method(method):
        found.at_key(
            path,
            f'"{method}" is not a method',
            'write small letters, digits and "-" between dots, such as "my-hand.check"',
        )
    elif isinstance(name, str) and not method.startswith(f"{name}."):
        found.at_key(
            path, f'"{method}" is not under the name of this Hand', f'write "{name}.{method.rpartition(".")[2]}"'
        )
    elif function_of(method) in earlier:
        found.at_key(
            path,
            f'"{method}" and "{earlier[function_of(method)]}" would be answered by one function',
            "rename one of them",
        )


def check_schemas(found: Findings, method: str, row: Section) -> None:
    """Note a schema of an undeclared param, and one that states a type although `params` does."""
    schemas, params = row.get("schemas"), row.get("params", {})
    if not isinstance(schemas, dict) or not isinstance(params, dict):
        return
    for name, schema in schemas.items():
        path = ("provides", method, "schemas", name)
        if name not in params:
            found.at_key(path, f"{spelled(path)} is of no param", "write the param, too, or leave it out")
        elif "type" in schema and not str(params[name]).startswith("any"):
            found.at_key(path, f"{spelled(path)} has a type, which params says already", "leave type out")


def function_of(method: str) -> str:
    """Return the name of the coroutine that answers a method: the part after the Hand's name, as an identifier."""
    return method.partition(".")[2].replace("-", "_").replace(".", "_")


def check_limits(found: Findings, section: Section) -> None:
    """Note limits below their floor or above their ceiling."""
    for name, amount in section.items():
        limit, path = LIMITS[name], ("limits", name)
        if not isinstance(amount, int):
            continue
        if amount < limit.floor:
            found.at_value(
                path,
                f"limits.{name} = {format_limit(name, amount)} is too small",
                f"write at least {format_limit(name, limit.floor)}",
            )
        elif amount > limit.ceiling:
            found.at_value(
                path,
                f"limits.{name} = {format_limit(name, amount)} is too large",
                f"write at most {format_limit(name, limit.ceiling)}",
            )
        elif name == "cpu" and amount % 1_000:
            found.at_value(path, "limits.cpu is counted in whole seconds", f'write "{amount // 1_000 + 1}s"')


def check_restart(found: Findings, section: Section) -> None:
    """Note a `within` below one second, too many `times`, and either key beside when = "never"."""
    within, times = section.get("within"), section.get("times")
    for key in ("times", "within"):
        if key in section and section.get("when") == "never":
            found.at_key(("restart", key), f'restart.{key} means nothing beside restart.when = "never"', "leave it out")
    if isinstance(within, int) and within < SHORTEST_WITHIN_MS:
        found.at_value(("restart", "within"), "restart.within is too short to count restarts in", 'write at least "1s"')
    if isinstance(times, int) and times > MOST_RESTARTS:
        found.at_value(("restart", "times"), "restart.times is too large", f"write at most {MOST_RESTARTS}")


def read_setting(found: Findings, name: str, section: Section) -> Setting | None:
    """Return the setting, with default, choices, min and max converted to its type; None if it has a problem: noted."""
    path = ("settings", name)
    if not is_field(name):
        found.at_key(path, f'"{name}" cannot be the name of a setting', 'write small letters, digits and "_"')
        return None
    of_type = section.get("type")
    if not isinstance(of_type, str):
        return None
    values: dict[str, object] = dict(section)
    before = len(values)
    _convert_bounds(found, path, of_type, values)
    if "choices" in values and of_type not in CHOOSABLE:
        found.at_key(
            (*path, "choices"), f"{spelled((*path, 'choices'))} is for string and int, not {of_type}", "leave it out"
        )
        del values["choices"]
    if "default" in values and section.get("required"):
        found.at_key(
            (*path, "required"),
            f"{spelled(path)} has a default, so it is never missing",
            "leave out required or default",
        )
        return None
    if "choices" in values and isinstance(values["choices"], tuple):
        wanted = str if of_type == "string" else int
        if not all(isinstance(choice, wanted) for choice in values["choices"]):
            found.at_value(
                (*path, "choices"),
                f"{spelled((*path, 'choices'))} are not all of type {of_type}",
                "write values of that type",
            )
            return None
    return _build_setting(found, path, values) if len(values) == before else None


def _convert_bounds(found: Findings, path: Path, of_type: str, values: dict[str, object]) -> None:
    """Convert min and max in `values`. One that does not fit the type is noted and removed."""
    for key in ("min", "max"):
        if key not in values:
            continue
        raw = values.pop(key)
        if of_type not in RANGED:
            found.at_key(
                (*path, key),
                f"{spelled((*path, key))} is for int, float, duration and size, not {of_type}",
                "leave it out",
            )
            continue
        try:
            values[key] = convert(of_type, raw)
        except ValueInvalid as error:
            found.at_value((*path, key), f"{spelled((*path, key))}: {error.why}", error.instead)
    least, most = values.get("min"), values.get("max")
    if isinstance(least, int | float) and isinstance(most, int | float) and least > most:
        found.at_value((*path, "min"), f"{spelled((*path, 'min'))} is above max", "write a min that is at most max")
        del values["min"]


def _build_setting(found: Findings, path: Path, values: dict[str, object]) -> Setting | None:
    import msgspec

    declared = msgspec.convert({key: value for key, value in values.items() if key != "default"}, Setting)
    for choice in declared.choices:
        try:
            check_one(declared, choice)
        except ValueInvalid:
            what = f"{spelled((*path, 'choices'))} holds {choice}, which is beyond its min or max"
            found.at_value((*path, "choices"), what, "leave it out, or change them")
            return None
    if "default" not in values:
        return declared
    try:
        return msgspec.structs.replace(declared, default=check_one(declared, values["default"]))
    except ValueInvalid as error:
        found.at_value((*path, "default"), f"{spelled((*path, 'default'))}: {error.why}", error.instead)
        return None
