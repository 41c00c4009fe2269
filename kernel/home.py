"""The home (acts): the folder that holds everything, its keys, and the lock that keeps a second kernel out.

home.toml            format, the log's origin, the hash seed of this home's runs
keys/                log.key (signs checkpoints), log.pub (for strangers), kernel.key, kernel.pub and operator.key
                     (CURVE), seal.key (the operator's own sealing key, which only the command line reads),
                     and the secret settings of each Hand
hands/FOLDER/        what was installed, one folder per version
compiled/KEY         WebAssembly modules as native code, by digest of module, wasmtime and its settings
log/  journal/       the log, and the keys of its bodies' digests
scratch/RUN/         a run's own folder, gone with it          state/HAND/   a service's, kept
output/NAME.log      what Hands wrote to stdout and stderr
run/                 bus (the socket), lock, kernel.log
"""

import fcntl
import hashlib
import os
from pathlib import Path
from typing import Final

import msgspec

from kernel.errors import HomeError
from manifests import identity, settings
from manifests.errors import ManifestInvalid
from manifests.installed import Package
from wire.errors import ManipleError, Refusal
from wire.signing import SigningKey

FOLDERS: Final = {
    "keys": 0o700, "hands": 0o700, "compiled": 0o700, "log": 0o700, "journal": 0o700, "scratch": 0o711, "state": 0o711,
    "output": 0o700, "run": 0o700,
}  # fmt: skip
"""The home's folders and their modes. Runs may pass through the two that are 0711; each entry in these is one run's or
service's own.
"""


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that the kernel uses. log: signs checkpoints; public, secret, operator: CURVE keys in Z85."""

    log: SigningKey
    public: bytes
    secret: bytes
    operator: bytes


class Home:
    """An opened home. Raises HomeError if it is missing, incomplete, another user's, or open to other users."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        if not os.path.isfile(self.at("home.toml")):
            raise HomeError(f"there is no home at {self.path}: make one with `maniple init --home {self.path}`")
        mode = os.stat(self.path)
        if mode.st_uid != os.geteuid():
            owner = f"belongs to user {mode.st_uid}, and this is {os.geteuid()}"
            mend = "run this as that user, or make one of your own with `maniple init --home DIR`"
            raise HomeError(f"the home {self.path} {owner}: {mend}")
        if mode.st_mode & 0o077:
            raise HomeError(f"the home {self.path} is open to others: close it with `chmod 700 {self.path}`")
        self.identity = self._identity()

    def at(self, *parts: str) -> str:
        """Return a path inside the home."""
        return os.path.join(self.path, *parts)

    def keys(self) -> Keys:
        """Read the kernel's keys. Raises HomeError if one is missing or not a key."""
        import zmq

        name = "log.key"
        try:
            log = SigningKey(self.identity.origin, bytes.fromhex(self._key(name).decode()))
            publics = [zmq.curve_public(self._key(name := pair)) for pair in ("operator.key", "kernel.key")]
        except (ValueError, ManipleError, zmq.ZMQError) as error:
            if isinstance(error, HomeError):
                raise
            raise HomeError(f"{self.at('keys', name)} is damaged: restore it from a backup") from None
        if publics[1] != self._key("kernel.pub"):
            raise HomeError(f"{self.at('keys', 'kernel.key')} and kernel.pub are no pair: restore both from a backup")
        return Keys(log=log, public=publics[1], secret=self._key("kernel.key"), operator=publics[0])

    def lock(self) -> int:
        """Lock the home against a second kernel while the returned descriptor is open. Raises HomeError if one runs."""
        for folder, mode in FOLDERS.items():
            os.makedirs(self.at(folder), exist_ok=True)
            os.chmod(self.at(folder), mode)  # makedirs obeys the umask
        descriptor = os.open(self.at("run", "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = (os.read(descriptor, 32).decode(errors="replace").split() or ["unknown"])[0]
            os.close(descriptor)
            raise HomeError(
                f"a kernel already runs on {self.path} (process {pid}): see it with `maniple status`"
            ) from None
        os.pwrite(descriptor, f"{os.getpid():<20}\n".encode(), 0)  # of fixed length: overwriting works on a full disk
        return descriptor

    def load(self, folder: str) -> Package:
        """Read the seal and the manifest of an installed folder, and check the manifest. Raises HomeError if that fails."""
        from manifests.check import check

        try:
            with open(self.at("hands", folder, "HAND.toml"), "rb") as raw:
                text = raw.read()
            manifest, digest = check(text.decode(), file=raw.name), hashlib.sha256(text).hexdigest()
            with open(self.at("hands", folder, "HAND.seal"), encoding="utf-8") as file:
                return Package(seal=file.read(), manifest=manifest, digest=digest)
        except (OSError, UnicodeDecodeError, ManifestInvalid) as error:
            raise HomeError(f"the Hand in {self.at('hands', folder)} cannot be read: {error}") from None

    def secrets(self, file: str) -> dict[str, object]:
        """Read a file of secret settings; one that the log does not name may be missing. Raises Refusal if that fails."""
        try:
            with open(self.at("keys", file), "rb") as opened:
                return msgspec.json.decode(opened.read(), type=dict[str, object])
        except (OSError, msgspec.MsgspecError, UnicodeError) as error:
            if (is_missing := isinstance(error, FileNotFoundError)) and not settings.is_named(file):
                return {}
            raise Refusal("secrets", settings.unreadable(self.at("keys", file), is_missing=is_missing)) from None

    def keep_secrets(self, file: str, secrets: dict[str, object]) -> None:
        """Write a file of secret settings atomically; they are on disk when this returns."""
        from kernel.record.growing import replace, sync_folder

        path = Path(self.at("keys", file))
        replace(path, msgspec.json.encode(secrets))
        sync_folder(path.parent)

    def _identity(self) -> identity.Identity:
        """Read home.toml. Raises HomeError."""
        try:
            with open(self.at("home.toml"), "rb") as file:
                return identity.read(file.read(), file.name)
        except OSError as error:
            raise HomeError(
                f"{self.at('home.toml')} cannot be read: {error.strerror}; restore it from a backup, then `maniple up`"
            ) from None
        except ManifestInvalid as error:
            problems = "; and ".join(
                f"{it.file}:{it.line}:{it.column}: {it.what}; {it.instead}" for it in error.problems
            )
            raise HomeError(f"{problems}; mend that, then `maniple up`") from None

    def _key(self, name: str) -> bytes:
        """Read a file of `keys`. Raises HomeError."""
        try:
            with open(self.at("keys", name), "rb") as file:
                return file.read().strip()
        except OSError as error:
            raise HomeError(f"the key {self.at('keys', name)} cannot be read: {error.strerror}") from None
