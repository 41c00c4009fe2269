"""What an MCP server asks a person: asked where the operator granted it, as questions of its Hand, and else declined."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel.cli import answering
from kernel.cli.client import Client
from tests.cli.shell import Shell
from tests.system.fates import until
from tests.system.mcp_servers import LOOP, PYTHON, RAW

pytestmark = pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")

_ASKS = """
def called(message):
    asked = json.loads(message["params"]["arguments"]["text"])
    said = []
    for number, params in enumerate(asked):
        for field in range(params.pop("fields", 0)):
            params["requestedSchema"]["properties"]["field%d" % field] = {"type": "string"}
        tell(id="q%d" % number, method="elicitation/create", params=params)
        answer = hear()
        while answer.get("id") != "q%d" % number:
            answer = hear()
        said.append(answer.get("result") or {"error": answer["error"]["message"]})
    tell(id=message["id"], result=text(json.dumps(said)))
"""


@pytest.fixture(scope="module")
def asking(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The home with a server `inn` that asks what it is told to ask, and may."""
    folder = tmp_path_factory.mktemp("asking")
    (folder / "server.py").write_text(f"{RAW}{_ASKS}{LOOP}")
    assert "ask.person" in added(shell, folder, "inn", "--may-ask")
    yield shell
    shell.good("mcp", "remove", "inn")


def added(shell: Shell, folder: Path, name: str, *more: str) -> str:
    """What is said when the server is added."""
    ran = shell.run("mcp", "add", name, "--files", folder, *more, "--yes", "--", "python3", "server.py")
    assert ran.code == 0, ran.err
    return ran.err + ran.out


def a_form(message: str = "Book", *required: str, **fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "message": message,
        "requestedSchema": {"type": "object", "properties": fields, "required": list(required)},
    }


def waiting(shell: Shell) -> list[dict[str, Any]]:
    """The questions that wait."""
    with Client(str(shell.home)) as client:
        held = [one for one, _ in answering.fetch_distinct(client) if one.method == answering.QUESTION]
    asked = ((one.call, *answering.question_of(one)) for one in held)
    return [{"call": call, "question": question, "choices": choices} for call, question, choices in asked]


class Called:
    """A call of a server's tool that goes on while it asks."""

    def __init__(self, shell: Shell, *forms: dict[str, Any], name: str = "inn") -> None:
        self._shell = shell
        self._process = shell.begin("call", f"mcp-{name}.do", f"text={json.dumps(list(forms))}", "--json")

    def question(self) -> dict[str, Any]:
        """The one question that waits."""
        (row,) = until(lambda: waiting(self._shell), "a question")
        return row

    def answer(self, text: str) -> str:
        """Answer the question that waits; the question."""
        row = self.question()
        self._shell.good("answer", str(row["call"]), text)
        return str(row["question"])

    def deny(self) -> None:
        """Refuse to answer the question that waits."""
        self._shell.good("deny", str(self.question()["call"]))

    def end(self) -> Any:
        """What the server was answered."""
        out, err = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, err
        return json.loads(json.loads(out)["value"]["text"])


@pytest.mark.wide
def test_each_field_is_a_question_and_an_empty_answer_takes_its_default(asking: Shell) -> None:
    fields: dict[str, dict[str, Any]] = {
        "who": {"type": "string", "default": "Ann"},
        "beds": {"type": "integer", "minimum": 1},
        "quiet": {"type": "boolean", "default": True},
        "view": {"type": "string", "enum": ["sea", "yard"]},
    }
    one = Called(asking, a_form("Book a room", "who", "beds", "quiet", "view", **fields))
    assert one.answer("").startswith("The server of mcp-inn asks (1 of 4), in its own words: «Book a room».")
    one.answer("none")
    assert "What was answered before is not that: it is no integer." in one.answer("2")
    one.answer("")
    assert one.question()["choices"] == ["sea", "yard"]
    one.answer("yard")
    content = {"who": "Ann", "beds": 2, "quiet": True, "view": "yard"}
    assert one.end() == [{"action": "accept", "content": content}]
    assert "all valid" in asking.good("audit", "verify")


