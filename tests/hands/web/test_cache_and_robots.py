"""A page is sent again only when it has changed, nothing private is kept, and what a site says to programs is heeded."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from runtime import Hand
from tests.hands.doubles import FakeCall, hand_module
from tests.hands.web.conftest import Server, Talk, failure, fetch, reply, run, serving, started

cache = hand_module("web", "page_cache")
robots = hand_module("web", "robots")
WebFailed = hand_module("web", "web_failure").WebFailed


def site(seen: list[str], *replies: bytes) -> Talk:
    """Answers one request after the other with these replies, the last one again and again; notes each request's head."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(replies[min(len(seen), len(replies)) - 1])
        await writer.drain()
        writer.close()

    return talk


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


def test_what_a_server_cannot_tell_now_stays_kept(tmp_path: Path) -> None:
    found = asked(tmp_path, site([], reply(b"old"), reply(b"", status="503 Busy")), 60.0, 0.0, 60.0)
    assert [done["status"] for _, done in found] == [200, 503, 200]
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


def test_the_cache_stays_within_its_size_and_lets_the_oldest_go(tmp_path: Path) -> None:
    kept = cache.PageCache(tmp_path / "cache", 10_000)
    for at in range(50):
        kept.put(cache.Kept(url=f"http://a/{at}", status=200, headers={}, address="", at=0.0, body=b"x" * 1000))
    assert sum(path.stat().st_size for path in (tmp_path / "cache").iterdir()) <= 10_000
    assert kept.find("http://a/49").body == b"x" * 1000
    assert kept.find("http://a/0") is None
    kept.put(cache.Kept(url="http://b/", status=200, headers={}, address="", at=0.0, body=b"x" * 20_000))
    assert kept.find("http://b/") is None


def test_a_spoiled_file_of_the_cache_is_nothing(tmp_path: Path) -> None:
    kept = cache.PageCache(tmp_path / "cache", 10_000)
    kept.put(cache.Kept(url="http://a/", status=200, headers={}, address="", at=0.0, body=b"x"))
    (path,) = (tmp_path / "cache").iterdir()
    other = msgspec.json.encode(cache.Kept(url="http://other/", status=200, headers={}, address="", at=0.0)) + b"\n"
    for spoiled in (other, b"", b"{", b"\xff\n", b'{"url": 1}\n'):
        path.write_bytes(spoiled)
        assert kept.find("http://a/") is None


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


# robots.txt ----------------------------------------------------------------------------------------------------------


def heeding(*paths: str, rules: bytes) -> tuple[list[str], list[str]]:
    """(what came of fetching each path with `robots`, the paths that the site was asked for)."""
    asked_for: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        asked_for.append(path)
        writer.write(rules if path == "/robots.txt" else reply(b"page"))
        await writer.drain()
        writer.close()

    async def all_of_them() -> list[str]:
        async with serving(talk) as server:
            hand, ends = await started(), []
            for path in paths:
                try:
                    await fetch(hand, f"http://127.0.0.1:{server.port}{path}", robots=True)
                    ends.append("done")
                except hand_module("web", "main").Failure as failed:
                    ends.append(failed.code)
            return ends

    return run(all_of_them()), asked_for


def test_what_a_site_forbids_programs_is_not_fetched_and_it_is_asked_once() -> None:
    rules = reply(
        b"User-agent: *\nDisallow: /private\nAllow: /private/open$\nDisallow: /robots\n\nUser-agent: other\nDisallow: /\n"
    )
    ends, asked_for = heeding("/a", "/private/x", "/private/open", "/robots.txt", rules=rules)
    assert ends == ["done", "robots", "done", "done"]
    assert asked_for == ["/robots.txt", "/a", "/private/open", "/robots.txt"]


def test_rules_for_this_program_by_name_count() -> None:
    rules = reply(b"User-agent: *\nAllow: /\n\nUser-agent: maniple\nDisallow: /no\n")
    assert heeding("/no", "/yes", rules=rules)[0] == ["robots", "done"]


@pytest.mark.parametrize(
    ("rules", "end"),
    [
        (reply(b"", status="404 Not Found"), "done"),
        (reply(b"", status="403 Forbidden"), "done"),
        (reply(b"", status="503 Busy"), "robots"),
        (b"no http", "robots"),
        (reply(b"\xff\xfe\0garbage"), "done"),
        (reply(b"User-agent: *\nDisallow: /\n" + b"#" * 600_000), "robots"),
        (reply(b"User-agent: *\nAllow: /\n" + b"#" * 6_000_000), "robots"),
        (reply(b"", "Location: /robots.txt", status="301 Moved"), "done"),
        (reply(b"", "Location: https://[::1/robots.txt", status="301 Moved"), "done"),
        (reply(b"", "Location: http://user:word@127.0.0.1/robots.txt", status="301 Moved"), "robots"),
    ],
)
def test_a_site_without_rules_allows_and_one_that_does_not_answer_does_not(rules: bytes, end: str) -> None:
    assert heeding("/a", rules=rules)[0] == [end]


def test_rules_for_ever_so_many_programs_cost_no_more_than_those_for_this_one() -> None:
    """Each rule of a group counts for each program that the group names: so few lines would be a hundred million rules."""
    named = "".join(f"{word} m{at}\n" for at in range(4_000) for word in ("User-agent:", "useragent", "User\tAgent"))
    paths = "".join(f"Allow: /{at}\n" for at in range(1_900))
    many = f"{named}User-agent: Maniple # and this one\n{paths}Disallow: /no\n\nUser-agent: last\nDisallow: /\n"
    assert heeding("/no", "/yes", rules=reply(many.encode()))[0] == ["robots", "done"]


