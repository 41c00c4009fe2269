"""What waits is shown in full and safely, and answered by number; the log can prove the answer to a stranger."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.living import Source, write_hand
from tests.system.approving import POST, writer
from tests.system.fates import until
from wire.entries import time_micros


@pytest.fixture(scope="module")
def asking(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The home with a Hand that asks before it sends letters."""
    places = tmp_path_factory.mktemp("approvals")
    shell.good("install", write_hand(places / "post", POST), "--yes")
    shown = shell.run("install", write_hand(places / "writer", writer()), "--yes")
    assert "waits for your yes before it acts beyond this machine" in shown.err
    yield shell
    shell.good("remove", "writer")
    shell.good("remove", "post")


def held(shell: Shell, text: str = "hello", to: str = "ann", others: int = 0) -> dict[str, object]:
    """Have a letter written; the call of it that waits then, after so many others."""
    shell.good("start", "writer", f'letters:=[["{to}", "{text}"]]')

    def found() -> list[dict[str, object]]:
        rows = shell.result("approvals")["approvals"]
        assert isinstance(rows, list)
        return rows[others:]

    (row,) = until(found, "a call that waits")
    return row


def test_what_waits_is_shown_with_who_what_why_and_risk_and_acts_on_no_terminal(asking: Shell) -> None:
    row = held(asking, "gold \\u202eevil\\u0007")
    assert (row["hand"], row["method"], row["resource"], row["effect"]) == ("writer", "post.send", "ann", "external")
    assert row["arguments"] == {"text": "gold \u202eevil\u0007"}
    shown = asking.good("approvals")
    for part in (
        f"`maniple approve {row['call']}`", "writer 1.0.0", "you, who began it", "post.send ann",
        '"gold \\u202eevil\\u0007"', "writer has autonomy supervised", "acts beyond this machine", "never done before",
        str(row["until"]),
    ):  # fmt: skip
        assert part in shown, part
    assert "\u202e" not in shown
    assert str(row["until"]) in asking.good("audit", "show", str(row["entry"])), "the log has microseconds"
    assert "1 call waits for your answer" in asking.good("status")
    assert "waiting for approval" in asking.good("ps")
    assert "is denied" in asking.good("deny", str(row["call"]), "--why", "no gold")
    assert asking.good("approvals") == ""


@pytest.mark.wide
def test_arguments_that_no_json_can_tell_hide_nothing_of_what_waits(asking: Shell, tmp_path: Path) -> None:
    """A table whose names are no texts, which any Hand may send, is shown in hex, and the others as ever."""
    plain = writer("odd")
    source = Source(plain.toml, plain.main.replace('{"text": text}', '{"text": {None: text}}'))
    asking.good("install", write_hand(tmp_path / "odd", source), "--yes")
    asking.good("start", "odd", 'letters:=[["bob", "hello"]]')
    rows = until(lambda: asking.result("approvals")["approvals"], "a call that waits")
    assert isinstance(rows, list)
    ordinary = held(asking, others=1)
    assert [row["arguments"] for row in rows] == ["81a47465787481c0a568656c6c6f"]
    shown = asking.good("approvals")
    assert "81a47465787481c0a568656c6c6f" in shown
    assert f"`maniple approve {ordinary['call']}`" in shown
    for row in (*rows, ordinary):
        asking.result("deny", str(row["call"]))
    asking.good("remove", "odd")


@pytest.mark.wide
def test_what_was_done_with_another_query_is_not_told_as_the_same(asking: Shell, tmp_path: Path) -> None:
    courier = Source(POST.toml.replace("post", "courier").replace('"name"', '"url"'), POST.main)
    asking.good("install", write_hand(tmp_path / "courier", courier), "--yes")
    asking.good("install", write_hand(tmp_path / "payer", writer("payer", '"courier.*" = ["*"]')), "--yes")
    for amount, risk in ((1, "never done before on this resource;"), (1_000_000, "with this query or another;")):
        run = asking.good(
            "start", "payer", f'letters:=[["https://pay.example.org/?n={amount}", ""]]', "method=courier.send"
        ).strip()
        rows = until(lambda: asking.result("approvals")["approvals"], "a call that waits")
        assert isinstance(rows, list)
        assert risk in asking.good("approvals")
        asking.result("approve", str(rows[0]["call"]))
        asking.good("wait", run)
    asking.good("remove", "payer")
    asking.good("remove", "courier")


def _approved(asking: Shell) -> int:
    """Answers in the log, in a home that is not this file's alone."""
    rows = asking.run("audit", "search", "--kind", "approval", "--verdict", "approved", "--json").out
    return rows.count('"kind":"approval"')


