"""What a site says to programs is heeded: its robots.txt is asked for once, and bounded in all that it may cost."""

import asyncio
from typing import Any

import pytest

from runtime.robots_rules import select_rules
from tests.hands.doubles import hand_module
from tests.hands.web.conftest import fetch, reply, run, serving, site, started

robots = hand_module("web", "robots")
WebFailed = hand_module("web", "web_failure").WebFailed


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
        (reply(b"", status="500 Internal Server Error"), "robots"),
        (reply(b"", status="503 Busy"), "robots"),
        (reply(b"User-agent: *\nDisallow: /\n", status="203 Non-Authoritative Information"), "robots"),
        (b"no http", "robots"),
        (reply(b"\xff\xfe\0garbage"), "done"),
        (reply(b"User-agent: *\nDisallow: /\n" + b"#" * 600_000), "robots"),
        (reply(b"User-agent: *\nAllow: /\n" + b"#" * 6_000_000), "robots"),
        (reply(b"", status="301 Moved"), "done"),
        (reply(b"", "Location: /robots.txt", status="301 Moved"), "robots"),
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
    assert select_rules(text.encode()) == "\n".join([*kept, "User-agent: -"])


def test_a_group_that_goes_on_after_what_is_no_rule_is_named_again() -> None:
    text = "User-agent: *\nAllow: /\nUser-agent: a\nDisallow: /\nUser-agent: *\nCrawl-delay: 1\nUser-agent: b\n"
    kept = ["User-agent: *", "Allow: /", "User-agent: -", "User-agent: *", "Crawl-delay: 1", "User-agent: -"]
    lines = select_rules(f"{text}Crawl-delay: 2\nUser-agent: *\nDisallow: /no\n".encode())
    assert lines == "\n".join([*kept, "Crawl-delay: 2", "User-agent: *", "Disallow: /no"])


def test_a_mark_of_the_order_of_bytes_hides_no_rule() -> None:
    async def get(url: str, most: int) -> tuple[int, str, bytes]:
        return 200, "", b"\xef\xbb\xbfUser-agent: *\nDisallow: /\n"

    with pytest.raises(WebFailed, match="does not want programs"):
        run(robots.Robots(get).check("https://example.org/no"))


def test_a_group_ends_also_where_the_next_is_for_others() -> None:
    rules = reply(b"User-agent: *\nDisallow: /no\n\nUser-agent: other\nUser-agent: another\nDisallow: /\n")
    assert heeding("/no", "/yes", rules=rules)[0] == ["robots", "done"]


@pytest.mark.parametrize(
    ("leads", "told"),
    [
        ("HTTPS://WWW.Example.ORG:443", "https://www.example.org/"),
        ("https://example.org/rules#of-ours", "https://example.org/rules"),
        ("http://nas.lan/reboot", "http://nas.lan/reboot"),
        ("http://user:word@www.example.org/", None),
        ("ftp://www.example.org/robots.txt", None),
        (f"https://www.example.org/{'x' * 1_024}", None),
    ],
)
def test_where_a_redirect_of_the_rules_leads_is_told_and_never_asked(leads: str, told: str | None) -> None:
    """Each hop is a call, under its caller's grant; RFC 9309 takes rules that cannot be reached for a no."""
    asked_for: list[str] = []

    async def get(url: str, most: int) -> tuple[int, str, bytes]:
        asked_for.append(url)
        return 301, leads, b"User-agent: *\nAllow: /\n"

    async def twice() -> list[Any]:
        rules, ends = robots.Robots(get), []
        for path in ("a", "b"):
            with pytest.raises(WebFailed) as failed:
                await rules.check(f"https://example.org/{path}")
            ends.append(failed.value)
        return ends

    for end in run(twice()):
        assert end.code == "robots"
        assert end.detail == ({} if told is None else {"location": told})
        assert told is None or told in end.text
    assert asked_for == ["https://example.org/robots.txt"]


