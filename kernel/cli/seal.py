"""`maniple seal` (acts)."""

import os
import shlex
import time
from contextlib import suppress

import click

from kernel.cli import founding, keyfile, logbook, named_files, package, screen
from kernel.cli.frame import Session, command
from manifests.seal import SEAL_FILE
from wire.errors import ManipleError


@command()
@click.argument("folder", metavar="DIR", type=named_files.PATH)
@click.option("--key", metavar="FILE", type=named_files.PATH, help="Seal with this key, instead of the home's own.")
@click.option("--clean", is_flag=True, help="First remove the __pycache__ folders that Python left behind.")
def seal(session: Session, folder: str, key: str | None, clean: bool) -> None:
    """Sign a Hand's folder: its name, its version, and the SHA-256 of every file in it go into HAND.seal.

    The folder may hold plain files and folders only. Any later change needs a new seal. The home that installs the Hand
    decides whose seals it trusts: `maniple keys`.
    """
    if clean:
        package.remove_caches(folder)
    found = package.read(folder)
    signer = keyfile.read(key) if key else founding.read_sealing_key(session.home)
    package.write(os.path.join(folder, SEAL_FILE), package.make_seal(found, signer).encode())
    public = signer.verify_key
    result = {"name": found.name, "version": found.version, "files": found.digests(), "key": public.text()}
    count = screen.count(len(found.files), "file")
    session.result(result, lambda: f"{found.name} {found.version}: {count} sealed by {public.name}+{public.id}.")
    if state := _why_untrusted(session.home, public.id):
        again = f"maniple seal {shlex.quote(folder)} --key FILE"
        session.say(
            f"The key {public.id} {state} in this home, so what it seals does not start here: `{again}` with one that is "
            "trusted (`maniple keys`); to have another: `maniple keys new FILE`, then `maniple keys add FILE.pub --hands '*'`"
        )


def _why_untrusted(home: str, key_id: str) -> str:
    """Why a home no longer trusts a key that it trusted once; "" otherwise, and if there is no home."""
    with suppress(ManipleError, OSError):
        key = logbook.trusted_keys(home).find(key_id)
        if key.revoked is not None:
            return "was revoked"
        return "" if key.is_usable(time.time_ns() // 1000) else "has expired or was replaced"
    return ""
