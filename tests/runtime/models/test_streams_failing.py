"""Whatever a provider does wrong ends in time, as the failure that it is, told in words; and nothing is tried twice."""

import asyncio
import ssl
import time
from importlib import import_module
from typing import Final

import pytest
import trustme
from _pytest.mark.structures import ParameterSet
from msgspec import Struct

from runtime.models.drivers import DRIVERS, Driver, reading
from runtime.models.failures import KINDS, ModelFailed
from runtime.models.messages import Answer, AnyPiece, TextPiece
from tests.runtime.models.plays import GOOD, KEY, MODELS, USED, asking, begun, block, chunk, ended, made, texts
from tests.runtime.models.stage import ABORT, HOLD, Play, Stage, chunked, head, named, stage, unnamed, whole

BOTH: Final = ("anthropic", "openai")


class Bad(Struct, frozen=True, kw_only=True):
    """What is played for a driver, what must come of it, and how much was shown before."""

    name: str
    drivers: tuple[str, ...] = BOTH
    play: Play
    code: str
    words: str = ""
    after: float | None = None
    shown: str = ""
    whole: float = 15


def _said(kind: str, message: str, **more: object) -> dict[str, object]:
    return {"type": "error", "error": {"type": kind, "message": message, **more}}


def _status(name: str, status: int, body: object, code: str, **more: object) -> Bad:
    headers = more.pop("headers", {})
    assert isinstance(headers, dict)
    return Bad(name=name, play=[whole(status, body, **headers)], code=code, **more)  # type: ignore[arg-type]


