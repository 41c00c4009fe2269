"""A Hand's way: made, checked, sealed, verified, installed, set up, watched, upgraded, removed."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.shell import Shell, is_one_clear_line
from tests.living import ECHO, write_hand
from tests.spread import spread
from tests.system.fates import until


@pytest.mark.parametrize("option", [(), ("--service",)])
def test_a_new_hand_works_at_once(option: tuple[str, ...], shell: Shell, tmp_path: Path) -> None:
    name = "fresh-service" if option else "fresh-task"
    folder = shell.good("new", name, *option, "--into", tmp_path).strip()
    assert shell.result("check", folder) == {"ok": True, "problems": [], "advice": []}
    assert shell.result("install", folder, "--yes")["upgraded_from"] is None
    if option:
        assert shell.result("call", f"{name}.greet", "who=Ada")["value"] == {"text": "Hello, Ada!"}
    else:
        assert shell.result("start", name, "who=Ada", "--wait")["value"] == {"text": "Hello, Ada!"}
    shell.good("remove", name, "--purge", "--yes")


@pytest.mark.parametrize("option", spread([(("--wasm",),), (("--wasm", "--service"),)], 1))
def test_a_new_wasm_hand_works_at_once_and_its_artefact_goes_with_it(
    option: tuple[str, ...], shell: Shell, tmp_path: Path
) -> None:
    name = "fresh-module" if "--service" in option else "fresh-guest"
    folder = shell.good("new", name, *option, "--into", tmp_path).strip()
    assert shell.result("check", folder) == {"ok": True, "problems": [], "advice": []}
    installed = shell.run("install", folder, "--yes")
    assert "a WebAssembly module" in installed.err
    (artefact,) = (shell.home / "compiled").iterdir()
    if "--service" in option:
        assert shell.result("call", f"{name}.greet", "who=Ada")["value"] == {"heard": {"who": "Ada"}}
        header, *rows = shell.good("ps").splitlines()
        assert "FUEL" in header
        assert any(name in row for row in rows)
    else:
        assert shell.result("start", name, "who=Ada", "--wait")["value"] == {"heard": {"who": "Ada"}}
    shown = shell.good("show", name)
    assert f"main.wat, compiled as {artefact.name[:16]}" in shown
    assert "fuel 10000000000" in shown
    os.utime(artefact, (1, 1))  # as if it had been there for long
    shell.good("remove", name, "--purge", "--yes")
    assert not artefact.exists()


def test_a_new_hand_that_thinks_works_at_once_and_says_when_no_model_did(shell: Shell, tmp_path: Path) -> None:
    folder = Path(shell.good("new", "fresh-mind", "--agent", "--into", tmp_path).strip())
    assert sorted(file.name for file in folder.iterdir()) == ["HAND.toml", "PLAYBOOK.md", "README.md"]
    assert shell.result("check", folder) == {"ok": True, "problems": [], "advice": []}
    before, next_, _ = shell.run("install", folder, "--yes").err.partition('Next: `maniple ask --hand fresh-mind "…"`')
    assert ("It thinks with the model default" in before, bool(next_)) == (True, True)
    assert "the model default" in shell.good("show", "fresh-mind")
    shell.good("remove", "fresh-mind", "--purge", "--yes")


def test_what_thinks_is_a_task_without_code(shell: Shell, tmp_path: Path) -> None:
    for option in ("--service", "--wasm"):
        assert shell.run("new", "both", "--agent", option, "--into", tmp_path).code == 2
    assert list(tmp_path.iterdir()) == []


def test_check_and_install_tell_which_file_of_a_hand_that_thinks_is_not_there_or_no_schema(
    shell: Shell, tmp_path: Path
) -> None:
    folder = Path(shell.good("new", "lacking-mind", "--agent", "--into", tmp_path).strip())
    manifest = (
        (folder / "HAND.toml").read_text().replace("[agent]", '[agent]\nschema = "answer.json"\ntask = "task.json"')
    )
    (folder / "HAND.toml").write_text(manifest)
    (folder / "PLAYBOOK.md").unlink()
    (folder / "answer.json").write_text('{"type":\n  object}')
    (folder / "task.json").write_text('{"kind": "steps"}')
    told = shell.run("check", folder, "--json").table()["problems"]
    assert isinstance(told, list)
    found = [f"{Path(one['file']).name}:{one['line']}" for one in told]
    assert found == ["PLAYBOOK.md:1", "answer.json:2", "task.json:1"]
    for text, what in (
        ('{"required": 7}', "this is not a schema: $.required is no list of names"),
        ("[" * 100_000, "this is nested too deeply"),
        ('{"least": ' + "9" * 5_000 + "}", "a number in it has too many digits"),
    ):
        (folder / "answer.json").write_text(text)
        assert what in str(shell.run("check", folder, "--json").table()["problems"])
    assert "[agent] names PLAYBOOK.md, but there is no such file" in shell.run("install", folder, "--yes").err
    (folder / "PLAYBOOK.md").write_text("Answer.")
    (folder / "answer.json").write_text("[]")
    assert "answer.json: this is not a schema" in shell.run("install", folder, "--yes").err


@pytest.mark.parametrize("name", ["Disk", "a_b", "../up", "-x-"])
def test_a_bad_name_makes_nothing(name: str, shell: Shell, tmp_path: Path) -> None:
    assert shell.run("new", "--into", tmp_path, "--", name).code == 2
    assert list(tmp_path.iterdir()) == []


def test_new_never_writes_over_a_folder(shell: Shell, tmp_path: Path) -> None:
    shell.result("new", "twice", "--into", tmp_path)
    ran = shell.run("new", "twice", "--into", tmp_path)
    assert ran.code == 1
    assert "is there already" in ran.err


def test_check_tells_every_problem_at_once(shell: Shell, tmp_path: Path) -> None:
    folder = write_hand(tmp_path / "bad", ECHO)
    text = (folder / "HAND.toml").read_text()
    (folder / "HAND.toml").write_text(text.replace('kind = "service"', 'kind = "demon"\ncolour = "red"'))
    ran = shell.run("check", folder, "--json")
    problems = ran.table()["problems"]
    assert ran.code == 1
    assert isinstance(problems, list)
    assert [problem["line"] for problem in problems] == [6, 7]
    assert all(problem["what"] and problem["instead"] for problem in problems)


@pytest.mark.parametrize(
    ("file", "content", "what"),
    [
        ("main.py", "class Echo(:\n", "not Python"),
        ("main.py", "x = 1\n", "no class Echo"),
        ("main.py", None, "not there"),
        ("HAND.toml", "[hand\n", "not TOML"),
    ],
)
def test_check_sees_what_stands_around_the_manifest(
    file: str, content: str | None, what: str, shell: Shell, tmp_path: Path
) -> None:
    folder = write_hand(tmp_path / "hand", ECHO)
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)
    ran = shell.run("check", folder)
    assert ran.code == 1
    assert what in ran.out


def test_check_points_at_time_and_chance_that_a_run_which_goes_on_cannot_be_told_again(
    shell: Shell, tmp_path: Path
) -> None:
    folder = write_hand(tmp_path / "hand", ECHO)
    code, toml = folder / "main.py", folder / "HAND.toml"
    code.write_text("import secrets\n" + code.read_text().replace('"text": text', '"text": secrets.token_hex()'))
    assert shell.run("check", folder, "--json").table()["advice"] == []  # a service starts empty each time
    toml.write_text(toml.read_text().replace('kind = "service"', 'kind = "task"'))
    ran = shell.run("check", folder)
    assert ran.code == 0
    assert "main.py:" in ran.out
    assert "secrets.token_hex is not the same when the run is resumed or replayed" in ran.out
    advice = shell.run("check", folder, "--json").table()["advice"]
    assert isinstance(advice, list)
    assert [one["instead"].startswith("write self.random") for one in advice] == [True]


def test_a_seal_verifies_until_anything_changes(shell: Shell, tmp_path: Path) -> None:
    folder = write_hand(tmp_path / "hand", ECHO)
    shell.result("seal", folder)
    told = shell.result("verify", folder)
    assert told["ok"] is True
    assert sorted(told["files"]) == ["HAND.toml", "main.py"]  # type: ignore[call-overload]
    (folder / "main.py").write_text("pass\n")
    (folder / "more.txt").write_text("more\n")
    ran = shell.run("verify", folder)
    assert (ran.code, ran.out) == (5, "main.py was changed after sealing\nmore.txt was added after sealing\n")
    assert shell.run("verify", folder, "--json").code == 5


def test_another_key_counts_only_once_it_is_trusted(shell: Shell, tmp_path: Path) -> None:
    folder = write_hand(tmp_path / "hand", ECHO)
    key = tmp_path / "ada.key"
    public = shell.good("keys", "new", key, "--name", "example.org/ada").strip()
    assert key.stat().st_mode & 0o077 == 0
    shell.good("seal", folder, "--key", key)
    assert shell.run("verify", folder).code == 5
    assert shell.run("verify", folder, "--key", public).code == 0
    assert shell.run("install", folder, "--yes").code == 4
    shell.good("keys", "add", f"{key}.pub", "--hands", "ec*", "--expires", "90d")
    assert shell.run("verify", folder).code == 0
    key_id = public.split("+")[1]
    shell.result("keys", "revoke", key_id, "--yes")
    ran = shell.run("install", folder, "--yes")
    assert ran.code == 4
    assert "revoked" in ran.err


def test_what_cannot_be_sealed_is_named(shell: Shell, tmp_path: Path) -> None:
    folder = write_hand(tmp_path / "hand", ECHO)
    (folder / "link").symlink_to("main.py")
    ran = shell.run("seal", folder)
    assert (ran.code, "is a link" in ran.err) == (1, True)
    (folder / "link").unlink()
    (folder / "__pycache__").mkdir()
    assert "--clean" in shell.run("seal", folder).err
    shell.good("seal", folder, "--clean")
    assert not (folder / "__pycache__").exists()


def test_install_without_a_terminal_asks_for_yes_and_changes_nothing(shell: Shell, tmp_path: Path) -> None:
    folder = shell.good("new", "unasked", "--into", tmp_path).strip()
    ran = shell.run("install", folder, stdin="y\n")
    assert ran.code == 2
    assert "--yes" in ran.err
    assert "unasked" not in shell.good("hands")
    assert not [name for name in os.listdir(shell.home / "hands") if name.startswith("unasked")]


def test_install_tells_in_words_what_is_asked_for(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "teller"
    shell.good("new", "teller", "--into", tmp_path)
    text = (folder / "HAND.toml").read_text()
    asks = '"echo.say" = ["*"]\n"files.write" = ["data/**"]\n"nobody.does" = ["*"]\n'
    (folder / "HAND.toml").write_text(text.replace("[capabilities]\n", f"[capabilities]\n{asks}"))
    ran = shell.run("install", folder, "--yes")
    assert ran.code == 0, ran
    told = [" ".join(line.split()) for line in ran.err.splitlines()]
    assert "echo.say * changes nothing" in told
    assert "files.write data/** changes this machine; refused where it does, by autonomy readonly" in told
    assert "nobody.does * nothing provides it yet" in told
    shell.good("remove", "teller")


def test_a_program_is_shown_as_such_and_is_believed_only_when_that_is_said(shell: Shell, tmp_path: Path) -> None:
    program = write_hand(tmp_path / "program", ECHO._replace(toml=ECHO.toml.replace("echo", "program")))
    text = (program / "HAND.toml").read_text()
    (program / "HAND.toml").write_text(text.replace('entry = "main:Echo"', 'command = ["./main.py", "--fast"]'))
    ran = shell.run("install", program, "--yes")
    assert "It is a program of its own: ./main.py --fast." in ran.err
    assert "acts beyond this machine: Say it back" in ran.err
    assert "program.say  external: Say it back" in shell.good("show", "program")
    (program / "HAND.toml").write_text((program / "HAND.toml").read_text().replace("1.0.0", "1.1.0"))
    ran = shell.run("install", program, "--yes", "--effects-as-declared")
    assert "changes nothing: Say it back" in ran.err
    assert "program.say  read: Say it back" in shell.good("show", "program")
    shell.good("remove", "program")
    (program / "main.py").unlink()
    for command in ("check", "install"):
        ran = shell.run(command, program)
        assert ran.code == 1
        assert "./main.py" in ran.out + ran.err


def test_what_programs_and_whose_folder_it_wants_is_told_at_install(shell: Shell, tmp_path: Path) -> None:
    folder = shell.good("new", "runner", "--into", tmp_path).strip()
    manifest, code = Path(folder) / "HAND.toml", Path(folder) / "main.py"
    code.write_text(f"{code.read_text()}\n    async def look(self, call): ...\n")
    more = '[provides."runner.look"]\nsummary = "Look"\nresource = "none"\neffect = "read"\n'
    manifest.write_text(f'{manifest.read_text()}\n{more}[confinement]\nprograms = true\nscratch = "caller"\n')
    ran = shell.run("install", folder, "--yes")
    assert "It starts programs from this machine's system folders." in ran.err
    assert "It works in the scratch folder of whoever calls it." in ran.err
    shell.good("remove", "runner")


def test_an_upgrade_shows_and_grants_only_what_is_new(shell: Shell, places: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(places / "greeter", tmp_path / "greeter")
    shell.good("revoke", "greeter", "echo.say")
    manifest = folder / "HAND.toml"
    text = manifest.read_text().replace('version = "1.0.0"', 'version = "1.1.0"')
    manifest.write_text(text.replace('"echo.say" = ["*"]', '"echo.say" = ["*"]\n"kernel.sleep" = ["*"]'))
    ran = shell.run("install", folder, "--yes", "--json")
    assert ran.table()["granted"] == [
        {"method": "kernel.sleep", "allow": ["*"], "own": False, "lent": False, "approval": None}
    ]
    assert "echo.say" not in ran.err
    held = shell.result("grants", "greeter")["grants"]
    assert held == {
        "greeter": [{"method": "kernel.sleep", "allow": ["*"], "own": False, "lent": False, "approval": None}]
    }
    older = shell.run("install", places / "greeter", "--yes")
    assert older.code == 4
    assert "older" in older.err
    assert "(an older version than 1.1.0)" in older.err
    assert "upgrade" not in older.err
    shell.result("grant", "greeter", "echo.say", "*")
    assert [name for name in os.listdir(shell.home / "hands") if name.startswith("greeter")] == [ran.table()["folder"]]


def test_an_altered_folder_does_not_start(shell: Shell, tmp_path: Path) -> None:
    folder = shell.good("new", "altered", "--into", tmp_path).strip()
    installed = shell.home / "hands" / str(shell.result("install", folder, "--yes")["folder"])
    with (installed / "main.py").open("a") as file:
        file.write("# more\n")
    ran = shell.run("start", "altered", "--wait")
    assert ran.code == 4
    assert "main.py" in ran.err
    shell.good("remove", "altered")


def test_settings_are_read_changed_and_refused_whole(shell: Shell) -> None:
    ran = shell.run("settings", "greeter", "greeting=Hi", "times=2")
    assert [row.split()[0] for row in ran.out.splitlines()] == ["SETTING", "greeting", "times"]
    assert "`maniple settings greeter`" in ran.err
    told = shell.result("settings", "greeter")["settings"]
    assert isinstance(told, dict)
    assert (told["greeting"]["value"], told["times"]["value"]) == ("Hi", 2)
    assert shell.result("start", "greeter", "who=Bo", "--wait")["value"] == {"text": "Hi, Bo!" * 2}
    ran = shell.run("settings", "greeter", "greeting=Ho", "times=99")
    assert ran.code == 2
    assert "too large" in ran.err
    assert shell.run("settings", "greeter", "nonsense=1").code == 2
    assert "Hi" in shell.good("settings", "greeter")
    shell.good("settings", "greeter", "--unset", "greeting", "--unset", "times")
    assert shell.result("start", "greeter", "who=Bo", "--wait")["value"] == {"text": "Hello, Bo!"}


def test_a_setting_that_cannot_be_is_told_with_where_those_that_can_stand(shell: Shell) -> None:
    for hand, word in (("greeter", "nonsense=1"), ("greeter", "times=99"), ("echo", "x=1"), ("model", "nonsense=1")):
        ran = shell.run("settings", hand, word)
        assert (ran.code, is_one_clear_line(ran), f"see `maniple settings {hand}`" in ran.err) == (2, True, True), ran
        assert len(ran.err) < 400, "a Hand may have as many settings as there are providers of models"


def test_a_secret_is_never_shown(shell: Shell) -> None:
    shell.good("settings", "greeter", "--secret", "token", stdin="hush-hush\n")
    for words in (("settings", "greeter"), ("settings", "greeter", "--json"), ("show", "greeter", "--json")):
        out = shell.good(*words)
        assert "hush-hush" not in out
        assert "(secret)" in out
    assert "hush-hush" not in (shell.home / "log" / "entries" / "000000.jsonl").read_text()


def test_a_secret_comes_from_the_environment_or_a_file_without_the_end_of_its_line(
    shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "token").write_bytes(b"out-of-a-file\r\n")
    (tmp_path / "bytes").write_bytes(b"\xff")
    ran = shell.run("settings", "greeter", "--secret-env", "token=GREETER_TOKEN", GREETER_TOKEN="out-of-the-air")
    assert (ran.code, _kept(shell)) == (0, ["out-of-the-air"]), ran.err
    assert "out-of-the-air" not in ran.out + ran.err
    shell.good("settings", "greeter", "--secret-file", f"token={tmp_path / 'token'}")
    assert _kept(shell) == ["out-of-a-file"]
    ran = shell.run("settings", "greeter", "token=among-the-words")
    assert (ran.code, "was among this command's arguments" in ran.err) == (0, True)
    cases = (
        (("--secret-env", "token=NO_SUCH_VARIABLE"), "no environment variable NO_SUCH_VARIABLE is set"),
        (("--secret-env", "NO_SUCH_VARIABLE"), "such as --secret-env anthropic_key=…: see `maniple settings --help`"),
        (("--secret-env", "token=sk-typed"), "the value of --secret-env is not the name of an environment variable"),
        (("--secret", "token=sk-typed"), "--secret wants a name alone, and asks for its value: see"),
        (("--secret-file", "token=/no/such/file"), "/no/such/file cannot be read: No such file"),
        (("--secret-file", "token=/dev/null"), "/dev/null is empty"),
        (("--secret-file", f"token={tmp_path / 'bytes'}"), "is not a secret"),
        (("--secret-env", "nonsense=HOME"), "`nonsense` is not a setting of greeter"),
        (("--secret", "nonsense"), "`nonsense` is not a setting of greeter"),
        (("--secret", "tokn"), '`tokn` is not a setting of greeter, did you mean "token": see'),
        (("--secret", "greeting"), "`greeting` of greeter is not a secret"),
        (("--secret", "token", "--unset", "token"), "`token` is given twice"),
    )
    for words, why in cases:
        ran = shell.run("settings", "greeter", *words, stdin="a line\n")
        assert (ran.code, why in ran.err) == (2, True), ran
        assert "sk-typed" not in ran.err
    ran = shell.run("settings", "greeter", "--secret", "token", stdin=b"\xff\n")
    assert (ran.code, "on standard input is not UTF-8 text" in ran.err) == (2, True), ran
    assert _kept(shell) == ["among-the-words"]


def _kept(shell: Shell) -> list[str]:
    """The values that are kept of the secret settings of `greeter`; other Hands in this home may have theirs."""
    hand = shell.result("show", "greeter")["hand"]
    assert isinstance(hand, dict)
    (file,) = (shell.home / "keys").glob(f"{hand['id']}.*")
    return list(json.loads(file.read_bytes()).values())


def test_show_and_hands_tell_what_is_installed(shell: Shell) -> None:
    hands = shell.result("hands")["hands"]
    assert isinstance(hands, list)
    names = {hand["name"] for hand in hands}
    assert {"echo", "greeter", "files", "web", "machine", "data-pipeline", "monitoring"} <= names
    out = shell.good("show", "echo")
    assert "echo.say" in out
    assert "Says it back." in out


def test_logs_have_what_a_hand_printed_and_recorded(shell: Shell) -> None:
    shell.good("start", "greeter", "who=Logged", "--wait")
    out = shell.good("logs", "greeter")
    assert "printed Logged" in out
    assert "greeting who=Logged" in out
    records = [json.loads(line) for line in shell.good("logs", "greeter", "--json").splitlines()]
    assert {"text": "printed Logged"} in records
    assert any(record.get("who") == "Logged" for record in records)
    assert shell.good("logs", "greeter", "-n", "1").count("\n") == 1


def test_remove_takes_everything_but_what_it_kept(shell: Shell, tmp_path: Path) -> None:
    folder = shell.good("new", "goner", "--service", "--into", tmp_path).strip()
    installed = shell.home / "hands" / str(shell.result("install", folder, "--yes")["folder"])
    shell.good("call", "goner.greet")
    kept = Path(str(shell.result("remove", "goner")["kept"]))
    assert kept.is_dir()
    until(lambda: not installed.exists(), "a folder that was removed beside the kernel")
    assert shell.run("show", "goner").code == 1
