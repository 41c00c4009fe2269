"""A page is sent again only when it has changed or may have, and nothing private is kept."""

from pathlib import Path

import msgspec
import pytest

from runtime import Hand
from tests.hands.doubles import FakeCall, hand_module
from tests.hands.web.conftest import Server, Talk, failure, fetch, reply, run, serving, site, started

cache = hand_module("web", "page_cache")


async def caching(folder: Path, size: int = 64 << 20) -> Hand:
    hand = await started()
    hand.cache = cache.PageCache(folder / "cache", size)  # type: ignore[attr-defined]
    return hand


def asked(folder: Path, talk: Talk, *ages: float | None, **arguments: object) -> list[tuple[bytes, dict[str, object]]]:
    """The same address, once for each of these ages."""

    async def all_of_them() -> list[tuple[bytes, dict[str, object]]]:
        async with serving(talk) as server:
            hand, found = await caching(folder), []
            for age in ages:
                call, done = await fetch(hand, f"http://127.0.0.1:{server.port}/", max_age=age, **arguments)
                found.append((call.body, done))
            return found

    return run(all_of_them())


def test_a_young_answer_comes_out_of_the_cache_and_an_old_one_is_asked_for_anew(tmp_path: Path) -> None:
    seen: list[str] = []
    found = asked(tmp_path, site(seen, reply(b"one"), reply(b"two")), 60.0, 60.0, 0.0, None)
    assert [body for body, _ in found] == [b"one", b"one", b"two", b"two"]
    assert [done.get("cached") for _, done in found] == [False, True, False, None]
    assert found[1][1]["status"] == 200
    assert len(seen) == 3


@pytest.mark.parametrize("control", ["no-cache", "max-age=600, No-Cache", 'no-cache="set-cookie"'])
def test_what_its_server_wants_to_be_asked_about_each_time_is_never_young(tmp_path: Path, control: str) -> None:
    seen: list[str] = []
    first = reply(b"one", f"Cache-Control: {control}", 'ETag: "1"')
    found = asked(tmp_path, site(seen, first, b"HTTP/1.1 304 Not Modified\r\n\r\n", reply(b"two")), 60.0, 60.0, 60.0)
    assert [body for body, _ in found] == [b"one", b"one", b"two"]
    assert [done.get("cached") for _, done in found] == [False, True, False]
    assert 'if-none-match: "1"' in seen[1]


STRICT = "Cache-Control: must-revalidate"
MADE = "Date: Mon, 01 Jun 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "is_young"),
    [
        (("Cache-Control: max-age=0, must-revalidate",), False),
        (("Cache-Control: must-revalidate",), False),
        (("Cache-Control: Must-Revalidate, Max-Age=600",), True),
        (('Cache-Control: must-revalidate, max-age="600"',), True),
        (("Cache-Control: max-age=600, must-revalidate", "Age: 599"), True),
        (("Cache-Control: max-age=600, must-revalidate", "Age: 600"), False),
        (("Cache-Control: max-age=600, proxy-revalidate, s-maxage=0",), False),
        (("Cache-Control: s-maxage=0",), False),
        (("Cache-Control: max-age=0, s-maxage=600",), True),
        (("Cache-Control: must-revalidate, max-age=soon",), False),
        (("Cache-Control: must-revalidate", "Expires: 0"), False),
        (
            (STRICT, MADE, "Expires: Mon, 01 Jun 2026 10:01:00 GMT"),
            True,
        ),
        (
            (STRICT, MADE, "Expires: Mon, 01 Jun 2026 10:00:00 GMT"),
            False,
        ),
        (("Cache-Control: max-age=0",), True),
        ((), True),
    ],
)  # fmt: skip
def test_what_may_not_be_used_once_it_is_stale_is_asked_for_then(
    tmp_path: Path, headers: tuple[str, ...], is_young: bool
) -> None:
    """RFC 9111 §4.2.4 and §5.2.2: without such a word, how old an answer may be is its caller's to say."""
    seen: list[str] = []
    asked(tmp_path, site(seen, reply(b"one", *headers), reply(b"two")), 60.0, 60.0)
    assert len(seen) == (1 if is_young else 2)


NOON = 1_780_308_000.0  # Mon, 01 Jun 2026 10:00:00 GMT