_STATUSES: Final = (
    _status("429", 429, _said("rate_limit_error", "slow down"), "limited", words="slow down"),
    _status(
        "429, Retry-After", 429, _said("rate_limit_error", "no"), "limited", after=7.0, headers={"Retry_After": "7"}
    ),
    _status(
        "429, a past date", 429, "", "limited", after=0.0, headers={"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT"}
    ),
    _status("429, milliseconds", 429, "", "limited", after=0.25, headers={"Retry_After_Ms": "250", "Retry_After": "1"}),
    _status("429, nonsense", 429, "", "limited", headers={"Retry_After": "soon"}),
    _status("429, no quota left", 429, _said("insufficient_quota", "pay", code="insufficient_quota"), "funds"),
    _status("402", 402, "", "funds"),
    _status("400, no credit", 400, _said("invalid_request_error", "Your credit balance is too low"), "funds"),
    _status("500", 500, _said("api_error", "oh"), "server", words="oh"),
    _status("500 of a proxy", 500, "<html>Ich bin ein Proxy</html>", "server"),
    _status("503", 503, {"error": "busy"}, "overloaded"),
    _status("529", 529, _said("overloaded_error", "Overloaded"), "overloaded"),
    _status("401", 401, _said("authentication_error", f"invalid key {KEY}"), "key"),
    _status("403", 403, _said("permission_error", "no"), "forbidden", words="no"),
    _status("403, no more", 403, "", "forbidden", words="its key may not use this model"),
    _status("403, a wrong key", 403, {"error": {"message": f"Incorrect API key provided: {KEY}"}}, "key"),
    _status(
        "400, Google's wrong key",
        400,
        [{"error": {"code": 400, "message": "API key not valid.", "status": "X"}}],
        "key",
    ),
    _status("404", 404, _said("not_found_error", "model: claude-x"), "unknown_model", words="claude-x"),
    _status("400, no such model", 400, {"error": {"message": "The model `x` does not exist"}}, "unknown_model"),
    _status(
        "400, too long", 400, _said("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), "too_long"
    ),
    _status("400, too long, by name", 400, {"error": {"code": "context_length_exceeded", "message": "x"}}, "too_long"),
    _status("413", 413, "", "too_long"),
    _status("400, no tools", 400, {"error": {"message": "x does not support tools"}}, "unfit"),
    _status("400, not allowed", 400, {"error": {"code": "content_policy_violation", "message": "no"}}, "refused"),
    _status("400", 400, {"error": {"message": f"bad {KEY} field\nxyz"}}, "request", words="bad [key] field xyz"),
    _status("422", 422, {"detail": [{"loc": ["body"]}]}, "request"),
    _status("400, a body that is no JSON", 400, '{"error": ', "request"),
    _status("a redirect", 307, "", "unconfigured", words="addresses={", headers={"Location": "http://127.0.0.1:9/"}),
)

_ONE_A: Final = named(begun(), *block(0, "text", *texts("one"), text="")[:2])
_ONE_O: Final = unnamed(chunk({"content": "one"}))


def _broken(
    name: str, code: str, anthropic: Play, openai: Play, words: str = "", shown: str = "one", whole: float = 15
) -> tuple[Bad, Bad]:
    return (
        Bad(name=name, drivers=("anthropic",), play=anthropic, code=code, words=words, shown=shown, whole=whole),
        Bad(name=name, drivers=("openai",), play=openai, code=code, words=words, shown=shown, whole=whole),
    )


_STREAMS: Final = (
    *_broken("ended early", "cut", [head(), _ONE_A], [head(), _ONE_O]),
    *_broken("only [DONE]", "cut", [head(), b": x\n\n"], [head(), unnamed("[DONE]")], shown=""),
    *_broken("reset", "cut", [head(), _ONE_A, 0.05, ABORT], [head(), _ONE_O, 0.05, ABORT]),
    *_broken("stands still", "silent", [head(), _ONE_A, HOLD], [head(), _ONE_O, HOLD], words="0.4 s"),
    *_broken(
        "cut within a chunk",
        "cut",
        [head(Transfer_Encoding="chunked"), chunked(_ONE_A), b"ff\r\nab"],
        [head(Transfer_Encoding="chunked"), chunked(_ONE_O), b"ff\r\nab"],
    ),
    *_broken(
        "only signs of life",
        "cut",
        [head(), _ONE_A, *(step for _ in range(40) for step in (named({"type": "ping"}), 0.1))],
        [head(), _ONE_O, *(step for _ in range(40) for step in (b": alive\n\n", 0.1))],
        words="1.5 s in all",
        whole=1.5,
    ),
    *_broken(
        "wrong JSON",
        "malformed",
        [head(), _ONE_A, b"event: content_block_delta\ndata: {\n\n"],
        [head(), _ONE_O, b"data: {oops\n\n"],
    ),
    *_broken("no UTF-8", "malformed", [head(), _ONE_A, b"event: x\ndata: \xff\xfe\n\n"], [head(), _ONE_O, b"data: \xff\n\n"]),
    *_broken(
        "wrong types",
        "malformed",
        [head(), _ONE_A, named({"type": "message_delta", "delta": 7})],
        [head(), _ONE_O, unnamed({"choices": {"a": 1}})],
    ),
    *_broken(
        "an error in the middle",
        "overloaded",
        [head(), _ONE_A, named(_said("overloaded_error", "too much"))],
        [head(), _ONE_O, unnamed({"error": {"code": 503, "message": "too much"}})],
        words="too much",
    ),
    *_broken(
        "another model",
        "unknown_model",
        [head(), named(begun("claude-3-haiku-20240307"), *block(0, "text", *texts("one"), text=""))],
        [head(), unnamed(chunk({"content": "one"}, model="llama-2-7b"))],
        words="answered",
        shown="",
    ),
    Bad(
        name="a part that never began",
        drivers=("anthropic",),
        code="malformed",
        play=[head(), named(begun(), block(3, "text")[1])],
    ),
    Bad(name="a part before the message", drivers=("anthropic",), code="malformed", play=[head(), named(*block(0, "text"))]),
    Bad(
        name="a call without a name",
        drivers=("openai",),
        code="malformed",
        play=[head(), unnamed(chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}))],
    ),
    Bad(
        name="given up",
        drivers=("openai",),
        code="overloaded",
        shown="one",
        play=[head(), _ONE_O, unnamed(chunk(finish="insufficient_system_resource"))],
    ),
    Bad(name="no first byte", play=[HOLD], code="slow", words="0.7 s"),
    Bad(name="a head and no more", play=[head(), HOLD], code="slow"),
    Bad(name="a status, half its body", play=[head(500, Content_Length="50"), b"{", HOLD], code="silent"),
    Bad(name="closed at once", play=[], code="cut"),
    Bad(name="reset at once", play=[ABORT], code="cut"),
    Bad(name="no HTTP", play=[b"SSH-2.0-OpenSSH_9\r\n\r\n"], code="malformed"),
    Bad(name="a page", play=[whole(200, "<html>Welcome</html>", "text/html")], code="malformed", words="addresses={"),
    Bad(name="JSON instead of a stream", play=[whole(200, {"choices": []})], code="malformed"),
    Bad(name="a line that never ends", play=[head(), *([b"x" * 2**20] * 5), HOLD], code="endless", words="4 MiB"),
    Bad(
        name="an answer that never ends",
        play=[head(), *([b":" + b"x" * 2**20 + b"\n\n"] * 65)],
        code="endless",
        words="64 MiB",
        whole=60,
    ),
    Bad(name="compressed", play=[head(Content_Encoding="gzip"), b"\x1f\x8b"], code="malformed", words="compressed"),
)  # fmt: skip

