"""With a layer taken away, a Hand or a home that requires it starts no run, says why and how to mend it, and logs it.

And a layer that this machine has, and that cannot be laid on all the same, ends the run before its code begins.
"""

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from kernel import descriptors
from kernel.process import confine
from kernel.process.template import Template
from manifests.confinement.layers import LAYERS
from manifests.confinement.plan import Machine
from tests.attacks.broken import BROKEN, REFUSED
from tests.attacks.puppet import puppet
from tests.living import Kernel, Source, install, make_home
from tests.system.fates import call, entries, entry, table
from wire.launch import Born, Fork, decode_template, encode

REMOVABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "network-namespace": (), "ipc-namespace": (), "mount-namespace": (), "seccomp": (),
    "landlock": ("landlock-tcp", "landlock-scopes"), "landlock-tcp": ("landlock-scopes",), "landlock-scopes": (),
}  # fmt: skip
"""Layers that a machine may lack, and the plan can miss; and what goes with each."""

AS_ROOT: Final = pytest.mark.skipif(os.geteuid() != 0, reason="as root every layer is there")
RAN: Final = "the Hand's code began"

NOTHING: Final = Machine(
    is_root=True, namespaces=(), landlock=0, seccomp=False, architecture="", readable=(), online=()
)  # fmt: skip

CODE: Final = "def attack(hand, given): return 'ran'"


def _requiring(layer: str, lacking: str, *, name: str = "puppet") -> Source:
    source = puppet(name, {lacking} - {""}, {})
    return Source(f'{source.toml}\n[confinement]\nrequire = ["{layer}"]\n', source.main)


def _start(kernel: Kernel, hand: str) -> dict[str, object]:
    inputs = {"code": CODE, "given": {}}
    return dict(table(call(kernel, "kernel.start", hand, {"inputs": inputs, "wait": True})))


@contextmanager
def _weakened(place: Path, require: tuple[str, ...] = (), taken: str = "") -> Iterator[Kernel]:
    home = make_home(place / "home")
    (home / "weakened").write_text(taken)
    settings = home / "home.toml"
    if require:
        settings.write_text(f"{settings.read_text()}\nrequire = {json.dumps(require)}\n")
    with Kernel(home, "tests.attacks.weakened") as kernel:
        yield kernel


def _is_refused(kernel: Kernel, met: dict[str, object], *lacked: str) -> None:
    mends = "; ".join(f"{one.name}: {one.mend}" for one in LAYERS if one.name in lacked)
    layer = ", ".join(lacked)
    assert (met["outcome"], met["code"], met["value"]) == ("refused", "confinement", None), met
    assert f"it requires {layer}, which it would not have here ({mends})" in str(met["text"]), met
    assert f"it requires {layer}" in entry(kernel.home, "run.end", run=met["run"]).why
    assert [one for one in entries(kernel.home, "refusal") if one.detail["code"] == "confinement" and layer in one.why]
    assert met["run"] not in [one.run for one in entries(kernel.home, "run.confined")]


@pytest.fixture(scope="module")
def absent(weakened: Kernel) -> frozenset[str]:
    """What this machine lacks by itself, told of a run from which nothing was taken."""
    install(weakened, puppet("as-it-is", (), {}))
    return _missing(weakened, _start(weakened, "as-it-is"))


def _missing(kernel: Kernel, met: dict[str, object]) -> frozenset[str]:
    """What the log tells that a run lacks, each in the order in which layers are told."""
    missing = entry(kernel.home, "run.confined", run=met["run"]).detail["missing"]
    assert isinstance(missing, list)
    assert missing == [one.name for one in LAYERS if one.name in missing]
    return frozenset(map(str, missing))


@pytest.fixture(scope="module")
def weakened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with _weakened(tmp_path_factory.mktemp("closed")) as kernel:
        yield kernel


@pytest.mark.parametrize("layer", REMOVABLE)
def test_a_hand_that_requires_a_missing_layer_does_not_start(layer: str, weakened: Kernel) -> None:
    install(weakened, _requiring(layer, layer, name=f"needs-{layer}"))
    _is_refused(weakened, _start(weakened, f"needs-{layer}"), layer)


@pytest.mark.parametrize("layer", REMOVABLE)
def test_a_hand_that_requires_another_layer_starts_and_tells_what_it_lacks(
    layer: str, weakened: Kernel, absent: frozenset[str]
) -> None:
    install(weakened, _requiring("rlimits", layer, name=f"lacks-{layer}"))
    met = _start(weakened, f"lacks-{layer}")
    assert met["value"] == {"got": "ran"}, met
    assert _missing(weakened, met) == absent | {layer, *REMOVABLE[layer]}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, absent: frozenset[str]) -> Iterator[Kernel]:
    """A home that requires all of them that this machine has."""
    require = tuple(layer for layer in REMOVABLE if layer not in absent)
    with _weakened(tmp_path_factory.mktemp("strict"), require) as kernel:
        yield kernel


