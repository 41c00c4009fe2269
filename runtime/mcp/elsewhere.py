"""The connection to a remote server (acts): HTTP and login. Only the run of such a server's Hand imports this."""

import ssl
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx2
from mcp.client._transport import TransportStreams

from manifests.mcp import tools
from manifests.mcp.tools import Agreement
from runtime.calls import answering
from runtime.errors import HandBroken
from runtime.kernel_handle import KernelHandle
from runtime.mcp.http import outside, remote

if TYPE_CHECKING:  # it brings cryptography, and most servers want no login
    from runtime.mcp.login import Login

UNREACHED: Final = httpx2.HTTPError
"""Raised by a session if the server is not reached, beside the errors of any session."""


class Elsewhere:
    """A remote server. login: None if there is none."""

    def __init__(self, kernel: KernelHandle, agreement: Agreement, files: Mapping[str, bytes]) -> None:
        """files: the Hand's. Raises HandBroken if the certificates to trust cannot be read."""
        self._kernel, self._agreement = kernel, agreement
        self._trusted = _trusted(agreement, files)
        self.login: Login | None = None
        self._untaken: set[int] = set()

    def log_in_as(self, hand: str, settings: Mapping[str, object], state: Path) -> None:
        """Prepares the login, if one is agreed to. Raises HandBroken if the settings do not fit it."""
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

    def streams(
        self, headers: Mapping[str, str], forgotten: Callable[[], None]
    ) -> AbstractAsyncContextManager[TransportStreams]:
        """Yields the message streams. headers: of each request. forgotten: called when the server forgot the session."""

        def note() -> None:
            self._untaken.add(answering.get())
            forgotten()

        return remote(self._agreement.url, self._kernel, headers, self._trusted, self.login, note)

    def took_nothing_of(self, call: int) -> bool:
        """Whether the server did not take a call's last request, since it had forgotten the session. Forgets that."""
        is_untaken = call in self._untaken
        self._untaken.discard(call)
        return is_untaken


def _trusted(agreement: Agreement, files: Mapping[str, bytes]) -> ssl.SSLContext:
    """The certificates to trust: those in the Hand's folder, or else the system's."""
    try:
        if (own := files.get(tools.CERTIFICATES)) is not None:
            return ssl.create_default_context(cadata=own.decode("ascii"))
        return ssl.create_default_context(cafile=agreement.certificates or None)
    except (OSError, ValueError) as error:
        raise HandBroken(f"the certificates to trust cannot be read: {error}") from None
