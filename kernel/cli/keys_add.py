"""`maniple keys add` (acts)."""

import time

import click
import msgspec

from kernel.cli import keyfile, logbook, replies
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from kernel.cli.keys_list import KeyReply, row_of
from manifests import moments
from manifests.errors import ValueInvalid
from manifests.schema import Capability
from manifests.trust import EVERYTHING, TrustedKey
from wire.canonical import INT_LIMIT


@command()
@click.argument("key", metavar="KEY")
@click.option("--hands", metavar="PATTERN", multiple=True, required=True, help="Hands it may seal; * for any.")
@click.option(
    "--most", metavar="METHOD=PATTERN", multiple=True, help="The most these may be granted; default: no limit."
)
@click.option("--expires", metavar="TIME", help="Until when: 90d, or 2027-01-31.")
def keys_add(session: Session, key: str, hands: tuple[str, ...], most: tuple[str, ...], expires: str | None) -> None:
    """Trust a key to seal Hands. KEY is a verifier key (name+id+base64), or a file that holds one.

    What it seals is still granted only what you agree to at install; --most bounds what can be agreed to at all. It
    also bounds [confinement]: roots needs files.*=*, network needs web.*=*, outside_read needs machine.*=*.

        maniple keys add ada.pub --hands 'ada-*' --most 'web.fetch=https://*.example.org/**' --expires 365d
    """
    public = keyfile.parse_public(key)
    arguments: dict[str, object] = {"key": public.text(), "hands": list(hands)}
    if most:
        arguments["most"] = _parse_most(most)
    if expires is not None:
        arguments["expires"] = _parse_expiry(expires)
    with session.client() as client:
        done = next(
            (one for one in logbook.trusted_keys(session.home).keys if _is_as_asked(one, public.id, arguments)), None
        )
        if done is None:  # else by an earlier command that was killed before it could say so
            done = replies.read(client.call("kernel.key-add", "", arguments).value, KeyReply).key
    session.result(
        row_of(done, time.time_ns() // 1000), lambda: f"{public.name}+{public.id} may seal {', '.join(hands)}."
    )


def _is_as_asked(key: TrustedKey, key_id: str, asked: dict[str, object]) -> bool:
    """Whether a key is this one, trusted for exactly this. Never true with an expiry: it is a new moment in each command."""
    most = msgspec.convert(asked["most"], tuple[Capability, ...]) if "most" in asked else EVERYTHING
    wanted = (key_id, None, asked["hands"], most, asked.get("expires"))
    return (key.id, key.revoked, [*key.hands], key.most, key.expires) == wanted


def _parse_most(given: tuple[str, ...]) -> list[dict[str, object]]:
    patterns: dict[str, list[str]] = {}
    for one in given:
        method, equals, pattern = one.partition("=")
        if not equals:
            raise Ended(f"--most {one} is not METHOD=PATTERN, such as web.fetch=https://example.org/**", Exit.USAGE)
        patterns.setdefault(method, []).append(pattern)
    return [{"method": method, "allow": allow} for method, allow in patterns.items()]


def _parse_expiry(text: str) -> int:
    """Parse a date or a time from now, as microseconds since 1970. Raises Ended (usage)."""
    try:
        micros = moments.parse_moment(text, time.time_ns() // 1000, ahead=True)
    except ValueInvalid as error:
        raise Ended(f"--expires: {error.why}; {error.instead}", Exit.USAGE) from None
    if micros is None:
        raise Ended(f"--expires {text} is neither a time such as 90d nor a date such as 2027-01-31", Exit.USAGE)
    if not 0 <= micros < INT_LIMIT:
        raise Ended(
            f"--expires {text} is before 1970 or after 2255: without it, a key is trusted until you revoke it",
            Exit.USAGE,
        )
    return micros