@pytest.mark.parametrize("layer", REMOVABLE)
def test_in_a_home_that_requires_a_missing_layer_no_hand_starts(
    layer: str, strict: Kernel, absent: frozenset[str]
) -> None:
    if layer in absent:
        pytest.skip(f"this machine has no {layer}: a home that requires it starts nothing at all")
    install(strict, puppet(f"lacks-{layer}", {layer}, {}))
    lacked = [one for one in (layer, *REMOVABLE[layer]) if one not in absent]
    _is_refused(strict, _start(strict, f"lacks-{layer}"), *lacked)


@AS_ROOT
def test_a_hand_that_requires_what_root_does_without_does_not_start(weakened: Kernel) -> None:
    install(weakened, _requiring("user-namespace", "", name="needs-user-namespace"))
    met = _start(weakened, "needs-user-namespace")
    assert (met["outcome"], met["code"]) == ("refused", "confinement"), met
    assert "as root each run has a user-id of its own in its place" in str(met["text"])


@AS_ROOT
def test_a_hand_that_requires_a_control_group_does_not_start_where_none_can_be_made(
    tmp_path: Path, absent: frozenset[str]
) -> None:
    with _weakened(tmp_path, taken="cgroup") as kernel:
        install(kernel, _requiring("cgroup", "", name="needs-cgroup"))
        _is_refused(kernel, _start(kernel, "needs-cgroup"), "cgroup")
        install(kernel, puppet("lacks-cgroup", (), {}))
        met = _start(kernel, "lacks-cgroup")
        assert _missing(kernel, met) == absent | {"cgroup"}


def test_what_this_machine_has_may_be_required(strict: Kernel) -> None:
    install(strict, puppet("whole", (), {}))
    assert _start(strict, "whole")["value"] == {"got": "ran"}


def _telling(name: str, said: str = "") -> Source:
    """A Hand that tells as soon as any code of it runs. said: what its description ends in."""
    whole = puppet(name, (), {})
    toml = whole.toml.replace("attacker wrote", f"attacker wrote{said}")
    return Source(toml, f"import sys\nprint({RAN!r}, file=sys.stderr, flush=True)\n{whole.main}")


def _has_not_run(kernel: Kernel, met: dict[str, object], hand: str) -> None:
    assert (met["outcome"], met["value"]) == ("failed", None), met
    assert RAN not in (kernel.home / "output" / f"{hand}.log").read_text()


@AS_ROOT
@pytest.mark.parametrize("layer", REFUSED)
def test_a_layer_that_the_system_refuses_ends_the_run_before_its_code_begins(layer: str, weakened: Kernel) -> None:
    install(weakened, _telling(f"broken-{layer}", f"{BROKEN}{layer}"))
    met = _start(weakened, f"broken-{layer}")
    _has_not_run(weakened, met, f"broken-{layer}")
    assert met["text"] == f"run ended: layer: [Errno 1] {REFUSED[layer].error_text}: Operation not permitted"
    assert str(met["text"]).endswith(entry(weakened.home, "run.end", run=met["run"]).why)


@AS_ROOT
def test_a_run_that_the_system_refuses_its_control_group_is_ended_before_its_code_begins(
    tmp_path: Path, absent: frozenset[str]
) -> None:
    if "cgroup" in absent:
        pytest.skip("this machine has no control groups of version 1")
    with _weakened(tmp_path, ("cgroup",), "broken-cgroup") as kernel:
        install(kernel, _telling("telling"))
        met = _start(kernel, "telling")
        _has_not_run(kernel, met, "telling")
    assert met["text"] == "run ended: layer: cgroup: [Errno 1] Operation not permitted"


def test_a_run_without_a_pid_namespace_of_its_own_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The template makes that, before any layer of the run's own."""

    def fails(flags: int) -> None:
        raise OSError(errno.ENOSPC, f"unshare {flags:#x}")

    kernel, theirs = descriptors.pair()
    with kernel, theirs:
        template = Template(theirs, NOTHING, lambda: None)
        monkeypatch.setattr(confine, "unshare", fails)
        descriptors.send(kernel, encode(Fork(number=7, isolated=False, usual=True, memory=1)), [kernel.fileno()])
        template._read_packet()
        told = [decode_template(descriptors.receive(kernel)[0]) for _ in ("it is warm", "the run")]
    assert told[1] == Born(number=7, pid=0, why=f"[Errno 28] unshare {confine.NEWPID:#x}")
