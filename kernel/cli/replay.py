"""`maniple replay` (acts)."""

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
import msgspec

from kernel.cli import compiling, drawing, founding, named_files, package, pipelines, recorded, replies, screen
from kernel.cli.exits import Ended, Exit, NotDone
from kernel.cli.frame import Session, command, run_argument, write, write_json
from kernel.home import Home
from wire.limits import DEADLINE_MAX
from wire.recording import to_lines
from wire.replaying import Difference, Step, Verdict
from wire.tape import seed_of


@command()
@run_argument
@click.option(
    "--against",
    metavar="DIR",
    type=named_files.PATH,
    help="Use the code in this Hand's folder, or this pipeline's file, instead.",
)
@click.option("--step", is_flag=True, help="On a terminal, wait for Enter after each message.")
@click.option(
    "--save", metavar="DIR", type=named_files.PATH, help="Write the recording into DIR, instead of replaying it."
)
def replay(session: Session, run: str, against: str | None, step: bool, save: str | None) -> None:
    """Run a recorded task run again: its code gets the same messages from the tape, and what it asks for is compared.

    Nothing is called and nothing is changed: the tape answers each request. Each message that the run gets is printed
    as a line: the request that it ends, on what, how, the reply or its size, the cost, the labels, and the run's own
    clock.

    The tape is first checked, byte by byte, and against the signed log. Ends with 5 if the run makes another request or
    comes to another end than the recorded one, or if the tape is damaged or erased.

    --against replays with changed code: DIR is a folder of a Hand of the same name, or a pipeline's file,
    NAME.pipeline.toml. It is sealed with the home's own key for this one run, confined like any other, and never
    installed.

    --save writes the recording to DIR/RUN.jsonl, for a test that runs without a kernel: docs/replay.md. That needs no
    kernel either.

    With --json each line is an object; the last one is the verdict.
    """
    tape = recorded.load(session, run)
    if save is not None:
        session.result({"file": (path := _save(session, tape, save))}, lambda: path)
        return
    if waits := step and screen.is_terminal(sys.stdin):
        session.say("Enter after each line lets the run get the next message.")
    with session.client() as client, _changed_code(session, tape, against) as folder:
        clock = [tape.began.clock]

        def show(piece: bytes) -> None:
            one = msgspec.json.decode(piece, type=Step)
            clock[0] = clock[0] or one.clock
            if session.json:
                write_json(piece.decode() + "\n")
            else:
                write(_line(one, clock[0]) + "\n")
            if waits:
                sys.stdin.readline()

        try:
            asked = {**folder, "step": True} if waits else folder
            reply = client.call("kernel.replay", run, asked, seconds=DEADLINE_MAX / 1000, chunk=show).value
            verdict = replies.read(reply, Verdict)
        except NotDone as error:
            if error.reason not in ("ended", "tape"):
                raise
            raise Ended(f"{run} of {_code(tape)} does not come to its end again: {error}", Exit.UNVERIFIED) from None
    _report(session, tape, verdict, against)


def _report(session: Session, tape: recorded.Recorded, verdict: Verdict, against: str | None) -> None:
    """Print the verdict. Raises Ended (verification failed) for a difference."""
    if session.json:
        write_json(msgspec.json.encode({"verdict": verdict}).decode() + "\n")
    if verdict.difference is None:
        ending = (
            f"to the same end, {verdict.end.rstrip('.')}" if verdict.end else "as far as it is recorded, it goes on"
        )
        session.say(f"The same {_requests(verdict)}, and {ending}.")
        return
    if not session.json:
        write(_differences(verdict.difference) + "\n")
    code = f"the code in {against}" if against else "its code as it is installed now"
    raise Ended(
        f"{tape.began.run} of {_code(tape)} and {code} differ after {_requests(verdict)}: {verdict.difference.why}",
        Exit.UNVERIFIED,
    )


def _requests(verdict: Verdict) -> str:
    return screen.count(verdict.requests, "request")


def _code(tape: recorded.Recorded) -> str:
    return f"{tape.began.name} {tape.began.version}"


def _save(session: Session, tape: recorded.Recorded, folder: str) -> str:
    """Write the recording into a folder; returns the path of its file."""
    try:
        os.makedirs(folder, exist_ok=True)
    except FileExistsError:
        raise Ended(f"--save {folder}: that is not a folder: name one, or a new one", Exit.USAGE) from None
    path = os.path.join(folder, f"{tape.began.run}.jsonl")
    hash_seed = Home(session.home).identity.hash_seed
    lines = to_lines((one.record for one in tape.records), seed=seed_of(tape.secret), hash_seed=hash_seed)
    package.write(path, "".join(f"{line}\n" for line in lines).encode(), mode=0o600)
    return path


@contextmanager
def _changed_code(session: Session, tape: recorded.Recorded, against: str | None) -> Iterator[dict[str, object]]:
    """Yield arguments of kernel.replay for changed code: a sealed copy of it is in the home for as long as the block."""
    if against is None:
        yield {}
        return
    is_file = os.path.isfile(against)
    folder = pipelines.folder_from_file(against) if is_file else package.read(against, skip_caches=True)
    if folder.name != tape.began.name:
        raise Ended(f"{against} is the Hand {folder.name}, and {tape.began.run} is of {tape.began.name}", Exit.USAGE)
    asked: dict[str, object] = {"folder": f"replay-{folder.name}-{secrets.token_hex(4)}"}
    if folder.manifest.hand.wasm:
        asked["artefact"] = msgspec.to_builtins(compiling.compile_into(session.home, folder))
    target = os.path.join(session.home, "hands", str(asked["folder"]))
    try:
        package.copy(folder, package.make_seal(folder, founding.read_sealing_key(session.home)), target)
        yield asked
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _line(step: Step, began: int) -> str:
    """Format one message as a line; on a terminal, cut to its width."""
    after = f"+{(step.clock - began) / 1_000_000:.3f}s"
    what = " ".join(filter(None, (step.on, step.resource)))
    number = str(step.number or "")
    reply = msgspec.json.encode(step.value).decode() if step.value is not None else ""
    cost = f"{screen.dollars(step.cost.micro_dollars)} {step.cost.tokens} tokens" if step.cost is not None else ""
    labels = f"[{', '.join(step.labels)}]" if step.labels else ""
    rest = "  ".join(filter(None, (cost, labels, step.why, reply or (screen.size(step.size) if step.size > 1 else ""))))
    head = f"{number:>6}  {after:>11}  {screen.visible(what):<34}  "
    text = screen.visible(rest)
    if screen.is_terminal(sys.stdout):
        text = screen.cut(text, max(20, screen.terminal_width() - len(head) - 11))
    return f"{head}{screen.coloured(f'{step.said:<9}', drawing.VERDICTS.get(step.said, ''))}  {text}".rstrip()


def _differences(difference: Difference) -> str:
    """The recorded value and the new one, one below the other."""
    words = [
        (name, screen.visible(msgspec.json.encode(value).decode()) if value is not None else "nothing")
        for name, value in (("recorded", difference.recorded), ("now", difference.now))
    ]
    return screen.fields(words)
