"""Who one is, is proved by a key at the bus: without the right one, or with one that is used up, a peer gets nothing.

And harms nothing: in every test the victim and a neighbour go on. What was tried is in the log, once a second at most.
"""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import zmq

from kernel.cli.client import Client
from tests.living import ROOT, Kernel
from tests.system.attacks import PROMPT, Raw, besieged, floods, operators, play, settled, typical, word
from tests.system.fates import call, entries, entry, table, until
from wire import codec, headers, limits
from wire.codec import NIL

NOTHING_WITHIN_MS = 300
FIRST_ROUTE = """
import os, tempfile, zmq
from kernel.bus import Bus
public, secret = zmq.curve_keypair()
with tempfile.TemporaryDirectory() as folder:
    bus = Bus(os.open(folder, os.O_PATH), public=public, secret=secret, admit=lambda key: "anybody")
    link = zmq.Context().socket(zmq.DEALER)
    link.curve_publickey, link.curve_secretkey = zmq.curve_keypair()
    link.curve_serverkey = public
    link.connect(f"ipc://{folder}/bus")
    link.send(b"Which am I?")
    while not bus.router.poll(10):
        bus.answer_zap()
    print(bus.receive()[0].hex(), flush=True)
    os._exit(0)
"""
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with besieged(tmp_path_factory.mktemp("identity")) as kernel:
        yield kernel


@pytest.fixture(autouse=True)
def _unharmed(kernel: Kernel) -> Iterator[None]:
    """Whatever is tried, a neighbour's calls are answered promptly, if not at once then soon; no call is left open."""
    with kernel.client() as neighbour:
        yield
        until(lambda: typical(neighbour) < PROMPT, "a neighbour is answered promptly")
    settled(kernel)


def gets_nothing(raw: Raw, text: str = "let me in") -> None:
    """It says Hello and makes a call, and is never answered."""
    raw.send(headers.Hello(version=limits.PROTOCOL))
    raw.call(1, "kernel.note", {"text": text})
    assert raw.take(NOTHING_WITHIN_MS) is None


def turned_away(kernel: Kernel) -> int:
    """How many connections the log says were turned away."""
    first, more = floods(kernel.home, "connection")
    return len(first) + sum(int(str(one.detail["count"])) for one in more)


def notes(kernel: Kernel, text: str) -> int:
    """How often a note is in the log; one of the operator's own makes sure that what came before is there."""
    mark = f"after {text} {os.urandom(4).hex()}"
    call(kernel, "kernel.note", arguments={"text": mark})
    entry(kernel.home, "note", why=mark)
    return sum(one.why == text for one in entries(kernel.home, "note"))


@cache
def first_route() -> int:
    """The number that libzmq gives the first connection to a kernel; it counts up from rand() without a seed."""
    found = subprocess.run([sys.executable, "-c", FIRST_ROUTE], cwd=ROOT, capture_output=True, check=True, timeout=30)
    return int(found.stdout, 16)


@contextmanager
def living_puppet(kernel: Kernel, *steps: list[object]) -> Iterator[tuple[str, Path, Client]]:
    """A puppet that plays its steps and lives until the end of the block: its run, its scratch, a client."""
    with kernel.client() as client:
        inputs = {"steps": [*steps, ["wait", "enough"]]}
        run = str(table(client.call("kernel.start", "puppet", {"inputs": inputs}).value)["run"])
        scratch = kernel.home / "scratch" / run
        yield run, scratch, client
        (scratch / "enough").touch()
        outcome = table(client.call("kernel.wait", "", {"run": run}, seconds=20).value)
        assert outcome["outcome"] == "done", outcome


def leaked(scratch: Path) -> tuple[bytes, bytes]:
    """The key pair that a puppet gave away."""
    pair = until(lambda: (scratch / "leaked").exists() and (scratch / "leaked").read_bytes(), "the key is given away")
    assert isinstance(pair, bytes)
    return pair[:40], pair[40:]


def test_an_unknown_key_gets_nothing_and_is_logged(kernel: Kernel) -> None:
    before = turned_away(kernel)
    with Raw(kernel.home, zmq.curve_keypair()) as raw:
        gets_nothing(raw, "unknown key")
    until(lambda: turned_away(kernel) == before + 1, "the connection is in the log")
    assert notes(kernel, "unknown key") == 0


def test_a_hundred_unknown_keys_make_one_entry_a_second(kernel: Kernel) -> None:
    before, lines = turned_away(kernel), len(entries(kernel.home, "refusal", "flood"))
    raws = [Raw(kernel.home, zmq.curve_keypair()).connect() for _ in range(100)]
    for raw in raws:
        raw.send(headers.Hello(version=limits.PROTOCOL))
    until(lambda: turned_away(kernel) == before + 100, "all hundred are told of")
    assert len(entries(kernel.home, "refusal", "flood")) - lines <= 10
    for raw in raws:
        raw.close()


