"""Through none of the bundled Hands does a Hand get what its own grants do not give: by attack, with the real ones."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kernel.cli.client import Client
from tests.living import ROOT, Kernel, install, make_home
from tests.system.actors import Told, actor, ask, cast, done, refused, rows

_BUNDLED: Final = ("files", "web", "machine", "monitoring", "data-pipeline")
_WAYS: Final = rows("monitoring.check", "data-pipeline.preview", "data-pipeline.check", "kernel.spawn")
_THINGS: Final = ("files.read", "files.stat", "files.list", "files.write", "files.delete", "web.fetch", "web.connect",
                  "machine.stats", "machine.processes")  # fmt: skip
_SPEC: Final = """
[source]
path = "data/secret.csv"

[target]
path = "data/out.csv"
"""


@pytest.fixture(scope="module")
def served() -> Iterator[int]:
    """A page on this machine that counts as private; the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def _serve(server: socket.socket) -> None:
    while True:
        try:
            peer, _ = server.accept()
        except OSError:
            return
        with peer:
            peer.recv(4096)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory, served: int) -> Iterator[Kernel]:
    """`nosy` may use every Hand that touches nothing itself; `entitled` may touch the things, too."""
    work = tmp_path_factory.mktemp("bundled")
    for root in ("data", "private"):
        (work / root).mkdir()
    (work / "data" / "secret.csv").write_text("name,pin\nann,1234\n")
    (work / "data" / "spec.toml").write_text(_SPEC)
    (work / "private" / "diary.txt").write_text("secret")
    (work / "data" / "way-out").symlink_to(work / "private")
    (work / "data" / "home").symlink_to(work / "home")
    (work / "data" / "key").symlink_to(work / "home" / "keys" / "operator.key")
    with Kernel(make_home(work / "home")) as kernel, kernel.client() as client:
        for name in _BUNDLED:
            install(kernel, ROOT / "hands" / name)
        for root in ("data", "private"):
            client.call("kernel.root-add", root, {"path": str(work / root)})
        client.call("kernel.set", "web", {"values": {"private": ["127.0.0.0/8"]}})
        targets = {
            "file": {"file": "private/diary.txt"},
            "page": {"url": f"http://127.0.0.1:{served}/"},
            "port": {"address": f"127.0.0.1:{served}"},
            "this": {"process": "python"},
        }
        client.call("kernel.set", "monitoring", {"values": {"targets": targets, "interval": 3600.0}})
        cast(kernel, [actor("nosy", _WAYS), actor("entitled", _WAYS + rows(*_THINGS))])
        cast(kernel, [actor("reader", _WAYS + '"files.read" = ["data/spec.toml"]\n"files.stat" = ["data/spec.toml"]')])
        yield kernel


@pytest.mark.parametrize(("target", "method"), [
    ("file", "files.stat"), ("page", "web.fetch"), ("port", "web.connect"), ("this", "machine.processes"),
    ("machine", "machine.stats"),
])  # fmt: skip
def test_monitoring_measures_nothing_for_a_caller_who_may_not(client: Client, target: str, method: str) -> None:
    look = {"call": "monitoring.check", "on": target}
    (nosy,), (entitled,) = ask(client, "nosy.do", [look]), ask(client, "entitled.do", [look])
    seen = done(nosy)["value"]
    assert (seen["state"], seen["metrics"]) == ("cannot be checked", {}), seen
    assert f"nosy (in whose name monitoring calls) holds no grant for {method}" in seen["why"]
    assert done(entitled)["value"]["metrics"], entitled


def test_a_look_for_a_caller_who_may_not_raises_no_alert(client: Client) -> None:
    for _ in range(3):
        ask(client, "nosy.do", [{"call": "monitoring.check", "on": "page"}])
    told: Any = client.call("monitoring.alerts").value
    assert not [one for one in told["firing"] if one.get("target") == "page"]


def _spawned(client: Client, who: str, inputs: dict[str, object], *, detached: bool = False) -> Told:
    more = {"inputs": inputs, "wait": True, "detached": detached}
    (told,) = ask(client, f"{who}.do", [{"call": "kernel.spawn", "on": "data-pipeline", "with": more}])
    return dict(done(told)["value"])


