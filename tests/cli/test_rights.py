"""What a Hand may do is shown, given and taken back by the command line, and holds at once."""

from pathlib import Path

from tests.cli.conftest import GREETER
from tests.cli.shell import Shell
from tests.living import ECHO, Source, write_hand


def test_a_revoked_grant_is_missed_and_a_given_one_used(shell: Shell) -> None:
    shell.good("revoke", "greeter", "echo.say")
    ran = shell.run("start", "greeter", "--wait")
    assert ran.code == 1
    assert "echo.say" in ran.err
    assert '"echo.say"' in shell.run("audit", "search", "--hand", "greeter", "--verdict", "refused").out
    shell.good("grant", "greeter", "echo.say", "*")
    assert shell.run("start", "greeter", "--wait").code == 0
    assert "echo.say" in shell.good("grants", "greeter")


def test_what_a_hand_uses_beyond_others_and_what_it_requires_is_shown(shell: Shell, tmp_path: Path) -> None:
    """Of a service on the machine's network, the list of its layers lacks that namespace without a word."""
    assert "uses         Every named folder (`maniple roots`) is opened for it." in shell.good("show", "files")
    needs = '\n[confinement]\nnetwork = "host"\nrequire = ["seccomp", "landlock"]\n[requires]\nenv = ["TOKEN"]\n'
    toml = ECHO.toml.replace("echo", "wary") + needs
    shell.good("install", write_hand(tmp_path / "wary", Source(toml, ECHO.main)), "--yes")
    shown = shell.good("show", "wary")
    assert "uses         It uses this machine's network" in shown
    assert "requires     layers seccomp, landlock\n             variables TOKEN\n" in shown
    shell.good("remove", "wary")


def test_more_than_the_manifest_asks_for_cannot_be_granted(shell: Shell) -> None:
    ran = shell.run("grant", "greeter", "files.write", "data/**")
    assert ran.code == 4
    assert "does not ask for" in ran.err


def test_what_a_newer_version_asks_for_no_more_is_not_shown_as_what_it_may(shell: Shell, tmp_path: Path) -> None:
    """Its grant stays, for a version that asks again; a call needs both."""
    toml = GREETER.toml.replace("greeter", "wanting", 1)
    more = toml.replace('"echo.say" = ["*"]', '"echo.say" = ["*"]\n"files.read" = ["data/**"]')
    shell.good("install", write_hand(tmp_path / "old", Source(more, GREETER.main)), "--yes")
    assert "left over" not in shell.good("show", "wanting")
    shell.good("install", write_hand(tmp_path / "new", Source(toml.replace("1.0.0", "1.1.0"), GREETER.main)), "--yes")
    may, over = (line for line in shell.good("show", "wanting").splitlines() if line.startswith(("may ", "left over ")))
    assert ("echo.say" in may, "files.read" in may, "files.read" in over) == (True, False, True)
    assert "`maniple revoke wanting files.read 'data/**'`" in over, "and nothing else of the same method"
    shell.good("remove", "wanting")


def test_what_a_newer_version_asks_for_less_of_is_shown_as_far_as_it_may(shell: Shell, tmp_path: Path) -> None:
    """Its wider grant is what lets it: to take that back would leave it nothing."""
    toml = GREETER.toml.replace("greeter", "less-wanting", 1)
    wide = toml.replace('"echo.say" = ["*"]', '"echo.say" = ["*"]\n"files.read" = ["data/**"]')
    less = wide.replace("1.0.0", "1.1.0").replace("data/**", "data/a/**")
    shell.good("install", write_hand(tmp_path / "old", Source(wide, GREETER.main)), "--yes")
    shell.good("install", write_hand(tmp_path / "new", Source(less, GREETER.main)), "--yes")
    shown = shell.good("show", "less-wanting")
    assert '"files.read" = ["data/a/**"]\n' in shown.partition("left over")[0]
    assert '"files.read" = ["data/**"]: its HAND.toml asks for less of that now' in shown
    assert "`maniple revoke" not in shown
    shell.good("remove", "less-wanting")


def test_grants_of_nobody_is_wrong_usage(shell: Shell) -> None:
    assert shell.run("grants", "nobody").code == 1
    assert shell.run("revoke", "greeter", "web.fetch").code == 1
    left = shell.good("revoke", "data-pipeline", "files.write").splitlines()
    shell.good("grant", "data-pipeline", "files.write", "data/**")
    assert left[0] == "Taken back. data-pipeline still holds:"
    assert '  "files.read" = ["data/**"]' in left  # each on a line of its own


