"""A command line that tries what it may not, or plays with what it shares: its outputs, its caller's scratch folder, the
processes that it may have.
"""

import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from tests.living import ROOT, Kernel, install, make_home
from tests.spread import spread
from tests.system.test_shell import do_as, run_in, worker

PYTHON: Final = "/usr/bin/python3"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("shell") / "home")) as kernel:
        install(kernel, ROOT / "hands" / "shell")
        install(kernel, worker("ann"))
        yield kernel


# what it cannot -------------------------------------------------------------------------------------------------------


DENIED: Final = ": Permission denied\n"
UNSEEN: Final = ": (Permission denied|No such file or directory)\n"
UNCHANGED: Final = ": (Read-only file system|Permission denied)\n"
PRIVILEGED: Final = ": (Operation not permitted|must be superuser to use mount\\.\n.*)\n"


TMP_FILE: Final = f"/tmp/maniple-test-{os.getpid()}"


def _attempts(kernel: Kernel) -> dict[str, tuple[str, str]]:
    """Command lines, and what each says last of why it came to nothing."""
    home = kernel.home
    return {
        "shadow": ("cat /etc/shadow", DENIED), "users": ("cat /etc/passwd", DENIED), "roots home": ("ls /root/", DENIED),
        "tmp": ("ls /tmp/", DENIED), "the home": (f"ls {home}", DENIED),
        "the operator's key": (f"cat {home}/keys/operator.key", UNSEEN), "the log": (f"ls {home}/log", UNSEEN),
        "other scratches": (f"ls {home}/scratch", DENIED), "the bus": (f"ls {home}/run/bus", UNSEEN),
        "another process's root": ("ls /proc/1/root/", DENIED), "its own environment": ("cat /proc/self/environ", DENIED),
        "write to tmp": (f"echo x > {TMP_FILE}", UNCHANGED), "write to usr": ("echo x > /usr/bin/x", UNCHANGED),
        "write to etc": ("echo x > /etc/x", UNCHANGED), "write beside": ("echo x > ../x", UNCHANGED),
        "a device": ("cat /dev/kmsg", DENIED), "make a device": ("mknod d c 1 3", PRIVILEGED),
        "a program of its own": ("cp /bin/true t; chmod 755 t; ./t", DENIED),
        "set-uid": ("cp /bin/true s; chmod 4755 s; ./s", DENIED),
        "mount": ("mount -t tmpfs none .", PRIVILEGED), "unshare": ("unshare -m true", PRIVILEGED),
        "chroot": ("chroot / true", PRIVILEGED),
    }  # fmt: skip


def test_it_reaches_nothing_but_its_folder_and_the_systems_programs(kernel: Kernel, client: Client) -> None:
    (kernel.home.parent / "x").unlink(missing_ok=True)
    for what, (command, reason) in _attempts(kernel).items():
        told = run_in(client, command)
        assert told["exit_status"] != 0, (what, told)
        assert told["stdout"] == "", (what, told)
        assert re.search(f"{reason}$", told["stderr"]), (what, told)
    assert not Path(TMP_FILE).exists()


CUT_OFF: Final = r"OSError: \[Errno 101\] Network is unreachable|PermissionError: \[Errno 13\] Permission denied"
NO_SUCH_SOCKET: Final = r"PermissionError: \[Errno 1\] Operation not permitted"
NO_NAME: Final = r"socket\.gaierror: \[Errno -3\] Temporary failure in name resolution"


@pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")
@pytest.mark.parametrize(
    ("tries", "error"),
    [("socket.create_connection(('127.0.0.1', PORT), 2)", CUT_OFF),
     ("socket.create_connection(('192.0.2.1', 80), 2)", CUT_OFF), ("socket.socket(socket.AF_UNIX)", NO_SUCH_SOCKET),
     ("socket.socket(socket.AF_INET, socket.SOCK_RAW)", NO_SUCH_SOCKET),
     ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM)", NO_SUCH_SOCKET),
     ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", NO_SUCH_SOCKET),
     ("socket.getaddrinfo('example.org', 80)", NO_NAME)],
)  # fmt: skip
def test_it_has_no_network(client: Client, tries: str, error: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        tries = tries.replace("PORT", str(server.getsockname()[1]))
        told = run_in(client, f'{PYTHON} -c "import socket; {tries}"')
    assert told["exit_status"] == 1
    assert re.fullmatch(error, told["stderr"].splitlines()[-1]), told


# arguments ------------------------------------------------------------------------------------------------------------

INJECTIONS: Final = (
    "; MARK", "| MARK", "|| MARK", "& MARK", "&& MARK", "\n MARK", "\r\n MARK", "`MARK`", "$(MARK)", "1; MARK #",
    "' ; MARK '", '" ; MARK "', "1$(MARK)", "1`MARK`", "$((1));MARK", "${IFS};${IFS}MARK", "{MARK,}", "%0aMARK", "\\nMARK",
    "<(MARK)", "1 -c MARK", "--rcfile=MARK", "-o MARK", "BASH_ENV=MARK", "() { :;}; MARK",
)  # fmt: skip
"""How commands are smuggled into arguments that are put into a command line, as the public collections have it."""


WAYS: Final = tuple(
    (name, shape)
    for name in ("timeout", "memory", "most", "stream", "env", "cwd", "shell", "args")
    for shape in ("text", "list", "table")
)
"""Where a text can stand beside the command: under each name, as itself, in a list or in a table."""


@pytest.mark.parametrize("text", spread(INJECTIONS, 9))
def test_no_argument_but_the_command_is_ever_read_by_a_shell(client: Client, text: str) -> None:
    """Every text is tried, and every way twice, by different texts; every text in every way: `./just soak`."""
    ways = WAYS[INJECTIONS.index(text) % 12 :: 12]
    refused_beside_the_command(client, text, ways)


@pytest.mark.soak
@pytest.mark.parametrize("text", INJECTIONS)
def test_no_text_in_any_argument_but_the_command_is_ever_read_by_a_shell(client: Client, text: str) -> None:
    refused_beside_the_command(client, text, WAYS)


def refused_beside_the_command(client: Client, text: str, ways: tuple[tuple[str, str], ...]) -> None:
    hostile = text.replace("MARK", "touch taken")
    for name, shape in ways:
        value = {"text": hostile, "list": [hostile], "table": {"A": hostile}}[shape]
        with pytest.raises(NotDone) as refused:
            run_in(client, "echo ran", **{name: value})
        assert refused.value.reason == "arguments"
    assert run_in(client, f"cat <<'END'\n{hostile}\nEND\nls")["stdout"] == f"{hostile}\n"


@pytest.mark.parametrize("memory", spread([None, 64 << 20], 1))
@pytest.mark.parametrize(
    "command", ["-x", "-c", "-s", "--", "--help", "+e", "-o errexit", "-", "-i\necho on", "-V; echo on"]
)
def test_a_command_that_looks_like_an_option_is_a_command(client: Client, command: str, memory: int | None) -> None:
    told = run_in(client, command, **({} if memory is None else {"memory": memory}))
    assert "not found" in told["stderr"], told
    assert (told["exit_status"], told["stdout"]) in ((127, ""), (0, "on\n")), told


def test_what_a_command_sets_holds_for_it_alone(client: Client) -> None:
    sets = "PATH=/nowhere LD_PRELOAD=/nowhere.so BASH_ENV=evil ENV=evil IFS=x PS4='$(touch taken)'"
    run_in(client, f"export {sets}; : ")
    assert (
        do_as(client, "ann", f"{sets}; export PATH LD_PRELOAD ENV; alias ls='echo taken'")["reply"]["exit_status"] == 0
    )
    look = 'ls; echo "[$LD_PRELOAD$BASH_ENV$ENV]$(printf \'%s\' "$IFS" | od -An -tx1)"; ls taken'
    told = do_as(client, "ann", look)["reply"]
    assert told["stdout"] == "[] 20 09 0a\n", told


@pytest.mark.parametrize("size", [131_071, 131_072, 500_000])
def test_a_command_is_run_whole_or_not_at_all(client: Client, size: int) -> None:
    """Linux takes 128 KiB for one argument, with the NUL at its end."""
    command = ("touch begun; : " + "x" * size)[: size - len("; echo end")] + "; echo end"
    if size < 128 * 1024:
        assert do_as(client, "ann", command)["reply"]["stdout"] == "end\n"
        do_as(client, "ann", "rm begun")
    else:
        with pytest.raises(NotDone, match="the command cannot be run"):
            do_as(client, "ann", command)
    assert do_as(client, "ann", "ls")["reply"]["stdout"] == ""


# outputs, scratch, processes ------------------------------------------------------------------------------------------


def test_what_ran_in_the_background_and_has_ended_counts_no_more(client: Client) -> None:
    told = run_in(client, "for i in $(seq 300); do (true &); sleep 0.002; done; echo end")
    assert (told["stdout"], told["stderr"]) == ("end\n", "")


@pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")
def test_an_output_that_lies_in_a_socket_which_nobody_has_does_not_hold_the_reply(client: Client) -> None:
    send = "a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [1, 2, b.fileno()]))])"
    code = f"import array, os, socket; a, b = socket.socketpair(); {send}; os.write(1, b'x' * 60000); print('sent')"
    walls = []
    for _ in range(3):
        told = run_in(client, f'{PYTHON} -c "{code}"')
        assert (told["stdout"], told["stderr"]) == ("x" * 60000 + "sent\n", "")
        walls.append(told["wall_us"])
    assert min(walls) < 700_000


def test_a_scratch_that_was_closed_to_its_owner_is_open_to_the_next(client: Client) -> None:
    with pytest.raises(NotDone, match="Permission"):
        do_as(client, "ann", "chmod 0 .")
    assert do_as(client, "ann", "echo on")["reply"]["stdout"] == "on\n"


def test_two_commands_of_one_caller_share_its_scratch_and_nothing_else(kernel: Kernel) -> None:
    told: list[dict[str, Any]] = []

    def work() -> None:
        with kernel.client() as link:
            told.append(do_as(
                link, "ann",
                "(set -C; echo x > /dev/shm/x) && echo own;"
                "mkfifo -m 600 p$$ ; mkdir -p both; echo $$ > both/$(cat /dev/urandom | head -c 8 | od -An -tx1 | tr -d ' ');"
                "i=0; while [ $(ls both | wc -l) -lt 2 ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done;"
                "kill -9 -1; sleep 0.3; ls both | wc -l; ls /proc | grep -c '^[0-9]'; rm -f p$$",
            ))  # fmt: skip

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one["reply"]["stdout"].split()[:2] for one in told] == [["own", "2"], ["own", "2"]], told