def test_approved_edited_and_ruled_calls_are_told_and_proved(asking: Shell, tmp_path: Path) -> None:
    before = _approved(asking)
    first = held(asking)
    assert "is approved" in asking.good("approve", str(first["call"]), "--why", "I know her")
    second = held(asking)
    assert second["seen_before"] is True
    assert "you call post.send ann instead" in asking.good("approve", str(second["call"]), "--with", "text=bye")
    third = held(asking, to="zed")
    assert "never done before" in asking.good("approvals")
    said = asking.good("approve", str(third["call"]), "--rule", "--on", "z*", "--days", "2")
    assert "when writer calls post.send on z*, whatever the arguments, until 2" in said
    ran = asking.run("start", "writer", 'letters:=[["zoe", "x"]]', "--wait")
    assert (ran.code, '"to": "zoe"' in ran.out) == (0, True)
    assert "never, by a rule" in asking.good("grants", "writer")
    (rule,) = asking.result("grants", "writer")["rules"]["writer"]  # type: ignore[index]
    assert time_micros(rule["until"]) > time.time() * 1e6, "as times elsewhere"
    seq = json.loads(asking.good("audit", "search", '"until"', "--kind", "approval", "--json").splitlines()[-1])["seq"]
    shown = asking.good("audit", "show", str(seq))
    assert (rule["until"] in shown, str(time_micros(rule["until"])) in shown) == (True, False)
    asking.good("revoke", "writer", "post.send", "--rule")
    assert "never, by a rule" not in asking.good("grants", "writer")
    assert _approved(asking) == before + 2
    assert "all valid" in asking.good("audit", "verify")
    asking.good("audit", "export", tmp_path / "log")
    assert "all valid" in asking.good("audit", "verify", "--from", tmp_path / "log")


def test_an_answer_in_the_log_that_was_not_signed_so_is_found(asking: Shell, tmp_path: Path) -> None:
    from kernel.cli import answers
    from kernel.cli.exits import Ended

    answers_before = asking.result("audit", "verify")["answers"]
    assert isinstance(answers_before, int)
    row = held(asking, "only once")
    asking.good("deny", str(row["call"]), "--why", "truly")
    until(lambda: asking.result("audit", "verify")["answers"] == answers_before + 1, "the answer is on disk")
    (tmp_path / "entries").mkdir()
    log = b"".join(file.read_bytes() for file in sorted((asking.home / "log" / "entries").glob("*.jsonl")))
    lines = log.rstrip(b"\0").splitlines(keepends=True)
    origin = (asking.home / "keys" / "log.pub").read_text().split("+")[0]
    (tmp_path / "entries" / "000000.jsonl").write_bytes(b"".join(lines))
    assert len(answers.verify_answers(tmp_path, origin)) == answers_before + 1
    forged = [line.replace(b'"why":"truly"', b'"why":"t"') if b'"kind":"approval"' in line else line for line in lines]
    (tmp_path / "entries" / "000000.jsonl").write_bytes(b"".join(forged))
    with pytest.raises(Ended, match="does not hold"):
        answers.verify_answers(tmp_path, origin)


def test_what_does_not_wait_cannot_be_answered(asking: Shell) -> None:
    for command in ("approve", "deny"):
        ran = asking.run(command, "2")
        assert (ran.code, "does not wait for approval" in ran.err) == (1, True)
        assert asking.run(command, "x").code == 2
    assert asking.run("approve", "2", "--days", "3").code == 2
    assert asking.run("approve", "2", "--rule", "--with", "a=b").code == 2


def test_a_key_that_may_not_seal_the_hand_cannot_answer_for_it(asking: Shell, tmp_path: Path) -> None:
    asking.result("keys", "new", tmp_path / "key", "--name", "example.org/somebody")
    row = held(asking)
    ran = asking.run("approve", str(row["call"]), "--key", tmp_path / "key")
    assert (ran.code, "does not count" in ran.err) == (4, True)
    asking.good("deny", str(row["call"]))


def test_being_asked_is_given_and_taken_like_any_grant(asking: Shell) -> None:
    ran = asking.run("grant", "writer", "post.send", "*", "--without-asking")
    assert (ran.code, "does not ask for" in ran.err) == (4, True)
    asking.good("grant", "writer", "post.read", "*", "--ask")
    assert "each time" in asking.good("grants", "writer")
    asking.result("revoke", "writer", "post.read")
    asking.good("grant", "writer", "post.read", "*")


def test_a_rule_answers_what_waits_already_and_it_covers_and_nothing_else(asking: Shell) -> None:
    asking.good("start", "writer", 'letters:=[["zed", "1"], ["zoe", "2"], ["zoe", "3"], ["ann", "4"]]', "at_once=true")

    def found() -> dict[object, object]:
        rows = asking.result("approvals")["approvals"]
        assert isinstance(rows, list)
        return {row["arguments"]["text"]: row["call"] for row in rows}

    waiting = until(lambda: found() if len(found()) == 4 else {}, "four calls that wait")
    said = asking.good("approve", str(waiting["1"]), "--rule", "--on", "z*", "--days", "2").splitlines()
    assert [line.partition(", once")[0] for line in said[:-1]] == [
        f"Call {waiting[text]} is approved: writer may post.send {to}"
        for text, to in (("1", "zed"), ("2", "zoe"), ("3", "zoe"))
    ]
    assert found() == {"4": waiting["4"]}
    rows = asking.good("audit", "search", "--kind", "approval")
    assert rows.count(f"by the rule of call {waiting['1']}") == 2
    assert "all valid" in asking.good("audit", "verify")
    asking.good("revoke", "writer", "post.send", "--rule")
    asking.good("deny", str(waiting["4"]))
