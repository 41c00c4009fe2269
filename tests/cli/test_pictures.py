"""Files beside a question: how they are named; pictures come to a provider by either protocol, and who takes none says so."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kernel.cli import asking, chat
from kernel.cli.exits import Ended
from tests.cli.providers import Provider, serving
from tests.cli.shell import Shell, copied_home
from tests.runtime.models.plays import begun, block, chunk, ended, texts
from tests.runtime.models.stage import named, unnamed
from tests.spread import spread

PNG: Final = b"\x89PNG\r\n\x1a\n" + os.urandom(520_000)  # near to what is taken at most
JPEG: Final = b"\xff\xd8\xff\xe0" + bytes(range(256))
ANSWERS: Final = {
    "/v1/messages": named(begun(), *block(0, "text", *texts("A cat."), text=""), *ended()),
    "/v1/chat/completions": unnamed(chunk({"content": "A cat."}), chunk({}, "stop")) + b"data: [DONE]\n\n",
}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving(lambda path, _: ANSWERS[path]) as provider:
        yield provider


@pytest.fixture(scope="module")
def shell(furnished: Shell, tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Shell]:
    """A home whose providers are that server."""
    shell = copied_home(furnished, tmp_path_factory.mktemp("pictures") / "home")
    shell.good("up")
    provider.use_for(shell, "anthropic", "openai", "deepseek")
    yield shell
    shell.good("down")


def route(shell: Shell, model: str) -> None:
    shell.good("settings", "model", f'routes:={{"default": ["{model}"]}}')


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, Path]:
    made = tmp_path / "cat.txt", tmp_path / "dog"  # what a picture is its bytes say
    made[0].write_bytes(PNG)
    made[1].write_bytes(JPEG)
    return made


def shown(messages: list[Any]) -> list[tuple[str, bytes]]:
    """The pictures of a request, by either protocol."""
    found = []
    for part in (part for one in messages if isinstance(one["content"], list) for part in one["content"]):
        if part["type"] == "image":
            found.append((part["source"]["media_type"], part["source"]["data"]))
        elif part["type"] == "image_url":
            media, _, data = part["image_url"]["url"].removeprefix("data:").partition(";base64,")
            found.append((media, data))
    return [(media, base64.b64decode(data, validate=True)) for media, data in found]


@pytest.mark.wide
@pytest.mark.parametrize("model", spread(["openai/gpt-5", "anthropic/claude-sonnet-4-5"], 1))
def test_the_bytes_of_pictures_come_to_the_provider(
    shell: Shell, provider: Provider, pictures: tuple[Path, Path], model: str
) -> None:
    route(shell, model)
    ran = shell.run("ask", "What is it?", "--file", pictures[0], "--file", pictures[1])
    assert (ran.code, ran.out) == (0, "A cat.\n"), ran
    assert shown(provider.asked[-1]) == [("image/png", PNG), ("image/jpeg", JPEG)]
    assert "What is it?" in json.dumps(provider.asked[-1][-1])
    told: Any = shell.result("ask", "What is it?", "--file", pictures[1])
    assert told["value"]["answer"] == "A cat."
    assert f"[the picture {pictures[1]}]" in json.dumps(provider.asked[-1][-1])


def test_in_a_conversation_a_picture_goes_with_one_question(
    shell: Shell, provider: Provider, pictures: tuple[Path, Path]
) -> None:
    route(shell, "openai/gpt-5")
    typed = f"Hello\n/attach {pictures[1]}\nWhat is it?\nAnd now?\n"
    ran = shell.run("chat", "--name", "pictures", stdin=typed)
    assert (ran.code, ran.out.count("A cat.")) == (0, 3), ran
    assert [shown(messages) for messages in provider.asked[-3:]] == [[], [("image/jpeg", JPEG)], []]
    assert [one["role"] for one in provider.asked[-2]] == ["system", "user", "assistant", "user"]
    assert f"[the picture {pictures[1]}]" in json.dumps(provider.asked[-1])


def test_a_model_that_sees_no_pictures_is_not_asked_and_that_is_told(
    shell: Shell, provider: Provider, pictures: tuple[Path, Path]
) -> None:
    before = len(provider.asked)
    route(shell, "deepseek/deepseek-v4-pro")
    ran = shell.run("ask", "What is it?", "--file", pictures[1])
    assert (ran.code, "it sees no images" in ran.err) == (1, True), ran
    assert len(provider.asked) == before


def test_pictures_that_are_too_much_are_refused_before_anybody_is_asked(
    shell: Shell, provider: Provider, pictures: tuple[Path, Path], tmp_path: Path
) -> None:
    before = len(provider.asked)
    large = tmp_path / "large.gif"
    large.write_bytes(b"GIF89a" + bytes(400 * 1024))
    ran = shell.run("ask", "What are they?", "--file", pictures[0], "--file", large)
    assert (ran.code, "at most 512 KiB together" in ran.err) == (2, True), ran
    ran = shell.run("chat", "--name", "large", stdin=f"/attach {pictures[0]}\n/attach {large}\n")
    assert "at most 512 KiB together" in ran.err
    assert len(provider.asked) == before


def test_more_files_than_go_with_a_question_are_said_with_what_to_do_instead(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{number}.txt") for number in range(4)]
    for path in paths:
        Path(path).write_bytes(b"x" * 250_000)
    assert len(asking.with_files("What is in these?", paths[:3]).text) > 750_000
    with pytest.raises(Ended, match=r"3\.txt is too much: .*768 KiB together; let the Hand read it"):
        asking.with_files("What is in these?", paths)


def test_a_file_may_be_named_as_in_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    spaced, quote = tmp_path / "my notes.txt", tmp_path / "it's.txt"
    for file in (spaced, quote):
        file.touch()
    for typed in (str(spaced), f'"{spaced}"', str(spaced).replace(" ", "\\ "), "~/my notes.txt", "'/x'\\''"):
        assert chat.resolve_path(typed) == (typed if "/x" in typed else str(spaced))
    assert chat.resolve_path(str(quote)) == chat.resolve_path("~/it's.txt") == str(quote)