def test_without_curve_a_peer_gets_nothing(kernel: Kernel) -> None:
    with Raw(kernel.home, None) as null:
        gets_nothing(null, "no mechanism")
    plain = Raw(kernel.home, None)
    plain.socket.setsockopt(zmq.PLAIN_USERNAME, b"operator")
    plain.socket.setsockopt(zmq.PLAIN_PASSWORD, operators(kernel.home)[1])
    with plain:
        gets_nothing(plain, "plain")
    assert notes(kernel, "no mechanism") == notes(kernel, "plain") == 0


@pytest.mark.parametrize("mechanism", [b"NULL", b"PLAIN", b"GSSAPI", b"CURVF"])
def test_a_peer_that_insists_on_no_curve_is_logged(kernel: Kernel, mechanism: bytes) -> None:
    """libzmq's own clients leave by themselves when mechanisms differ; this one goes on as if it had been let in."""
    before = turned_away(kernel)
    hello = word(headers.Hello(version=limits.PROTOCOL))
    ready = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
    sent = GREETING + mechanism.ljust(20, b"\0") + bytes(32) + ready + b"\x01" + bytes([len(hello)]) + hello
    assert spoken(kernel.home, [sent])[64:] in (b"", ready)  # no more than the server's own greeting
    until(lambda: turned_away(kernel) > before, "it is in the log")


def test_the_servers_name_is_needed_too(kernel: Kernel) -> None:
    raw = Raw(kernel.home, operators(kernel.home))
    raw.socket.setsockopt(zmq.CURVE_SERVERKEY, zmq.curve_keypair()[0])
    with raw:
        gets_nothing(raw)


def test_another_peers_routing_id_gives_nothing_of_his(kernel: Kernel) -> None:
    """Routing ids are numbers that libzmq counts up; the newcomer asks for all that can be in use."""
    with Raw(kernel.home, operators(kernel.home)) as victim:
        victim.hello()
        victim.call(1, "kernel.sleep", {"milliseconds": 1_500})
        first = first_route()
        thieves = []
        for number in range(first, first + 40):
            thief = Raw(kernel.home, zmq.curve_keypair(), routing_id=b"\0" + number.to_bytes(4, "big"))
            thieves.append(thief.connect())
            thief.send(headers.Hello(version=limits.PROTOCOL))
            thief.send(headers.Cancel(number=1))
            thief.send(headers.Bye())
        assert isinstance(victim.end_of(1), headers.Done)
        for thief in thieves:
            assert thief.take(0) is None
            thief.close()


def test_a_routing_id_of_a_living_peer_gives_nothing_of_his_to_one_that_is_let_in(kernel: Kernel) -> None:
    """The thief has the right key, and so a link to the kernel if he had asked for another id, or for none."""
    claimed, pair = b"his own", operators(kernel.home)
    with Raw(kernel.home, pair, routing_id=claimed) as victim:
        victim.hello()
        victim.call(1, "kernel.sleep", {"milliseconds": 1_500})
        with Raw(kernel.home, pair, routing_id=claimed) as thief:
            gets_nothing(thief, "under his name")
            thief.send(headers.Cancel(number=1))
            thief.send(headers.Bye())
            assert isinstance(victim.end_of(1), headers.Done)
            assert thief.take(0) is None
        victim.call(3, "kernel.status")
        assert isinstance(victim.end_of(3), headers.Done)
    assert notes(kernel, "under his name") == 0


def test_a_run_cannot_choose_the_routing_id_of_the_next(kernel: Kernel) -> None:
    """With a key that was let in twice, a run could take the id that libzmq gives next: and libzmq aborts on that."""
    with living_puppet(kernel, ["leak"]) as (_, scratch, client):
        pair, first, threads = leaked(scratch), first_route(), zmq.Context()
        thieves = [
            Raw(kernel.home, pair, routing_id=b"\0" + number.to_bytes(4, "big"), among=threads).connect()
            for number in range(first, first + 400)
        ]
        for thief in thieves:
            thief.send(headers.Hello(version=limits.PROTOCOL))
        assert thieves[-1].take(NOTHING_WITHIN_MS) is None
        for _ in range(20):
            with kernel.client() as newcomer:
                newcomer.call("kernel.status")
        client.call("kernel.status")
        for thief in thieves:
            thief.close()
        threads.term()


def test_a_second_connection_with_a_living_runs_key_gets_nothing(kernel: Kernel) -> None:
    """The run itself gives its key away; it goes on, and whoever has the key stays outside."""
    before = turned_away(kernel)
    with living_puppet(kernel, ["leak"], ["wait", "more"]) as (run, scratch, client):
        pair = leaked(scratch)
        with Raw(kernel.home, pair) as raw:
            gets_nothing(raw, "the key's second owner")
            for _ in range(100):
                raw.call(3, "echo.say", {"text": "again"})
            assert raw.take(NOTHING_WITHIN_MS) is None
            until(lambda: turned_away(kernel) > before, "it is in the log")
            rows = table(client.call("kernel.ps").value)["runs"]
            assert isinstance(rows, list)
            assert any(table(row)["run"] == run for row in rows)
        (scratch / "more").touch()
    assert notes(kernel, "the key's second owner") == 0


