"""Installs a sealed Hand (acts): copies its folder into the home, calls kernel.install, and undoes the copy if it fails."""

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
    """Install or upgrade a Hand; returns the reply of kernel.install. Raises NotDone, after removing the copy.

    If the kernel ends without an answer, the Hand may be installed or not; the next kernel removes a copy that is not.

    as_declared: trust what a program declares of its methods' effects. instead: the id of the Hand that this upgrades, if
    `grants` holds only new ones; the kernel refuses if that Hand has been removed.
    """
    name = f"{folder.name}-{folder.version}-{secrets.token_hex(4)}"
    hands = os.path.join(client.home, "hands")
    if not os.path.isdir(hands):
        raise Ended(f"the home's folder {hands} is missing: `maniple down`, then `maniple up`, which makes it anew")
    target = os.path.join(hands, name)
    try:
        arguments: dict[str, object] = {"folder": name, "grants": [msgspec.to_builtins(one) for one in grants]}
        if as_declared:
            arguments["as_declared"] = True
        if instead:
            arguments["instead"] = instead
        if folder.manifest.hand.wasm:
            arguments["artefact"] = msgspec.to_builtins(compiling.compile_into(client.home, folder))
        package.copy(folder, seal, target)
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = target  # an error of write(2), as on a full disk, has no path
        raise
    try:
        return client.call("kernel.install", "", arguments).value
    except NotDone:
        shutil.rmtree(target, ignore_errors=True)
        raise


def sealing_key(client: Client) -> SigningKey:
    """Read the home's own sealing key. Raises Ended (refused), saying how to replace it, if it is no longer trusted."""
    key, path = founding.read_sealing_key(client.home), founding.seal_key_path(client.home)
    trust, now = (
        TrustStore(keys=replies.read(client.call("kernel.home").value, rights.Home).keys),
        time.time_ns() // 1000,
    )
    one = next((one for one in trust.keys if one.id == key.verify_key.id), None)
    if one is not None and one.is_usable(now):
        return key
    why = "is not trusted here" if one is None else "has expired" if one.revoked is None else "was revoked"
    quoted, own = shlex.quote(path), trust.keys[0] if trust.keys else None
    if own is not None and own.is_usable(now):
        mend = (
            f"put the secret half of {own.name}+{own.id}, which is this home's own key now, in its place: "
            f"`mv FILE {quoted}`"
        )
    else:
        mend = (
            "make another, `maniple keys new FILE --name NAME`, trust it, "
            f"`maniple keys rotate {own.id if own else 'ID'} FILE.pub`, and put it there, `mv FILE {quoted}`"
        )
    text = f"refused: {path}, which this home seals with, holds {key.verify_key.name}+{key.verify_key.id}, which {why}"
    raise Ended(f"{text}; {mend}; then type this again", Exit.REFUSED)
