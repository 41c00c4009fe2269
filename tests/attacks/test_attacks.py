"""Each attack is refused exactly as it says, harms nobody, and succeeds where the layers that stop it are taken away."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import pytest

from tests.attacks.arena import Arena, opened
from tests.attacks.attack import Attack

FOLDER = Path(__file__).parent
ATTACKS: dict[str, Attack] = {
    path.stem: found
    for path in sorted(FOLDER.glob("*.py"))
    if (found := getattr(import_module(f"tests.attacks.{path.stem}"), "ATTACK", None))
    if path.stem != "test_attacks"
}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="as root every layer is there")


@pytest.fixture(scope="module")
def walled() -> Iterator[Arena]:
    with tempfile.TemporaryDirectory() as place, opened(Path(place, "arena"), frozenset()) as arena:
        yield arena


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_and_nobody_notices(name: str, walled: Arena) -> None:
    attack = ATTACKS[name]
    met = walled.suffer(attack)
    assert met.get("refused") == attack.refused, met
    walled.check_unharmed()


@pytest.fixture(scope="module")
def weakened() -> Iterator[Callable[[frozenset[str]], Arena]]:
    """The arena of each set of missing layers, made when it is first asked for."""
    with ExitStack() as stack, tempfile.TemporaryDirectory() as place:
        yield lru_cache(lambda layers: stack.enter_context(opened(Path(place, "-".join(sorted(layers))), layers)))


@pytest.mark.parametrize("name", ATTACKS)
def test_the_same_attack_succeeds_without_the_layers_that_stop_it(
    name: str, weakened: Callable[[frozenset[str]], Arena]
) -> None:
    attack = ATTACKS[name]
    arena = weakened(frozenset(attack.stopped_by))
    met = arena.suffer(attack)
    assert "got" in met, met
    assert attack.got(met["got"], arena.given()), met
