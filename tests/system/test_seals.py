"""What was sealed is what runs, or nothing runs: exit 4, a log entry, and an error that names the file and the mend."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from kernel.cli import installing, package
from kernel.cli.client import Client
from kernel.cli.exits import Exit, NotDone
from manifests import seal as seals
from tests.living import Kernel, Source, install, make_home, seal_key, write_hand
from tests.spread import spread
from tests.system.actors import not_done
from tests.system.fates import entries, until
from wire.signing import SigningKey

_TOML: Final = """
[hand]
name = "{name}"
version = "{version}"
description = "Says what it is."
entry = "main:Sealed"
kind = "{kind}"
autonomy = "full"
{more}
"""
_SERVICE: Final = """
[provides."{name}.say"]
summary = "Say it"
resource = "none"
effect = "external"
labels = ["shown"]
"""
_MAIN: Final = """
from runtime import Hand
from words import WORD


class Sealed(Hand):
    async def run(self):
        return WORD

    async def say(self, call):
        return {"word": WORD}
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("seals") / "home")) as kernel:
        yield kernel


def _hand(folder: Path, name: str, *, kind: str = "service", version: str = "1.0.0", word: str = "sealed") -> Path:
    toml = _TOML.format(name=name, version=version, kind=kind, more="") + _SERVICE.format(name=name)
    write_hand(folder, Source(toml, _MAIN), words_py=f'WORD = "{word}"\n')
    (folder / "notes").mkdir()
    (folder / "notes" / "page.txt").write_text("a page\n")
    return folder


def _installed(kernel: Kernel, tmp_path: Path, name: str, **more: str) -> Path:
    """Install a Hand; its folder in the home."""
    told = install(kernel, _hand(tmp_path / f"{name}-{len(os.listdir(tmp_path))}", name, **more))
    return kernel.home / "hands" / str(told["folder"])


def _refused_start(kernel: Kernel, client: Client, name: str) -> str:
    """Its start is refused with exit code 4 and logged; what was said."""
    before = len(entries(kernel.home))
    ended = not_done(client, "kernel.start", name)
    assert (ended.reason, ended.code) == ("seal", Exit.REFUSED), ended
    refused = lambda one: one.seq >= before and one.verdict == "refused" and name in one.why  # noqa: E731
    until(lambda: any(map(refused, entries(kernel.home, "refusal", "end"))), "the refusal is in the log")
    return str(ended)


# what is done to a folder --------------------------------------------------------------------------------------------


def _link(folder: Path, name: str, elsewhere: Path) -> None:
    target = elsewhere / "elsewhere"
    shutil.move(folder / name, target)
    (folder / name).symlink_to(target)


def _append(file: Path) -> None:
    file.write_text(file.read_text() + "\n")