@pytest.mark.parametrize("detached", [False, True])
def test_a_spawned_pipeline_reads_and_writes_only_what_its_spawner_may(
    kernel: Kernel, client: Client, detached: bool
) -> None:
    inputs: dict[str, object] = {"source": "data/secret.csv", "target": "data/stolen.csv"}
    out = kernel.home.parent / "data" / "stolen.csv"
    for who in ("nosy", "reader"):
        outcome = _spawned(client, who, inputs, detached=detached)
        assert (outcome["outcome"], outcome["code"]) == ("failed", "files"), outcome
        assert f"{who} (in whose name data-pipeline calls) holds no grant" in outcome["text"]
        assert not out.exists()
    outcome = _spawned(client, "entitled", inputs, detached=detached)
    assert outcome["outcome"] == "done", outcome
    assert "1234" in out.read_text()
    out.unlink()


def test_a_preview_shows_only_what_its_caller_may_read(client: Client) -> None:
    """`reader` may read the spec, and nothing that the spec names."""
    for who, resource in (("nosy", "data/spec.toml"), ("reader", "data/spec.toml")):
        for method in ("preview", "check"):
            (told,) = ask(client, f"{who}.do", [{"call": f"data-pipeline.{method}", "on": resource}])
            assert "1234" not in repr(told)
            assert "pin" not in repr(told), told
    (told,) = ask(client, "entitled.do", [{"call": "data-pipeline.preview", "on": "data/spec.toml"}])
    assert "1234" in repr(done(told)["value"]["rows"])


def test_a_pipeline_reaches_nothing_beyond_its_own_grants_for_a_caller_who_may(client: Client) -> None:
    outcome = _spawned(client, "entitled", {"source": "private/diary.csv", "target": "data/out.csv"})
    assert "data-pipeline holds no grant for files.stat on 'private/diary.csv'" in outcome["text"]


@pytest.mark.parametrize("on", ["data/way-out/diary.txt", "data/key", "data/home/keys/operator.key", "data/home"])
def test_no_link_in_a_root_leads_out_of_it(client: Client, on: str) -> None:
    for told in ask(
        client, "entitled.do", [{"call": f"files.{verb}", "on": on} for verb in ("read", "list", "delete")]
    ):
        assert told["end"] == "failed", told
        assert told["code"] in ("symbolic link", "not a file", "not a folder", "not found"), told
    (told,) = ask(client, "entitled.do", [{"call": "files.write", "on": on, "send": [b"x"]}])
    assert told["end"] == "failed", told


def test_what_is_not_granted_is_not_asked_of_any_of_them(client: Client) -> None:
    on = {"files": "data/secret.csv", "web.f": "https://example.org/", "web.c": "example.org:443"}
    for method in _THINGS:
        resource = next((text for name, text in on.items() if method.startswith(name)), "")
        refused(ask(client, "nosy.do", [{"call": method, "on": resource}])[0], "capability")


def test_a_granted_name_is_no_way_to_a_private_address(kernel: Kernel, client: Client, served: int) -> None:
    url = f"http://127.0.0.1:{served}/"
    done(ask(client, "entitled.do", [{"call": "web.fetch", "on": url}])[0])
    client.call("kernel.set", "web", {"values": {"private": []}})
    try:
        for spelt in (
            url,
            f"http://localhost:{served}/",
            f"http://2130706433:{served}/",
            f"http://[::ffff:7f00:1]:{served}/",
        ):
            (told,) = ask(client, "entitled.do", [{"call": "web.fetch", "on": spelt}])
            assert (told["end"], told["code"]) == ("failed", "private address"), told
    finally:
        client.call("kernel.set", "web", {"values": {"private": ["127.0.0.0/8"]}})


def test_the_operators_settings_are_no_ones_to_read_or_change(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    for method in ("kernel.set", "kernel.show", "kernel.home"):
        refused(
            ask(client, "entitled.do", [{"call": method, "on": "web" if "home" not in method else ""}])[0], "capability"
        )
    (told,) = ask(client, "entitled.do", [{"call": "kernel.settings"}])
    assert done(told)["value"] == {"settings": {}}
