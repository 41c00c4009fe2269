"""What only the Hand of a server elsewhere needs (acts): HTTP, and logging in. Its run alone imports this."""

import ssl
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx2
from mcp.client._transport import TransportStreams

from manifests.mcp import tools
from manifests.mcp.tools import Agreement
from runtime.errors import HandBroken
from runtime.kernel_handle import KernelHandle
from runtime.mcp.http import outside, remote

if TYPE_CHECKING:  # it brings cryptography, and most servers want no login
    from runtime.mcp.login import Login

UNREACHED: Final = httpx2.HTTPError
"""What the talk with a server ends with that is not reached, beside what any talk may end with."""


class Elsewhere:
    """A server at a URL. login: what logs in to it, None where that is not to be."""

    def __init__(self, kernel: KernelHandle, agreement: Agreement, files: Mapping[str, bytes]) -> None:
        """files: those of the Hand. Raises HandBroken when it cannot be known whom to believe at the URL."""
        self._kernel, self._agreement = kernel, agreement
        self._trusted = _trusted(agreement, files)
        self.login: Login | None = None

    def log_in_as(self, hand: str, settings: Mapping[str, object], state: Path) -> None:
        """Have a login, if one is agreed to. Raises HandBroken when the settings fit none."""
        wanted, url = self._agreement.login, self._agreement.url
        if wanted is None:
            return
        from runtime.mcp.kept import Kept
        from runtime.mcp.login import Login
        from runtime.mcp.login_rules import client_of

        proof = str(settings.get(wanted.proof) or "")
        client = None if wanted.is_alone else client_of(wanted, proof)
        kept = Kept(state, (url, wanted.client, wanted.issuer), client)
        self.login = Login(hand, url, wanted, proof, kept, lambda to: outside(self._kernel, self._trusted, to))

    def streams(self, headers: Mapping[str, str]) -> AbstractAsyncContextManager[TransportStreams]:
        """The messages both ways, until the block is left. headers: of each request."""
        return remote(self._agreement.url, self._kernel, headers, self._trusted, self.login)


def _trusted(agreement: Agreement, files: Mapping[str, bytes]) -> ssl.SSLContext:
    """Whom to believe at the URL: what lies in the Hand's folder, or the system's."""
    try:
        if (own := files.get(tools.CERTIFICATES)) is not None:
            return ssl.create_default_context(cadata=own.decode("ascii"))
        return ssl.create_default_context(cafile=agreement.certificates or None)
    except (OSError, ValueError) as error:
        raise HandBroken(f"the certificates to believe cannot be read: {error}") from None