@pytest.mark.wide
def test_several_choices_that_hold_commas_are_named_exactly(asking: Shell) -> None:
    places = {"type": "array", "items": {"enum": ["Rome, Italy", "Rome", "Italy"]}}
    one = Called(asking, a_form("Where?", "one", "two", one=places, two=places))
    assert 'one that holds a comma between " and "' in one.answer('"Rome, Italy", Rome')
    one.answer("1,3")
    (row,) = one.end()
    assert row["content"] == {"one": ["Rome, Italy", "Rome"], "two": ["Rome, Italy", "Italy"]}


def test_who_says_no_is_asked_no_more_for_that_call(asking: Shell) -> None:
    one = Called(asking, *[a_form("Sure?")] * 10)
    one.deny()
    assert [row["action"] for row in one.end()] == ["decline"] * 10
    assert waiting(asking) == []


@pytest.mark.wide
def test_a_server_asks_only_so_often_for_one_call_and_a_bad_answer_only_so_often_for_one_field(asking: Shell) -> None:
    one = Called(asking, *[a_form("Sure?")] * 7)
    for _ in range(5):
        one.answer("yes")
    assert [row["action"] for row in one.end()] == ["accept"] * 5 + ["decline"] * 2
    one = Called(asking, a_form("How many?", "beds", beds={"type": "integer"}))
    for _ in range(3):
        one.answer("many")
    assert [row["action"] for row in one.end()] == ["cancel"]


@pytest.mark.wide
def test_a_server_that_may_not_ask_hears_so_at_once(asking: Shell, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(f"{RAW}{_ASKS}{LOOP}")
    assert "ask.person" not in added(asking, tmp_path, "mute")
    (said,) = Called(asking, a_form("Sure?"), name="mute").end()
    assert "error" in said
    asking.good("mcp", "remove", "mute")


def test_without_the_grant_nobody_is_asked_and_the_server_hears_so(asking: Shell) -> None:
    asking.good("revoke", "mcp-inn", "ask.person")
    (said,) = Called(asking, a_form("Sure?")).end()
    assert said == {"action": "decline"}
    asking.good("grant", "mcp-inn", "ask.person", "*", "--own")
    one = Called(asking, a_form("Sure?"))
    one.answer("yes")
    assert one.end() == [{"action": "accept", "content": {}}]


def test_links_secrets_and_endless_forms_are_declined_unasked(asking: Shell) -> None:
    link = {"mode": "url", "message": "Log in", "url": "https://evil.example/", "elicitationId": "1"}
    secret = a_form("Who?", password={"type": "string"})
    endless = {**a_form("Who?"), "fields": 10_000}
    assert Called(asking, link, secret, endless).end() == [{"action": "decline"}] * 3
    said = asking.good("logs", "mcp-inn")
    assert all(why in said for why in ("it asks to open a link", "a secret were wanted", "it has 10000 fields"))
    assert waiting(asking) == []


def test_control_characters_of_a_server_reach_no_terminal(asking: Shell) -> None:
    one = Called(asking, a_form("\x1b[2J\x1b]0;root\x07 ok\u202e »:", it={"type": "string", "description": "\x1b[31m"}))
    question = one.question()["question"]
    shown = asking.good("questions") + asking.good("approvals")
    assert not any(character in shown for character in "\x1b\x07\u202e")
    assert "«\\u{1b}[2J\\u{1b}]0;root\\u{7} ok\\u{202e} >:»" in question
    one.deny()
    one.end()


def test_the_callers_clock_stands_still_while_the_person_thinks(asking: Shell) -> None:
    asking.good("call", "mcp-inn.tools.list")  # it is up, however long that takes
    text = json.dumps([a_form("Sure?")])
    process = asking.begin("call", "mcp-inn.do", f"text={text}", "--json", "--timeout", "5s")
    (row,) = until(lambda: waiting(asking), "a question")
    time.sleep(6)
    asking.good("answer", str(row["call"]), "yes")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(json.loads(out)["value"]["text"]) == [{"action": "accept", "content": {}}]