@pytest.mark.parametrize(
    ("headers", "until"),
    [
        ({}, 60),
        ({"cache-control": "proxy-revalidate"}, 0),
        ({"cache-control": "must-revalidate, max-age=50", "age": "20"}, 30),
        ({"cache-control": "must-revalidate, max-age=50", "age": "٢"}, 50),
        ({"cache-control": "must-revalidate, max-age=50, max-age=9"}, 50),
        ({"cache-control": "must-revalidate", "expires": "Mon, 01 Jun 2026 10:00:40 GMT"}, 40),
        ({"cache-control": "must-revalidate", "expires": "Mon, 01 Jun 2026 10:00:40 +99999999999999999999"}, 0),
    ],
)
def test_a_reply_is_young_for_so_many_seconds_and_no_longer(headers: dict[str, str], until: int) -> None:
    """Asked for by who takes one of a minute; never before it was had, as after the clock was set back."""
    kept = cache.Kept(url="http://a/", status=200, headers=headers, address="", at=NOON)
    assert [at for at in range(-60, 121) if kept.is_young(60.0, NOON + at)] == list(range(until))


def test_what_differs_by_its_coding_alone_is_kept(tmp_path: Path) -> None:
    seen: list[str] = []
    asked(tmp_path, site(seen, reply(b"one", "Vary: Accept-Encoding, ")), 60.0, 60.0)
    assert len(seen) == 1


def test_what_has_not_changed_is_not_sent_again(tmp_path: Path) -> None:
    seen: list[str] = []
    first = reply(b"page", 'ETag: "v1"', "Last-Modified: Mon, 01 Jun 2026 10:00:00 GMT")
    unchanged = b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\nX-New: yes\r\n\r\n'
    found = asked(tmp_path, site(seen, first, unchanged), 0.0, 0.0)
    assert [body for body, _ in found] == [b"page", b"page"]
    assert 'if-none-match: "v1"' in seen[1]
    assert "if-modified-since: mon, 01 jun 2026 10:00:00 gmt" in seen[1]
    done = found[1][1]
    assert (done["status"], done["cached"], done["headers"]["x-new"]) == (200, True, "yes")  # type: ignore[index]


@pytest.mark.parametrize("validator", ['"caf\xe9"', "x" * 20_000])
def test_a_validator_that_cannot_be_sent_back_is_none(tmp_path: Path, validator: str) -> None:
    seen: list[str] = []
    found = asked(tmp_path, site(seen, reply(b"one", f"ETag: {validator}"), reply(b"two")), 0.0, 0.0)
    assert [body for body, _ in found] == [b"one", b"two"]
    assert "if-none-match" not in seen[1]


def test_what_is_kept_is_coded_and_cut_as_it_was_whatever_a_304_says_of_itself() -> None:
    kept = cache.Kept(url="http://a/", status=200, headers={"etag": "1"}, address="", at=0.0)
    own = ("content-encoding", "content-range", "transfer-encoding")
    anew = kept.confirmed({**dict.fromkeys(own, "x"), "etag": "2"}, 5.0)
    assert (anew.headers, anew.at) == ({"etag": "2"}, 5.0)


def test_what_a_server_says_of_the_length_of_nothing_is_not_the_bodys(tmp_path: Path) -> None:
    unchanged = b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\nContent-Length: 7\r\nLocation: /x\r\n\r\n'
    found = asked(tmp_path, site([], reply(b"page", 'ETag: "v1"'), unchanged), 0.0, 0.0, 60.0)
    assert [body for body, _ in found] == [b"page"] * 3
    assert [done["headers"]["content-length"] for _, done in found] == ["4"] * 3  # type: ignore[index]
    assert not any("location" in done for _, done in found)


@pytest.mark.parametrize(
    "header",
    ["Cache-Control: no-store", "Cache-Control: max-age=60, PRIVATE", "Set-Cookie: a=b", "Vary: Cookie", "Vary: *"],
)
def test_what_a_shared_cache_must_not_keep_is_not_kept(tmp_path: Path, header: str) -> None:
    seen: list[str] = []
    asked(tmp_path, site(seen, reply(b"mine", header)), 60.0, 60.0)
    assert len(seen) == 2
    assert not list(tmp_path.rglob("cache/*"))


@pytest.mark.parametrize("header", ["Cache-Control: no-store", "Set-Cookie: a=b", "Vary: Cookie"])
def test_what_must_not_be_kept_any_more_is_forgotten(tmp_path: Path, header: str) -> None:
    unchanged = f'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\n{header}\r\n\r\n'.encode()
    found = asked(tmp_path, site([], reply(b"page", 'ETag: "v1"'), unchanged), 0.0, 0.0)
    assert [body for body, _ in found] == [b"page", b"page"]
    assert not list(tmp_path.rglob("cache/*"))


