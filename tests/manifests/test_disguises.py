"""Every disguise is refused or becomes what it is, and no grant covers more than it says."""

import pytest

from manifests import capabilities
from manifests.errors import ResourceInvalid
from manifests.grants import GrantSet
from manifests.schema import Capability
from tests.disguises import DISGUISES, Disguise


@pytest.mark.parametrize("disguise", DISGUISES, ids=lambda one: ascii(f"{one.kind} {one.written[:60]}"))
def test_a_disguise_is_seen_through(disguise: Disguise) -> None:
    capabilities.check_pattern(disguise.granted, disguise.kind)
    grants = GrantSet.of([Capability(method="any.method", allow=(disguise.granted,))])
    if disguise.why:
        with pytest.raises(ResourceInvalid) as refused:
            capabilities.normalise(disguise.kind, disguise.written)
        assert disguise.why in refused.value.why
        if disguise.granted != "*":  # that covers every kind, so which kind it is must be asked first
            assert not grants.allows("any.method", disguise.written)
    else:
        assert capabilities.normalise(disguise.kind, disguise.written) == disguise.becomes
        assert grants.allows("any.method", disguise.becomes) is disguise.covered


def test_there_are_about_a_hundred_and_no_two_alike() -> None:
    written = [(one.kind, one.granted, one.written) for one in DISGUISES]
    assert len(written) == len(set(written)) >= 100
