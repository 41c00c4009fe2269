"""The trust store: which keys may seal which Hands, and the most that a Hand they sealed may be granted (pure).

Separate because it is the root of every start: the kernel judges each seal here, at every start, in memory. A store is
never changed; `add`, `rotate` and `revoke` return a new one, and the log keeps the entry that makes it so.

Times are microseconds since the epoch. Revoking holds for ever and whatever the clock says. A key that is rotated in for
another has exactly what that one had: Hands, grants, time and place; the other one is revoked. The first place is the
home's own key's, which alone may seal the Hands in the box; nothing but a rotation gives it away.
"""

from typing import Final, Self

import msgspec

from manifests import capabilities as kinds
from manifests import reinstalling
from manifests.errors import PatternInvalid, SealMalformed, SealRefused, TrustRefused
from manifests.grants import GrantSet, as_text, asked, exceeding, is_method_pattern
from manifests.schema import Capability, Confinement, Manifest
from manifests.seal import Seal, open_seal, signers
from manifests.versions import is_older
from wire.errors import NoteMalformed, SignatureInvalid
from wire.signing import VerifyKey

EVERYTHING: Final = (
    Capability(method="*", allow=("*",), own=True),
    Capability(method="kernel.*", allow=("*",)),
)
"""The most that any Hand may be granted: what the home's own key may grant."""


AS_MUCH: Final = {"roots": "files.*", "network": "web.*", "outside_read": "machine.*"}
"""What a key must be able to grant on everything, to seal a Hand whose [confinement] opens this."""


class TrustedKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key whose seals count. hands: patterns of the Hands it may seal; most: the most those may be granted.

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
        """The key for checking notes; wire.errors.NoteMalformed when name or length is wrong."""
        return VerifyKey(name=self.name, public=self.public)

    @property
    def id(self) -> str:
        """Eight hex digits over name and key, as in signed notes."""
        return self.verify_key.id

    def is_usable(self, now: int) -> bool:
        """Whether its seals count at this moment."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    def seals(self, hand: str) -> bool:
        """Whether it may seal a Hand of that name. An empty list of Hands means none."""
        return any(kinds.covers(pattern, hand) for pattern in self.hands)


class TrustStore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All keys that were ever trusted; revoked ones stay, so that they cannot come back. The first is the home's own."""

    keys: tuple[TrustedKey, ...] = ()

    def is_own(self, key_id: str) -> bool:
        """Whether it is the home's own key."""
        return bool(self.keys) and self.keys[0].id == key_id

    def find(self, key_id: str) -> TrustedKey:
        """The key with that id; TrustRefused when there is none."""
        for key in self.keys:
            if key.id == key_id:
                return key
        raise TrustRefused(f"no key {key_id} is trusted here", "see `maniple keys list`")

    def add(self, key: TrustedKey) -> Self:
        """The store with one key more. TrustRefused when it is malformed, or was there before."""
        self._check_new(key)
        return self.with_key(key)

    def _check_new(self, key: TrustedKey) -> None:
        _check_key(key)
        for known in self.keys:
            if known.id == key.id or known.public == key.public:
                state = "was revoked and does not come back" if known.revoked is not None else "is trusted already"
                raise TrustRefused(f"the key {key.id} {state}", "make a new one with `maniple keys new`")

    def rotate(self, key_id: str, *, name: str, public: bytes, now: int) -> Self:
        """The store with a new key in the place of an old one, with what that had; its seals count no more.

        TrustRefused as in `add`, and for a key that is revoked or expired, unless it is the home's own, of which there is
        always one.
        """
        old = self.find(key_id)
        if not self.is_own(key_id):
            _check_usable(old, now)
        new = TrustedKey(name=name, public=public, hands=old.hands, most=old.most, added=now, expires=old.expires)
        self._check_new(new)
        return self.with_key(new, instead=key_id).revoke(key_id, now=now)

    def revoke(self, key_id: str, *, now: int) -> Self:
        """The store in which nothing that the key sealed starts any more. Revoking twice changes nothing."""
        key = self.find(key_id)
        return self if key.revoked is not None else self.with_key(msgspec.structs.replace(key, revoked=now))

    def with_key(self, key: TrustedKey, *, instead: str = "") -> Self:
        """The store with a key as it is now, unchecked: where it was, before the one that it stands in for, or last."""
        keys = [known for known in self.keys if known.id != key.id]
        before = [known.id for known in self.keys]
        at = before.index(instead or key.id) if (instead or key.id) in before else len(keys)
        return msgspec.structs.replace(self, keys=(*keys[:at], key, *keys[at:]))

    def judge(
        self, seal_text: str | None, *, name: str, version: str, last_version: str | None, now: int, manifest: Manifest
    ) -> Seal:
        """The seal, when it lets this Hand start now; SealRefused with the reason and the mend when not.

        name, version: of the Hand as it was installed. last_version: the newest that ever started, None for none.
        seal_text: None or "" when there is no HAND.seal. One good signature is enough.
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
            mend = "if you trust that key, type `maniple keys add` with its verifier key"
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
    """The most of a key; where it does not speak of approval, it does not bound it: that is agreed at install."""
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
    reseal = reinstalling.how_to_reinstall(manifest)
    shown = f"{key.name}+{key.id}"
    if key.revoked is not None:
        raise SealRefused("revoked", f"{hand} is sealed by {shown}, which was revoked", reseal)
    if key.expires is not None and now >= key.expires:
        raise SealRefused("expired", f"{hand} is sealed by {shown}, which has expired", reseal)
    if not key.seals(hand):
        raise SealRefused("not for this Hand", f"{shown} is not trusted to seal {hand}", reseal)
    most = GrantSet.of(_bound(key))
    beyond = [as_text(capability) for capability in exceeding(asked(manifest), most)]
    for name, capability in _open(manifest.confinement):
        if exceeding((capability,), most):
            beyond.append(f"[confinement] {name}, which is as much as {as_text(capability)}")
    if beyond:
        why = f"{hand} asks for {'; '.join(beyond)}, more than {shown} may grant"
        raise SealRefused("wants more", why, "take that out of HAND.toml, or seal it with a key that may grant it")


def _open(left: Confinement) -> list[tuple[str, Capability]]:
    """What a Hand's walls leave it, where nobody asks for a grant, and the capability that this amounts to."""
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