@pytest.mark.parametrize(
    "second",
    [
        reply(b"new", "Cache-Control: no-store"),
        reply(b"", status="404 Not Found"),
        reply(b"", status="410 Gone"),
        reply(b"", "Location: /elsewhere", status="301 Moved"),
        reply(b"new" * (2 << 20)),
    ],
)
def test_what_was_replaced_or_is_gone_is_forgotten(tmp_path: Path, second: bytes) -> None:
    seen: list[str] = []
    found = asked(tmp_path, site(seen, reply(b"old"), second), 60.0, 0.0, 60.0)
    assert found[0][0] == b"old"
    assert len(seen) == 3
    assert found[2][0] == found[1][0]
    assert not list(tmp_path.rglob("cache/*"))


@pytest.mark.parametrize(
    "second",
    [
        reply(b"newer"),
        b"HTTP/1.1 200 OK\r\n\r\nnewer",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nne",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nnew",
    ],
)
def test_what_was_replaced_by_what_could_not_be_had_whole_is_forgotten(tmp_path: Path, second: bytes) -> None:
    """One that is larger than its caller takes, is broken off, or packed as nothing is."""

    async def all_of_it() -> bytes:
        async with serving(site([], reply(b"old"), second, reply(b"now"))) as server:
            hand, url = await caching(tmp_path), f"http://127.0.0.1:{server.port}/"
            await fetch(hand, url, max_age=60.0)
            await failure(fetch(hand, url, max_age=0.0, most=3))
            return (await fetch(hand, url, max_age=60.0))[0].body

    assert run(all_of_it()) == b"now"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_a_server_cannot_tell_now_stays_kept(tmp_path: Path, status: int) -> None:
    found = asked(tmp_path, site([], reply(b"old"), reply(b"", status=f"{status} Later")), 60.0, 0.0, 60.0)
    assert [done["status"] for _, done in found] == [200, status, 200]
    assert found[2][0] == b"old"


def test_requests_with_headers_of_their_own_go_past_the_cache(tmp_path: Path) -> None:
    seen: list[str] = []
    asked(tmp_path, site(seen, reply(b"mine")), 60.0, 60.0, headers={"authorization": "Bearer x"})
    assert len(seen) == 2
    assert not list(tmp_path.rglob("cache/*"))


def test_errors_and_redirects_are_not_kept(tmp_path: Path) -> None:
    seen: list[str] = []
    asked(
        tmp_path,
        site(seen, reply(b"", status="404 Not Found"), reply(b"", "Location: /x", status="302 Found")),
        60,
        60,
        60,
    )
    assert len(seen) == 3


def test_a_spoiled_file_of_the_cache_is_nothing(tmp_path: Path) -> None:
    kept = cache.PageCache(tmp_path / "cache", 10_000)
    kept.put(cache.Kept(url="http://a/", status=200, headers={}, address="", at=0.0, body=b"x"))
    (path,) = (tmp_path / "cache").iterdir()
    other = msgspec.json.encode(cache.Kept(url="http://other/", status=200, headers={}, address="", at=0.0)) + b"\n"
    for spoiled in (other, b"", b"{", b"\xff\n", b'{"url": 1}\n', path.read_bytes()[:-1], path.read_bytes() + b"y"):
        path.write_bytes(spoiled)
        assert kept.find("http://a/") is None


def test_a_stored_page_with_a_changed_byte_is_none(tmp_path: Path) -> None:
    """As after a power cut that left zeros, or on a disk that errs."""
    kept = cache.PageCache(tmp_path / "cache", 10_000)
    kept.put(cache.Kept(url="http://a/", status=200, headers={"x": "y"}, address="", at=0.0, body=b"body"))
    (path,) = (tmp_path / "cache").iterdir()
    raw = path.read_bytes()
    for at in range(len(raw)):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        assert kept.find("http://a/") is None, at
    path.write_bytes(raw)
    found = kept.find("http://a/")
    assert found.read(0, 9) == b"body"
    found.close()


def test_a_kept_body_is_bounded_by_its_caller(tmp_path: Path) -> None:
    async def once(server: Server) -> tuple[tuple[str, str], bytes]:
        hand, url = await caching(tmp_path), f"http://127.0.0.1:{server.port}/"
        await fetch(hand, url, max_age=60.0)
        call = FakeCall(url)
        failed = await failure(hand.fetch(call, max_age=60.0, most=3))  # type: ignore[attr-defined]
        return failed, call.body

    async def all_of_it() -> tuple[tuple[str, str], bytes]:
        async with serving(site([], reply(b"12345"))) as server:
            return await once(server)

    (code, _), body = run(all_of_it())
    assert (code, body) == ("too large", b"123")


def test_a_page_comes_also_where_no_cache_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"no folder")
    found = asked(tmp_path, site([], reply(b"one"), reply(b"two")), 60.0, 60.0)
    assert [(body, done["cached"]) for body, done in found] == [(b"one", False), (b"two", False)]