@pytest.mark.parametrize(("rules", "ends"), [(1_999, ["done", "robots"]), (2_000, ["robots", "robots"])])
def test_a_site_with_more_rules_than_are_read_is_not_fetched_from(rules: int, ends: list[str]) -> None:
    """Each costs something with each page, in a process that all callers share."""
    lines = "".join(f"Disallow: /*a*{at}*b$\n\n# more\n" for at in range(rules))
    assert heeding("/yes", "/no", rules=reply(f"User-agent: *\n{lines}Disallow: /no\n".encode()))[0] == ends


def test_lines_that_do_not_count_for_this_program_are_not_kept() -> None:
    others = "Allow: /\n" + "User-agent: other\nDisallow: /\n" * 5_000 + "x\n" * 50_000
    again = "User-agent: *\nUser-agent: ***\nUser-agent: maniple # this one\nuseragent *Maniple*\n" * 1_000
    text = f"{others}{again}Crawl-delay: 1\nDisallow: /no\n{others}"
    kept = ["User-agent: -", "User-agent: *", "User-agent: Maniple", "Crawl-delay: 1", "Disallow: /no", "Allow: /"]
    assert robots._ours(text).split("\n") == [*kept, "User-agent: -"]


def test_a_mark_of_the_order_of_bytes_hides_no_rule() -> None:
    async def get(url: str, most: int, is_granted: bool) -> tuple[int, str, bytes]:
        return 200, "", b"\xef\xbb\xbfUser-agent: *\nDisallow: /\n"

    with pytest.raises(WebFailed, match="does not want programs"):
        run(robots.Robots(get).check("https://example.org/no"))


def test_a_group_ends_also_where_the_next_is_for_others() -> None:
    rules = reply(b"User-agent: *\nDisallow: /no\n\nUser-agent: other\nUser-agent: another\nDisallow: /\n")
    assert heeding("/no", "/yes", rules=rules)[0] == ["robots", "done"]


def test_rules_are_found_where_a_redirect_spells_their_address_in_its_own_way() -> None:
    asked_for: list[str] = []

    async def get(url: str, most: int, is_granted: bool) -> tuple[int, str, bytes]:
        asked_for.append(url)
        return (200, "", b"") if len(asked_for) == 2 else (301, "HTTPS://WWW.Example.ORG:443", b"")

    run(robots.Robots(get).check("https://example.org/yes"))
    assert asked_for == ["https://example.org/robots.txt", "https://www.example.org/"]


def test_rules_are_forgotten_after_their_time() -> None:
    asked_for, time = list[str](), [0.0]

    async def get(url: str, most: int, is_granted: bool) -> tuple[int, str, bytes]:
        asked_for.append(url)
        return 200, "", b"User-agent: *\nDisallow: /no\n"

    async def all_of_it() -> None:
        rules = robots.Robots(get, lambda: time[0])
        for at in (0.0, 3599.0, 3600.0):
            time[0] = at
            await rules.check("https://example.org/yes")
            with pytest.raises(WebFailed):
                await rules.check("https://example.org/no")

    run(all_of_it())
    assert asked_for == ["https://example.org/robots.txt"] * 2


def test_a_forbidden_address_is_not_reached_by_way_of_robots() -> None:

    async def once() -> tuple[str, str]:
        hand = await started(private=["public.example"], lookup=_names)  # only that name may lead to loopback
        async with serving(
            site([], reply(b"", "Location: http://127.0.0.1:1/robots.txt", status="302 Found"))
        ) as server:
            return await failure(fetch(hand, f"http://public.example:{server.port}/", robots=True))

    async def _names(host: str) -> tuple[str, ...]:
        return ("127.0.0.1",)

    code, text = run(once())
    assert (code, "127.0.0.1" in text) == ("robots", False)


def test_what_the_operator_allowed_for_one_host_is_not_reached_by_way_of_anothers_robots() -> None:
    seen: list[str] = []

    async def once() -> tuple[str, str]:
        hand = await started(private=["outside.example", "nas.lan"], lookup=_names)
        async with serving(site(seen, reply(b""))) as nas:
            leads = reply(b"", f"Location: http://nas.lan:{nas.port}/reboot", status="302 Found")
            async with serving(site([], leads)) as server:
                return await failure(fetch(hand, f"http://outside.example:{server.port}/", robots=True))

    async def _names(host: str) -> tuple[str, ...]:
        return ("127.0.0.1",)

    code, text = run(once())
    assert (code, "nas.lan" in text) == ("robots", False)
    assert not seen


def test_the_rules_of_many_sites_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robots, "KEPT_MOST", 1000)
    asked_for: list[str] = []

    async def get(url: str, most: int, is_granted: bool) -> tuple[int, str, bytes]:
        asked_for.append(url)
        return 200, "", b"#" * 400

    async def all_of_it() -> None:
        rules = robots.Robots(get, lambda: 0.0)
        for number in (1, 2, 2, 3, 2, 1):
            await rules.check(f"https://{number}.example.org/")

    run(all_of_it())
    assert [url[8:9] for url in asked_for] == ["1", "2", "3", "1"]


def test_a_page_comes_also_where_no_cache_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"no folder")
    found = asked(tmp_path, site([], reply(b"one"), reply(b"two")), 60.0, 60.0)
    assert [(body, done["cached"]) for body, done in found] == [(b"one", False), (b"two", False)]
