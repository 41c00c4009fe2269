"""WASM Hands in a living home: compiled at install, pinned by the log, started, refused, metered, and ended in time."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.cli import compiling
from kernel.cli.client import Client
from kernel.cli.exits import Ended, NotDone
from tests.living import ROOT, Kernel, Source, install, make_home
from tests.system.fates import bare, entries, entry, held_up_by_no_pipe, table, until
from wire.codec import Value

HAND = """
[hand]
name = "{name}"
version = "1.0.0"
description = "A guest."
wasm = "main.wat"
kind = "{kind}"
autonomy = "full"
{more}
"""

ALLOCATE = '(memory (export "memory") 1) (func (export "maniple_alloc") (param i32) (result i32) (i32.const 4096))'
ECHO = """(i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32)) (i64.extend_i32_u (local.get $size)))"""
LOOP = "(loop (br 0)) (i64.const 0)"


def guest(folder: Path, body: str, *, name: str = "guest", kind: str = "task", more: str = "", whole: str = "") -> Path:
    """A Hand's folder: a task whose `run` is the body, or a module as it is."""
    folder.mkdir()
    (folder / "HAND.toml").write_text(HAND.format(name=name, kind=kind, more=more))
    run = f'(func $run (export "run") (param $at i32) (param $size i32) (result i64) {body})'
    (folder / "main.wat").write_text(whole or f"(module {ALLOCATE} {run})")
    return folder


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("wasm") / "home")) as kernel:
        yield kernel


@pytest.fixture
def kernel(living: Kernel) -> Iterator[Kernel]:
    """One for all tests, with no Hand of the one before, and nothing that was compiled for it."""
    yield living
    bare(living)
    for one in (living.home / "compiled").glob("*"):
        one.unlink()


def _run(client: Client, name: str = "guest", **inputs: Value) -> dict[str, Value]:
    return table(client.call("kernel.start", name, {"inputs": inputs, "wait": True}).value)


def only_run(client: Client) -> dict[str, Value]:
    runs = table(client.call("kernel.ps").value)["runs"]
    assert isinstance(runs, list)
    (only,) = runs
    return table(only)


def _compiled(kernel: Kernel) -> Path:
    (only,) = (kernel.home / "compiled").iterdir()
    return only


