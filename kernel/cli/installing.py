"""Putting a sealed Hand into a home (acts): its folder is copied, then the kernel told; undone if it says no."""

import os
import secrets
import shutil
from collections.abc import Iterable

import msgspec

from kernel.cli import compiling, package
from kernel.cli.client import Client
from kernel.cli.exits import Ended, NotDone
from kernel.cli.package import Folder
from manifests.schema import Capability
from wire.codec import Value


def install(
    client: Client, folder: Folder, seal: str, grants: Iterable[Capability], *, as_declared: bool = False
) -> Value:
    """Install, or upgrade; what the kernel says of it. Raises NotDone, and has left nothing behind then.

    When the kernel ends without an answer, it may be installed or not: the next one takes away what is not.

    as_declared: a program is believed what its methods do.
    """
    name = f"{folder.name}-{folder.version}-{secrets.token_hex(4)}"
    hands = os.path.join(client.home, "hands")
    if not os.path.isdir(hands):
        raise Ended(f"the home's folder {hands} is missing: `maniple down`, then `maniple up`, which makes it anew")
    place = os.path.join(hands, name)
    try:
        told: dict[str, object] = {"folder": name, "grants": [msgspec.to_builtins(one) for one in grants]}
        if as_declared:
            told["as_declared"] = True
        if folder.manifest.hand.wasm:
            told["artefact"] = msgspec.to_builtins(compiling.into(client.home, folder))
        package.copy(folder, seal, place)
    except BaseException as error:
        shutil.rmtree(place, ignore_errors=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = place  # what is written to a full disk does not tell where
        raise
    try:
        return client.call("kernel.install", "", told).value
    except NotDone:
        shutil.rmtree(place, ignore_errors=True)
        raise
