"""`maniple mcp`, as people use it, with a real server written with the protocol's own package."""

import json
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.cli.shell import Shell, installed_versions
from tests.cli.terminals import Terminal
from tests.living import ROOT, Source, files_containing, write_hand
from tests.system.fates import until
from tests.system.mcp_servers import LOOP, RAW

PYTHON: Final = "/usr/bin/python3"
PACKAGES: Final = sysconfig.get_path("purelib")
SERVER: Final = ROOT / "tests" / "system" / "mcp_server"


def _can_run() -> bool:
    """Whether the system's own Python can use the packages of this one."""
    if not Path(PYTHON).exists():
        return False
    told = subprocess.run([PYTHON, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, check=True)
    return told.stdout.decode().strip() == str(sys.version_info[:2])


pytestmark = pytest.mark.skipif(not _can_run(), reason="the system's python3 is none, or of another version")


@pytest.fixture(scope="module")
def clock(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a server that was added as `clock`."""
    folder = tmp_path_factory.mktemp("clock") / "server"
    shutil.copytree(SERVER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    ran = shell.run("mcp", "add", "clock", "--files", folder, "--effect", "add=read", "--yes", *_command())
    assert ran.code == 0, ran.err
    yield folder
    shell.good("mcp", "remove", "clock")


def _command() -> tuple[str, ...]:
    return ("--", "python3", "server.py", PACKAGES)


def raw_server(folder: Path, program: str = "") -> tuple[str | Path, ...]:
    """How a server written without the package is named, when it lies in this folder."""
    (folder / "server.py").write_text(f"{RAW}{program}{LOOP}")
    return ("--files", folder, "--", "python3", "server.py")


def test_a_server_is_looked_at_shown_and_installed_and_nothing_of_the_look_is_left(shell: Shell, clock: Path) -> None:
    methods = {row["method"]: row for row in json.loads(shell.good("methods", "mcp-clock", "--json"))["methods"]}
    assert methods["mcp-clock.add"]["effect"] == "read"
    assert methods["mcp-clock.wait"]["effect"] == "external"
    assert methods["mcp-clock.add"]["params"] == {"a": "int", "b": "int?"}
    assert methods["mcp-clock.read-the-file"]["params"] == {"file_name": "string", "encoding": "string?"}
    assert "mcp-look" not in shell.good("hands")
    assert not list((shell.home / "state").glob("*look*"))
    assert "mcp-look" in shell.good("audit", "search", "--kind", "hand.install")


@pytest.mark.wide
def test_where_there_is_no_terminal_all_that_was_typed_is_told_again(shell: Shell, tmp_path: Path) -> None:
    ran = shell.run("mcp", "add", "spare", "--effect", "do=read", "--may-ask", *raw_server(tmp_path))
    again = f"maniple mcp add spare --yes --files {tmp_path} --effect do=read --may-ask -- python3 server.py"
    assert (ran.code, f"`{again}" in ran.err) == (2, True), ran.err


def test_its_tools_are_methods(shell: Shell, clock: Path) -> None:
    assert shell.result("call", "mcp-clock.add", "a=3")["value"] == {"text": "5", "structured": {"result": 5}}
    ran = shell.run("call", "mcp-clock.add", "a=three")
    assert "`a`: it is a text, not an int" in ran.err
    ran = shell.run("call", "mcp-clock.fail")
    assert (ran.code, "Error executing tool fail" in ran.err) == (1, True)


def test_a_server_whose_table_is_damaged_hides_no_other_and_is_named(shell: Shell, clock: Path) -> None:
    (table,) = (shell.home / "hands").glob("mcp-clock-*/mcp.json")
    whole = table.read_bytes()
    try:
        table.write_bytes(whole[:-9])
        ran = shell.run("mcp", "list")
        assert (ran.code, f"{table} is damaged" in ran.err, "`maniple remove mcp-clock`" in ran.err) == (0, True, True)
        assert "none" not in ran.err
        table.unlink()
        ran = shell.run("mcp", "list", "--json")
        told = ran.table()
        assert (told["servers"], "mcp-clock" in str(told["unreadable"])) == ([], True)
        assert f"{table} is not there" in ran.err
    finally:
        table.write_bytes(whole)


def test_its_resources_and_prompts_are_read_by_methods(shell: Shell, clock: Path) -> None:
    (resource,) = json.loads(shell.good("call", "mcp-clock.resources.list"))["resources"]
    assert resource["uri"] == "note://today"
    assert json.loads(shell.good("call", "mcp-clock.resources.read", "uri=note://today"))["text"] == "wind the clocks"
    (prompt,) = json.loads(shell.good("call", "mcp-clock.prompts.list"))["prompts"]
    assert prompt["name"] == "greet"
    filled = json.loads(shell.good("call", "mcp-clock.prompts.get", "name=greet", 'arguments={"name": "Bo"}'))
    assert filled["messages"] == [{"role": "user", "text": "Say hello to Bo."}]


def test_it_reads_nothing_of_this_machine_that_it_was_not_given(shell: Shell, clock: Path, tmp_path: Path) -> None:
    (tmp_path / "given").mkdir(mode=0o755)
    (tmp_path / "given" / "note.txt").write_text("read me")
    for path in (shell.home / "keys" / "operator.key", tmp_path / "given" / "note.txt", Path("/etc/passwd")):
        assert shell.run("call", "mcp-clock.read-the-file", f"file_name={path}").code == 1
    named = json.loads(shell.good("call", "mcp-clock.read-the-file", "file_name=server.py"))
    assert named["text"] == (clock / "server.py").read_text()


def test_a_call_that_is_given_up_is_given_up_in_the_server(shell: Shell, clock: Path) -> None:
    ran = shell.run("call", "mcp-clock.wait", "seconds=30", "--timeout", "1s")
    assert ran.code == 1
    assert "somebody gave up waiting" in shell.good("logs", "mcp-clock")


def test_a_hand_calls_a_tool_only_if_it_was_granted(shell: Shell, clock: Path, tmp_path: Path) -> None:
    toml = """
[hand]
name = "adder"
version = "1.0.0"
description = "Adds."
entry = "main:Adder"
kind = "task"
autonomy = "full"

[capabilities]
"mcp-clock.add" = ["*"]
"""
    main = """
from runtime import CallRefused, Hand


class Adder(Hand):
    async def run(self) -> object:
        reply = await self.kernel.call("mcp-clock.add", a=3)
        try:
            await self.kernel.call("mcp-clock.wait", seconds=0.1)
        except CallRefused as refused:
            return [reply.value["text"], list(reply.labels), refused.code]
"""
    shell.good("install", write_hand(tmp_path / "adder", Source(toml, main)), "--yes")
    assert json.loads(shell.good("start", "adder", "--wait")) == ["5", ["mcp"], "capability"]


CHANGED: Final = """
TAKES = {"type": "object", "properties": {"a": {"type": "integer"}}}
TOOLS = [{"name": "add", "description": "Add \\x1b[31m two\\u202e numbers.", "inputSchema": TAKES}]
def called(message):
    tell(id=message["id"], result=text(str(message["params"]["arguments"]["a"] + 2)))
"""


def test_a_tool_that_changes_is_refused_until_it_is_added_anew(shell: Shell, clock: Path) -> None:
    assert json.loads(shell.good("mcp", "test", "clock", "--json"))["tools"][0]["state"] == "as agreed"
    shell.good("call", "mcp-clock.change")
    ran = shell.run("call", "mcp-clock.add", "a=3")
    assert (ran.code, "since it was added" in ran.err, "maniple mcp add" in ran.err) == (1, True, True)
    ran = shell.run("mcp", "test", "clock")
    assert (ran.code, "has changed this tool's description or schema" in ran.out) == (1, True)
    raw_server(clock, CHANGED)
    ran = shell.run("mcp", "add", "clock", "--files", clock, "--only", "add", "--yes", *_command())
    assert ran.code == 0, ran.err
    assert "add: the server has changed this tool's description" in ran.err
    assert "Add \\u{1b}[31m two\\u{202e} numbers." in ran.err
    assert "\x1b" not in ran.err + shell.good("methods", "mcp-clock")
    (row,) = [row for row in json.loads(shell.good("mcp", "list", "--json"))["servers"] if row["name"] == "mcp-clock"]
    assert (row["version"], row["tools"]) == ("1.0.1", 1)
    assert json.loads(shell.good("call", "mcp-clock.add", "a=3"))["text"] == "5"


def refused(shell: Shell, *words: str | Path) -> str:
    """What is said when these add no server."""
    ran = shell.run("mcp", "add", "nothing", "--yes", *words)
    assert ran.code in (1, 2), ran
    assert "runtime/mcp" not in ran.err, "our own code is no word of the server's"
    return ran.err


@pytest.mark.wide
def test_what_cannot_be_added_says_why_and_leaves_nothing(shell: Shell, tmp_path: Path) -> None:
    raw = raw_server(tmp_path)
    assert "offers no tool minus" in refused(shell, "--only", "minus", *raw)
    assert "exit code 4" in refused(shell, "--", "python3", "-c", "print('I only print'); raise SystemExit(4)")
    assert "write TOOL=read" in refused(shell, "--effect", "do", *raw)
    assert "'free' is not an effect" in refused(shell, "--effect", "do=free", "--", "no-such-program"), (
        "nothing is started"
    )
    assert "write HOST:PORT" in refused(shell, "--connect", "somewhere", "--", "no-such-program")
    assert "a URL begins with https:// or http://" in refused(shell, "ftp://mcp.example.org/mcp")
    assert "--secret Authorization" in refused(shell, "https://user:word@mcp.example.org/mcp")
    why = refused(shell, "https://mcp.example.org/mcp?profile=a&api_key=sk-typed")
    assert "sk-typed" not in why
    assert "`api_key` in the URL" in why
    assert "sk-typed" not in refused(shell, "--secret", "TOKEN=sk-typed", *raw)
    why = refused(shell, "--secret", "NO_SUCH_VARIABLE", *raw)
    assert "no environment variable NO_SUCH_VARIABLE is set" in why
    why = refused(shell, "--secret", "X-Api-Key", "http://127.0.0.1:9/mcp")
    assert "no environment variable X_API_KEY is set" in why
    assert "mcp-nothing" not in shell.good("mcp", "list")
    assert "look" not in shell.good("hands")


@pytest.mark.wide
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--", "no-such-program"), "there is no program no-such-program"),
        (("--", "python3", "server.py"), "No such file"),
        (("--", "../server"), "not a program of the system's"),
        (("http://127.0.0.1:1/mcp",), "the session with the server has ended: 127.0.0.1:1"),
    ],
)
def test_a_server_that_does_not_start_or_is_not_there_is_not_added(
    shell: Shell, words: tuple[str, ...], why: str
) -> None:
    assert why in refused(shell, *words)
    assert "look" not in shell.good("hands")


def test_a_header_is_taken_from_the_variable_in_capitals(shell: Shell) -> None:
    words = ("--secret", "X-Api-Key", "--certificates", "/no/such.pem", "https://127.0.0.1:1/mcp")
    ran = shell.run("mcp", "add", "nothing", "--yes", *words, X_API_KEY="a-key")
    assert "/no/such.pem cannot be read" in ran.err, "the secret was there, and that comes next"


@pytest.mark.wide
def test_a_server_of_more_tools_than_a_hand_can_hold_is_told_with_what_to_type_and_its_name_is_shown_in_part(
    shell: Shell, tmp_path: Path
) -> None:
    program = "TOOLS = [{**TOOLS[0], 'name': f'do{at}'} for at in range(1500)]\n"
    program += "def greeted(message):\n    about = {'name': 'n' * 1_000_000, 'version': '1'}\n"
    program += "    can = {'protocolVersion': '2025-06-18', 'capabilities': {'tools': {}}, 'serverInfo': about}\n"
    program += "    tell(id=message['id'], result=can)\n"
    (tmp_path / "server.py").write_text(f"{RAW}{program}{LOOP}")
    words = ("mcp", "add", "vast", "--yes", "--files", tmp_path)
    ran = shell.run(*words, "--", "python3", "server.py")
    assert (ran.code, "1500 tools would be larger than 128 KiB: take some of its tools with --only" in ran.err) == (
        1,
        True,
    )
    assert "n" * 201 not in ran.err
    shell.good(*words, "--only", "do7", "--", "python3", "server.py")
    shell.result("mcp", "remove", "vast")


@pytest.mark.wide
def test_what_a_killed_look_left_goes_with_the_next_command_and_a_look_that_goes_on_stays(
    shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "server.py").write_text("import time\ntime.sleep(100)\n")
    look = ("--files", tmp_path, "--secret", "SILENT_TOKEN", "--yes", "--", "python3", "server.py")
    begun = [shell.begin("mcp", "add", "silent", *look, SILENT_TOKEN="a-word-of-the-look") for _ in range(2)]
    try:
        until(lambda: len(_keeping(shell)) == 2, "both look")
        begun[0].kill()
        begun[0].communicate()
        assert "was left by a `maniple mcp add` that was killed" in shell.run("mcp", "list").err
        assert len(_keeping(shell)) == 1
        assert shell.good("hands").count("mcp-look-") == 1
    finally:
        for one in begun:
            one.send_signal(signal.SIGINT)
            one.communicate()
    assert not _keeping(shell)
    assert "mcp-look-" not in shell.good("hands")
    assert not list((shell.home / "run").glob("mcp-look-*"))


def _keeping(shell: Shell) -> list[Path]:
    """The files of secrets that have the word of the look."""
    return files_containing(shell.home / "keys", "a-word-of-the-look")


def test_common_servers_are_known_by_their_names(shell: Shell) -> None:
    known = json.loads(shell.good("mcp", "known", "--json"))["servers"]
    assert len(known) >= 25
    assert all(row["source"].startswith("https://") and row["server"] for row in known)
    logins = {row["name"] for row in known if row["login"]}
    assert not logins & {row["name"] for row in known if row["key"]}
    assert {row["install"] for row in known} > {"", "npm install -g @modelcontextprotocol/server-memory"}
    assert {"atlassian", "figma", "linear", "notion", "slack", "supabase", "vercel"} <= logins
    assert {"cloudflare-docs", "github"} <= {row["name"] for row in known} - logins
    assert re.search("^notion +login ", shell.good("mcp", "known"), re.MULTILINE)
    ran = shell.run("mcp", "add", "memory", "--yes")
    install = "`npm install -g @modelcontextprotocol/server-memory`"
    assert (ran.code, f"mcp-server-memory is not installed: {install} first" in ran.err) == (1, True), ran
    ran = shell.run("mcp", "add", "no-such-server")
    assert (ran.code, "maniple mcp known" in ran.err) == (2, True)


def test_a_server_keeps_what_it_is_told_and_its_secret_stands_nowhere(shell: Shell, tmp_path: Path) -> None:
    keeper = "def called(message):\n    path = os.environ['KEPT']\n    open(path, 'a').write('x')\n"
    keeper += (
        "    said = (open(path).read(), path.startswith(os.environ['HOME'] + '/'), len(os.environ['KEPT_TOKEN']))\n"
    )
    keeper += "    assert sys.argv[1:] == ['--path=' + path, '{other}']\n"
    keeper += "    tell(id=message['id'], result=text('%s %s %s' % said))\n"
    named = (
        *raw_server(tmp_path, f"assert len(os.environ['KEPT_TOKEN']) == 19\n{keeper}"),
        "--path={state}/kept",
        "{other}",
    )
    words = ("mcp", "add", "keeper", "--set", "KEPT={state}/kept", "--secret", "KEPT_TOKEN", "--yes", *named)
    ran = shell.run(*words, KEPT_TOKEN="quite-a-secret-word")
    assert ran.code == 0, ran.err
    try:
        assert json.loads(shell.good("call", "mcp-keeper.do"))["text"] == "x True 19"
        shell.result("restart", "mcp-keeper")
        assert json.loads(shell.good("call", "mcp-keeper.do"))["text"] == "xx True 19"
        shown = shell.good("show", "mcp-keeper") + shell.good("settings", "mcp-keeper") + ran.err
        assert "quite-a-secret-word" not in shown
        assert [path.parent.name for path in files_containing(shell.home, "quite-a-secret-word")] == ["keys"]
    finally:
        shell.good("mcp", "remove", "keeper")


@pytest.mark.wide
def test_a_server_may_know_which_types_files_have_as_the_system_does(shell: Shell, tmp_path: Path) -> None:
    guess = 'import mimetypes\nassert mimetypes.guess_type("a.txt")[0] == "text/plain"\n'  # reads /etc/mime.types
    ran = shell.run("mcp", "add", "typed", "--yes", *raw_server(tmp_path, guess))
    assert ran.code == 0, ran.err
    shell.good("mcp", "remove", "typed")


@pytest.mark.wide
def test_a_server_that_was_removed_can_be_added_again(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "attic").mkdir()
    (tmp_path / "attic" / "server.py").write_text(RAW + LOOP)
    add = ("mcp", "add", "attic", "--files", tmp_path / "attic", "--yes", "--", "python3", "server.py")
    shell.good(*add)
    shell.good(*add)
    shell.good("mcp", "remove", "attic")
    shell.good(*add)
    assert ("mcp-attic", "1.0.2") in installed_versions(shell)
    assert "did it" in shell.good("call", "mcp-attic.do", "text=it")
    shell.good("mcp", "remove", "attic")


@pytest.mark.wide
def test_a_server_that_died_too_often_is_given_another_chance_by_being_added_anew(shell: Shell, tmp_path: Path) -> None:
    worn = 'import pathlib\nif pathlib.Path(os.environ["HOME"], "worn").exists():\n    sys.exit(3)\n'
    (tmp_path / "server.py").write_text(f"{RAW}{worn}{LOOP}")
    words = ("mcp", "add", "worn", "--files", tmp_path, "--yes", "--", "python3", "server.py")
    shell.good(*words)
    shell.good("start", "mcp-worn")
    identity = json.loads(shell.good("show", "mcp-worn", "--json"))["hand"]["id"]
    mark = shell.home / "state" / identity / "worn"
    mark.touch()
    assert "quarantined" in until(lambda: _refused(shell), "it is quarantined")
    mark.unlink()
    shell.good(*words)
    assert "did it" in shell.good("call", "mcp-worn.do", "text=it")
    shell.good("mcp", "remove", "worn")


def _refused(shell: Shell) -> str:
    """How a restart of the worn server is refused, "" while it is not."""
    shell.run("restart", "mcp-worn")
    ran = shell.run("call", "mcp-worn.do", "text=it")
    return ran.err if "quarantined" in ran.err else ""


@pytest.mark.wide
def test_a_server_that_takes_long_is_told_to_be_waited_for(shell: Shell, tmp_path: Path) -> None:
    slow = raw_server(tmp_path, "import time\ntime.sleep(5)\n")
    ran = shell.run("mcp", "add", "slow", "--yes", *slow)
    assert (ran.code, ran.err.count("Waiting for mcp-slow to start and to tell what it offers")) == (0, 1), ran
    shell.good("mcp", "remove", "slow")
    terminal = Terminal(shell, "mcp", "add", "slow", "--yes", *slow)
    assert terminal.end() == 0
    assert "s  waiting for mcp-slow to start" in terminal.output
    assert "\r\x1b[KThe server says" in terminal.output, "the line is gone before what is said next"
    shell.good("mcp", "remove", "slow")


@pytest.mark.wide
def test_a_program_that_ends_before_it_greets_is_told_with_what_it_printed_and_what_to_do(
    shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "server.py").write_text("import sys\nsys.exit('config.json is missing: run setup first')\n")
    ran = shell.run("mcp", "add", "brief", "--yes", "--files", tmp_path, "--", "python3", "server.py")
    assert ran.code == 1
    assert "The last lines that it printed:\n  config.json is missing: run setup first\n" in ran.err
    assert ran.err.endswith(
        "maniple: the server python3 server.py could not be asked: the server ended: exit code 1; "
        "see whether it starts by itself, `python3 server.py`; here it had no network\n"
    )
