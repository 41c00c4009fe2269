"""A root with a secret beside it, and a `files` Hand that holds it (acts)."""

import asyncio
import errno
import os
from collections.abc import Coroutine, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.hands.doubles import FakeCall, hand_module, seated

T = TypeVar("T")
label_marks = hand_module("files", "label_marks")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A granted folder; `secret` lies beside it and is not granted."""
    (tmp_path / "secret").write_text("secret")
    made = tmp_path / "root"
    made.mkdir()
    return made


@pytest.fixture
def root_fd(root: Path) -> Iterator[int]:
    """The root's descriptor, as the runtime hands it over."""
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


class Desk:
    """A started Hand and the loop it lives in; each method makes one call and waits for its end."""

    def __init__(self, root_fd: int, folder: Path, **settings: object) -> None:
        self.loop = asyncio.new_event_loop()
        self.hand = seated(hand_module("files", "main").Files, "files", folder, {"root": root_fd}, **settings)
        self.run(self.hand.start())

    def run(self, work: Coroutine[object, object, T]) -> T:
        """The work's result."""
        return self.loop.run_until_complete(work)

    def read(self, resource: str, **arguments: object) -> tuple[bytes, dict[str, object]]:
        """files.read: (what was streamed, the reply)."""
        call = FakeCall(resource)
        reply = self.run(self.hand.read(call, **arguments))
        return call.body, reply

    def write(self, resource: str, *chunks: bytes, **arguments: object) -> dict[str, object]:
        """files.write of these chunks."""
        reply: dict[str, object] = self.run(self.hand.write(FakeCall(resource, upload=chunks), **arguments))
        return reply

    def ask(self, method: str, resource: str, *, labels: Iterable[str] = (), **arguments: object) -> dict[str, object]:
        """A method's reply; `labels` in it are those that the Hand added. Raises Failure."""
        call = FakeCall(resource, labels=labels)
        reply: dict[str, object] = self.run(getattr(self.hand, method)(call, **arguments))
        return reply | {"labels": set(call.added)}

    def close(self) -> None:
        """Ends the Hand."""
        self.run(self.hand.stop())
        self.loop.close()


@pytest.fixture
def desk(root_fd: int, tmp_path: Path) -> Iterator[Desk]:
    """A Hand whose only root is `root`."""
    made = Desk(root_fd, tmp_path)
    yield made
    made.close()


def labels_after_read(desk: Desk, resource: str) -> set[str]:
    """What a reader is marked with."""
    call = FakeCall(resource)
    desk.run(desk.hand.read(call))
    return call.added


def write_labelled(desk: Desk, resource: str, *labels: str, **arguments: object) -> None:
    """files.write by a run that carries these labels."""
    desk.run(desk.hand.write(FakeCall(resource, upload=[b"x"], labels=labels), **arguments))


@pytest.fixture(params=["attributes", "none"])
def labelled_desk(request: pytest.FixtureRequest, desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The Hand on a filesystem that keeps attributes, and on one that does not."""
    if request.param == "attributes":
        try:
            os.setxattr(root, label_marks.ATTRIBUTE, b"")
        except OSError:
            pytest.skip("this filesystem keeps no attributes")
        os.removexattr(root, label_marks.ATTRIBUTE)
    else:

        def unsupported(*_: object) -> bytes:
            raise OSError(errno.EOPNOTSUPP, "not supported")

        # Such a file system would have to be mounted, which only root can, and would be the machine's, not the test's.
        monkeypatch.setattr(os, "setxattr", unsupported)
        monkeypatch.setattr(os, "getxattr", unsupported)
    return desk