def test_no_other_host_is_reached_by_way_of_robots() -> None:
    """Neither a public one, nor one that the operator allowed."""
    seen: list[str] = []

    async def once() -> tuple[str, object]:
        hand = await started(private=["outside.example", "nas.lan"], lookup=_names)
        async with serving(site(seen, reply(b""))) as other:
            away = f"http://nas.lan:{other.port}/reboot"
            async with serving(site([], reply(b"", f"Location: {away}", status="302 Found"))) as server:
                with pytest.raises(hand_module("web", "main").Failure) as failed:
                    await fetch(hand, f"http://outside.example:{server.port}/", robots=True)
                assert failed.value.detail == {"size": 0, "location": away}
                return failed.value.code, other.met

    async def _names(host: str) -> tuple[str, ...]:
        return ("127.0.0.1",)

    assert run(once()) == ("robots", 0)
    assert not seen


def test_rules_are_forgotten_after_their_time() -> None:
    asked_for, time = list[str](), [0.0]

    async def get(url: str, most: int) -> tuple[int, str, bytes]:
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


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ((200, "", b"User-agent: *\nDisallow: /\n"), 3600),
        ((301, "https://example.org/rules", b""), 3600),
        ((301, "mailto:us@example.org", b""), 60),
        ((503, "", b""), 60),
        (WebFailed("timeout", "no answer"), 60),
        (WebFailed("private address", "it leads home"), 0),
        (WebFailed("name not found", "it has none"), 0),
    ],
)
def test_a_no_is_asked_for_again_after_its_time(answer: Any, seconds: int) -> None:
    """Of a site that was away for a moment a minute later, not an hour."""
    asked_for, time = list[str](), [0.0]

    async def get(url: str, most: int) -> Any:
        asked_for.append(url)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def at(rules: Any, *times: float) -> None:
        for time[0] in times:
            with pytest.raises(WebFailed) as failed:
                await rules.check("https://example.org:8443/a")
            assert failed.value.code == ("robots" if seconds else answer.code), "what the page itself would end in"

    rules = robots.Robots(get, lambda: time[0])
    run(at(rules, 0.0, max(0.0, seconds - 0.5)))
    assert asked_for == ["https://example.org:8443/robots.txt"] * (1 if seconds else 2)
    run(at(rules, seconds))
    assert len(asked_for) == (2 if seconds else 3)


@pytest.mark.parametrize(
    ("most", "sites", "size", "asked"),
    [
        (1000, 500, 400, "1231"),
        (1000, 500, 4000, "12321"),
        (10_000, 2, 400, "1231"),
    ],
    ids=["bytes", "more than all may be", "sites"],
)
def test_the_rules_of_many_sites_do_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch, most: int, sites: int, size: int, asked: str
) -> None:
    monkeypatch.setattr(robots, "KEPT_MOST", most)
    monkeypatch.setattr(robots, "SITES_MOST", sites)
    asked_for: list[str] = []

    async def get(url: str, most: int) -> tuple[int, str, bytes]:
        asked_for.append(url)
        return 200, "", b"#" * size

    async def all_of_it() -> None:
        rules = robots.Robots(get, lambda: 0.0)
        for number in (1, 2, 2, 3, 2, 1):
            await rules.check(f"https://{number}.example.org/")

    run(all_of_it())
    assert "".join(url[8:9] for url in asked_for) == asked


def test_rules_that_are_asked_for_again_take_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robots, "KEPT_MOST", 1000)
    asked_for, time = list[str](), [0.0]

    async def get(url: str, most: int) -> tuple[int, str, bytes]:
        asked_for.append(url[8:9])
        return 200, "", b"#" * 400

    async def all_of_it() -> None:
        rules = robots.Robots(get, lambda: time[0])
        for time[0], number in ((0.0, 1), (3600.0, 1), (7200.0, 1), (7200.0, 2), (7200.0, 1)):
            await rules.check(f"https://{number}.example.org/")

    run(all_of_it())
    assert "".join(asked_for) == "1112"
