"""The trust store: which keys may seal which Hands, and the most that a Hand they sealed may be granted (pure).

Separate because every start depends on it: the kernel judges each seal here, at every start, in memory. A store is
immutable; `add`, `rotate` and `revoke` return a new one, and an entry of the log records the change.

Times are microseconds since the epoch. Revocation is permanent and independent of the clock. Rotation gives the new key
the Hands, grants, expiry and place of the old one, and revokes that. The key in the first place is the home's own, which
alone may seal bundled Hands; only rotation changes it.
"""

from functools import partial
from typing import Final, Self

import msgspec

from manifests import capabilities as kinds
from manifests import reinstalling
from manifests.errors import PatternInvalid, SealMalformed, SealRefused, TrustRefused
from manifests.grants import GrantSet, as_text, exceeding, is_method_pattern, requested
from manifests.schema import Capability, Confinement, Manifest
from manifests.seal import Seal, open_seal, signers
from manifests.versions import is_older
from wire.errors import NoteMalformed, SignatureInvalid
from wire.signing import VerifyKey

EVERYTHING: Final = (
    Capability(method="*", allow=("*",), own=True),
    Capability(method="kernel.*", allow=("*",)),
)
"""The most that any Hand may be granted, and the maximum of the home's own key."""


AS_MUCH: Final = {"roots": "files.*", "network": "web.*", "outside_read": "machine.*"}
"""By key of [confinement]: the methods that a signing key must be able to grant on every resource if the Hand sets it."""


class TrustedKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trusted key. hands: patterns of the names of Hands that it may seal; most: the most these may be granted.

    added, expires, revoked: microseconds since the epoch, None for never.
    """

    name: str
    public: bytes
    hands: tuple[str, ...]
    most: tuple[Capability, ...]
    added: int
    expires: int | None = None
    revoked: int | None = None

    @property
    def verify_key(self) -> VerifyKey:
        """The key as wire/signing.py verifies with it. Raises wire.errors.NoteMalformed if name or length is wrong."""
        return VerifyKey(name=self.name, public=self.public)

    @property
    def id(self) -> str:
        """The key id of signed notes: eight hex digits of a hash of name and key."""
        return self.verify_key.id

    def is_usable(self, now: int) -> bool:
        """Whether the key is neither revoked nor expired at this moment."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    def seals(self, hand: str) -> bool:
        """Whether the key may seal a Hand of that name. An empty list of Hands means none."""
        return any(kinds.covers(pattern, hand) for pattern in self.hands)


class TrustStore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All keys ever trusted. Revoked ones stay listed, so that they cannot be added again. The first is the home's own."""

    keys: tuple[TrustedKey, ...] = ()

    def is_own(self, key_id: str) -> bool:
        """Whether this id is that of the home's own key."""
        return bool(self.keys) and self.keys[0].id == key_id

    def find(self, key_id: str) -> TrustedKey:
        """Return the key with that id. Raises TrustRefused if there is none."""
        for key in self.keys:
            if key.id == key_id:
                return key
        raise TrustRefused(f"no key {key_id} is trusted here", "see `maniple keys list`")

    def add(self, key: TrustedKey) -> Self:
        """Return the store with one more key. Raises TrustRefused if it is malformed, or was ever added before."""
        self._check_new(key)
        return self.with_key(key)

    def _check_new(self, key: TrustedKey) -> None:
        _check_key(key)
        for known in self.keys:
            if known.id == key.id or known.public == key.public:
                state = "was revoked and does not come back" if known.revoked is not None else "is trusted already"
                raise TrustRefused(f"the key {key.id} {state}", "make a new one with `maniple keys new`")

    def rotate(self, key_id: str, *, name: str, public: bytes, now: int) -> Self:
        """Return the store with a new key in the place of an old one and with its rights. The old key is revoked.

        Raises TrustRefused as `add` does, and if the old key is revoked or expired. The home's own key can always be
        rotated, since a home must have one.
        """
        old = self.find(key_id)
        if not self.is_own(key_id):
            _check_usable(old, now)
        new = TrustedKey(name=name, public=public, hands=old.hands, most=old.most, added=now, expires=old.expires)
        self._check_new(new)
        return self.with_key(new, instead=key_id).revoke(key_id, now=now)

    def revoke(self, key_id: str, *, now: int) -> Self:
        """Return the store with the key revoked: no Hand that it sealed starts again. Revoking twice changes nothing."""
        key = self.find(key_id)
        return self if key.revoked is not None else self.with_key(msgspec.structs.replace(key, revoked=now))

    def with_key(self, key: TrustedKey, *, instead: str = "") -> Self:
        """Return the store with this key, unchecked: in its old place, before the key `instead`, or last."""
        keys = [known for known in self.keys if known.id != key.id]
        before = [known.id for known in self.keys]
        at = before.index(instead or key.id) if (instead or key.id) in before else len(keys)
        return msgspec.structs.replace(self, keys=(*keys[:at], key, *keys[at:]))

    def judge(
        self, seal_text: str | None, *, name: str, version: str, last_version: str | None, now: int, manifest: Manifest
    ) -> Seal:
        """Return the opened seal if it lets this Hand start now. Raises SealRefused with the reason and the remedy.

        name, version: of the Hand as installed. last_version: the newest that was ever installed, None for none. seal_text:
        None or "" if there is no HAND.seal. One signature by a key that may seal the Hand is enough.
        """
        if not seal_text:
            raise SealRefused("unsigned", f"{name} has no seal", "look at the Hand, then type `maniple seal DIR`")
        sealed = self._opened(seal_text, name)
        refusals: list[SealRefused] = []
        for key_id in sealed.by:
            try:
                _check_signer(self.find(key_id), name, now, manifest)
                break
            except SealRefused as refusal:
                refusals.append(refusal)
        else:
            raise refusals[0]
        _check_same_hand(sealed, name, version, last_version, manifest)
        return sealed

    def _opened(self, seal_text: str, name: str) -> Seal:
        mend = "get the Hand again from its author, or look at it and type `maniple seal DIR`"
        try:
            return open_seal(seal_text, [key.verify_key for key in self.keys])
        except SealMalformed as error:
            raise SealRefused("malformed", f"the seal of {name} cannot be read: {error}", mend) from None
        except SignatureInvalid as error:
            known = {key.id for key in self.keys}
            strangers = [signer for signer in signers(seal_text) if signer[1] not in known]
            if not known.isdisjoint(key_id for _, key_id in signers(seal_text)):
                raise SealRefused("forged", f"the seal of {name} is not genuine: {error}", mend) from None
            shown = ", ".join(f"{signer}+{key_id}" for signer, key_id in strangers) or "nobody"
            mend = "to trust it, `maniple keys add` with its verifier key; or look at it and type `maniple seal DIR`"
            raise SealRefused("unknown key", f"{name} is sealed by {shown}, which is not trusted here", mend) from None