def test_a_root_opens_a_folder_and_takes_it_back(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("alpha\n")
    shell.good("roots", "add", "papers", tmp_path)
    assert shell.result("roots")["roots"] == {"papers": str(tmp_path)}
    assert "until now" not in shell.run("roots", "add", "papers", tmp_path).err
    (tmp_path / "other").mkdir()
    assert f"papers was {tmp_path} until now" in shell.run("roots", "add", "papers", tmp_path / "other").err
    shell.good("roots", "add", "papers", tmp_path)
    assert shell.good("call", "files.read", "papers/a.txt") == "alpha\n"
    shell.good("roots", "remove", "papers")
    assert shell.result("roots", "list")["roots"] == {}
    assert shell.run("call", "files.read", "papers/a.txt").code == 1
    assert shell.run("roots", "remove", "papers").code == 1


def test_the_home_itself_is_no_root(shell: Shell, tmp_path: Path) -> None:
    for folder in (shell.home, shell.home / "keys", shell.home.parent, Path("/")):
        ran = shell.run("roots", "add", "stolen", folder)
        assert ran.code == 4, folder
    assert shell.run("roots", "add", "nowhere", tmp_path / "none").code == 1


def test_keys_are_listed_rotated_and_bounded(shell: Shell, tmp_path: Path) -> None:
    old, new = (
        shell.good("keys", "new", tmp_path / name, "--name", f"example.org/{name}").strip() for name in ("old", "new")
    )
    shell.result("keys", "add", old, "--hands", "some-*", "--most", "web.fetch=https://example.org/**")
    asked = shell.run("keys", "rotate", old.split("+")[1], new)
    assert (asked.code, f"`maniple keys rotate {old.split('+')[1]} {new} --yes` does not ask" in asked.err) == (2, True)
    shell.result("keys", "rotate", old.split("+")[1], new, "--yes")
    rows = shell.result("keys")["keys"]
    assert isinstance(rows, list)
    states = {row["name"]: row["state"] for row in rows}
    assert states["example.org/old"] != "trusted"
    assert states["example.org/new"] == "trusted"
    (row,) = (row for row in rows if row["name"] == "example.org/new")
    assert row["key"] == new
    page = {"method": "web.fetch", "allow": ["https://example.org/**"], "own": False, "lent": False, "approval": None}
    assert row["most"] == [page]
    assert shell.run("keys", "revoke", "00000000", "--yes").code == 1
    asked = shell.run("keys", "revoke", row["id"])
    assert (asked.code, f"`maniple keys revoke {row['id']} --yes` does not ask" in asked.err) == (2, True)
    again = shell.run("keys", "add", new, "--hands", "some-*")
    assert "is trusted already; make a new one with `maniple keys new`" in again.err
    assert shell.run("keys", "add", "not-a-key", "--hands", "*").code == 1
    assert shell.run("keys", "add", new, "--hands", "*", "--expires", "soon").code == 2
    assert shell.run("keys", "new", tmp_path / "old", "--name", "x").code == 1


def test_a_change_of_keys_that_was_killed_before_it_was_told_is_told_when_it_is_typed_again(
    shell: Shell, tmp_path: Path
) -> None:
    one, two = (
        shell.good("keys", "new", tmp_path / name, "--name", f"example.org/{name}").strip() for name in ("one", "two")
    )
    bounds = ("--hands", "some-*", "--hands", "other", "--most", "web.fetch=https://example.org/**")
    rotated = ("keys", "rotate", one.split("+")[1], two, "--yes")
    for words in (("keys", "add", one, *bounds), rotated, ("keys", "revoke", two.split("+")[1], "--yes")):
        before = shell.result("keys")
        first = shell.good(*words)
        after = shell.result("keys")
        assert before != after
        assert shell.good(*words) == first
        assert shell.result("keys") == after
    again = shell.run(*rotated)
    assert (again.code, "is revoked" in again.err) == (1, True), "the new one is revoked, too"


def test_times_and_sizes_are_shown_as_one_types_them(shell: Shell) -> None:
    shown = shell.good("settings", "web")
    assert "30s " in shown
    assert "256MiB " in shown
    shell.good("settings", "web", "timeout=1500ms", "most=64MiB")
    rows = {row.split()[0]: row.split()[2:4] for row in shell.good("settings", "web").splitlines()[1:]}
    shell.good("settings", "web", "--unset", "timeout", "--unset", "most")
    assert (rows["timeout"], rows["most"]) == (["1500ms", "30s"], ["64MiB", "256MiB"])
