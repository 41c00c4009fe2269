"""Putting a sealed Hand into a home (acts): its folder is copied, then the kernel told; undone if it says no."""

import os
import secrets
import shlex
import shutil
import time
from collections.abc import Iterable

import msgspec

from kernel.cli import compiling, founding, package, replies, rights
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit, NotDone
from kernel.cli.package import Folder
from manifests.schema import Capability
from manifests.trust import TrustStore
from wire.codec import Value
from wire.signing import SigningKey


def install(
    client: Client,
    folder: Folder,
    seal: str,
    grants: Iterable[Capability],
    *,
    as_declared: bool = False,
    instead: str = "",
) -> Value:
    """Install, or upgrade; what the kernel says of it. Raises NotDone, and has left nothing behind then.

    When the kernel ends without an answer, it may be installed or not: the next one takes away what is not.

    as_declared: a program is believed what its methods do. instead: the id of the Hand that it is an upgrade of, if the
    grants are only what is new; it is refused where that is not there any more.
    """
    name = f"{folder.name}-{folder.version}-{secrets.token_hex(4)}"
    hands = os.path.join(client.home, "hands")
    if not os.path.isdir(hands):
        raise Ended(f"the home's folder {hands} is missing: `maniple down`, then `maniple up`, which makes it anew")
    place = os.path.join(hands, name)
    try:
        what: dict[str, object] = {"folder": name, "grants": [msgspec.to_builtins(one) for one in grants]}
        if as_declared:
            what["as_declared"] = True
        if instead:
            what["instead"] = instead
        if folder.manifest.hand.wasm:
            what["artefact"] = msgspec.to_builtins(compiling.into(client.home, folder))
        package.copy(folder, seal, place)
    except BaseException as error:
        shutil.rmtree(place, ignore_errors=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = place  # what is written to a full disk does not tell where
        raise
    try:
        return client.call("kernel.install", "", what).value
    except NotDone:
        shutil.rmtree(place, ignore_errors=True)
        raise


def sealing_key(client: Client) -> SigningKey:
    """The home's own sealing key. Raises Ended (refused) when it counts here no more, with what puts another in its place."""
    key, path = founding.sealing_key_of(client.home), founding.seal_key_path(client.home)
    trust, now = (
        TrustStore(keys=replies.read(client.call("kernel.home").value, rights.Home).keys),
        time.time_ns() // 1000,
    )
    one = next((one for one in trust.keys if one.id == key.verify_key.id), None)
    if one is not None and one.is_usable(now):
        return key
    why = "is not trusted here" if one is None else "has expired" if one.revoked is None else "was revoked"
    place, own = shlex.quote(path), trust.keys[0] if trust.keys else None
    if own is not None and own.is_usable(now):
        mend = (
            f"put the secret half of {own.name}+{own.id}, which is this home's own key now, in its place: "
            f"`mv FILE {place}`"
        )
    else:
        mend = (
            "make another, `maniple keys new FILE --name NAME`, trust it, "
            f"`maniple keys rotate {own.id if own else 'ID'} FILE.pub`, and put it there, `mv FILE {place}`"
        )
    text = f"refused: {path}, which this home seals with, holds {key.verify_key.name}+{key.verify_key.id}, which {why}"
    raise Ended(f"{text}; {mend}; then type this again", Exit.REFUSED)
