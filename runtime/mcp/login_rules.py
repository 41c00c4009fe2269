"""Judges a login's requests and answers (pure): private addresses, refusals, redirects, error codes.

Of an authorization server's error only the code is passed on: its text may repeat secrets that it was sent.
"""

import re
from typing import Final
from urllib.parse import parse_qs

import httpx2
from mcp.client.auth import OAuthFlowError
from mcp.client.auth.utils import is_valid_client_metadata_url
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull

from manifests.mcp import tools
from manifests.mcp.private import is_private

UNAUTHORISED: Final = 401
_FORBIDDEN: Final = 403
_CODE: Final = re.compile(r"[a-z_]{1,64}")


def client_of(wanted: tools.Login, proof: str) -> OAuthClientInformationFull | None:
    """The client that the operator named; None for one that must be registered, or has a metadata document."""
    if not wanted.client or is_valid_client_metadata_url(wanted.client):
        return None
    method = "client_secret_basic" if proof else "none"
    return OAuthClientInformationFull(
        client_id=wanted.client, client_secret=proof or None, token_endpoint_auth_method=method,
        issuer=wanted.issuer or None,
    )  # fmt: skip


def is_refusal(response: httpx2.Response) -> bool:
    """Whether the server wants a login, or one with a larger scope."""
    header = response.headers.get("WWW-Authenticate", "")
    return response.status_code == UNAUTHORISED or (
        response.status_code == _FORBIDDEN and "insufficient_scope" in header
    )


def check_address(url: str) -> None:
    """Raises OAuthFlowError for an address where others could listen, or an invalid one."""
    if not is_private(url):
        raise OAuthFlowError(f"{url[:200]} is not https: nobody logs in there")


def read_redirect(address: str, redirect: str) -> AuthorizationCodeResult:
    """The authorization code in the address that a page redirected a person to. Raises OAuthFlowError."""
    before, _, query = address.strip().partition("?")
    if before != redirect:
        raise OAuthFlowError(f"the address that the page redirected to does not begin with {redirect}")
    given = {name: values[0] for name, values in parse_qs(query.partition("#")[0], max_num_fields=32).items()}
    if "error" in given:
        raise OAuthFlowError(f"the page says: {given['error'][:64]}")
    if not given.get("state", "").isascii():  # the package can compare no other
        raise OAuthFlowError("the address that the page redirected to has a wrong state")
    return AuthorizationCodeResult(code=given.get("code", ""), state=given.get("state"), iss=given.get("iss"))


def error_code(response: httpx2.Response) -> str:
    """The error's code, by RFC 6749, section 5.2; "" if there is no valid one."""
    try:
        code = response.json().get("error")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def algorithm_of(key: str) -> str:
    """The JWT algorithm for a private key. Raises ValueError for one that cannot be read."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    match load_pem_private_key(key.encode(), None):
        case EllipticCurvePrivateKey(key_size=bits):
            return {256: "ES256", 384: "ES384"}.get(bits, "ES512")
        case Ed25519PrivateKey():
            return "EdDSA"
    return "RS256"
