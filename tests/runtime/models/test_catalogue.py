"""The catalogue: what ships is complete, plausible and in order; what is not in order is told, all of it; names find rows."""

import re
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.capabilities import model as resource
from runtime.models import catalogue as tables
from runtime.models.catalogue import FOLDER, CatalogueInvalid, catalogue, find, models, parse, providers
from runtime.models.drivers import DRIVERS
from runtime.models.rows import Model, Provider

SHIPPED: Final = catalogue()
LOCAL: Final = {"llamacpp": 8080, "lmstudio": 1234, "ollama": 11434, "vllm": 8000}

# What ships ----------------------------------------------------------------------------------------------------------


def test_there_are_at_least_thirty_providers_and_a_hundred_and_thirty_models() -> None:
    assert len(providers()) >= 30
    assert len(models()) >= 130
    assert sum(model.kind == "embedding" for model in models().values()) >= 10
    assert len({model.provider for model in models().values()}) >= 20


def test_every_provider_of_a_model_is_there_and_has_a_driver() -> None:
    assert {model.provider for model in models().values()} <= providers().keys()
    assert {provider.driver for provider in providers().values()} <= DRIVERS.keys()


def test_every_row_cites_a_page_and_a_day_that_is_not_to_come() -> None:
    today = datetime.now(UTC).date()
    rows: list[Provider | Model] = [*providers().values(), *models().values()]
    for row in rows:
        assert urlsplit(row.source).scheme == "https", row
        assert urlsplit(row.source).hostname, row
        assert date(2024, 1, 1) <= date.fromisoformat(row.date) <= today, row


def test_what_a_service_does_otherwise_is_told_by_a_page() -> None:
    told = [provider for provider in providers().values() if provider.quirks]
    assert len(told) >= 10
    assert all(provider.quirk_sources for provider in told)


def test_local_servers_are_at_their_usual_ports_on_loopback_and_list_no_models() -> None:
    local = {provider.name: urlsplit(provider.base_url) for provider in providers().values() if provider.local}
    assert {name: url.port for name, url in local.items()} == LOCAL
    assert {url.hostname for url in local.values()} == {"127.0.0.1"}
    assert not {model.provider for model in models().values()} & local.keys()


def test_prices_are_sane() -> None:
    for model in models().values():
        for row in (model, model.priced(model.window)):
            assert row.input_price is not None, model.name
            assert row.output_price is not None, model.name
            every = (row.input_price, row.output_price, row.cached_price or 0, row.cache_written_price or 0)
            assert min(every) >= 0, model.name
            assert max(every) <= 200_000_000, f"{model.name} costs more than 200 dollars for a million tokens"
            assert (row.cached_price or 0) <= row.input_price, model.name
            assert (row.cache_written_price or 0) <= 2 * row.input_price, model.name
        assert model.input_price or model.output_price, f"{model.name} is free"
        assert 256 <= model.window <= 10_000_000, model.name


def test_ids_are_unique_and_rows_are_sorted() -> None:
    assert list(providers()) == sorted(providers())
    rows = [(model.provider, model.id) for model in models().values()]
    assert rows == sorted(set(rows))
    names = Counter(f"{model.provider}/{name}" for model in models().values() for name in (model.id, *model.aliases))
    assert names.most_common(1)[0][1] == 1
    assert names.keys() == SHIPPED.named.keys()


def test_every_name_is_one_that_can_be_granted() -> None:
    for name in SHIPPED.named:
        assert resource.normalise(name) == name


def test_every_list_of_prices_was_read_and_most_rows_stand_in_two() -> None:
    assert {record for model in models().values() for record in model.records} == SHIPPED.records.keys()
    agreed = sum(len(model.records) >= 2 for model in models().values())
    assert agreed / len(models()) >= 0.6


def test_no_file_of_the_folder_is_passed_over() -> None:
    stems = {file.stem for file in (FOLDER / tables.LISTED).iterdir()}
    assert stems == {model.provider for model in models().values()}


# Names ---------------------------------------------------------------------------------------------------------------

NAMED: Final = st.sampled_from(sorted(SHIPPED.named))
DAYS: Final = st.dates(date(2023, 1, 1), date(2030, 12, 31))
SPELLED: Final = st.sampled_from(["-%Y%m%d", "-%Y-%m-%d", "@%Y%m%d"])


@given(NAMED)
def test_an_id_and_an_alias_find_their_row(name: str) -> None:
    found = find(name)
    assert found is not None
    provider, _, own = name.partition("/")
    assert found.provider == provider
    assert own in (found.id, *found.aliases)