def _unfile(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _replace(folder: Path, other: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(other, folder)


TAMPERS: Final[dict[str, tuple[str, Callable[[Path, Path], object]]]] = {
    "code changed": ("words.py was changed", lambda at, _: (at / "words.py").write_text('WORD = "evil"\n')),
    "one byte added": ("main.py was changed", lambda at, _: _append(at / "main.py")),
    "manifest changed": ("HAND.toml was changed", lambda at, _: _append(at / "HAND.toml")),
    "seal changed": ("HAND.seal was changed", lambda at, _: _append(at / "HAND.seal")),
    "seal removed": ("HAND.seal was removed", lambda at, _: (at / "HAND.seal").unlink()),
    "seal linked": ("HAND.seal is a link", lambda at, other: _link(at, "HAND.seal", other)),
    "file added": ("extra.py was added", lambda at, _: (at / "extra.py").write_text("")),
    "hidden file added": (".hidden was added", lambda at, _: (at / ".hidden").write_text("")),
    "file added below": ("notes/more.txt was added", lambda at, _: (at / "notes" / "more.txt").write_text("")),
    "cache added": ("__pycache__/words.pyc was added", lambda at, _: _cache(at)),
    "file removed": ("notes/page.txt was removed", lambda at, _: (at / "notes" / "page.txt").unlink()),
    "file linked": ("words.py is a link", lambda at, other: _link(at, "words.py", other)),
    "folder linked": ("notes is a link", lambda at, other: _link(at, "notes", other)),
    "file made a folder": ("words.py was removed", lambda at, _: _unfile(at / "words.py")),
    "fifo added": ("pipe is a link, or not a plain file", lambda at, _: os.mkfifo(at / "pipe")),
    "name without UTF-8": (r"\udcff.py was added", lambda at, _: os.mknod(os.fsencode(at) + b"/\xff.py")),
    "name that deceives": (r"\u202etxt.py was added", lambda at, _: (at / "\u202etxt.py").write_text("")),
    "case changed": ("Words.py was added", lambda at, _: (at / "words.py").rename(at / "Words.py")),
}  # fmt: skip


def _cache(folder: Path) -> None:
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "words.pyc").write_bytes(b"evil")


@pytest.mark.parametrize("kind", spread(["service", "task"], 1))
@pytest.mark.parametrize("tamper", TAMPERS)
def test_a_folder_that_is_not_as_sealed_starts_nothing(
    kernel: Kernel, client: Client, tmp_path: Path, tamper: str, kind: str
) -> None:
    name = f"{kind}-" + tamper.replace(" ", "-").lower()
    folder = _installed(kernel, tmp_path, name, kind=kind)
    says, act = TAMPERS[tamper]
    act(folder, tmp_path)
    said = _refused_start(kernel, client, name)
    assert says in said, said
    assert "install it again" in said
    assert not_done(client, f"{name}.say").reason == "seal"


def test_a_folder_put_back_as_it_was_starts_again(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    folder = _installed(kernel, tmp_path, "mended")
    sealed = (folder / "words.py").read_bytes()
    (folder / "words.py").write_bytes(sealed + b"#")
    _refused_start(kernel, client, "mended")
    (folder / "words.py").write_bytes(sealed)
    assert client.call("mended.say").value == {"word": "sealed"}


# while the kernel was down -------------------------------------------------------------------------------------------


def _without_snapshot(kernel: Kernel) -> None:
    kernel.kill()
    (kernel.home / "log" / "snapshot").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("down") / "home")) as kernel:
        yield kernel


OFFLINE: Final[dict[str, Callable[[Path, Path], object]]] = {
    "effect made read": lambda at, _: (at / "HAND.toml").write_text(
        (at / "HAND.toml").read_text().replace('"external"', '"read"')
    ),
    "folder gone": lambda at, _: shutil.rmtree(at),
    "manifest broken": lambda at, _: (at / "HAND.toml").write_text("["),
    "another's folder": lambda at, other: _replace(at, other),
}


@pytest.mark.parametrize("tamper", spread(OFFLINE, 2))
def test_what_was_swapped_while_the_kernel_was_down_stops_its_own_hand_only(
    second: Kernel, tmp_path: Path, tamper: str
) -> None:
    name = "offline-" + tamper.replace("'", "").replace(" ", "-")
    folder = _installed(second, tmp_path, name)
    other = _installed(second, tmp_path, f"{name}-other")
    _without_snapshot(second)
    OFFLINE[tamper](folder, other)
    second.up()
    with second.client() as client:
        said = _refused_start(second, client, name)
        assert "HAND.toml" in said
        assert "maniple install" in said
        assert client.call(f"{name}-other.say").value == {"word": "sealed"}
        listed: Any = client.call("kernel.hands").value
        assert ["HAND.toml" in one["why"] for one in listed["hands"] if one["name"] == name] == [True]
        rows: Any = client.call("kernel.describe").value
        assert not [one for one in rows["methods"] if one["method"] == f"{name}.say" and one["effect"] != "external"]


def test_an_older_folder_in_the_place_of_the_newer_is_refused(second: Kernel, tmp_path: Path) -> None:
    old = Path(shutil.copytree(_installed(second, tmp_path, "aged", word="old"), tmp_path / "old"))
    new = _installed(second, tmp_path, "aged", version="1.1.0", word="new")
    _without_snapshot(second)
    _replace(new, old)
    second.up()
    with second.client() as client:
        _refused_start(second, client, "aged")


