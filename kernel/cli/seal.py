"""`maniple seal` (acts)."""

import os

import click

from kernel.cli import founding, keyfile, package
from kernel.cli.frame import Session, command
from manifests.seal import SEAL_FILE


@command()
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option("--key", metavar="FILE", type=click.Path(), help="Seal with this key, instead of the home's own.")
@click.option("--clean", is_flag=True, help="First remove __pycache__ folders, which Python left behind.")
def seal(session: Session, folder: str, key: str | None, clean: bool) -> None:
    """Sign a Hand's folder: name, version, and the SHA-256 of every file in it, into HAND.seal.

    What is sealed is what a start will find, so the folder may hold plain files and folders only. Any later change
    needs a new seal. Who may seal what is decided by the home that installs it: `maniple keys`.
    """
    if clean:
        package.remove_caches(folder)
    found = package.read(folder)
    signer = keyfile.read(key) if key else founding.sealing_key_of(session.home)
    package.write(os.path.join(folder, SEAL_FILE), package.sealed(found, signer).encode())
    public = signer.verify_key
    result = {"name": found.name, "version": found.version, "files": found.digests(), "key": public.text()}
    session.result(
        result, lambda: f"{found.name} {found.version}: {len(found.files)} files sealed by {public.name}+{public.id}."
    )
