"""Replays a run: gives the code of a task Hand the run's recorded messages again, with no provider running."""

import os
from functools import partial
from hashlib import sha256
from typing import Final

import msgspec
from msgspec.structs import replace

from kernel.errors import Failure
from kernel.methods.request import Request, method
from kernel.record.replaying import Replayed
from kernel.runs import Run
from manifests.installed import Artefact, Installed
from manifests.judging import judge
from manifests.state import authority
from manifests.upgrades import version_of
from wire import limits
from wire.errors import CodecError, Refusal, TapeDamaged
from wire.ids import ID_BYTES, run_id
from wire.tape import Began, began, seed_of

STILL: Final = 10.0
"""Seconds without a message or any processor time after which a replayed run counts as waiting for a message off its tape."""


def _replay(request: Request) -> object:
    """Replay the run that the resource names. Each message sent to it is a chunk of the reply; Done carries the verdict.

    folder: sealed other code to use, below the home's `hands/`. step: send each message only when there is credit for it.
    """
    kernel, call, name = request.kernel, request.call, request.call.resource
    try:
        secret = kernel.log.journal.secret(name)
        file = kernel.log.journal.tape(name, secret)
        live = kernel.runs.get(name)
        file.end = live.tape.file.end if live is not None and live.tape is not None else os.path.getsize(file.path)
        start = began(file.records())
        hand = (
            _changed_hand(request, start.hand)
            if request.text("folder")
            else version_of(kernel.state, start.hand, start.seal)
        )
        if hand is None and kernel.state.by_id(start.hand) is not None and not request.text("folder"):
            raise Failure("code", _missing_version_text(request, start))
        if hand is None or hand.name != start.name or not hand.is_task:
            raise Failure(
                "unknown hand", f"{start.name}, whose run this was, is no task Hand here: see `maniple hands`"
            )
        run = Run(run_id(os.urandom(ID_BYTES)), hand, authority(kernel.state, hand), os.urandom(32), None)
        run.began, run.clock, run.seed = start, start.clock, seed_of(secret)
        run.tape = tape = Replayed(kernel, run, file, call, 1 if request.arguments.get("step") else limits.WINDOW)
    except FileNotFoundError:
        raise Failure("tape", f"there is no tape of {name}: only runs begun by start or spawn have one") from None
    except TapeDamaged as error:
        raise Failure("tape", str(error)) from None
    _begin(request, run, tape)
    return None


def _begin(request: Request, run: Run, tape: Replayed) -> None:
    """Start the replay's process when its tape was gone through, piece by piece: a long one would hold all others up."""
    kernel, call = request.kernel, request.call
    if call.number not in kernel.exchange.calls:
        return
    try:
        if not tape.replay.open():
            kernel.loop.after(0.0, partial(_begin, request, run, tape))
            return
        kernel.supervisor.start_again(run)
    except (TapeDamaged, CodecError, OSError) as error:
        kernel.exchange.fail(call, "tape", str(error))
    except Refusal as refusal:
        kernel.exchange.refuse(call, refusal)
    else:
        call.provider, run.serving[call.number] = run.id, call
        _check_progress(request, run, tape)


def _missing_version_text(request: Request, start: Began) -> str:
    now = request.kernel.state.by_id(start.hand)
    version = f"{start.name} {start.version}"
    is_same = now is not None and now.version == start.version
    replaced = f"{'another ' if is_same else ''}{now.version}" if now is not None else "nothing"
    return (
        f"{start.run} was begun with {version}, which was replaced by {replaced} and is gone: "
        f"`maniple replay {start.run} --against DIR` replays it with the code in DIR, the folder of {version} or another"
    )


def _check_progress(request: Request, run: Run, tape: Replayed) -> None:
    """Every STILL seconds, check whether a replayed run waits for what is not on its tape: it would never say so."""
    if not run.is_ending:
        is_waiting = run.state == "ready" and tape.credit and not run.paused
        tape.replay.check_stalled(run.cpu_seconds() if is_waiting else -1.0)
        tape.pump()
        request.kernel.loop.after(STILL, partial(_check_progress, request, run, tape))


def _changed_hand(request: Request, hand: str) -> Installed | None:
    """Return the Hand with the code of the request's folder, for this replay alone; None if there is none."""
    kernel, folder = request.kernel, request.text("folder")
    before = kernel.state.by_id(hand)
    if before is None or "/" in folder or folder.startswith("."):
        return None
    package = kernel.home.load(folder)
    judge(kernel.state, package, kernel.time(), is_older=True)
    try:
        artefact = msgspec.convert(request.arguments.get("artefact"), Artefact | None)
    except msgspec.ValidationError as error:
        raise Failure("arguments", f"artefact: {error}") from None
    section, seal = package.manifest.hand, sha256(package.seal.encode()).hexdigest()
    return replace(
        before, name=section.name, version=section.version, folder=folder, seal=seal, package=package, artefact=artefact
    )  # fmt: skip


METHODS = (
    method("replay", "Replay a run from its tape", _replay, "name", folder="string?", artefact="dict?", step="bool?"),
)  # fmt: skip
