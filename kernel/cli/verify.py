"""`maniple verify` (acts)."""

import shlex
import time

import click
from msgspec import Struct

from kernel.cli import keyfile, logbook, named_files, package, screen
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from manifests.errors import SealMalformed, SealRefused
from manifests.seal import Difference, Seal, compare, open_seal
from wire.errors import SignatureInvalid


class Verified(Struct, frozen=True, kw_only=True):
    """What `verify --json` prints. ok: the seal is trusted here, and every file is as sealed."""

    ok: bool
    name: str
    version: str
    by: tuple[str, ...]
    files: dict[str, str]
    why: str
    differences: tuple[Difference, ...]


@command()
@click.argument("folder", metavar="DIR", type=named_files.PATH)
@click.option(
    "--key", metavar="KEY", help="The key that must have sealed it: a verifier key, or a file that holds one."
)
def verify(session: Session, folder: str, key: str | None) -> None:
    """Check a Hand's seal, and every file against it.

    The seal must be by a key that this home trusts for this Hand, or by --key, which needs no home. The kernel need not
    run. Ends with 5 if the seal does not count or anything is not as it was sealed.
    """
    found = package.read(folder)
    seal, why, mend = _open_seal(session, found, key)
    differences = compare(seal, found.digests()) if seal is not None else ()
    ok = seal is not None and not differences
    verified = Verified(
        ok=ok,
        name=found.name,
        version=found.version,
        by=seal.by if seal else (),
        files=seal.files if seal else {},
        why=why,
        differences=differences,
    )
    session.result(verified, lambda: _drawn(verified))
    if not ok:
        reason = why or f"{len(differences)} of its files {'is' if len(differences) == 1 else 'are'} not as sealed"
        mend = mend or f"look at what changed, then `maniple seal {shlex.quote(folder)}`"
        raise Ended(
            f"{found.name} {found.version} does not verify: {reason}; {mend}",
            Exit.UNVERIFIED,
        )


def _open_seal(session: Session, found: package.Folder, key: str | None) -> tuple[Seal | None, str, str]:
    """Open and judge the seal; returns it or None, why it does not count, and how to mend that if known."""
    try:
        if key is not None:
            seal = open_seal(found.seal, [keyfile.parse_public(key)])
            if (seal.name, seal.version) != (found.name, found.version):
                return None, f"the seal is for {seal.name} {seal.version}", ""
            return seal, "", ""
        trust = logbook.trusted_keys(session.home)
        now = time.time_ns() // 1000
        seal = trust.judge(
            found.seal, name=found.name, version=found.version, last_version=None, now=now, manifest=found.manifest
        )
        return seal, "", ""
    except SealRefused as refused:
        return None, refused.why, refused.mend
    except (SealMalformed, SignatureInvalid) as error:
        return None, str(error), ""


def _drawn(verified: Verified) -> str:
    if verified.why:
        return ""
    if verified.differences:
        return "\n".join(screen.visible(one) for one in verified.differences)
    count = screen.count(len(verified.files), "file")
    return f"{verified.name} {verified.version}: {count}, every one as sealed by {', '.join(verified.by)}."
