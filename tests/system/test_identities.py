"""A removed Hand leaves nothing to its namesake, and no root leads to the home, however it is spelt or mounted."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel.cli.client import Client
from tests.living import ROOT, Kernel, Source, install, make_home
from tests.system.actors import actor, ask, cast, done, not_done, refused, rows
from tests.system.fates import until

_KEEPER = Source(
    """
[hand]
name = "keeper"
version = "{version}"
description = "Keeps what it is told."
entry = "main:Keeper"
kind = "service"
autonomy = "full"

[capabilities]
"open.do" = ["*"]

[provides."keeper.keep"]
summary = "Keep something in the state folder, and tell what is there"
resource = "none"
effect = "read"
params = { what = "string?" }

[settings.pin]
type = "string"
secret = true

[settings.colour]
type = "string"
""",
    """
import os

from runtime import CallRefused, Hand


class Keeper(Hand):
    async def keep(self, call, what=""):
        found = sorted(os.listdir(self.state))
        if what:
            (self.state / what).write_text(what)
        (self.scratch / "mine").write_text("x")
        try:
            await self.kernel.call("open.do")
            may = True
        except CallRefused:
            may = False
        settings = {name: self.settings[name] for name in ("pin", "colour") if name in self.settings}
        return {"found": found, "may": may, "settings": settings, "uid": os.getuid(), "scratch": str(self.scratch)}
""",
)


def _keeper(version: str) -> Source:
    return Source(_KEEPER.toml.replace("{version}", version), _KEEPER.main)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("identities") / "home")) as kernel:
        cast(kernel, [actor("open")])
        yield kernel


def _kept(client: Client, what: str = "") -> dict[str, Any]:
    value: Any = client.call("keeper.keep", "", {"what": what} if what else {}).value
    return dict(value)


def test_a_namesake_inherits_nothing_from_a_removed_hand(kernel: Kernel, client: Client) -> None:
    first = install(kernel, _keeper("1.0.0"))
    client.call("kernel.set", "keeper", {"values": {"pin": "1234", "colour": "red"}})
    before = _kept(client, "treasure")
    assert before["may"]
    assert before["settings"] == {"pin": "1234", "colour": "red"}
    assert _kept(client)["found"] == ["treasure"]
    client.call("kernel.pause", "keeper")
    client.call("kernel.remove", "keeper")

    second = install(kernel, _keeper("1.0.1"), [])
    after = _kept(client)
    assert second["hand"] != first["hand"]
    assert after["found"] == []
    assert not after["may"]
    assert not any(after["settings"].values())
    assert after["scratch"] != before["scratch"]
    assert os.geteuid() != 0 or after["uid"] != before["uid"]
    shown: Any = client.call("kernel.show", "keeper").value
    assert shown["grants"] == []


def test_an_upgrade_is_the_same_hand(kernel: Kernel, client: Client) -> None:
    first = install(kernel, _keeper("1.1.0"))
    _kept(client, "kept")
    second = install(kernel, _keeper("1.2.0"), [])
    assert second["hand"] == first["hand"]
    after = _kept(client)
    assert "kept" in after["found"]
    assert after["may"]


def test_a_removed_hands_run_can_do_nothing_more(kernel: Kernel, client: Client) -> None:
    """Also while it is given time to end."""
    main = (
        _KEEPER.main
        + """
    async def stop(self):
        try:
            await self.kernel.call("open.do")
            self.log.info("late: it was let")
        except CallRefused as refused:
            self.log.info("late: " + refused.code)