@given(NAMED, DAYS, SPELLED)
def test_a_dated_id_finds_the_row_without_its_date(name: str, day: date, spelled: str) -> None:
    dated = name + day.strftime(spelled)
    assert find(dated) == SHIPPED.named.get(dated, SHIPPED.named[name])


@given(st.text() | st.builds("{}{}".format, NAMED, st.text(min_size=1)))
def test_any_text_finds_a_row_of_its_own_provider_or_none(name: str) -> None:
    found = find(name)
    assert found is None or name.startswith(f"{found.provider}/")


@pytest.mark.parametrize(
    "end", ["-20251301", "-2025-11-32", "-2025", "-19991231", "20251101", "-20251101-x", "-20251101\n"]
)
def test_what_is_no_date_at_the_end_is_not_taken_for_one(end: str) -> None:
    assert find("anthropic/claude-opus-4-5") is not None
    assert find(f"anthropic/claude-opus-4-5{end}") is None


def test_a_dated_id_with_a_row_of_its_own_finds_that() -> None:
    dated = ROW.replace('"one"', '"one-20260101"').replace("input_price = 10", "input_price = 15")
    read = parse({"providers.toml": HEAD, "listed/acme.toml": ROW + dated})
    prices = {
        name: found.input_price
        for name in ("one", "one-20260101", "one-20260102")
        if (found := read.find(f"acme/{name}"))
    }
    assert prices == {"one": 10, "one-20260101": 15, "one-20260102": 10}


# Prices of long prompts ----------------------------------------------------------------------------------------------

LONG: Final = st.sampled_from([model for model in models().values() if model.long is not None])


@given(LONG, st.integers(-2, 2) | st.integers(-100_000, 2_000_000))
def test_a_prompt_above_the_length_costs_what_long_says_and_no_other(model: Model, more: int) -> None:
    assert model.long is not None
    prompt = model.long.above + more
    priced = model.priced(prompt)
    source = model.long if prompt > model.long.above else model
    for price in ("input_price", "output_price", "cached_price", "cache_written_price"):
        assert getattr(priced, price) == getattr(source, price)
    assert (priced.name, priced.window, priced.records) == (model.name, model.window, model.records)


def test_a_model_with_one_price_has_it_at_every_length() -> None:
    model = models()["anthropic/claude-opus-4-5"]
    assert model.priced(10**9) is model


# Files that are not in order -----------------------------------------------------------------------------------------

HEAD: Final = """\
[records]
"a list 1.0" = "https://example.org/prices"

[[providers]]
name = "acme"
title = "Acme"
driver = "openai"
base_url = "https://api.example.org/v1"
key = "ACME_KEY"
source = "https://example.org/docs"
date = "2026-11-26"
"""
ROW: Final = """\
[[models]]
id = "one"
window = 1000
output = 100
input_price = 10
output_price = 20
cached_price = 5
long = { above = 500, input_price = 20, output_price = 40, cached_price = 10 }
takes = ["text", "image"]
source = "https://example.org/one"
date = "2026-11-26"
records = ["a list 1.0"]
"""
EMBEDDING: Final = """\
[[models]]
id = "vectors"
kind = "embedding"
window = 1000
dimension = 8
input_price = 10
output_price = 0
source = "https://example.org/vectors"
date = "2026-11-26"
records = ["a list 1.0"]
"""


def _told(head: str = HEAD, rows: str = ROW, file: str = "listed/acme.toml") -> tuple[str, ...]:
    with pytest.raises(CatalogueInvalid) as refused:
        parse({"providers.toml": head, file: rows})
    assert str(refused.value) == "\n".join(refused.value.problems)
    return refused.value.problems


def test_files_that_are_in_order_are_read() -> None:
    read = parse({"providers.toml": HEAD, "listed/acme.toml": ROW + EMBEDDING})
    assert list(read.models) == ["acme/one", "acme/vectors"]
    assert read.models["acme/one"].takes == ("text", "image")
    assert read.providers["acme"].key == "ACME_KEY"