def test_the_manifest_that_the_kernel_goes_by_is_the_sealed_one_and_no_other(second: Kernel, tmp_path: Path) -> None:
    """A manifest swapped in for as long as the kernel reads it, and out again before the run compares its files."""
    folder = _installed(second, tmp_path, "blink")
    sealed = (folder / "HAND.toml").read_text()
    _without_snapshot(second)
    (folder / "HAND.toml").write_text(sealed.replace('"external"', '"read"').replace('["shown"]', "[]"))
    second.up()
    (folder / "HAND.toml").write_text(sealed)
    with second.client() as client:
        _refused_start(second, client, "blink")
        with pytest.raises(NotDone):
            client.call("blink.say")


# time of check is time of use ----------------------------------------------------------------------------------------

STARTS: Final = 30


@pytest.mark.parametrize("seed", spread([1, 2], 1))
def test_what_runs_is_what_was_sealed_however_files_are_swapped_meanwhile(
    kernel: Kernel, client: Client, tmp_path: Path, seed: int
) -> None:
    folder = _installed(kernel, tmp_path, f"race-{seed}", kind="task")
    sealed = (folder / "words.py").read_text()
    (tmp_path / "evil").write_text(sealed.replace("sealed", "evil!!"))
    (tmp_path / "good").write_text(sealed)
    done = threading.Event()

    def swap() -> None:
        chance, place = Random(seed), tmp_path / "next"
        while not done.is_set():
            for which in ("evil", "good"):
                shutil.copyfile(tmp_path / which, place)
                os.replace(place, folder / "words.py")
                end = time.perf_counter() + chance.random() * 0.01
                while time.perf_counter() < end and not done.is_set():
                    os.sched_yield()

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        outcomes = [_outcome(client, f"race-{seed}") for _ in range(STARTS)]
    finally:
        done.set()
        swapper.join()
    assert set(outcomes) == {"sealed", "seal"}


def _outcome(client: Client, name: str) -> object:
    """The word of the run, or the reason why there was none."""
    told: Any = client.call("kernel.start", name, {"wait": True}).value
    return told["value"] if told["outcome"] == "done" else told["code"]


# whose seal ----------------------------------------------------------------------------------------------------------


def _trust(client: Client, name: str, **more: object) -> SigningKey:
    key = SigningKey(name, os.urandom(32))
    client.call("kernel.key-add", "", {"key": key.verify_key.text(), "hands": ["*"], **more})
    return key


def _install_refused(kernel: Kernel, folder: Path, key: SigningKey) -> str:
    with pytest.raises(NotDone) as refused:
        install(kernel, folder, key=key)
    assert (refused.value.reason, refused.value.code) == ("seal", Exit.REFUSED)
    return str(refused.value)


def test_a_stranger_seals_nothing(kernel: Kernel, tmp_path: Path) -> None:
    said = _install_refused(kernel, _hand(tmp_path / "hand", "strange"), SigningKey("stranger", os.urandom(32)))
    assert "stranger" in said
    assert "maniple keys add" in said


