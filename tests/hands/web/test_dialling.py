"""A connection is made to the address that was checked, and to the host that can prove its name."""

import asyncio
import gc
import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trustme

from tests.hands.doubles import hand_module
from tests.hands.web.conftest import Names, answering, failure, fetch, reply, run, server_tls, serving, started

name_lookup = hand_module("web", "name_lookup")


def test_a_rebinding_name_gets_nothing() -> None:
    """First the name leads to an allowed server, then, asked again, to one that is not: nobody asks again."""

    async def attack() -> None:
        async with (
            serving(answering(reply(b"public"))) as public,
            serving(answering(reply(b"private")), host="127.0.0.2") as private,
        ):
            names = Names(evil_example=[("127.0.0.1",), ("127.0.0.2",)])
            hand = await started(names, private=["127.0.0.1"])
            url = f"http://evil.example:{public.port}/"
            call, done = await fetch(hand, url)
            assert call.body == b"public"
            assert done["address"] == "127.0.0.1"
            assert names.asked == ["evil.example"]
            assert (await failure(fetch(hand, f"http://evil.example:{private.port}/")))[0] == "private address"
            assert private.met == 0

    run(attack())


@pytest.mark.parametrize(
    "answer",
    [("127.0.0.1",), ("::1",), ("::ffff:127.0.0.1",), ("8.8.8.8", "127.0.0.1"), ("169.254.169.254",), ("0.0.0.0",)],
)
def test_a_name_that_leads_to_a_private_address_is_refused(answer: tuple[str, ...]) -> None:
    async def attempt() -> None:
        async with serving(answering(reply(b"private"))) as server:
            hand = await started(Names(evil_example=[answer]), private=[])
            code, text = await failure(fetch(hand, f"http://evil.example:{server.port}/"))
            assert code == "private address"
            assert "evil.example" in text
            assert server.met == 0

    run(attempt())


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "0.0.0.0", "localhost"]
)
def test_a_private_literal_is_refused(host: str) -> None:
    async def attempt() -> None:
        hand = await started(private=[])
        assert (await failure(fetch(hand, f"http://{host}/")))[0] == "private address"

    run(attempt())


def test_the_setting_private_holds_at_the_next_call() -> None:
    async def change() -> None:
        async with serving(answering(reply(b"here"))) as server:
            hand = await started(Names(nas_lan=[("127.0.0.1",)]), private=[])
            url = f"http://nas.lan:{server.port}/"
            assert (await failure(fetch(hand, url)))[0] == "private address"
            hand.settings.change({"private": ["nas.lan"]})
            assert (await fetch(hand, url))[0].body == b"here"
            hand.settings.change({"private": ["nas.lan", "what is this"]})
            assert (await failure(fetch(hand, url)))[0] == "settings"

    run(change())


def test_an_address_that_does_not_answer_costs_a_moment_and_the_next_is_tried() -> None:
    async def attempt() -> None:
        async with serving(answering(reply(b"here")), host="127.0.0.2") as server:
            hand = await started(Names(a_example=[("127.0.0.3", "127.0.0.2")]))
            call, done = await fetch(hand, f"http://a.example:{server.port}/")
            assert call.body == b"here"
            assert done["address"] == "127.0.0.2"

    run(attempt())


def test_nothing_there_is_unreachable() -> None:
    with socket.socket() as taken:  # bound, not listening: nothing else takes the port, nobody answers
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        async def attempt() -> None:
            code, text = await failure(fetch(await started(), f"http://127.0.0.1:{port}/"))
            assert code == "unreachable"
            assert "refused" in text

        run(attempt())


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    gc.collect()  # else what an earlier test has left could free a descriptor meanwhile
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("answer", [("127.0.0.1",), ("127.0.0.2", "127.0.0.1")])
def test_a_hand_without_a_descriptor_says_so_and_nothing_of_the_host(answer: tuple[str, ...]) -> None:
    async def attempt() -> None:
        hand = await started(Names(a_example=[answer]))
        with no_descriptor_left():
            code, text = await failure(fetch(hand, "http://a.example/"))
        assert code == "busy"
        assert "Too many open files" in text

    run(attempt())