"""
    )
    toml = _KEEPER.toml.replace("{version}", "1.0.0").replace("keeper", "leaver")
    install(kernel, Source(toml, main))
    client.call("kernel.start", "leaver")
    client.call("kernel.remove", "leaver")
    output = kernel.home / "output" / "leaver.log"
    until(lambda: '"late: ' in output.read_text(), "it tried")
    assert '"late: capability"' in output.read_text()


def test_an_event_is_heard_no_more_when_the_grant_to_hear_it_is_taken_back(kernel: Kernel, client: Client) -> None:
    news = '[events]\npublishes = ["news"]\nsubscribes = ["teller.news"]'
    cast(kernel, [actor("teller", more=news), actor("listener", more=news)])
    say = {"publish": "news", "with": 1}
    done(ask(client, "listener.do", [{"subscribe": "teller.news"}])[0])
    done(ask(client, "teller.do", [say])[0])
    ask(client, "listener.do", [{"heard": 1}])
    client.call("kernel.revoke", "listener", {"method": "kernel.subscribe"})
    done(ask(client, "teller.do", [say])[0])
    refused(ask(client, "listener.do", [{"subscribe": "teller.news"}])[0], "capability")
    client.call(
        "kernel.grant", "listener", {"capabilities": [{"method": "kernel.subscribe", "allow": ["teller.news"]}]}
    )
    done(ask(client, "listener.do", [{"subscribe": "teller.news"}])[0])
    done(ask(client, "teller.do", [{**say, "with": 3}])[0])
    (heard,) = ask(client, "listener.do", [{"heard": 2}])
    assert [one["body"] for one in heard["events"]] == [1, 3]


def test_only_the_own_events_can_be_published(kernel: Kernel, client: Client) -> None:
    cast(kernel, [actor("forger", more='[events]\npublishes = ["news"]')])
    for name in ("other", "teller.news", "kernel.settings", "news.x", "", "..", "NEWS"):
        assert ask(client, "forger.do", [{"publish": name}])[0]["end"] == "refused", name


# roots ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mounts() -> Iterator[list[Path]]:
    made: list[Path] = []
    yield made
    for place in made:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _root(client: Client, path: Path | str) -> str:
    """The reason why this may not be a root, "" when it may."""
    name = f"root-{abs(hash(str(path))) % 10**9}"
    try:
        client.call("kernel.root-add", name, {"path": str(path)})
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the test looks at
        return str(getattr(error, "reason", error))
    client.call("kernel.root-remove", name)
    return ""


def test_a_root_that_holds_lies_in_or_leads_to_the_home_is_refused(
    kernel: Kernel, client: Client, tmp_path: Path
) -> None:
    home = kernel.home
    fine = tmp_path / "fine"
    fine.mkdir()
    (tmp_path / "link").symlink_to(home)
    (tmp_path / "below").symlink_to(home / "keys")
    (tmp_path / "above").symlink_to(home.parent)
    (fine / "round").symlink_to(fine)
    shown = str(home)
    refused_ones: list[Path | str] = [
        home, home / "keys", home / "state", home.parent, home.parent.parent, Path("/"), f"{shown}/", f"{shown}/.",
        f"{shown}/../{home.name}", f"/{shown}", f"{shown}//keys", tmp_path / "link", tmp_path / "below",
        tmp_path / "above", tmp_path / "link" / "keys",
    ]  # fmt: skip
    for path in refused_ones:
        assert _root(client, path) in ("roots", "arguments"), path
    assert _root(client, fine) == ""
    assert _root(client, fine / "round") == ""
    near = home.parent / f"{home.name}-not"
    near.mkdir()
    assert _root(client, near) == ""
    for no_folder in (tmp_path / "absent", "relative", "", home / "home.toml"):
        assert _root(client, no_folder) == "arguments", no_folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes bind mounts")
def test_a_root_that_shows_the_home_through_a_mount_is_refused(
    kernel: Kernel, client: Client, tmp_path: Path, mounts: list[Path]
) -> None:
    for number, source in enumerate((kernel.home, kernel.home / "keys", kernel.home.parent)):
        place = tmp_path / f"mount-{number}"
        place.mkdir()
        made = subprocess.run(["mount", "--bind", str(source), str(place)], capture_output=True, check=False)
        if made.returncode:
            pytest.skip("this machine makes no bind mounts")
        mounts.append(place)
    (tmp_path / "mount-0" / "scratch").mkdir(exist_ok=True)
    assert _root(client, tmp_path / "mount-0") == "roots"
    assert _root(client, tmp_path / "mount-0" / "scratch") == "roots"
    assert _root(client, tmp_path / "mount-2") == "roots"
    assert _root(client, tmp_path / "mount-1") == "roots"


def test_a_root_that_was_swapped_for_a_link_to_the_home_is_not_opened(
    kernel: Kernel, client: Client, tmp_path: Path
) -> None:
    install(kernel, ROOT / "hands" / "files")
    cast(kernel, [actor("reader", rows() + '"files.list" = ["trap/**"]')])
    (tmp_path / "above" / "trap").mkdir(parents=True)
    (tmp_path / "above" / "trap" / "a").write_text("")
    client.call("kernel.root-add", "trap", {"path": str(tmp_path / "above" / "trap")})
    look = [{"call": "files.list", "on": "trap"}]
    done(ask(client, "reader.do", look)[0])
    client.call("kernel.stop", "files")
    shutil.move(tmp_path / "above", tmp_path / "aside")
    (tmp_path / "lure").mkdir()
    (tmp_path / "lure" / "trap").symlink_to(kernel.home)
    for trick in (tmp_path / "lure", tmp_path / "aside"):
        (tmp_path / "above").symlink_to(trick)
        assert refused(ask(client, "reader.do", look)[0], "folder")
        (tmp_path / "above").unlink()
    shutil.move(tmp_path / "aside", tmp_path / "above")
    done(ask(client, "reader.do", look)[0])
    client.call("kernel.root-remove", "trap")
    assert not_done(client, "kernel.root-remove", "trap").reason in ("arguments", "unknown root")
