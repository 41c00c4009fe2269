"""`maniple models list` says what answers, and what a newcomer types next."""

import pytest
from msgspec.structs import replace

from kernel.cli import models_list

Routes = dict[str, tuple[str, ...]]

NOBODY = "No provider is set up: `maniple models list --all` lists them."
OFFLINE: Routes = {"default": ("offline/classical",)}


def provider(name: str, *, models: tuple[str, ...] | None = None, local: bool = True) -> models_list._Provider:
    return models_list._Provider(
        name=name, title=name, ready=True, why="", local=local, paused=False, models=models, trouble=""
    )


def drawn(routes: Routes, *providers: models_list._Provider) -> str:
    return models_list._drawn(models_list._Listed(routes=routes, providers=providers, models=()), every=False)


def test_nobody_is_set_up_where_no_language_model_answers() -> None:
    assert NOBODY in drawn(OFFLINE, provider("ollama"))
    assert NOBODY in drawn(OFFLINE, provider("ollama", models=()))


@pytest.mark.parametrize(
    ("routes", "one"),
    [
        ({"default": ("vllm/m1",)}, provider("vllm")),
        ({"default": ("offline/classical",), "mine": ("offline/classical", "vllm/m1")}, provider("vllm")),
        (OFFLINE, provider("chutes", local=False)),
    ],
)
def test_a_provider_is_set_up_whether_or_not_its_models_are_listed(routes: Routes, one: models_list._Provider) -> None:
    assert "No provider" not in drawn(routes, one)


def test_who_finds_a_server_of_his_own_is_told_what_makes_it_answer() -> None:
    told = drawn(OFFLINE, provider("llamacpp", models=()), provider("ollama", models=("qwen3:8b", "llama3")))
    assert NOBODY not in told
    assert """To use it: `maniple settings model 'routes={"default": ["ollama/qwen3:8b"]}'`""" in told
    assert "To use it" not in drawn({"default": ("ollama/llama3",)}, provider("ollama", models=("llama3",)))
    assert "$(" not in drawn(OFFLINE, provider("ollama", models=("a'; $(reboot) '", "b"))).splitlines()[-1]


def test_of_many_models_the_first_are_shown_and_the_others_are_counted() -> None:
    many = tuple(f"m{number}" for number in range(9))
    assert "m0, m1, m2, m3, m4, m5 and 3 more\n" in drawn(OFFLINE, provider("ollama", models=many))
    assert "more" not in drawn(OFFLINE, provider("ollama", models=many[:6]))


def test_a_server_of_ones_own_that_a_route_needs_is_shown_where_it_does_not_answer() -> None:
    routes: Routes = {"default": ("anthropic/claude-sonnet-4-5", "vllm/m1")}
    why = "cannot be reached at http://127.0.0.1:9"
    gone = replace(provider("vllm"), trouble=why)
    assert ["vllm", "local", *why.split()] in [line.split() for line in drawn(routes, gone).splitlines()]
    paused = drawn(routes, replace(provider("vllm"), paused=True), provider("ollama"))
    assert "paused after failures" in paused
    assert "ollama" not in paused
