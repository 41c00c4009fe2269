"""What Hands do all day, each piece by itself, in a process that has joined a bus and then laid the filter on (acts).

    python -m tests.kernel.seccomp_workload FOLDER [PROFILE…]

What a run has made before the filter is made here before it, in the same order: the loop, the context and its threads,
a link with CURVE. Then every piece is done; the result, on stdout, is a JSON object from its name to "done" or to what
it raised.
"""

import asyncio
import hashlib
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import zmq

from manifests.confinement.allowed import Profile
from runtime.loop import new_loop
from tests.kernel.filtered import call, lay_on

MEBIBYTE: Final = 1 << 20
PATIENCE_MS: Final = 10_000


class Pieces:
    """The pieces of work; every method without an underscore is one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loop, _ = new_loop()
        self._zmq = zmq.Context(1)
        self._server, self._client = self._linked(zmq.ROUTER), self._linked(zmq.DEALER)
        self._carry(b"hello")

    def _linked(self, kind: int) -> "zmq.Socket[bytes]":
        key, secret = zmq.curve_keypair()
        end = self._zmq.socket(kind)
        end.curve_secretkey, end.curve_publickey = secret, key
        if kind == zmq.ROUTER:
            self._key, end.curve_server = key, True
            end.bind(f"ipc://{self.folder}/bus")
        else:
            end.curve_serverkey = self._key
            end.connect(f"ipc://{self.folder}/bus")
        return end

    def _carry(self, body: bytes) -> None:
        self._client.send(body)
        assert self._server.poll(PATIENCE_MS)
        sender, got = self._server.recv_multipart()
        self._server.send_multipart([sender, got])
        assert self._client.poll(PATIENCE_MS)
        assert self._client.recv() == body

    def bus(self) -> None:
        for size in (1, 1000, MEBIBYTE):
            self._carry(b"x" * size)

    def threads(self) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(time.sleep, [0.001] * 100))
        lock = threading.Condition()
        with lock:
            assert not lock.wait(0.001)

    def loop(self) -> None:
        async def work() -> int:
            came = asyncio.Event()
            self._loop.add_signal_handler(signal.SIGUSR1, came.set)
            os.kill(os.getpid(), signal.SIGUSR1)
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0.001))
                group.create_task(asyncio.to_thread(time.sleep, 0.001))
            async with asyncio.timeout(PATIENCE_MS / 1000):
                await came.wait()
            self._loop.remove_signal_handler(signal.SIGUSR1)
            return 3

        assert self._loop.run_until_complete(work()) == 3

    def signals(self) -> None:
        came: list[int] = []
        signal.signal(signal.SIGALRM, lambda number, _: came.append(number))
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        signal.pause()
        assert came == [signal.SIGALRM]
        signal.pthread_kill(threading.get_ident(), signal.SIGALRM)
        assert len(came) == 2

    def late_imports(self) -> None:
        """Extension modules, whose shared objects are mapped only now."""
        names = {"sqlite3", "apsw", "psutil", "xml.parsers.expat", "ijson.backends.yajl2_c", "nacl.bindings"}
        assert not names & sys.modules.keys()
        for name in names:
            __import__(name)
        import lzma

        assert lzma.decompress(lzma.compress(b"x" * 1000)) == b"x" * 1000

    def databases(self) -> None:
        import sqlite3

        import apsw

        path = str(self.folder / "a.db")
        first, second = sqlite3.connect(path), apsw.Connection(path)
        first.execute("pragma journal_mode = wal")
        with first:
            first.execute("create table t (a integer primary key, b text)")
            first.executemany("insert into t (b) values (?)", (["x" * 100] for _ in range(5000)))
        second.pragma("mmap_size", 64 * MEBIBYTE)
        assert second.execute("select count(*) from t").get == 5000
        with second:
            second.execute("create temp table s as select * from t order by b desc")
            second.execute("delete from t where a % 2")
        first.execute("vacuum")
        first.close()
        second.close()

    def files(self) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as place, tempfile.TemporaryFile(dir=place) as nameless:
            nameless.write(b"x")
            one = Path(place) / "one"
            one.write_bytes(os.urandom(MEBIBYTE))
            shutil.copy2(one, Path(place) / "two")
            shutil.copytree(place, self.folder / "tree")
            archive = shutil.make_archive(str(self.folder / "archive"), "gztar", place)
            shutil.unpack_archive(archive, self.folder / "unpacked")
            with one.open("r+b") as file:
                os.fsync(file.fileno())
                os.truncate(file.fileno(), 100)
            one.rename(Path(place) / "three").chmod(0o600)
            os.symlink("three", Path(place) / "link")
            os.utime(Path(place) / "three", (1, 1))
            assert sorted(os.listdir(place)) == ["link", "three", "two"]
            shutil.rmtree(self.folder / "tree")
            assert shutil.disk_usage(place).total > 0

    def memory(self) -> None:
        grown = bytearray()
        for _ in range(64):
            grown += b"x" * MEBIBYTE  # realloc, which moves pages
        assert len(bytes(grown)) == 64 * MEBIBYTE

        def fill() -> int:
            return len([bytes(1000) for _ in range(20_000)])

        with ThreadPoolExecutor(4) as pool:  # an arena of malloc for each thread
            assert [pool.submit(fill).result() for _ in range(4)] == [20_000] * 4

    def plain(self) -> None:
        assert json.loads(json.dumps({"a": [1, 2.5, None]})) == {"a": [1, 2.5, None]}
        assert len(hashlib.sha256(os.urandom(100)).hexdigest()) == 64
        assert len(os.getrandom(16)) == 16
        assert time.time() > time.perf_counter() - 1
        time.sleep(0.001)
        os.sched_yield()
        assert os.cpu_count()
        assert len(os.sched_getaffinity(0)) > 0
        assert not sys.stdin.isatty()
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.close(os.dup(write))
        os.closerange(read, write + 1)

    def fork(self) -> None:
        child = os.fork()
        if child == 0:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

    def pause(self) -> None:
        """The run is stopped in a wait and goes on, as `maniple pause` does it: the kernel resumes the wait by a call."""
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            time.sleep(0.05)
            os.kill(parent, signal.SIGSTOP)
            os.kill(parent, signal.SIGCONT)
            os._exit(0)
        begun = time.monotonic()
        assert select.poll().poll(200) == []
        assert time.monotonic() - begun >= 0.199
        os.waitpid(child, 0)

    def program(self) -> None:
        import subprocess

        told = subprocess.run(["echo", "hello"], capture_output=True, check=True, start_new_session=True)
        assert told.stdout == b"hello\n"
        child = os.posix_spawn("/bin/true", ["true"], os.environ, resetids=True)  # as make does
        assert os.waitpid(child, 0)[1] == 0

    def shell(self) -> None:
        """Files keep their extractor as owner: root's tar would give them away, and a run is not root."""
        script = """
            set -eu
            for one in c b a; do echo $one >> list; done
            sort list | uniq -c | awk '{print $2}' > sorted; test "$(head -1 sorted)" = a
            mkdir -p in/side; cp -a list in/side; mv list in; ln -s list in/link; touch in/t; chmod 640 in/t; ls -la in
            tar czf in.tgz in; rm -r in; tar --no-same-owner -xzf in.tgz
            grep -q b in/side/list; find in -type f | xargs wc -c
            mkfifo pipe; (echo through > pipe &); test "$(cat pipe)" = through
            nice -n 1 true; timeout 5 true; sleep 0.01 & wait; trap 'echo got' USR1; kill -USR1 $$
        """
        self._execute("sh", "-c", script)

    def interpreter(self) -> None:
        """A Python program with a loop of its own, and children of its own."""
        code = """if True:
            import asyncio, socket
            async def work():
                child = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
                assert (await child.communicate(b"x"))[0] == b"x"
            asyncio.run(work())
            here, there = socket.socketpair()
            here.sendmsg([b"a", b"b"])  # as asyncio does from Python 3.12 on, if a socket does not take all at once
            assert there.recv(2) == b"ab"
        """
        self._execute(sys.executable, "-c", code)

    def callback(self) -> None:
        """Machine code that is made while the program runs: of libffi, for C to call a Python function."""
        import ctypes

        assert ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 3)() == 3

    def node(self) -> None:
        """A compiler that writes machine code, threads, and a child with pipes."""
        code = """
            let sum = 0; for (let i = 0; i < 3e6; i++) sum += i % 7;
            const told = require("child_process").spawnSync("cat", {input: "x"}).stdout.toString();
            require("fs").promises.readdir(".").then(() => process.exit(told === "x" ? 0 : 1));
        """
        self._execute("node", "-e", code)

    def _execute(self, *command: str) -> None:
        import subprocess

        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            done = subprocess.run(command, cwd=place, capture_output=True, check=False, text=True)
        if done.returncode:
            raise AssertionError(f"{done.returncode}: {done.stdout[-500:]}{done.stderr[-1500:]}")

    def connection(self) -> None:
        """Name lookup, and a connection with what asyncio sets on it; the port is closed, which is an answer too."""
        import socket

        async def connect() -> None:
            try:
                await asyncio.open_connection("localhost", 9, family=socket.AF_INET)
            except ConnectionRefusedError:
                pass

        socket.getaddrinfo("localhost", 9)
        self._loop.run_until_complete(connect())

    def interfaces(self) -> None:
        import psutil

        assert psutil.net_if_stats()
        assert psutil.virtual_memory().total > 0
        assert psutil.Process().as_dict(["pid", "name", "cpu_times", "memory_info", "num_threads", "status"])

    def nothing_more(self) -> None:
        """The probe that the filter is on."""
        try:
            call("unshare", 0)
        except PermissionError:
            return
        raise AssertionError("there is no filter")


PIECES: Final = tuple(name for name, piece in vars(Pieces).items() if callable(piece) and not name.startswith("_"))


def _outcome(work: Callable[[], None]) -> str:
    try:
        work()
    except Exception:  # noqa: BLE001 - the test shows it
        return traceback.format_exc()
    return "done"


def main(folder: str, *profiles: str) -> None:
    """Do every piece."""
    pieces = Pieces(Path(folder))
    lay_on(frozenset(map(Profile, profiles)))
    results = {name: _outcome(getattr(pieces, name)) for name in PIECES}
    sys.stdout.write(json.dumps(results))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
