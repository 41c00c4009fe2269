"""The table of the command line (values): every command, in the order in which people read it.

A command `audit tail` is the function `audit_tail` in the file audit_tail.py, which is imported when it is run and not
before. To add one: a file, a row here, then `./just docs`.
"""

from collections.abc import Mapping
from typing import Final

SECTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "The kernel": {
        "init": "Make the home: keys, trust, and the bundled Hands, sealed and installed",
        "up": "Start the kernel",
        "down": "Stop everything, in order",
        "status": "The kernel at a glance",
        "freeze": "Emergency stop: end every run now, let no call pass",
        "thaw": "Undo the emergency stop",
        "doctor": "What this machine can enforce, what is missing, how to mend it",
    },
    "Hands": {
        "hands": "What is installed",
        "show": "One Hand in full",
        "new": "Make a Hand that works",
        "check": "Every problem in a Hand's folder",
        "seal": "Sign a Hand's folder",
        "verify": "Open a Hand's seal and compare every file",
        "install": "Install or upgrade a Hand: shows what it asks for, and asks",
        "remove": "Remove a Hand, with its grants and settings",
        "settings": "Read or change a Hand's settings",
        "logs": "What a Hand printed and recorded",
        "mcp": "The Model Context Protocol: servers as Hands, and Hands for clients",
        "skills": "Skills: instructions that agents read when they need them",
    },
    "Rights": {
        "grants": "Who holds what",
        "grant": "Give a Hand a capability that it asks for",
        "revoke": "Take a capability back",
        "budget": "What may be spent, and what was",
        "roots": "Named folders that file grants refer to",
        "keys": "Keys whose seals are trusted",
    },
    "Approvals": {
        "approvals": "Calls that wait for your yes or no",
        "approve": "Say yes to one of them",
        "deny": "Say no to one of them",
        "questions": "What Hands ask you",
        "answer": "Answer one of these questions",
    },
    "Runs": {
        "ps": "Live runs",
        "start": "One run of a task Hand, or a service up",
        "wait": "Wait for a run's end, and print its result",
        "stop": "Stop a Hand, or one run",
        "pause": "Let a Hand stand still: no call from it or to it",
        "resume": "Let a paused Hand go on",
        "restart": "Stop a service and start it again",
        "decide": "What becomes of a run whose code was upgraded",
        "runs": "Runs of the past and of now, from the log",
        "run-show": "One run in full, from the log",
        "replay": "One run again, from its tape: with its own code, or with changed code",
        "tell": "Say something to a Hand that thinks, while it works",
        "cancel": "Stop one run",
        "erase": "Erase what a run that has ended was told",
        "schedules": "When Hands start by themselves, and what came of it",
    },
    "What Hands do and made": {
        "plans": "To-do lists that Hands keep",
        "artifacts": "What Hands finished: list it, show it, take it out",
    },
    "Pipelines": {
        "pipeline": "Pipelines of Hands: check, add, run and see them",
    },
    "Conversation": {
        "ask": "Ask a Hand that thinks, or give it a task",
        "chat": "Talk with a Hand that thinks",
    },
    "Memory": {
        "memory": "What Hands remember: look at it, check it, copy it, erase it",
    },
    "Models": {
        "models": "Language models: routes, providers and what they have; try one",
        "usage": "What models were asked and what it cost: by Hand, model and day",
    },
    "Calls and the log": {
        "call": "Make one call as the operator",
        "methods": "All that can be called",
        "audit": "Read the log, and prove it",
    },
    "The shell": {
        "completion": "Print what makes a shell complete Maniple's commands",
    },
}

GROUPS: Final[Mapping[str, Mapping[str, str]]] = {
    "roots": {
        "list": "Every named folder",
        "add": "Give a folder a name",
        "remove": "Take a name back",
    },
    "keys": {
        "list": "Every trusted key, the home's own among them",
        "new": "Make a key pair for sealing Hands",
        "add": "Trust a key to seal Hands",
        "rotate": "Trust a new key in the place of an old one",
        "revoke": "Trust a key no more, for ever",
    },
    "mcp": {
        "add": "Make a Hand of a server: shows its tools, and asks",
        "known": "Common servers that can be added by name",
        "list": "Every server that is a Hand",
        "test": "Ask a server what it offers now, and compare",
        "login": "Log in to a server elsewhere",
        "logout": "Forget that login",
        "remove": "Remove a server's Hand",
        "offer": "Choose what MCP clients may call here",
        "serve": "Let MCP clients call it",
    },
    "skills": {
        "list": "Every skill, and who may read it",
        "show": "One skill in full, or a folder that may become one",
        "install": "Install a skill alone: looks through it, shows what is there, asks",
        "remove": "Remove one, with every grant of it",
    },
    "pipeline": {
        "check": "Every problem in a pipeline's file",
        "add": "Add or upgrade a pipeline: shows what it asks for, and asks",
        "list": "Every pipeline",
        "run": "One run of a pipeline",
        "show": "A pipeline's graph, and a run's time line",
        "remove": "Remove a pipeline",
    },
    "schedules": {
        "list": "When each Hand starts next",
        "history": "What was started, missed and skipped, and why",
        "run": "Start a Hand now as its schedule would",
    },
    "models": {
        "list": "Routes, providers that are set up, and their models",
        "test": "Ask a model a small question, and say how long it took",
    },
    "memory": {
        "stats": "How much is remembered",
        "search": "Texts found by word and by meaning",
        "get": "The value of a key",
        "list": "The keys of a memory, or its texts",
        "forget": "Remove one text",
        "export": "Everything of a memory or a session, as JSON Lines",
        "import": "Read such lines into an empty one",
        "verify": "Check every memory, and mend its indexes",
        "reindex": "Make indexes anew",
        "consolidate": "Merge what is said twice, archive what has faded",
        "backup": "Copy a whole memory into a file",
        "restore": "Put such a copy in its place",
        "erase": "Erase a memory, or a session",
    },
    "audit": {
        "tail": "The last entries",
        "show": "One entry, with its call or its end",
        "search": "Entries by kind, Hand, run, method, verdict, time or text",
        "verify": "Check every entry against the signed checkpoints",
        "prove": "Prove that one entry is in the log",
        "verify-proof": "Check such a proof with nothing but a public key",
        "export": "Write the log out for somebody who is to check it",
    },
}
"""Commands that hold others. `roots`, `keys`, `schedules` and `models` alone mean their `list`."""

DEFAULTS: Final[Mapping[str, str]] = {"roots": "list", "keys": "list", "schedules": "list", "models": "list"}

TOP: Final[Mapping[str, str]] = {name: help for rows in SECTIONS.values() for name, help in rows.items()}


def module_of(name: str) -> str:
    """The module, and in it the function, of a command: `audit tail` is `audit_tail`."""
    return name.replace(" ", "_").replace("-", "_")


def every() -> dict[str, str]:
    """Every command that can be run, by its full name, with its short help."""
    plain = {name: help for name, help in TOP.items() if name not in GROUPS}
    return plain | {f"{group} {name}": help for group, rows in GROUPS.items() for name, help in rows.items()}
