"""What is judged of a login's requests and answers (pure): which addresses are private, what a refusal is, what came back.

What an authorization server says of an error is not passed on but for its code: it may repeat what it was told.
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
    """The client that the operator named, None for one that is to be registered or has a document."""
    if not wanted.client or is_valid_client_metadata_url(wanted.client):
        return None
    method = "client_secret_basic" if proof else "none"
    return OAuthClientInformationFull(
        client_id=wanted.client, client_secret=proof or None, token_endpoint_auth_method=method,
        issuer=wanted.issuer or None,
    )  # fmt: skip


def is_refusal(response: httpx2.Response) -> bool:
    """Whether the server wants a login, or one for more."""
    header = response.headers.get("WWW-Authenticate", "")
    return response.status_code == UNAUTHORISED or (
        response.status_code == _FORBIDDEN and "insufficient_scope" in header
    )


def check_address(url: str) -> None:
    """Raises OAuthFlowError for an address that others could listen to, or that is none."""
    if not is_private(url):
        raise OAuthFlowError(f"{url[:200]} is not https: nobody logs in there")


def came_back(address: str, redirect: str) -> AuthorizationCodeResult:
    """What a page told by where it sent the person."""
    before, _, query = address.strip().partition("?")
    if before != redirect:
        raise OAuthFlowError(f"what came back is not an address that begins with {redirect}")
    told = {name: values[0] for name, values in parse_qs(query.partition("#")[0], max_num_fields=32).items()}
    if "error" in told:
        raise OAuthFlowError(f"the page says: {told['error'][:64]}")
    if not told.get("state", "").isascii():  # the package's comparison takes no other
        raise OAuthFlowError("what came back has no state of ours")
    return AuthorizationCodeResult(code=told.get("code", ""), state=told.get("state"), iss=told.get("iss"))


def error_code(response: httpx2.Response) -> str:
    """What an error is called, by RFC 6749, section 5.2; "" for what is no such name."""
    try:
        code = response.json().get("error")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def algorithm_of(key: str) -> str:
    """How a private key signs. Raises ValueError for one that cannot be read."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    match load_pem_private_key(key.encode(), None):
        case EllipticCurvePrivateKey(key_size=bits):
            return {256: "ES256", 384: "ES384"}.get(bits, "ES512")
        case Ed25519PrivateKey():
            return "EdDSA"
    return "RS256"