CASES: Final = [(name, bad) for bad in (*_STATUSES, *_STREAMS) for name in bad.drivers]


def _impatient(name: str, server: Stage, code: str = "silent", whole: float = 15) -> Driver:
    """A driver that waits briefly for what such a failure never sends, and long for all else: a busy machine is slow."""
    first, silence = {"slow": (0.7, 10.0), "silent": (10.0, 0.4)}.get(code, (10.0, 10.0))
    return made(name, server.url, first=first, silence=silence, whole=whole)


def _case(name: str, bad: Bad) -> ParameterSet:
    """What is long takes seconds to be sent, and is cut off below both drivers: `./just test` has it of one."""
    marks = [pytest.mark.wide] if bad.whole > 15 and name != bad.drivers[0] else []
    return pytest.param(name, bad, marks=marks, id=f"{name}: {bad.name}")


@pytest.mark.parametrize(("name", "bad"), [_case(name, bad) for name, bad in CASES])
def test_a_failure_is_told_in_time_by_its_code_once(name: str, bad: Bad) -> None:
    async def failed() -> tuple[str, ModelFailed, Stage]:
        shown = ""
        async with stage(bad.play) as server:
            asked = _impatient(name, server, bad.code, bad.whole)
            with pytest.raises(ModelFailed) as caught:
                async for piece in asked.stream(MODELS[name], asking()):
                    assert isinstance(piece, TextPiece), "no Answer beside a failure"
                    shown += piece.text
            await asked.close()
            return shown, caught.value, server

    import_module(DRIVERS[name][0])  # its time is not the provider's
    began = time.monotonic()
    shown, failure, server = asyncio.run(failed())
    assert (failure.code, shown) == (bad.code, bad.shown), failure
    assert bad.words in failure.text
    assert failure.after == bad.after
    assert failure.provider == name
    assert failure.text.startswith(name)
    assert KEY not in str(failure)
    assert "\n" not in failure.text
    assert len(server.asked) == 1, "nothing is tried twice"
    assert time.monotonic() - began < bad.whole + 10


def test_every_code_of_a_broken_provider_is_among_the_cases() -> None:
    mine = {"paused", "over_most", "schema", "unreachable"}
    assert {bad.code for _, bad in CASES} == KINDS.keys() - mine


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://nowhere.invalid", "http://[::1]:1"])
def test_nobody_there_is_unreachable(name: str, address: str) -> None:
    async def failed() -> ModelFailed:
        asked = made(name, address)
        with pytest.raises(ModelFailed) as caught:
            async for _ in asked.stream(MODELS[name], asking()):
                pass
        await asked.close()
        return caught.value

    failure = asyncio.run(failed())
    assert failure.code == "unreachable"
    assert address in failure.text


