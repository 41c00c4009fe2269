"""`Server`, the Hand class of one MCP server (acts): starts or reaches the server, and answers calls through it.

A server that is a program runs in this very run, within its walls; a remote one is reached over HTTP by connections that are
calls of `web.connect`. The sealed mcp.json says which tools may be called: a tool that differs from what the operator agreed
to is refused until he agrees again. Each call has its caller's deadline, and a call that is given up is reported to the
server as `notifications/cancelled`. Of a server's requests to its client, those for models and folders are refused: it has
what it was granted. People are asked if the Hand holds a grant for that (asking.py).
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import msgspec
from mcp import Client, MCPError
from mcp.client._transport import TransportStreams
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp_types import CONNECTION_CLOSED, INVALID_PARAMS, PARSE_ERROR, Implementation, ToolListChangedNotification
from pydantic import BaseModel, ValidationError

from manifests.mcp import tools
from manifests.mcp.tools import Offer, OfferInvalid
from runtime import programs
from runtime.errors import Failure, HandBroken, first_of
from runtime.hand import Hand
from runtime.mcp import asking, results
from runtime.mcp.asking import Asking
from runtime.mcp.stdio import Pipes
from runtime.serving import Call

if TYPE_CHECKING:  # not needed for a program
    from runtime.mcp.elsewhere import Elsewhere
    from runtime.mcp.login import Login

GREETING: Final = 45.0
"""Seconds in which the server must be ready; the kernel gives a service a minute to start."""

FRESH: Final = 10.0
"""Seconds after which the tools of a server that reports no change are compared again."""

_STOP_SECONDS: Final = 1.5
_LAST_WORDS: Final = 0.5  # seconds for which an ended program's last output is still read
_PAGES: Final = 100
_ROWS: Final = 5_000
_PIECE: Final = 256 * 1024
_ADDRESS: Final = 16 * 1024  # bytes of the address that a page redirects a person to
_LOST: Final = ("Connection closed", "SSE stream ")  # how `mcp` begins its own texts of CONNECTION_CLOSED

_T = TypeVar("_T")
_Transport: TypeAlias = AbstractAsyncContextManager[TransportStreams]


class Server(Hand):
    """Connects an MCP server to the bus."""

    async def start(self) -> None:
        """Starts or reaches the server and greets it. Raises HandBroken if that fails."""
        try:
            self._agreement = tools.read_agreement(self._agreed())
        except (OSError, OfferInvalid) as error:
            raise HandBroken(f"{tools.FILE}: {error}; `maniple mcp add` writes it") from None
        self._asking = Asking(self.kernel, self.name)
        self._raises: tuple[type[Exception], ...] = (MCPError, OSError)
        self._pipes, self._elsewhere = self._started(), self._reached()
        self._refused: dict[str, str] = {}
        self._is_stale, self._looked = True, 0.0
        self._looking = asyncio.Lock()
        self._talking: Client | None = None
        self._greeting: asyncio.Future[None] | None = None
        self._unreached = ""
        if self._login is None:  # else the first call that needs it greets it: a logout needs no server
            await self._greet()
        if self._pipes is not None:
            self.in_background(self._watch(self._pipes.program))

    async def _greet(self) -> None:
        """Starts the session with the server, or waits for its start, which does not end with the call that began it.

        If a login is needed first, or a server that may need one is not reached, there is no session, and _client says why.
        """
        if self._talking is not None:
            return
        if self._greeting is None or self._greeting.done():
            self._greeting = asyncio.get_running_loop().create_future()
            self.in_background(self._talk(self._greeting))
        await asyncio.shield(self._greeting)

    @property
    def _session(self) -> Client:
        """The session with the server. Raises Failure if it wants a login, or is not there."""
        if self._talking is None:
            if self._login is not None and self._login.why:
                raise Failure("login", self._login.why)
            raise Failure("ended", self._unreached or "the server has not greeted us")
        return self._talking

    async def stop(self) -> None:
        """Ends a program that is still running; its streams are closed by now. What is left ends with this process."""
        program = self._pipes.program if self._pipes is not None else None
        if program is None or program.ended.done():
            return
        if await program.wait(_STOP_SECONDS) is None:
            programs.signal_all(signal.SIGTERM)
            await program.wait(_STOP_SECONDS)

    async def on_call(self, call: Call, arguments: dict[str, object]) -> object:
        """Passes a call to the server and returns its answer."""
        params = self._check_arguments(call.method, arguments)
        if self._pipes is not None and self._pipes.program.ended.done():
            raise Failure("ended", f"the server ended: {programs.words_of(self._pipes.program.ended.result())}")
        match call.method.removeprefix(f"{self.name}."):
            case "auth.login":
                return await self._log_in(call, str(params["redirect"]))
            case "auth.logout":
                was, untold = await self._login.forget() if self._login is not None else (False, "")
                return {"was": was, "untold": untold}
        try:
            with self._asking.during(call.number):
                return await self._answer_greeted(call, params)
        except asyncio.CancelledError:
            if call._is_taken_back and self._pipes is not None:  # the kernel charges the call until this returns
                await self._pipes.wait_until_read()
            raise

    async def _answer_greeted(self, call: Call, params: dict[str, object]) -> object:
        """Answers a call in a session; once more in a new one if the server took no request of it in the old one."""
        is_first = True
        while True:
            await self._greet()
            try:
                return await self._answer(call, params)
            except Failure:
                was_forgotten = self._elsewhere is not None and self._elsewhere.took_nothing_of(call.number)
                if not (was_forgotten and is_first):
                    raise
            is_first = False

    async def _answer(self, call: Call, params: dict[str, object]) -> object:
        match call.method.removeprefix(f"{self.name}."):
            case "tools.list":
                return await self._list_tools(call)
            case "resources.list":
                return {"resources": results.of_list(await self._resources())}
            case "resources.read":
                return results.of_resource(await self._request(self._session.read_resource(str(params["uri"]))))
            case "prompts.list":
                rows = await self._pages(self._session.list_prompts, "prompts")
                return {"prompts": results.of_list(rows)}
            case "prompts.get":
                given = params.get("arguments")
                words = {str(key): str(value) for key, value in given.items()} if isinstance(given, dict) else {}
                return results.of_prompt(await self._request(self._session.get_prompt(str(params["name"]), words)))
        return await self._call_tool(call.method, params)

    async def _log_in(self, call: Call, redirect: str) -> object:
        """Logs in with a person: sends the page's URL to the caller, and reads the address of the redirect from it."""
        if self._login is None or self._agreement.login is None or self._agreement.login.is_alone:
            raise Failure("arguments", f"no person logs in to the server of {self.name}")
        if self._login.challenge is None:  # not refused yet, so find out what it wants
            with suppress(Failure):
                await self._greet()
                await self._offer()
        if self._login.challenge is None:
            raise Failure("conflict", f"the server lets {self.name} in as it is: to be somebody else, log out first")

        async def show(url: str) -> None:
            await call.send(url.encode())

        async def hear() -> str:
            address = bytearray()
            async for piece in call.upload:
                address += piece
                if b"\n" in address or len(address) > _ADDRESS:
                    break
            return address.partition(b"\n")[0][:_ADDRESS].decode("utf-8", "replace")

        scope = await self._login.by_person(redirect, show, hear)
        self._is_stale = True
        await self._greet()
        return {"scope": scope}

    # what a server offers ---------------------------------------------------------------------------------------------

    async def _call_tool(self, method: str, params: dict[str, object]) -> object:
        agreed = self._agreement.tools.get(method)
        if agreed is None:
            raise HandBroken(f"{tools.FILE} has no tool for {method}")
        await self._check_agreed(method)
        whole = params.get("arguments") if agreed.params.get("arguments") == "" else None
        given = whole if isinstance(whole, dict) else {agreed.params[name]: value for name, value in params.items()}
        try:
            return results.of_tool(await self._request(self._session.call_tool(agreed.tool, given)))
        except Failure as failure:
            if failure.code in ("arguments", "malformed"):  # it may not be the tool that was agreed to
                self._is_stale = True
                await self._check_agreed(method)
            raise

    async def _check_agreed(self, method: str) -> None:
        """Compares the tools with what was agreed to, if they may have changed. Raises Failure for a changed tool."""
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if self._is_stale or now - self._looked > FRESH:
                self._is_stale, self._looked = False, now
                try:
                    offer = await self._offer()
                except BaseException:
                    self._is_stale = True
                    raise
                self._refused = tools.changed_tools(self._agreement, {tool.name: tool for tool in offer.tools})
        if why := self._refused.get(method):
            mend = f"look at it with `maniple mcp test {self.name}`, then `maniple mcp add` it anew"
            raise Failure("changed", f"{why}: {mend}")

    async def _list_tools(self, call: Call) -> object:
        offer = await self._offer()
        written = tools.encode(offer)
        if len(written) > tools.LARGEST:
            raise Failure("too-large", f"its tools are described in more than {tools.LARGEST >> 20} MiB")
        for at in range(0, len(written), _PIECE):
            await call.send(written[at : at + _PIECE])
        return {"tools": len(offer.tools)}

    async def _offer(self) -> Offer:
        client = self._session
        about, can = client.server_info, client.server_capabilities
        rows = await self._pages(client.list_tools, "tools") if can.tools is not None else []
        if len(rows) > tools.MOST_TOOLS:
            raise Failure("too-many", f"the server offers {len(rows)} tools; {tools.MOST_TOOLS} are the most")
        return Offer(
            server=about.name if about else "",
            version=about.version if about else "",
            protocol=client.protocol_version,
            tools=tuple(map(results.listed_tool, rows)),
            resources=can.resources is not None,
            prompts=can.prompts is not None,
        )

    async def _resources(self) -> list[dict[str, object]]:
        found = await self._pages(self._session.list_resources, "resources")
        try:
            return found + await self._pages(self._session.list_resource_templates, "resource_templates")
        except Failure:  # a server without templates may not know this request
            return found

    async def _pages(self, ask: Callable[..., Awaitable[BaseModel]], field: str) -> list[dict[str, object]]:
        """All rows of a paged list. Raises Failure for more than _ROWS rows, _PAGES pages, or tools.LARGEST bytes."""
        found: list[dict[str, object]] = []
        cursor: str | None = None
        what, size = f"the server's list of {field.replace('_', ' ')}", 0
        for _ in range(_PAGES):
            page = await self._request(ask(cursor=cursor))
            rows = [_row(one) for one in getattr(page, field)]
            cursor = getattr(page, "next_cursor", None)
            size += len(msgspec.json.encode(rows)) + len(cursor or "")
            found += rows
            if size > tools.LARGEST:
                raise Failure("too-large", f"{what} is larger than {tools.LARGEST >> 20} MiB")
            if len(found) > _ROWS:
                break
            if not cursor:
                return found
        bound = f"{_ROWS:,} of them, on {_PAGES} pages, are the most that are read"
        raise Failure("too-many", f"{what} is too long: {bound}")

    async def _request(self, answer: Awaitable[_T]) -> _T:
        """Awaits a server's answer. Raises Failure for every error."""
        try:
            return await answer
        except MCPError as error:
            if self._login is not None and self._login.why:
                raise Failure("login", self._login.why) from None
            if error.code == CONNECTION_CLOSED and error.message.startswith(_LOST):
                raise Failure("ended", "the server has ended, or the connection to it") from None
            code = {INVALID_PARAMS: "arguments", PARSE_ERROR: "malformed"}.get(error.code, "server")
            raise Failure(code, results.one_text(f"the server says: {results.reason(error)}")) from None
        except ValidationError as error:
            raise Failure("malformed", results.faults(error)) from None
        except Exception as error:  # noqa: BLE001  the package checks a result by the tool's own output schema, which may be nonsense
            raise Failure("malformed", results.misfit(error)) from None

    def _agreed(self) -> bytes:
        """The content of mcp.json; for a program it lies with its other files, all of which were hashed."""
        if not self._place.place:
            return self.files.get(tools.FILE, b"")
        with open(os.path.join(self._place.place, tools.FILE), "rb") as file:
            return file.read(tools.LARGEST)

    # session ---------------------------------------------------------------------------------------------------------

    @property
    def _login(self) -> "Login | None":
        """The login of a remote server; None if there is none."""
        return self._elsewhere.login if self._elsewhere is not None else None

    def _transport(self, forgotten: Callable[[], None]) -> _Transport:
        if self._elsewhere is not None:
            return self._elsewhere.streams(self._given(), forgotten)
        assert self._pipes is not None
        return self._pipes.streams()

    def _reached(self) -> "Elsewhere | None":
        """The remote server; None for a program."""
        if self._place.place:
            return None
        from runtime.mcp.elsewhere import UNREACHED, Elsewhere

        self._raises = (*self._raises, UNREACHED)
        elsewhere = Elsewhere(self.kernel, self._agreement, self.files)
        elsewhere.log_in_as(self.name, self.settings, self.state)
        return elsewhere

    def _started(self) -> Pipes | None:
        """Starts the server's program in the folder of its files; None for a remote server."""
        if not self._place.place:
            return None
        os.chdir(self._place.place)
        state = str(self.state)
        plain = {name: value.replace(tools.STATE, state) for name, value in self._agreement.plain.items()}
        command = tuple(word.replace(tools.STATE, state) for word in self._place.manifest.hand.command)
        return Pipes(command, {**self.surroundings, "HOME": state, **plain, **self._given()})

    def _given(self) -> dict[str, str]:
        """The environment variables, or request headers, that settings hold."""
        found = ((one, self.settings.get(setting)) for one, setting in self._agreement.environment.items())
        return {name: str(value) for name, value in found if value is not None}

    async def _talk(self, greeting: asyncio.Future[None]) -> None:
        """Holds a session, from the greeting until the run stops or the server forgot it. One task must do all of it."""
        over = asyncio.Event()

        def forget() -> None:
            if not over.is_set():
                over.set()
                self._talking = None

        about = Implementation(name="maniple", version=self.version)
        declared = any(one.method == asking.METHOD for one in self._place.manifest.capabilities)
        asks = self._asking if declared else None
        client = Client(
            self._transport(forget),
            client_info=about,
            cache=None,
            message_handler=self._hear,
            elicitation_callback=asks,
        )
        timeout = asyncio.timeout(GREETING)
        try:
            async with timeout, client:
                timeout.reschedule(None)
                self._talking = client
                greeting.set_result(None)
                await self._attend(client)
                await over.wait()
        except Exception as error:  # noqa: BLE001  whatever the package raises ends this run with a reason
            if over.is_set():
                return
            is_of_peer = isinstance(first := first_of(error), self._raises)
            late = f"the server has not greeted us within {GREETING:.0f} seconds"
            why = late if timeout.expired() else f"the session with the server has ended: {results.reason(first)}"
            if self._login is not None and (self._login.why or is_of_peer) and not greeting.done():
                self._unreached = why
                greeting.set_result(None)
                return
            if isinstance(first, HandBroken):
                raise first from None
            program = self._pipes.program if self._pipes is not None else None
            # if it broke the protocol, it ended only because we closed the session
            is_ours = isinstance(first, RuntimeError)
            if not is_ours and program is not None and (status := await program.wait(_LAST_WORDS)) is not None:
                raise HandBroken(f"the server ended: {programs.words_of(status)}") from None
            raise HandBroken(why) from (None if is_of_peer else error)

    async def _attend(self, client: Client) -> None:
        """Listens for changes during the session: newer servers report them only to clients that asked."""
        try:
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._is_stale = True
        except (ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError):
            pass  # _check_agreed() then finds out

    async def _hear(self, message: object) -> None:
        """Takes an unsolicited message of the server; only a change of its tools matters."""
        if isinstance(message, ToolListChangedNotification):
            self._is_stale = True

    async def _watch(self, program: programs.Program) -> None:
        """Ends the run when the program ends."""
        status = await asyncio.shield(program.ended)
        await asyncio.sleep(_LAST_WORDS)
        raise HandBroken(f"the server ended: {programs.words_of(status)}")


def _row(one: BaseModel) -> dict[str, object]:
    return one.model_dump(mode="json", by_alias=True, exclude_none=True)
