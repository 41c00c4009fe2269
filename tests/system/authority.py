"""An MCP server that wants a login, and the authorization server that gives one, on loopback, written without the package.

    with running() as shop:
        shop.ways["expires"] = 1          # and other things that a server may do, right or wrong

`ways` may be changed at any time. All that came is in `seen`, as "METHOD path"; all tokens that were given in `given`; what
the MCP server was sent that is for an authorization server, with its Authorization, in `strayed`; each token that was
taken back, as its kind was called, in `revoked`. `before` and `after` are called with each row of `seen`, before it is
answered and when its answer is sent.
"""

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

EXAMPLE: Final = {"name": "do", "description": "Do it.", "inputSchema": {"type": "object", "properties": {}}}


def nothing(_: str) -> None:
    """Look at a row, and do nothing."""


class Shop:
    """Both servers. valid: the tokens that let in now."""

    def __init__(self) -> None:
        self.ways: dict[str, Any] = {}
        self.seen: list[str] = []
        self.given: list[str] = []
        self.valid: set[str] = set()
        self.asked: list[dict[str, str]] = []
        self.strayed: list[str] = []
        self.revoked: dict[str, str] = {}
        self.before: Callable[[str], None] = nothing
        self.after: Callable[[str], None] = nothing
        self._servers = [_Listening(self, _Bank), _Listening(self, _Server), _Listening(self, _Elsewhere)]

    @property
    def bank(self) -> str:
        """The authorization server's issuer."""
        return self._at(0)

    @property
    def url(self) -> str:
        """The MCP server."""
        return f"{self._at(1)}/mcp"

    @property
    def elsewhere(self) -> str:
        """A host that nobody granted; what comes there is seen, too."""
        return self._at(2)

    def token(self, kind: str) -> str:
        """A new one."""
        self.given.append(f"look-for-this-{kind}-token-{len(self.given):04}-0123456789")
        return self.given[-1]

    def _at(self, index: int) -> str:
        return f"http://127.0.0.1:{self._servers[index].server_port}"