@pytest.mark.parametrize("ending", [[HOLD], [ABORT], []], ids=["stands still", "reset", "ended"])
@pytest.mark.parametrize("name", BOTH)
def test_an_answer_that_is_whole_is_not_lost_with_its_connection(name: str, ending: list[str]) -> None:
    if name == "anthropic":
        play: Play = [head(), _ONE_A, named(block(0, "text")[-1], ended()[0]), 0.05, *ending]
    else:
        play = [head(), _ONE_O, unnamed(chunk(finish="stop"), USED), 0.05, *ending]

    async def last() -> AnyPiece | Answer:
        async with stage(play) as server:
            asked = _impatient(name, server)
            found = [piece async for piece in asked.stream(MODELS[name], asking())]
            await asked.close()
            return found[-1]

    answer = asyncio.run(last())
    assert isinstance(answer, Answer)
    assert answer.text == "one"
    assert answer.usage.output == 5


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    "play", [[head(), 0.8], [0.8, head()], [head(), b"", 0.4, b"\n", 0.1]], ids=["head", "late", "slow"]
)
def test_the_first_byte_may_take_longer_than_the_silence_between_two(name: str, play: Play) -> None:
    body = next(good.body for good in GOOD if good.driver == name)

    async def last() -> AnyPiece | Answer:
        async with stage([*play, body]) as server:
            asked = made(name, server.url, first=5.0, silence=0.3)
            found = [piece async for piece in asked.stream(MODELS[name], asking())]
            await asked.close()
            return found[-1]

    assert isinstance(asyncio.run(last()), Answer)


@pytest.mark.parametrize("name", BOTH)
def test_a_certificate_that_nobody_vouches_for_is_unreachable_and_told_no_key(name: str) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)

    async def failed() -> ModelFailed:
        async with stage([head()], tls=tls) as server:
            asked = made(name, server.url.replace("http:", "https:"))
            with pytest.raises(ModelFailed) as caught:
                await asked.list_models()
            await asked.close()
            assert server.asked == []
            return caught.value

    failure = asyncio.run(failed())
    assert failure.code == "unreachable"
    assert "certificate verify failed" in failure.text


@pytest.mark.parametrize("tail", [[HOLD], [unnamed(chunk({})), 0.1] * 100], ids=["silence", "drops"])
def test_nobody_waits_long_for_the_mere_end_of_a_whole_answer(tail: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "TAIL", 0.5)  # else this test would take that long

    async def last() -> AnyPiece | Answer:
        async with stage([head(), _ONE_O, unnamed(chunk(finish="stop")), *tail]) as server:
            asked = made("openai", server.url, silence=60.0, whole=100.0)
            async with asyncio.timeout(5):
                found = [piece async for piece in asked.stream(MODELS["openai"], asking())]
            await asked.close()
            return found[-1]

    answer = asyncio.run(last())
    assert isinstance(answer, Answer)
    assert answer.usage.estimated


@pytest.mark.parametrize("name", BOTH)
def test_what_is_not_a_stream_fails_by_the_same_codes(name: str) -> None:
    async def codes(play: Play, first: float) -> set[str]:
        found = set()
        async with stage(play) as server:
            asked = made(name, server.url, first=first, silence=0.4, whole=10)
            with pytest.raises(ModelFailed) as caught:
                await asked.list_models()
            found.add(caught.value.code)
            with pytest.raises(ModelFailed) as caught:
                await (asked.count(MODELS[name], asking()) if name == "anthropic" else asked.embed("e", ["a"]))
            found.add(caught.value.code)
            await asked.close()
        return found

    plays: dict[str, Play] = {
        "malformed": [whole(200, '{"data": [{"id": 7}], "input_tokens": "x"}')],
        "slow": [HOLD],
        "silent": [head(200, "application/json", Content_Length="50"), b"{", HOLD],
        "limited": [whole(429, "")],
        "cut": [head(200, "application/json", Content_Length="50"), b"{"],
    }
    firsts = dict.fromkeys(plays, 8.0) | {"slow": 0.7}  # elsewhere a busy machine's first byte may be late
    told = {code: asyncio.run(codes(play, firsts[code])) for code, play in plays.items()}
    assert told == {code: {code} for code in plays}


def test_the_good_streams_cover_both_drivers() -> None:
    assert {good.driver for good in GOOD} == set(BOTH)