def test_a_key_seals_only_the_hands_it_is_trusted_for(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    key = _trust(client, "narrow", hands=["mine-*"])
    assert "not trusted to seal yours" in _install_refused(kernel, _hand(tmp_path / "yours", "yours"), key)
    install(kernel, _hand(tmp_path / "mine", "mine-own"), key=key)


def test_a_key_gives_no_more_than_it_may(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    key = _trust(client, "modest", most=[{"method": "web.fetch", "allow": ["https://example.org/**"]}])
    folder = _hand(tmp_path / "hand", "wants")
    with (folder / "HAND.toml").open("a") as toml:
        toml.write('\n[capabilities]\n"web.fetch" = ["https://**/**"]\n')
    assert "more than" in _install_refused(kernel, folder, key)


@pytest.mark.parametrize("opens", ["roots = true", 'network = "host"', 'outside_read = ["/etc"]'])
def test_a_key_lets_nothing_past_its_grants_either(kernel: Kernel, client: Client, tmp_path: Path, opens: str) -> None:
    """What a wall leaves open is no capability, and nobody asks for a grant there: every named folder, the network."""
    key = _trust(client, "shy", most=[{"method": "web.fetch", "allow": ["https://example.org/**"]}])
    folder = _hand(tmp_path / "hand", "reaches")
    with (folder / "HAND.toml").open("a") as toml:
        toml.write(f"\n[confinement]\n{opens}\n")
    assert "more than" in _install_refused(kernel, folder, key)
    install(kernel, folder)


def test_an_expired_key_starts_nothing_more(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    ends = time.time_ns() // 1000 + 700_000
    key = _trust(client, "brief", expires=ends)
    install(kernel, _hand(tmp_path / "hand", "brief-hand"), key=key)
    until(lambda: time.time_ns() // 1000 > ends, "the key has expired")
    assert "has expired" in _refused_start(kernel, client, "brief-hand")


def test_revoking_a_key_stops_what_runs_by_it_and_it_starts_no_more(
    kernel: Kernel, client: Client, tmp_path: Path
) -> None:
    """At once: it is given no time to act in, as it is when it is only stopped."""
    key = _trust(client, "fallen")
    fallen = _hand(tmp_path / "one", "fallen-service")
    last_words = "\n    async def stop(self):\n        self.log.info('acting on')\n"
    (fallen / "main.py").write_text((fallen / "main.py").read_text() + last_words)
    install(kernel, fallen, key=key)
    install(kernel, _hand(tmp_path / "two", "standing"))
    for name in ("fallen-service", "standing"):
        client.call("kernel.start", name)
    client.call("kernel.key-revoke", key.verify_key.id)

    def running() -> set[str]:
        told: Any = client.call("kernel.ps").value
        return {one["hand"] for one in told["runs"]}

    until(lambda: "fallen-service" not in running(), "it is stopped")
    assert "acting on" not in (kernel.home / "output" / "fallen-service.log").read_text()
    assert "standing" in running()
    assert "was revoked" in _refused_start(kernel, client, "fallen-service")
    assert not_done(client, "kernel.key-add", "", {"key": key.verify_key.text(), "hands": ["*"]}).reason == "arguments"


@pytest.mark.parametrize("told", [("other", "1.0.0"), ("named", "2.0.0")])
def test_a_seal_of_another_name_or_version_is_none(
    kernel: Kernel, client: Client, tmp_path: Path, told: tuple[str, str]
) -> None:
    folder = package.read(str(_hand(tmp_path / "hand", "named")))
    seal = seals.seal(*told, folder.digests(), seal_key(kernel.home))
    with pytest.raises(NotDone) as refused:
        installing.install(client, folder, seal, [])
    assert refused.value.reason == "seal"
    assert f"the seal is for {told[0]} {told[1]}" in str(refused.value)


def test_a_seal_over_another_manifest_is_none(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    folder = package.read(str(_hand(tmp_path / "hand", "shifted")))
    digests = {**folder.digests(), "HAND.toml": "0" * 64}
    with pytest.raises(NotDone) as refused:
        installing.install(client, folder, seals.seal("shifted", "1.0.0", digests, seal_key(kernel.home)), [])
    assert refused.value.reason == "seal"
    assert "HAND.toml was changed" in str(refused.value)


def test_an_older_version_is_refused_also_after_a_removal(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    for version in ("1.0.0", "2.0.0"):
        install(kernel, _hand(tmp_path / version, "newer", version=version))
    older = tmp_path / "1.0.0"
    assert "is older than 2.0.0" in _install_refused(kernel, older, seal_key(kernel.home))
    client.call("kernel.remove", "newer")
    assert "is older than 2.0.0" in _install_refused(kernel, older, seal_key(kernel.home))
    install(kernel, tmp_path / "2.0.0")
