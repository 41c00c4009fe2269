"""The Hand's code: exactly the bytes that were verified, never what lies on a disk."""

import pytest

from tests.runtime.peer import Peer, provided
from wire import headers

SOURCE = """
    from runtime import Call, Hand
    import sys, traceback
    import steps
    from steps.load import rows
    import helpful

    class Test(Hand):
        async def ask(self, call: Call) -> object:
            file = getattr(helpful, "__file__", None)
            return {"rows": rows(), "steps": steps.NAME, "helpful": helpful.WORD, "file": file}

        async def skill(self, call: Call) -> object:
            return [self.files["SKILL.md"], sorted(self.files), self.name, self.version, self.run_id]

        async def fall(self, call: Call) -> None:
            rows(0)

        async def packaged(self, call: Call) -> object:
            from importlib.resources import as_file, files
            data = files("steps") / "data"
            with as_file(data.joinpath("more/b.bin")) as copied, (data / "a.txt").open() as text:
                return {
                    "found": [(one.name, one.is_file(), one.is_dir()) for one in data.iterdir()],
                    "text": text.read(), "bytes": copied.read_bytes(), "absent": (data / "c.txt").is_file(),
                }

        async def late(self, call: Call) -> object:
            import on_disk
            return on_disk.WORD

        async def overwrite(self, call: Call) -> None:
            self.files["SKILL.md"] = b""
"""
FILES = {
    "helpful.py": b"WORD = 'sealed'\n",
    "steps/__init__.py": b"NAME = __name__\n",
    "steps/load.py": b"# coding: latin-1\nfrom . import NAME\n\ndef rows(n=1):\n    return [NAME, '\xe4', 1 // n]\n",
    "steps/data/a.txt": "ä\n".encode(),
    "steps/data/more/b.bin": b"\xff",
    "SKILL.md": b"# How\n",
    "bare/inner.py": b"",
}
PROVIDES = tuple(map(provided, ("test.ask", "test.skill", "test.fall", "test.late", "test.overwrite", "test.packaged")))


@pytest.fixture
def hand(peer: Peer) -> Peer:
    for name in ("helpful.py", "on_disk.py", "structlog.py"):
        (peer.scratch / name).write_text("WORD = 'from the disk'\n")
    return peer.launch(SOURCE, PROVIDES, files=FILES).ready()


def test_the_given_bytes_run_and_not_those_on_the_disk(hand: Peer) -> None:
    seen = {"rows": ["steps", "ä", 1], "steps": "steps", "helpful": "sealed", "file": None}
    assert hand.answer("test.ask") == seen


def test_what_lies_in_scratch_cannot_be_imported(hand: Peer) -> None:
    hand.call("test.late")
    assert hand.expect(headers.Failed)[0].text == "ModuleNotFoundError: No module named 'on_disk'"


def test_files_of_the_hand_are_there_as_bytes_and_cannot_be_changed(hand: Peer) -> None:
    names = sorted(["main.py", *FILES])
    assert hand.answer("test.skill") == [b"# How\n", names, "test", "1.0.0", "r-0000000000000000"]
    hand.call("test.overwrite")
    assert "does not support item assignment" in hand.expect(headers.Failed)[0].text


def test_a_package_finds_the_files_that_it_brings(hand: Peer) -> None:
    """Packages that others wrote read their data by importlib.resources."""
    assert hand.answer("test.packaged") == {
        "found": [["a.txt", True, False], ["more", False, True]],
        "text": "ä\n",
        "bytes": b"\xff",
        "absent": False,
    }


def test_a_traceback_shows_the_sealed_source(hand: Peer) -> None:
    (hand.scratch / "test").mkdir()
    (hand.scratch / "test/main.py").write_text("lies\n" * 99)
    hand.call("test.fall")
    hand.expect(headers.Failed)
    (record,) = hand.records()
    assert 'File "test/main.py", line 17, in fall\n    rows(0)\n' in str(record["exception"])
    assert "File \"test/steps/load.py\", line 5, in rows\n    return [NAME, 'ä', 1 // n]\n" in str(record["exception"])


@pytest.mark.parametrize(
    "path", ["json.py", "asyncio/__init__.py", "runtime/more.py", "kernel.py", "zmq.py", "wire.py"]
)
def test_a_file_that_would_hide_a_module_is_refused(peer: Peer, path: str) -> None:
    peer.launch("", files={path: b""})
    assert f"{path} would hide the module" in peer.expect(headers.Bye)[0].why
    assert peer.exit_code() == 1


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("gone:Test", "the Hand has no file gone.py"),
        ("main:Gone", "main.py has no Gone"),
        ("main:number", "is not a class made from runtime.Hand"),
        ("main:Plain", "is not a class made from runtime.Hand"),
    ],
)
def test_an_entry_that_names_no_hand_is_told(peer: Peer, entry: str, why: str) -> None:
    peer.launch("number = 3\nclass Plain: ...\n", entry=entry)
    assert why in peer.expect(headers.Bye)[0].why
    assert peer.exit_code() == 1


def test_an_entry_may_lie_in_a_folder_without_an_init(peer: Peer) -> None:
    code = b"from runtime import Hand\nfrom inner import other\nclass Deep(Hand): ...\n"
    peer.launch("", entry="inner.deep:Deep", files={"inner/deep.py": code, "inner/other.py": b""}).ready()
    assert peer.stop() == 0


def test_a_service_has_a_state_folder_and_a_task_has_none(peer: Peer) -> None:
    source = """
        from runtime import Hand

        class Test(Hand):
            async def run(self):
                (self.scratch / "note").write_text("here")
                return str(self.state)

            async def where(self, call):
                return str(self.state)
    """
    peer.launch(source, (provided("test.where"),)).ready()
    assert peer.answer("test.where") == str(peer.state)


def test_a_task_that_asks_for_state_is_told_what_to_do(peer: Peer) -> None:
    source = """
        from runtime import Hand

        class Test(Hand):
            async def run(self):
                (self.scratch / "note").write_text("here")
                return str(self.state)
    """
    peer.launch(source, kind="task").ready()
    peer.call("run")
    assert "a task has no state folder" in peer.expect(headers.Failed)[0].text
    assert (peer.scratch / "note").read_text() == "here"
