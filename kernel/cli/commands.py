"""The table of all commands (values), in the order in which the help lists them.

The command `audit tail` is the function `audit_tail` in audit_tail.py, a file that is imported only when the command
runs. To add a command: a file, a row here, then `./just docs`.
"""

from collections.abc import Mapping
from typing import Final

SECTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "The kernel": {
        "init": "Create the home: keys, a log, and the bundled Hands, sealed and installed",
        "up": "Start the kernel",
        "down": "Stop every run and service, then the kernel",
        "status": "Show the kernel, its Hands, spending and log at a glance",
        "freeze": "Emergency stop: end every run's process now, let no call pass",
        "thaw": "Undo the emergency stop",
        "doctor": "Show what this machine can enforce, what is missing, how to fix it",
    },
    "Hands": {
        "hands": "List the installed Hands and their states",
        "show": "Show one Hand in full",
        "new": "Create a Hand that works",
        "check": "List every problem in a Hand's folder",
        "seal": "Sign a Hand's folder",
        "verify": "Check a Hand's seal, and every file against it",
        "install": "Install or upgrade a Hand: shows what it asks for, and asks you",
        "remove": "Remove a Hand, with its grants, settings and secrets",
        "settings": "Show or change a Hand's settings",
        "logs": "Show what a Hand printed and logged",
        "mcp": "Use MCP servers as Hands, and offer Hands to MCP clients",
        "skills": "Manage skills: instructions that agents read when they need them",
    },
    "Rights": {
        "grants": "List what each Hand may do",
        "grant": "Give a Hand a capability that it asks for",
        "revoke": "Take a capability back",
        "budget": "Show or set what may be spent",
        "roots": "Manage the named folders that file grants refer to",
        "keys": "Manage the keys whose seals are trusted",
    },
    "Approvals": {
        "approvals": "List the calls that wait for your yes or no",
        "approve": "Approve a call that waits",
        "deny": "Deny a call that waits",
        "questions": "List the questions that Hands ask you",
        "answer": "Answer a question of a Hand",
    },
    "Runs": {
        "ps": "List live runs",
        "start": "Start a run of a task Hand, or a service",
        "wait": "Wait for a run to end, and print its result",
        "stop": "Stop a Hand, or one run",
        "pause": "Suspend a Hand: no call from it or to it passes",
        "resume": "Let a paused Hand continue",
        "restart": "Stop a service and start it again",
        "decide": "Decide how a run continues after its code was upgraded",
        "runs": "List past and live runs, from the log",
        "run-show": "Show one run in full, from the log",
        "replay": "Run a recorded run again, with its own code or with changed code",
        "tell": "Send a message to a Hand that thinks, while it works",
        "cancel": "Stop one run",
        "erase": "Erase the recording of a run that has ended",
        "schedules": "Show when Hands start by themselves, and what came of it",
    },
    "Plans and results": {
        "plans": "List the to-do lists that Hands keep",
        "artifacts": "List, show or save what Hands finished",
    },
    "Pipelines": {
        "pipeline": "Check, add, run and show pipelines of Hands",
    },
    "Conversation": {
        "ask": "Ask a Hand that thinks, or give it a task",
        "chat": "Talk with a Hand that thinks",
    },
    "Memory": {
        "memory": "Search, check, copy and erase what Hands remember",
    },
    "Models": {
        "models": "List routes, providers and language models, and test one",
        "usage": "Show what calls of models cost, by Hand, model and day",
    },
    "Calls and the log": {
        "call": "Make one call as the operator",
        "methods": "List all methods that can be called",
        "audit": "Read, verify and export the log",
    },
    "The shell": {
        "completion": "Print a script that lets a shell complete commands",
    },
}

GROUPS: Final[Mapping[str, Mapping[str, str]]] = {
    "roots": {
        "list": "List the named folders",
        "add": "Give a folder a name",
        "remove": "Remove a folder's name",
    },
    "keys": {
        "list": "List the trusted keys, and the log's own",
        "new": "Make a key pair for sealing Hands",
        "add": "Trust a key to seal Hands",
        "rotate": "Trust a new key in place of an old one",
        "revoke": "Revoke a key for ever",
    },
    "mcp": {
        "add": "Make an MCP server a Hand: shows its tools, and asks you",
        "known": "List common servers that can be added by name",
        "list": "List the servers that are Hands",
        "test": "Compare what a server offers now with what you agreed to",
        "login": "Log in to a server at a URL",
        "logout": "Log out of a server, and forget its tokens",
        "remove": "Remove a server's Hand",
        "offer": "Choose what MCP clients may call",
        "serve": "Let MCP clients call what you chose",
    },
    "skills": {
        "list": "List every skill, and who may read it",
        "show": "Show one skill in full, or a folder that may become one",
        "install": "Install a skill alone: looks through it, shows what it found, asks you",
        "remove": "Remove a skill, with every grant of it",
    },
    "pipeline": {
        "check": "List every problem in a pipeline's file",
        "add": "Add or upgrade a pipeline: shows what it asks for, and asks you",
        "list": "List every pipeline",
        "run": "Start a run of a pipeline",
        "show": "Show a pipeline's graph, and a run's time line",
        "remove": "Remove a pipeline",
    },
    "schedules": {
        "list": "List when each Hand starts next",
        "history": "List what was started, missed and skipped, and why",
        "run": "Start a Hand now as its schedule would",
    },
    "models": {
        "list": "List routes, providers that are set up, and their models",
        "test": "Ask a model a small question, and show how long it took",
    },
    "memory": {
        "stats": "Show how much is remembered",
        "search": "Search texts by word and by meaning",
        "get": "Print the value of a key",
        "list": "List the keys of a memory, or its texts",
        "forget": "Remove one text",
        "export": "Write a memory or a session out as JSON Lines",
        "import": "Read exported lines into an empty memory or session",
        "verify": "Check every memory, and repair its indexes",
        "reindex": "Rebuild indexes",
        "consolidate": "Merge near-duplicates, archive what has faded",
        "backup": "Copy a whole memory into a file",
        "restore": "Replace a memory with such a copy",
        "erase": "Erase a memory, or a session",
    },
    "audit": {
        "tail": "Show the last entries",
        "show": "Show one entry, with its call or its end",
        "search": "Find entries by kind, Hand, run, method, verdict, time or text",
        "verify": "Check every entry against the signed checkpoints",
        "prove": "Prove that one entry is in the log, or that it only grew",
        "verify-proof": "Check such a proof, with nothing but a public key",
        "export": "Export the log for somebody who is to check it",
    },
}
"""Groups of commands, with the rows of each."""

DEFAULTS: Final[Mapping[str, str]] = {"roots": "list", "keys": "list", "schedules": "list", "models": "list"}
"""The command that a group runs when none is named."""

TOP: Final[Mapping[str, str]] = {name: help for rows in SECTIONS.values() for name, help in rows.items()}


def module_of(name: str) -> str:
    """The name of a command's module, and of its function in it: `audit_tail` for `audit tail`."""
    return name.replace(" ", "_").replace("-", "_")


def all_commands() -> dict[str, str]:
    """All commands, groups excluded: full name to short help."""
    plain = {name: help for name, help in TOP.items() if name not in GROUPS}
    return plain | {f"{group} {name}": help for group, rows in GROUPS.items() for name, help in rows.items()}
