"""Nothing of the environment is sent; vectors, models and counts are what the provider says; no SDK before it is needed."""

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.models.failures import ModelFailed
from tests.runtime.models import sending
from tests.runtime.models.plays import KEY, MODELS, asking, made
from tests.runtime.models.stage import Asked, stage, whole
from tests.spread import spread


@pytest.mark.parametrize("name", ["anthropic", "openai"])
def test_nothing_of_the_environment_is_sent_or_used(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    for maker in ("ANTHROPIC", "OPENAI"):
        for variable in ("API_KEY", "AUTH_TOKEN", "ORG_ID", "PROJECT_ID", "ADMIN_KEY"):
            monkeypatch.setenv(f"{maker}_{variable}", "stray")
        monkeypatch.setenv(f"{maker}_BASE_URL", "http://127.0.0.1:1")
        monkeypatch.setenv(f"{maker}_CUSTOM_HEADERS", "X-Stray: stray\nAuthorization: stray\nX-Api-Key: stray")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login stray password stray\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    caplog.set_level(logging.DEBUG)
    with_key, without = sending.sent(name, asking("a secret question")), sending.sent(name, asking(), key="")
    assert with_key.headers["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in without.headers
    for sent in (with_key, without):
        assert not {header for header in sent.headers if header.startswith(("x-", "openai-"))}
        assert "stray" not in str(sent.headers)
        assert os.uname().sysname not in str(sent.headers)
    assert KEY not in caplog.text
    assert "a secret question" not in caplog.text


def test_the_environments_key_is_not_used_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "stray")
    assert "stray" not in str(sending.sent("openai", asking(), key="").headers)


def test_embeddings_come_in_their_order_with_their_usage_and_by_the_name_that_was_asked_for() -> None:
    """One provider's answers may call the same model by now one name, now another: memory would make all vectors anew."""
    reply = {
        "model": "e-2",
        "data": [{"index": 1, "embedding": [3, 4.5]}, {"index": 0, "embedding": [1, 2]}],
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }

    async def embedded(body: object, texts: list[str]) -> tuple[object, list[Asked]]:
        async with stage([whole(200, body)]) as server:
            asked = made("openai", server.url)
            try:
                return await asked.embed("e", texts), server.asked
            finally:
                await asked.close()

    found, asked = asyncio.run(embedded(reply, ["a", "b"]))
    assert (found.vectors, found.model, found.usage.input) == (((1.0, 2.0), (3.0, 4.5)), "openai/e", 7)  # type: ignore[attr-defined]
    assert (asked[0].path, asked[0].json) == ("/v1/embeddings", {"model": "e", "input": ["a", "b"]})
    assert asyncio.run(embedded(reply, []))[1] == []
    for wrong in (["a"], ["a", "b", "c"]):
        with pytest.raises(ModelFailed, match="malformed"):
            asyncio.run(embedded(reply, wrong))
    uneven = {"data": [{"embedding": [1]}, {"embedding": [1, 2]}]}
    with pytest.raises(ModelFailed, match="malformed"):
        asyncio.run(embedded(uneven, ["a", "b"]))


def test_anthropic_makes_no_embeddings() -> None:
    with pytest.raises(ModelFailed, match="unfit"):
        asyncio.run(made("anthropic", "http://127.0.0.1:1").embed("e", ["a"]))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"data": [{"id": "a", "max_model_len": 8}, {"id": "models/b", "context_length": 9}]}, [("a", 8), ("b", 9)]),
        ([{"id": "a", "context_window": 8}, {"id": "b"}], [("a", 8), ("b", 0)]),
        ({"data": [{"id": "a", "meta": {"n_ctx_train": 4}}]}, [("a", 4)]),
        ({"object": "list", "data": None}, []),
    ],
)
def test_the_models_of_a_service_are_listed(body: object, found: list[tuple[str, int]]) -> None:
    async def listed() -> list[tuple[str, int]]:
        async with stage([whole(200, body)]) as server:
            asked = made("openai", server.url)
            models = await asked.list_models()
            await asked.close()
            assert server.asked[0].path == "/v1/models"
            return [(one.id, one.window) for one in models]

    assert asyncio.run(listed()) == found


def test_the_models_of_anthropic_are_listed_by_pages_and_a_request_is_counted() -> None:
    first = {"data": [{"id": "a", "max_input_tokens": 200_000}], "has_more": True, "last_id": "a/?"}
    second = {"data": [{"id": "b"}], "has_more": False, "last_id": "b"}

    async def found() -> tuple[list[tuple[str, int]], int | None, list[Asked]]:
        async with stage([whole(200, first)], [whole(200, second)], [whole(200, {"input_tokens": 42})]) as server:
            asked = made("anthropic", server.url)
            models = [(one.id, one.window) for one in await asked.list_models()]
            tokens = await asked.count(MODELS["anthropic"], sending.talk("anthropic", most=5))
            await asked.close()
            return models, tokens, server.asked

    models, tokens, asked = asyncio.run(found())
    assert models == [("a", 200_000), ("b", 0)]
    assert tokens == 42
    assert asked[1].path == "/v1/models?limit=1000&after_id=a%2F%3F"
    assert asked[2].path == "/v1/messages/count_tokens"
    assert not {"max_tokens", "stream", "temperature"} & asked[2].json.keys()


def test_openai_counts_nothing_beforehand() -> None:
    assert asyncio.run(made("openai", "http://127.0.0.1:1").count("m", asking())) is None


@pytest.mark.parametrize("name", spread(["openai", "anthropic"], 1))
def test_a_request_starts_no_process_and_no_thread(name: str) -> None:
    code = (
        "import asyncio, sys, threading\n"
        "from tests.runtime.models import plays, stage\n"
        f"good = next(good for good in plays.GOOD if good.driver == {name!r})\n"
        "async def main():\n"
        "    async with stage.stage([stage.head(), good.body]) as server:\n"
        f"        asked = plays.made({name!r}, server.url)\n"
        "        sys.addaudithook(lambda event, _: event in STARTS and print(event))\n"
        f"        await plays.checked(asked, {name!r})\n"
        "        assert threading.active_count() == 1, threading.enumerate()\n"
        "        await asked.close()\n"
        "STARTS = ('os.exec', 'os.fork', 'os.posix_spawn', 'subprocess.Popen')\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_no_sdk_is_loaded_before_its_driver_is_asked_for(tmp_path: Path) -> None:
    code = (
        "import sys; from runtime.models import drivers, catalogue, messages\n"
        "drivers.load_driver('scripted')(drivers.Endpoint(provider='s'))\n"
        "assert not {'anthropic', 'openai', 'httpx2', 'pydantic'} & sys.modules.keys()\n"
        "drivers.load_driver('openai')(drivers.Endpoint(provider='o'))\n"
        "assert 'openai' in sys.modules and 'anthropic' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