class _Listening(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, shop: Shop, answers: type["_Answering"]) -> None:
        super().__init__(("127.0.0.1", 0), answers)
        self.shop = shop
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class _Answering(http.server.BaseHTTPRequestHandler):
    server: _Listening

    @property
    def shop(self) -> Shop:
        """Whose it is."""
        return self.server.shop

    def log_message(self, *_: object) -> None:
        pass

    def body(self) -> bytes:
        """What was sent."""
        self.shop.seen.append(self._row)
        self.shop.before(self._row)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def say(self, status: int, body: object, **headers: str) -> None:
        """Answer."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(raw)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        try:
            self.wfile.write(raw)
        except OSError:
            pass  # whoever asked has had enough
        self.shop.after(self._row)

    @property
    def _row(self) -> str:
        return f"{self.command} {urlsplit(self.path).path}"


class _Elsewhere(_Answering):
    def do_GET(self) -> None:
        self.body()
        self.say(200, {})

    def do_POST(self) -> None:
        self.do_GET()


class _Server(_Answering):
    def do_GET(self) -> None:
        self.body()
        if "oauth-protected-resource" not in self.path:
            self.say(405, None)
            return
        servers = [self.shop.ways.get("authority", self.shop.bank)]
        self.say(200, {"resource": self.shop.url, "authorization_servers": servers})

    def do_DELETE(self) -> None:
        self.body()
        self.say(405, None)

    def do_POST(self) -> None:
        raw = self.body()
        if self.path != "/mcp":
            self.shop.strayed.append(f"{self.path} {self.headers.get('Authorization')} {raw.decode()}")
            self.say(404, None)
            return
        asked = json.loads(raw)
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.shop.valid:
            where = f"{self.shop.url.removesuffix('/mcp')}/.well-known/oauth-protected-resource/mcp"
            wanted = self.shop.ways.get("wanted", f'Bearer resource_metadata="{where}"')
            self.say(self.shop.ways.get("refusal", 401), {}, WWW_Authenticate=wanted)
            return
        can = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
        results: dict[str, object] = {
            "initialize": {**can, "serverInfo": {"name": "shop", "version": "1"}},
            "tools/list": {"tools": [EXAMPLE]},
            "tools/call": {"content": [{"type": "text", "text": "done"}]},
        }
        if "id" not in asked:
            self.say(202, None)
            return
        if asked["method"] not in results:
            self.say(200, {"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32601, "message": "no"}})
            return
        self.say(200, {"jsonrpc": "2.0", "id": asked["id"], "result": results[asked["method"]]})


class _Bank(_Answering):
    def do_GET(self) -> None:
        self.body()
        ways, bank = self.shop.ways, self.shop.bank
        if self.path.startswith("/authorize"):
            query = {name: one[0] for name, one in parse_qs(urlsplit(self.path).query).items()}
            back = f"{query['redirect_uri']}?code=a-code&state={ways.get('state', query['state'])}"
            self.say(302, None, Location=f"{back}&iss={ways.get('iss', bank)}")
            return
        if "silent" in ways:
            self.say(ways["silent"], None)
            return
        if "redirect" in ways:
            self.say(302, None, Location=ways["redirect"])
            return
        told = {
            "issuer": bank,
            "authorization_endpoint": f"{bank}/authorize",
            "token_endpoint": f"{bank}/token",
            "registration_endpoint": f"{bank}/register",
            "revocation_endpoint": f"{bank}/revoke",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            **ways.get("metadata", {}),
        }
        self.say(200, {**told, "padding": "x" * ways.get("padding", 0)})

    def do_POST(self) -> None:
        raw = self.body()
        if self.path == "/register":
            client = {"client_id": "us", "client_secret": self.shop.token("client"), **self.shop.ways.get("client", {})}
            self.say(201, {**json.loads(raw), **client})
            return
        asked = {name: one[0] for name, one in parse_qs(raw.decode()).items()}
        if self.path == "/revoke":
            self._revoke(asked)
            return
        self.shop.asked.append(asked)
        if "busy" in self.shop.ways:
            self.say(self.shop.ways["busy"], {"error": "temporarily_unavailable"})
            return
        if "trickles" in self.shop.ways:
            self._trickle()
            return
        if self.shop.ways.get("refuses") == asked["grant_type"]:
            self.say(400, {"error": "invalid_grant", "error_description": f"not with {json.dumps(asked)}"})
            return
        self.shop.valid = {token := self.shop.token("access")}
        more = {"expires_in": self.shop.ways.get("expires", 3600), "refresh_token": self.shop.token("refresh")}
        more |= self.shop.ways.get("token", {})
        self.say(200, {"access_token": token, "token_type": "Bearer", **more})

    def _revoke(self, asked: dict[str, str]) -> None:
        if "unmoved" in self.shop.ways:
            self.say(*self.shop.ways["unmoved"], Location=f"{self.shop.elsewhere}/stolen")
            return
        if "trickles" in self.shop.ways:
            self._trickle()
            return
        proof = self.headers.get("Authorization") or asked.get("client_secret") or asked.get("client_assertion")
        if asked["client_id"] != "us" or not (proof or "proved" not in self.shop.ways):
            self.say(401, {"error": "invalid_client"})
            return
        self.shop.revoked[asked["token"]] = asked["token_type_hint"]
        self.shop.valid.discard(asked["token"])
        self.say(200, None)

    def _trickle(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while "trickles" in self.shop.ways:
                self.wfile.write(b" ")
                time.sleep(0.05)
        except OSError:
            pass  # whoever asked has had enough


@contextmanager
def running() -> Iterator[Shop]:
    """Both servers, until the block is left."""
    shop = Shop()
    try:
        yield shop
    finally:
        for server in shop._servers:
            server.shutdown()
            server.server_close()
