"""Creates the files and keys of a new home for `maniple init`, and reads its sealing key (acts)."""

import os

from kernel.cli import homes, keyfile, package
from kernel.cli.exits import Ended
from kernel.home import FOLDERS, Home
from manifests.identity import FORMAT
from wire.errors import Unencodable
from wire.ids import ID_BYTES, key_id
from wire.signing import SEED_SIZE, SigningKey


def create_home_files(home: str) -> SigningKey:
    """Make an empty folder a home, and return its sealing key. home.toml, which marks it as a home, is written last."""
    import tomli_w
    import zmq

    os.chmod(home, 0o700)
    for folder, mode in FOLDERS.items():
        os.mkdir(os.path.join(home, folder), mode)
    origin = f"maniple.local/{key_id(os.urandom(ID_BYTES))[2:]}"
    log, seal = SigningKey(origin, seed := os.urandom(SEED_SIZE)), os.urandom(SEED_SIZE)
    public, secret = zmq.curve_keypair()
    _, operator = zmq.curve_keypair()
    for name, content in (
        ("log.key", seed.hex().encode()),
        ("log.pub", log.verify_key.text().encode()),
        ("kernel.key", secret),
        ("kernel.pub", public),
        ("operator.key", operator),
        ("seal.key", seal.hex().encode()),
    ):
        package.write(os.path.join(home, "keys", name), content + b"\n", mode=0o600)
    settings = {"format": FORMAT, "origin": origin, "hash_seed": int.from_bytes(os.urandom(4), "big") or 1}
    package.write(os.path.join(home, "home.toml"), tomli_w.dumps(settings).encode(), mode=0o600)
    return sealing_key(origin, seal)


def sealing_key(origin: str, seed: bytes) -> SigningKey:
    """The home's own sealing key, named after the home's origin."""
    return SigningKey(f"{origin}/seal", seed)


def seal_key_path(home: str) -> str:
    """Path of the home's own sealing key."""
    return os.path.join(home, "keys", "seal.key")


def read_sealing_key(home: str) -> SigningKey:
    """Read the home's own sealing key: the original file, or one of `maniple keys new` that has replaced it.

    Raises HomeError for an incomplete home, Ended for a missing or damaged key.
    """
    homes.require_home(home)
    origin = Home(home).identity.origin
    path = seal_key_path(home)
    try:
        with open(path, encoding="ascii") as file:
            text = file.read().strip()
        return keyfile.read(path) if text.startswith(keyfile.PREFIX) else sealing_key(origin, bytes.fromhex(text))
    except OSError as error:
        raise Ended(
            f"the key {path} cannot be read: {error.strerror}; seal with another: `maniple seal DIR --key FILE`"
        ) from None
    except (ValueError, Unencodable):
        raise Ended(
            f"the key {path} is damaged: restore it from a backup, or seal with another: `maniple seal DIR --key FILE`"
        ) from None