def _check_key(key: TrustedKey) -> None:
    try:
        key.verify_key.id  # noqa: B018 - raises when name or length is wrong
        for pattern in key.hands:
            kinds.check_pattern(pattern, "name")
        for capability in key.most:
            if capability.method != "*" and not is_method_pattern(capability.method):
                raise PatternInvalid(
                    f'"{capability.method}" is not a method', 'write it like "web.fetch", "web.*" or "*"'
                )
            for pattern in capability.allow:
                kinds.check_pattern(pattern)
    except NoteMalformed as error:
        raise TrustRefused(
            f"this is not a key: {error}", "give the verifier key as `maniple keys list` shows it"
        ) from None
    except PatternInvalid as error:
        raise TrustRefused(error.why, error.instead) from None
    if key.revoked is not None or (key.expires is not None and key.expires <= key.added):
        raise TrustRefused(f"the key {key.id} would never count", "give an end that is in the future")


def _bound(key: TrustedKey) -> tuple[Capability, ...]:
    """Return the maximum of a key. Without `approval = true` it leaves approval open: that is agreed at install."""
    return tuple(
        capability if capability.approval else msgspec.structs.replace(capability, approval=False)
        for capability in key.most
    )


def _check_usable(key: TrustedKey, now: int) -> None:
    if key.revoked is not None:
        raise TrustRefused(f"the key {key.id} is revoked", "add a new key with `maniple keys add`")
    if key.expires is not None and now >= key.expires:
        raise TrustRefused(f"the key {key.id} has expired", "add a new key with `maniple keys add`")


def _check_signer(key: TrustedKey, hand: str, now: int, manifest: Manifest) -> None:
    reseal = partial(reinstalling.how_to_reinstall, manifest)
    shown = f"{key.name}+{key.id}"
    if key.revoked is not None:
        raise SealRefused("revoked", f"{hand} is sealed by {shown}, which was revoked", reseal())
    if key.expires is not None and now >= key.expires:
        raise SealRefused("expired", f"{hand} is sealed by {shown}, which has expired", reseal())
    if not key.seals(hand):
        raise SealRefused("not for this Hand", f"{shown} is not trusted to seal {hand}", reseal())
    most = GrantSet.of(_bound(key))
    beyond = [as_text(capability) for capability in exceeding(requested(manifest), most)]
    for name, capability in _open(manifest.confinement):
        if exceeding((capability,), most):
            beyond.append(f"[confinement] {name}, which is as much as {as_text(capability)}")
    if beyond:
        why = f"{hand} asks for {'; '.join(beyond)}, more than {shown} may grant"
        raise SealRefused("wants more", why, "take that out of HAND.toml, or seal it with a key that may grant it")


def _open(left: Confinement) -> list[tuple[str, Capability]]:
    """Return the keys of [confinement] that give a Hand access without a grant, each with the equivalent capability."""
    found = {"roots": left.roots, "network": left.network == "host", "outside_read": bool(left.outside_read)}
    return [(name, Capability(method=AS_MUCH[name], allow=("*",))) for name, is_so in found.items() if is_so]


def _check_same_hand(sealed: Seal, name: str, version: str, last_version: str | None, manifest: Manifest) -> None:
    inside = (manifest.hand.name, manifest.hand.version)
    for text in (inside, (name, version)):
        if text != (sealed.name, sealed.version):
            why = f"the seal is for {sealed.name} {sealed.version}, but this is {text[0]} {text[1]}"
            raise SealRefused("mismatch", why, "look at the Hand, then type `maniple seal DIR`")
    if last_version is not None and is_older(version, last_version):
        why = f"{name} {version} is older than {last_version}, which ran here before"
        raise SealRefused("downgrade", why, f"install {last_version} or a newer one with `maniple install DIR`")