def test_a_lookup_without_a_descriptor_says_so() -> None:
    async def ask() -> None:
        lookup = name_lookup.SystemLookup()
        with no_descriptor_left(), pytest.raises(name_lookup.WebFailed) as failed:
            await lookup("a.example")
        assert failed.value.code in ("busy", "name server")  # the second where the C library does not tell

    run(ask())


def test_a_name_that_does_not_exist_is_told() -> None:
    async def attempt() -> None:
        code, _ = await failure(fetch(await started(), "http://no-such-name.invalid/"))
        assert code in ("name not found", "name server")  # the second where there is no name server at all

    run(attempt())


def test_a_name_server_that_never_answers_ends_at_the_deadline() -> None:
    async def never(_: str) -> tuple[str, ...]:
        await asyncio.Event().wait()
        return ()

    async def attempt() -> None:
        code, text = await failure(fetch(await started(never, connect_timeout=0.1), "http://a.example/"))
        assert code == "timeout"
        assert "a.example" in text

    run(attempt())


def test_tls_proves_the_name(authority: trustme.CA, pem: str) -> None:
    async def attempt() -> None:
        names = Names(good_example=[("127.0.0.1",)], bad_example=[("127.0.0.1",)])
        async with serving(
            answering(reply(b"proved")), tls=server_tls(authority, "good.example", "127.0.0.1")
        ) as server:
            hand = await started(names, authorities=pem)
            assert (await fetch(hand, f"https://good.example:{server.port}/"))[0].body == b"proved"
            assert (await fetch(hand, f"https://127.0.0.1:{server.port}/"))[0].body == b"proved"
            assert (await failure(fetch(hand, f"https://bad.example:{server.port}/")))[0] == "certificate"

    run(attempt())


def test_an_unknown_authority_is_not_believed(authority: trustme.CA, pem: str) -> None:
    async def attempt() -> None:
        async with serving(answering(reply(b"x")), tls=server_tls(authority, "127.0.0.1")) as server:
            hand = await started()
            url = f"https://127.0.0.1:{server.port}/"
            assert (await failure(fetch(hand, url)))[0] == "certificate"
            hand.settings.change({"private": ["127.0.0.1"], "authorities": pem})
            assert (await fetch(hand, url))[0].body == b"x"
            hand.settings.change({"private": ["127.0.0.1"], "authorities": "-----BEGIN nonsense"})
            assert (await failure(fetch(hand, url)))[0] == "settings"

    run(attempt())


def test_a_server_without_tls_is_told() -> None:
    async def attempt() -> None:
        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()

        async with serving(plain) as server:
            assert (await failure(fetch(await started(), f"https://127.0.0.1:{server.port}/")))[0] == "tls"

    run(attempt())


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def attempt() -> None:
        async with serving(answering(reply(b"direct"))) as server, serving(answering(reply(b"proxy"))) as proxy:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            call, _ = await fetch(await started(), f"http://127.0.0.1:{server.port}/")
            assert call.body == b"direct"
            assert proxy.met == 0

    run(attempt())


def test_the_systems_lookup_finds_localhost_and_bounds_its_threads() -> None:
    async def ask() -> None:
        lookup = name_lookup.SystemLookup(threads=2)
        found = await asyncio.gather(*(lookup("localhost") for _ in range(10)))
        assert all({"127.0.0.1", "::1"} & set(addresses) for addresses in found)

    run(ask())


def test_a_name_server_that_does_not_answer_holds_up_its_own_names_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    silent, real = threading.Event(), socket.getaddrinfo

    def asked(host: str, *rest: int, **more: int) -> object:  # the system's own would ask a server that we cannot be
        if host.endswith(".silent.example"):
            silent.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return real(host, *rest, **more)

    async def ask() -> None:
        monkeypatch.setattr(name_lookup.socket, "getaddrinfo", asked)
        lookup = name_lookup.SystemLookup()
        waiting = [asyncio.create_task(lookup(f"{number}.silent.example")) for number in range(20)]
        try:
            await asyncio.sleep(0)
            assert await lookup("localhost")
            waiting[-1].cancel()
        finally:
            silent.set()
            ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(end) for end in ends] == [name_lookup.WebFailed] * 19 + [asyncio.CancelledError]

    run(ask())
