"""Each attack is refused exactly as it says, harms nobody, and succeeds where the layers that stop it are taken away."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path

import pytest

from tests.attacks import prey as machine
from tests.attacks.all import ATTACKS
from tests.attacks.arena import Arena, open_arena
from tests.attacks.attack import Attack, Given
from tests.attacks.weakened import KERNEL_LAYERS, TEMPLATE_LAYERS
from tests.rights import IS_WHOLE_ROOT
from tests.spread import spread
from wire.codec import Value

pytestmark = pytest.mark.skipif(
    not IS_WHOLE_ROOT,
    reason="the machine's root has every layer, and can do all without; test_ordinary_user.py has the rest",
)

Arenas = Callable[[frozenset[str]], Arena]


@pytest.fixture(scope="module")
def prey() -> Iterator[Given]:
    with machine.set_up_prey() as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANIPLE_SECRET_KERNEL_LAYERS", "what only the kernel knows")
        yield found


@pytest.fixture(scope="module")
def walled(prey: Given) -> Iterator[Arena]:
    with tempfile.TemporaryDirectory() as place, open_arena(Path(place, "arena"), prey) as arena:
        yield arena


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_and_nobody_notices(name: str, walled: Arena) -> None:
    attack = ATTACKS[name]
    with walled.check_neighbour_meanwhile():
        met = walled.run_attack(attack)
    walled.check_unharmed()
    walled.check_clean()
    assert met.get("refused", "") == attack.meets(), met
    assert not _succeeded(attack, met, walled)


@pytest.fixture(scope="module")
def weakened(prey: Given) -> Iterator[Arenas]:
    """The arena of each set of what is missing for all of its runs, made when it is first asked for."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:

        def lacking(taken: frozenset[str]) -> Arena:
            return stack.enter_context(open_arena(Path(place, "-".join(["arena", *sorted(taken)])), prey, taken))

        yield lru_cache(lacking)


@pytest.mark.parametrize("name", ATTACKS)
def test_the_same_attack_succeeds_without_the_layers_that_stop_it(name: str, weakened: Arenas) -> None:
    attack = _possible(name)
    arena, met = _without(attack.stopped_by, attack, weakened)
    assert _succeeded(attack, met, arena), met
    arena.check_unharmed()


@pytest.mark.parametrize(
    ("name", "layer"),
    spread(
        (
            (name, layer)
            for name, attack in ATTACKS.items()
            if len(attack.stopped_by) > 1
            for layer in attack.stopped_by
        ),
        70,
    ),
)
def test_each_of_the_layers_that_stop_an_attack_stops_it_alone(name: str, layer: str, weakened: Arenas) -> None:
    attack = _possible(name)
    arena, met = _without(tuple(one for one in attack.stopped_by if one != layer), attack, weakened)
    assert not _succeeded(attack, met, arena), met


def _possible(name: str) -> Attack:
    attack = ATTACKS[name]
    if why := attack.needs():
        pytest.skip(why)
    return attack


def _without(layers: tuple[str, ...], attack: Attack, weakened: Arenas) -> tuple[Arena, dict[str, Value]]:
    of_all = frozenset(layers) & (TEMPLATE_LAYERS | KERNEL_LAYERS.keys())
    of_all |= {"watch"} if "cgroup" in layers else set()  # which stands in for it, a second later
    arena = weakened(of_all)
    return arena, arena.run_attack(attack, frozenset(layers) - of_all)


def _succeeded(attack: Attack, met: dict[str, Value], arena: Arena) -> bool:
    return "got" in met and attack.got(met["got"], arena.given())
