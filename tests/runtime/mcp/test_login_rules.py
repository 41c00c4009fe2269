"""What is judged of a login, each rule by itself: where a person was sent back to, what a refusal and an error are."""

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from mcp.client.auth import OAuthFlowError

from manifests.mcp import tools
from runtime.mcp import login_rules

BACK = "http://127.0.0.1:8765/back"


def test_what_came_back_is_read_from_the_address_that_it_was_sent_to() -> None:
    found = login_rules.read_redirect(f" {BACK}?code=c%2B1&state=s&state=other&iss=https%3A%2F%2Fa.example#x\n", BACK)
    assert (found.code, found.state, found.iss) == ("c+1", "s", "https://a.example")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("https://evil.example/back?code=c&state=s", "does not begin with"),
        (f"{BACK}/more?code=c&state=s", "does not begin with"),
        (f"{BACK}@evil.example?code=c&state=s", "does not begin with"),
        ("", "does not begin with"),
        (f"{BACK}?error=access_denied&code=c&state=s", "^the page says: access_denied$"),
        (f"{BACK}?error={'e' * 500}", "^the page says: e{64}$"),
        (f"{BACK}?code=c&state=%C3%A4", "has a wrong state"),
    ],
)
def test_an_address_that_is_not_ours_or_tells_of_an_error_is_none(address: str, why: str) -> None:
    with pytest.raises(OAuthFlowError, match=why):
        login_rules.read_redirect(address, BACK)


def test_an_address_of_very_many_fields_is_not_read() -> None:
    with pytest.raises(ValueError, match="fields"):
        login_rules.read_redirect(f"{BACK}?{'&'.join(['a=b'] * 33)}", BACK)


@pytest.mark.parametrize(
    ("status", "header", "is_refusal"),
    [
        (401, "", True),
        (403, 'Bearer error="insufficient_scope", scope="more"', True),
        (403, 'Bearer error="invalid_token"', False),
        (403, "", False),
        (200, 'Bearer error="insufficient_scope"', False),
    ],
)
def test_a_server_wants_a_login_or_one_for_more(status: int, header: str, is_refusal: bool) -> None:
    assert login_rules.is_refusal(httpx2.Response(status, headers={"www-authenticate": header})) is is_refusal


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error":"invalid_grant","error_description":"your secret was abc"}', "invalid_grant"),
        (b'{"error":"your secret was abc"}', ""),
        (b'{"error":"' + b"e" * 65 + b'"}', ""),
        (b'{"error":7}', ""),
        (b'["error"]', ""),
        (b"no json", ""),
        (b"[" * 100_000, ""),
    ],
    ids=range(7),
)
def test_of_an_error_its_code_alone_is_passed_on(body: bytes, code: str) -> None:
    """A server may repeat in words what it was told."""
    assert login_rules.error_code(httpx2.Response(400, content=body)) == code


def test_nobody_logs_in_where_others_listen() -> None:
    for url in ("http://a.example/login", "ftp://a.example", "", f"http://a.example/{'x' * 5_000}"):
        with pytest.raises(OAuthFlowError) as refused:
            login_rules.check_address(url)
        assert len(str(refused.value)) < 300
    for url in ("https://a.example/login", "http://127.0.0.1:9/login"):
        login_rules.check_address(url)


def test_a_client_that_the_operator_named_proves_itself_as_he_says() -> None:
    named = tools.Login(client="us", issuer="https://a.example")
    for proof, method in (("", "none"), ("secret", "client_secret_basic")):
        client = login_rules.client_of(named, proof)
        assert client is not None
        assert (client.client_id, client.client_secret, client.token_endpoint_auth_method, client.issuer) == (
            "us", proof or None, method, "https://a.example",
        )  # fmt: skip
    assert login_rules.client_of(tools.Login(), "") is None
    assert login_rules.client_of(tools.Login(client="https://us.example/client.json"), "") is None


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ec.generate_private_key(ec.SECP521R1()), "ES512"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    ],
    ids=["256", "384", "521", "25519"],
)
def test_a_private_key_signs_by_its_kind(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, algorithm: str
) -> None:
    told = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert login_rules.algorithm_of(told) == algorithm