def test_a_retired_key_gets_nothing(kernel: Kernel) -> None:
    before = turned_away(kernel)
    with kernel.client() as client:
        found = table(play(client, ["key"])["value"])["got"]
    assert isinstance(found, list)
    assert isinstance(found[0], list)
    public, secret = found[0]
    assert isinstance(public, bytes)
    assert isinstance(secret, bytes)
    with Raw(kernel.home, (public, secret)) as raw:
        gets_nothing(raw, "back from the dead")
    until(lambda: turned_away(kernel) > before, "it is in the log")
    assert notes(kernel, "back from the dead") == 0


def test_nothing_before_hello_is_heard(kernel: Kernel) -> None:
    with Raw(kernel.home, operators(kernel.home)) as raw:
        raw.call(1, "kernel.note", {"text": "before Hello"})
        raw.send(headers.Cancel(number=1))
        raw.send(headers.Ready())
        raw.send(headers.Hello(version=limits.PROTOCOL + 1))
        assert raw.take(NOTHING_WITHIN_MS) is None
        raw.hello()
        raw.call(1, "kernel.status")
        assert isinstance(raw.end_of(1), headers.Done)
    assert notes(kernel, "before Hello") == 0
    assert floods(kernel.home, "malformed")[0]


def test_a_second_hello_ends_the_peer(kernel: Kernel) -> None:
    with Raw(kernel.home, operators(kernel.home)) as raw:
        raw.hello()
        raw.call(1, "kernel.sleep", {"milliseconds": 60_000})
        raw.send(headers.Hello(version=limits.PROTOCOL))
        raw.call(3, "kernel.note", {"text": "after a second Hello"})
        assert raw.take(NOTHING_WITHIN_MS) is None
    with kernel.client() as client:
        outcome = play(client, ["send", word(headers.Hello(version=limits.PROTOCOL)), NIL], ["wait", "never"])
    assert (outcome["outcome"], outcome["code"]) == ("failed", "ended")
    assert "Hello" in str(outcome["text"])
    assert notes(kernel, "after a second Hello") == 0


def test_after_bye_there_is_no_way_back_on_the_same_connection(kernel: Kernel) -> None:
    """Nor a fresh allowance of calls; and a process that says Bye and stays is ended."""
    note = word(headers.Call(number=10_001, method="kernel.note"))
    with kernel.client() as client:
        outcome = play(
            client,
            ["send", word(headers.Bye()), NIL],
            ["send", word(headers.Hello(version=limits.PROTOCOL)), NIL],
            ["send", note, codec.encode_body({"text": "back from Bye"})],
            ["wait", "never"],
            seconds=20,
        )
    assert (outcome["outcome"], outcome["code"]) == ("failed", "ended")
    assert notes(kernel, "back from Bye") == 0


def test_recorded_bytes_of_a_connection_are_worth_nothing(kernel: Kernel) -> None:
    recorded: list[bytes] = []
    with recording(kernel.home, recorded) as path, Raw(kernel.home, operators(kernel.home), path=path) as victim:
        victim.hello()
        victim.call(1, "kernel.note", {"text": "said once"})
        assert isinstance(victim.end_of(1), headers.Done)
        assert sum(map(len, recorded)) > 400
        before = turned_away(kernel)
        for replay in (recorded, [b"".join(recorded)], [*recorded, *recorded]):
            assert len(spoken(kernel.home, replay)) < 64 + 256  # a greeting and a welcome; nothing that was said to him
        until(lambda: turned_away(kernel) == before + 3, "replays are in the log")
        victim.call(3, "kernel.status")
        assert isinstance(victim.end_of(3), headers.Done)
    assert notes(kernel, "said once") == 1


def spoken(home: Path, pieces: list[bytes]) -> bytes:
    """Say bytes on a raw connection to the bus, giving it time to answer each piece; all that came back."""
    heard, pieces = b"", list(pieces)
    with socket.socket(socket.AF_UNIX) as link:
        folder = os.open(home / "run", os.O_PATH)
        link.connect(f"/proc/self/fd/{folder}/bus")
        os.close(folder)
        try:
            for wait in [0.1] * len(pieces) + [2.0]:
                if pieces:
                    link.sendall(pieces.pop(0))
                link.settimeout(wait)
                try:
                    heard += (more := link.recv(65536))
                    if not more:
                        break
                except TimeoutError:
                    pass
        except (BrokenPipeError, ConnectionResetError):
            pass
    return heard


@contextmanager
def recording(home: Path, recorded: list[bytes]) -> Iterator[str]:
    """A socket that passes one connection on to the bus, and keeps what its client sent."""
    path = home / "run" / "ear"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)

    def pump(source: socket.socket, target: socket.socket, keep: list[bytes]) -> None:
        try:
            while piece := source.recv(65536):
                keep.append(piece)
                target.sendall(piece)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def serve() -> None:
        client, _ = listener.accept()
        with client, socket.socket(socket.AF_UNIX) as bus:
            bus.connect(str(home / "run" / "bus"))
            back = threading.Thread(target=pump, args=(bus, client, []))
            back.start()
            pump(client, bus, recorded)
            back.join()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield str(path)
    finally:
        thread.join(10)
        listener.close()
        path.unlink()