def test_a_module_is_compiled_at_install_and_answers(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    told = install(kernel, guest(tmp_path / "guest", ECHO))
    artefact = table(told["artefact"])
    assert _compiled(kernel).name == artefact["key"]
    outcome = _run(client, a=1, b="two")
    assert (outcome["outcome"], outcome["value"]) == ("done", {"a": 1, "b": "two"})
    assert entries(kernel.home, "hand.install")[-1].detail["artefact"] == artefact


@pytest.mark.wide
def test_a_guest_may_have_an_interpreter_of_its_own_around_it(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    folder = guest(tmp_path / "guest", ECHO)
    text = (folder / "HAND.toml").read_text()
    (folder / "HAND.toml").write_text(text.replace('kind = "task"', 'kind = "task"\nisolation = "exec"'))
    install(kernel, folder)
    assert _run(client, a=1)["value"] == {"a": 1}


def test_what_a_guest_used_is_in_the_log_and_in_the_runs_end(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    install(kernel, guest(tmp_path / "guest", ECHO))
    run = _run(client)["run"]
    client.call("kernel.wait", "", {"run": run})
    *_, end = (one for one in entries(kernel.home, "end") if one.method == "run")
    used = table(end.detail["used"])  # type: ignore[arg-type]
    assert used["memory"] == 65_536
    assert isinstance(used["fuel"], int)
    assert 0 < used["fuel"] < 1_000
    output = (kernel.home / "output" / "guest.log").read_text()
    assert f'"fuel":{used["fuel"]}' in output
    assert entry(kernel.home, "run.end", run=run).detail["used"] == used


def test_a_service_answers_with_its_exports_and_ps_tells_what_it_used(
    kernel: Kernel, client: Client, tmp_path: Path
) -> None:
    install(kernel, ROOT / "docs" / "examples" / "wasm-wat")
    assert client.call("page.echo", "", {"text": "hello"}).value == {"text": "hello"}
    used = table(only_run(client)["used"])
    assert isinstance(used["fuel"], int)
    assert used["fuel"] > 0
    assert used["memory"] == 4 * 65_536


ASKS = """
(module
  (import "maniple" "call" (func $call (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "maniple_alloc") (param i32) (result i32) (i32.const 4096))
  (data (i32.const 0) "echo.say") (data (i32.const 16) "\\81\\a4text\\a2hi")
  (func (export "run") (param i32 i32) (result i64)
    (drop (call $call (i32.const 0) (i32.const 8) (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 9) (i32.const 64)))
    (i64.or (i64.shl (i64.extend_i32_u (i32.load (i32.const 64))) (i64.const 32))
            (i64.extend_i32_u (i32.load (i32.const 68))))))
"""


def test_a_guests_call_is_refused_by_the_kernel_unless_it_was_granted(
    kernel: Kernel, client: Client, tmp_path: Path
) -> None:
    from tests.living import ECHO as SAYS

    install(kernel, SAYS)
    install(kernel, guest(tmp_path / "barred", "", name="barred", whole=ASKS))
    install(kernel, guest(tmp_path / "guest", "", whole=ASKS, more='[capabilities]\n"echo.say" = ["*"]'))
    refused = table(_run(client, "barred")["value"])
    assert refused["code"] == "capability"
    assert refused["grant"] == '"echo.say" = ["*"]'
    assert _run(client)["value"] == {"text": "hi"}
    told = [one for one in entries(kernel.home, "refusal") if one.method == "echo.say"]
    assert [(one.method, one.principal[:2]) for one in told] == [("echo.say", "r-")], told


def test_an_artefact_that_was_changed_by_one_bit_starts_nothing(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    install(kernel, guest(tmp_path / "guest", ECHO))
    path = _compiled(kernel)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    outcome = _run(client)
    assert (outcome["outcome"], outcome["code"]) == ("refused", "seal")
    assert "its compiled module was changed after it was installed" in str(outcome["text"])
    assert [one.verdict for one in entries(kernel.home, "refusal") if one.detail.get("code") == "seal"] == ["refused"]


def test_a_pipe_where_an_artefact_should_be_holds_up_nobody(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    install(kernel, guest(tmp_path / "guest", ECHO))
    path = _compiled(kernel)
    path.unlink()
    os.mkfifo(path)
    outcomes: list[dict[str, Value]] = []
    held_up_by_no_pipe(lambda: outcomes.append(_run(client)), path, os.O_WRONLY)
    assert [one["code"] for one in outcomes] == ["seal"]


@pytest.mark.wide
def test_an_artefact_that_is_gone_starts_nothing_until_it_is_installed_again(
    kernel: Kernel, client: Client, tmp_path: Path
) -> None:
    folder = guest(tmp_path / "guest", ECHO)
    install(kernel, folder)
    _compiled(kernel).unlink()
    with pytest.raises(NotDone, match="does not start"):
        _run(client)
    install(kernel, folder)
    assert _run(client)["outcome"] == "done"


@pytest.mark.wide
def test_a_kernel_that_starts_again_still_knows_the_artefact(kernel: Kernel, tmp_path: Path) -> None:
    install(kernel, guest(tmp_path / "guest", ECHO))
    kernel.down()
    kernel.up()
    with kernel.client() as client:
        assert _run(client)["outcome"] == "done"


@pytest.mark.parametrize("body", ["(i64.const 0", "(call $missing) (i64.const 0)", "(i32.const 0)"])
def test_a_module_that_is_wrong_is_not_installed(kernel: Kernel, tmp_path: Path, body: str) -> None:
    folder = guest(tmp_path / "guest", body)
    with pytest.raises(Ended, match="cannot be run"):
        install(kernel, folder)
    assert not list((kernel.home / "hands").iterdir())


@pytest.mark.wide
def test_an_install_that_names_no_artefact_is_turned_away(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    install(kernel, guest(tmp_path / "guest", ECHO))
    (folder,) = (kernel.home / "hands").iterdir()
    for artefact in ({}, {"artefact": {"key": "../../keys/seal.key", "digest": "0" * 64}}):
        with pytest.raises(NotDone, match="key and digest of its compiled module"):
            client.call("kernel.install", "", {"folder": folder.name, **artefact})


FILL = """(loop (br_if 0 (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
(memory.fill (i32.const 0) (i32.const 1) (i32.shl (memory.size) (i32.const 16))) unreachable"""
ENDS = {
    "fuel": (LOOP, "[limits]\nfuel = 1_000_000", "its fuel is used up"),
    "stack": ("(call $run (local.get $at) (local.get $size))", "", "recursed"),
    "trap": ("unreachable", "", "unreachable"),
    "memory": (FILL, '[limits]\nmemory = "160MiB"', "all the memory it may have, 96MiB"),
    "deadline": (LOOP, '[limits]\nwall = "300ms"\nfuel = 1_000_000_000_000_000', "0."),
}


@pytest.mark.parametrize("code", ENDS)
def test_each_end_names_its_reason(kernel: Kernel, client: Client, tmp_path: Path, code: str) -> None:
    body, more, words = ENDS[code]
    install(kernel, guest(tmp_path / "guest", body, more=more))
    outcome = _run(client)
    for _ in range(20 if code == "deadline" else 0):  # a process that is late is ended by the kernel, in its words
        outcome = outcome if words in str(outcome["text"]) else _run(client)
    assert (outcome["outcome"], outcome["code"]) == ("failed", code)
    assert words in str(outcome["text"])
    *_, end = (one for one in entries(kernel.home, "end") if one.method == "run")
    assert end.verdict == "failed"
    assert "used" in end.detail


def test_a_deadline_is_kept_to_within_50_ms(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    install(kernel, guest(tmp_path / "guest", LOOP, more='[limits]\nwall = "300ms"\nfuel = 1_000_000_000_000_000'))
    late = []
    for _ in range(20):  # the best counts: others use this machine as well
        begun = time.monotonic()
        assert _run(client)["code"] == "deadline"
        late.append(time.monotonic() - begun - 0.3)
        if late[-1] < 0.05:
            return
    raise AssertionError(f"it took {min(late):.3f} s longer")


def test_a_service_outlives_what_its_guests_do(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    methods = {"spin": LOOP, "fall": "unreachable", "fine": "(i64.const 0)"}
    exports = "".join(
        f'(func (export "{name}") (param i32 i32 i32 i32) (result i64) {body})' for name, body in methods.items()
    )
    rows = "".join(
        f'[provides."guest.{name}"]\nsummary = "."\nresource = "none"\neffect = "read"\n' for name in methods
    )
    more = rows + "[limits]\nfuel = 3_000_000\n"
    install(kernel, guest(tmp_path / "guest", "", kind="service", whole=f"(module {ALLOCATE} {exports})", more=more))

    def pid() -> Value:
        return only_run(client)["pid"]

    client.call("guest.fine")
    before = pid()
    for name, code in (("spin", "fuel"), ("fall", "trap"), ("spin", "fuel")):
        with pytest.raises(NotDone, match=code if name == "fall" else "fuel"):
            client.call(f"guest.{name}")
        client.call("guest.fine")
    assert pid() == before


PROGRAM = """
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $environ (i32.const 512) (i32.const 1024)))
    (drop (call $args (i32.const 600) (i32.const 1036)))
    (i32.store8 (i32.const 1035) (i32.const 32))
    (i32.store8 (i32.const 1041) (i32.const 32))
    (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 25))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $exit (i32.load8_u (i32.const 1050)))))
"""


def test_a_program_has_its_settings_and_arguments_and_answers_with_what_it_prints(
    kernel: Kernel, client: Client, tmp_path: Path
) -> None:
    more = '[settings.colour]\ntype = "string"\ndefault = "blue"\n'
    install(kernel, guest(tmp_path / "guest", "", whole=PROGRAM.replace("1050", "3000"), more=more))
    value = table(_run(client, word="hello")["value"])
    assert value["exit"] == 0
    assert str(value["stdout"]).startswith("COLOUR=blue guest word=he")
    assert '"stream":"stdout"' in (kernel.home / "output" / "guest.log").read_text()


@pytest.mark.wide
def test_a_program_that_exits_with_a_number_has_failed(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    more = '[settings.colour]\ntype = "string"\ndefault = "blue"\n'
    install(kernel, guest(tmp_path / "guest", "", whole=PROGRAM.replace("1050", "1024"), more=more))
    outcome = _run(client)
    assert (outcome["outcome"], outcome["code"]) == ("failed", "exit")
    assert f"proc_exit({ord('C')})" in str(outcome["text"])


def test_the_c_example_builds_installs_and_counts(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    clang, linker = shutil.which("clang"), shutil.which("wasm-ld")
    targets = subprocess.run([clang, "--print-targets"], capture_output=True, text=True, check=True) if clang else None
    if targets is None or linker is None or "wasm32" not in targets.stdout:
        pytest.skip("clang with its wasm32 target and lld is not installed: apt install clang lld")
    folder = tmp_path / "primes"
    shutil.copytree(ROOT / "docs" / "examples" / "wasm-c", folder, ignore=shutil.ignore_patterns("*.wasm"))
    (line,) = (one.strip() for one in (folder / "README.md").read_text().splitlines() if one.startswith("clang "))
    subprocess.run(line.split(), cwd=folder, check=True, env={"PATH": os.environ["PATH"]})
    install(kernel, folder)
    assert _run(client, "primes", n=1_000_000)["value"] == {"primes": 78_498}
    refused = _run(client, "primes", m=1)
    assert (refused["code"], refused["text"]) == ("arguments", "primes: give one argument, n")


def test_the_wat_example_calls_for_whoever_may(kernel: Kernel, client: Client) -> None:
    install(kernel, WEB)
    install(kernel, ROOT / "docs" / "examples" / "wasm-wat")
    reply = client.call("page.read", "https://www.example.org/tide")
    assert (reply.value, "web" in reply.labels) == ({"status": 200}, True)
    with pytest.raises(NotDone, match="no-page"):
        client.call("page.read", "https://elsewhere.example/")


WEB = Source(
    """
[hand]
name = "web"
version = "1.0.0"
description = "Fetches nothing, and says it did."
entry = "main:Web"
kind = "service"
autonomy = "full"

[provides."web.fetch"]
summary = "Fetch"
resource = "url"
effect = "read"
""",
    """
from runtime import Call, Hand


class Web(Hand):
    async def fetch(self, call: Call) -> dict[str, object]:
        return {"status": 200}
""",
)


@pytest.mark.wide
def test_what_was_compiled_of_a_replaced_version_stays_as_long_as_an_unfinished_run_needs_it(
    kernel: Kernel, client: Client, tmp_path: Path
) -> None:
    artefact = table(
        install(kernel, guest(tmp_path / "old", LOOP, name="lasting", more='on_upgrade = "finish"'))["artefact"]
    )
    run = str(table(client.call("kernel.start", "lasting").value)["run"])
    new = guest(tmp_path / "new", ECHO, name="lasting")
    (new / "HAND.toml").write_text((new / "HAND.toml").read_text().replace("1.0.0", "1.1.0"))
    install(kernel, new)
    for one in (kernel.home / "compiled").iterdir():
        os.utime(one, (0, 0))
    compiling.remove_unused(client)
    until(lambda: only_run(client)["confinement"], "it is walled in")
    os.kill(int(str(only_run(client)["pid"])), signal.SIGKILL)
    until(lambda: len([one for one in entries(kernel.home, "run.confined") if one.run == run]) == 2, "another process")
    client.call("kernel.stop", run)
    compiling.remove_unused(client)
    assert artefact["key"] not in [one.name for one in (kernel.home / "compiled").iterdir()]
    assert len([*(kernel.home / "compiled").iterdir()]) == 1