BAD_PROVIDERS: Final = [
    ('name = "acme"', 'name = "Acme"', "a model is a route's name"),
    ('name = "acme"', 'name = "own"', "a space of memories"),
    ('driver = "openai"', 'driver = "other"', "Invalid enum value 'other' - at `$.driver`"),
    ("https://api.example.org/v1", "http://api.example.org/v1", "must be https, or for a local provider http"),
    ("https://api.example.org/v1", "https://api.example.org/v1/", "without a slash at its end"),
    ("https://api.example.org/v1", "http://127.0.0.1:80/v1", "must be https, or for a local provider http"),
    ('key = "ACME_KEY"', 'key = "acme key"', "the name of an environment variable"),
    ('key = "ACME_KEY"', "", "only a local provider may have none"),
    ('key = "ACME_KEY"', 'key = "A"\nlocal = true', "must be https, or for a local provider http"),
    ('key = "ACME_KEY"', 'key = "A"\nalso = ["https://b.example.org/v1"]', "only a local provider may have several"),
    ('key = "ACME_KEY"', 'key = "A"\nquirks = ["max_tokens"]', "the pages that document its quirks"),
    ('key = "ACME_KEY"', 'key = "A"\nquirk_sources = ["https://example.org/q"]', "if and only if it has any"),
    ('key = "ACME_KEY"', 'key = "A"\nquirks = ["slow"]\nquirk_sources = ["https://example.org/q"]', "Invalid enum"),
    (
        'key = "ACME_KEY"',
        'key = "A"\nquirks = ["no_tools", "max_tokens"]\nquirk_sources = ["https://example.org/q"]',
        "must be sorted, each once",
    ),
    (
        'driver = "openai"',
        'driver = "anthropic"\nquirks = ["no_tools"]\nquirk_sources = ["https://a.org"]',
        "only the openai driver acts",
    ),
    ('key = "ACME_KEY"', 'key = "A"\nquirks = ["no_tools"]\nquirk_sources = ["a.org"]', "not the https address"),
    ('source = "https://example.org/docs"', "", "missing required field `source`"),
    ('source = "https://example.org/docs"', 'source = "ftp://example.org"', "not the https address"),
    ('date = "2026-11-26"', 'date = "2026-11-31"', "is not a day"),
    ('date = "2026-11-26"', 'date = "20261126"', "is not a day"),
    ('date = "2026-11-26"', "date = 2026-11-26", "Expected `str`"),
    ('title = "Acme"', 'title = "Acme"\ncolour = "red"', "unknown field `colour`"),
]


@pytest.mark.parametrize(("good", "bad", "told"), BAD_PROVIDERS)
def test_a_provider_that_is_not_in_order_is_told_with_its_file_and_row(good: str, bad: str, told: str) -> None:
    problems = _told(head=HEAD.replace(good, bad))
    mine = [problem for problem in problems if re.match(r"providers\.toml, row 1 \(\w*\): ", problem)]
    assert [problem for problem in mine if told in problem], problems


BAD_MODELS: Final = [
    ('id = "one"', 'id = "one two"', "a part of its model's name"),
    ('id = "one"', 'id = "one"\naliases = ["a b"]', "a part of its model's name"),
    ('id = "one"', 'id = "one"\nprovider = "other"', "provider: the file's name says that"),
    ('id = "one"', 'id = "one"\nkind = "speech"', "Invalid enum value 'speech'"),
    ("window = 1000", "window = 0", "at least 1, and more than output"),
    ("output = 100", "output = 1000", "more than output"),
    ("input_price = 10\n", "", "a listed model must have both"),
    ("input_price = 10\n", "input_price = -1\n", "Expected `int` >= 0"),
    ("input_price = 10\n", "input_price = 1.5\n", "Expected `int"),
    ("cached_price = 5\n", "cached_price = 11\n", "must not be more than input_price"),
    ("cached_price = 5\n", "", "for both lengths, or for neither"),
    ("cached_price = 10 }", "cached_price = 21 }", "long: cached_price"),
    ("above = 500", "above = 1000", "less than the window"),
    ("above = 500", "above = 0", "above must be at least 1"),
    ('["text", "image"]', '["image"]', "text among them"),
    ('["text", "image"]', '["text", "text"]', "each once"),
    ('["text", "image"]', '["text", "smell"]', "Invalid enum value 'smell'"),
    ("output = 100", "output = 100\ndimension = 8", "absent for a chat model"),
    ('records = ["a list 1.0"]', "", "at least one, of those in providers.toml"),
    ('records = ["a list 1.0"]', 'records = ["another"]', "at least one, of those in providers.toml"),
    ('source = "https://example.org/one"', 'source = "https://a.org/b c"', "not the https address"),
    ('date = "2026-11-26"', 'date = "soon"', "soon is not a day"),
]


@pytest.mark.parametrize(("good", "bad", "told"), BAD_MODELS)
def test_a_model_that_is_not_in_order_is_told_with_its_file_and_row(good: str, bad: str, told: str) -> None:
    assert good in ROW
    problems = _told(rows=ROW.replace(good, bad))
    mine = [problem for problem in problems if re.match(r"listed/acme\.toml, row 1 \(one( two)?\): ", problem)]
    assert [problem for problem in mine if told in problem], problems


@pytest.mark.parametrize("more", ["tools = true", "schema = true", "thinking = true", "output = 5"])
def test_an_embedding_has_no_answer(more: str) -> None:
    problems = _told(rows=EMBEDDING.replace("dimension = 8", f"dimension = 8\n{more}"))
    assert [problem.partition(":")[0] for problem in problems] == ["listed/acme.toml, row 1 (vectors)"]
    assert "an embedding model has no answer" in problems[0]
    assert "dimension" in _told(rows=EMBEDDING.replace("dimension = 8\n", ""))[0]


@pytest.mark.parametrize(("quirk", "can"), [("no_json_schema", "schema"), ("no_tools", "tools")])
def test_a_model_can_no_more_than_its_provider_lets_through(quirk: str, can: str) -> None:
    head = HEAD.replace("source =", f'quirks = ["{quirk}"]\nquirk_sources = ["https://example.org/q"]\nsource =')
    rows = ROW.replace("output = 100", f"output = 100\n{can} = true")
    assert list(parse({"providers.toml": HEAD, "listed/acme.toml": rows}).models) == ["acme/one"]
    (problem,) = _told(head, rows)
    assert problem.startswith(f"listed/acme.toml, row 1 (one): {can}: its provider takes no")


def test_every_problem_of_every_file_is_told_at_once() -> None:
    head = HEAD.replace("ACME_KEY", "a").replace("https://example.org/prices", "prices") + "[other]\n"
    rows = ROW.replace("window = 1000", "window = 1.5") + ROW.replace('"one"', '"two"').replace('"text", ', "")
    assert _told(head, rows) == (
        "providers.toml: other is not a key of this file; its keys are records, providers",
        "providers.toml, records: prices is not the https address of a page",
        "providers.toml, row 1 (acme): key: must be the name of an environment variable; only a local provider may have none",
        "listed/acme.toml, row 1 (one): Expected `int`, got `float` - at `$.window`",
        "listed/acme.toml, row 2 (two): takes: must have each once, text among them",
    )


def test_rows_out_of_order_and_names_that_stand_twice_are_told() -> None:
    second = ROW.replace('"one"', '"a"').replace("window", 'aliases = ["one"]\nwindow', 1)
    assert _told(rows=ROW + second) == (
        "listed/acme.toml: a stands after one; rows must be sorted, each once",
        "listed/acme.toml: one names one and a",
    )
    assert "listed/acme.toml: one stands after one; rows must be sorted, each once" in _told(rows=ROW + ROW)
    again = HEAD + HEAD[HEAD.index("[[") :]
    assert _told(head=again) == ("providers.toml: acme stands after acme; rows must be sorted, each once",)


def test_models_of_nobody_and_of_a_local_server_are_told() -> None:
    assert "listed/nobody.toml: providers.toml has no provider nobody" in _told(file="listed/nobody.toml")[0]
    local = HEAD.replace("https://api.example.org", "http://127.0.0.1:9").replace("key =", "local = true\nkey =")
    assert "listed/acme.toml: providers.toml has no provider acme, or it is a local one" in _told(head=local)[0]


@pytest.mark.parametrize(
    ("head", "rows", "told"),
    [
        (HEAD, "[[models]", "listed/acme.toml: "),
        (HEAD, "models = 3", "listed/acme.toml: rows must be an array of tables"),
        (HEAD, "models = [3]", "listed/acme.toml, row 1 (?): it is not a table"),
        (HEAD, "", "listed/acme.toml: models is missing"),
        (HEAD.replace('"https://example.org/prices"', "3"), ROW, "providers.toml, records: Expected `str`"),
        ("", ROW, "providers.toml: records is missing"),
    ],
)
def test_a_file_that_is_no_table_of_rows_is_told(head: str, rows: str, told: str) -> None:
    assert [problem for problem in _told(head, rows) if problem.startswith(told)]


def test_what_ships_is_read_once() -> None:
    assert catalogue() is catalogue()
    assert Path(tables.__file__).parent == FOLDER
