"""The Merkle tree: published vectors, every proof up to 100 leaves (200: `./just soak`), and one flipped bit in each."""

import random
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import merkle
from wire.errors import ProofInvalid, Unencodable

# The reference tests of google/certificate-transparency (merkletree/merkle_tree_test.cc), as everyone uses them.
CT_LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CT_CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CT_HASHES = [merkle.leaf_hash(leaf) for leaf in CT_LEAVES]

SIZES = 200
LEAVES = [merkle.leaf_hash(number.to_bytes(2, "big")) for number in range(SIZES)]
ROOTS = [merkle.root_of(LEAVES[:size]) for size in range(SIZES + 1)]
SOME_SIZES = (*range(101), 127, 128, 129, SIZES)
OF_SIZES = pytest.mark.parametrize("sizes", [SOME_SIZES, pytest.param(range(SIZES + 1), marks=pytest.mark.soak)])


def flipped(hashes: tuple[bytes, ...], chance: random.Random) -> tuple[bytes, ...]:
    """The hashes with one bit, chosen by the seed, turned over."""
    which, bit = chance.randrange(len(hashes)), chance.randrange(256)
    wrong = bytearray(hashes[which])
    wrong[bit // 8] ^= 1 << bit % 8
    return (*hashes[:which], bytes(wrong), *hashes[which + 1 :])


def refused(verify: Callable[[], None]) -> bool:
    try:
        verify()
    except ProofInvalid:
        return True
    return False


def test_published_roots() -> None:
    assert [merkle.root_of(CT_HASHES[:size]).hex() for size in range(9)] == CT_ROOTS


@pytest.mark.parametrize(("index", "size"), CT_INCLUSION)
def test_published_inclusion_proofs(index: int, size: int) -> None:
    proof = merkle.inclusion_proof(CT_HASHES[:size], index)
    assert [step.hex() for step in proof] == CT_INCLUSION[index, size]
    merkle.verify_inclusion(CT_HASHES[index], index, size, proof, bytes.fromhex(CT_ROOTS[size]))


@pytest.mark.parametrize(("old", "new"), CT_CONSISTENCY)
def test_published_consistency_proofs(old: int, new: int) -> None:
    proof = merkle.consistency_proof(CT_HASHES[:new], old)
    assert [step.hex() for step in proof] == CT_CONSISTENCY[old, new]
    merkle.verify_consistency(old, new, bytes.fromhex(CT_ROOTS[old]), bytes.fromhex(CT_ROOTS[new]), proof)


@OF_SIZES
def test_every_entry_is_proved_in_every_tree_and_no_proof_survives_a_flipped_bit(sizes: Iterable[int]) -> None:
    chance = random.Random(6962)
    for size in sizes:
        leaves, root = LEAVES[:size], ROOTS[size]
        for index in range(size):
            leaf = leaves[index]
            proof = merkle.inclusion_proof(leaves, index)
            merkle.verify_inclusion(leaf, index, size, proof, root)
            bad_leaf, *bad_proof, bad_root = flipped((leaf, *proof, root), chance)
            assert refused(lambda: merkle.verify_inclusion(bad_leaf, index, size, bad_proof, bad_root)), (index, size)


@OF_SIZES
def test_every_tree_continues_every_smaller_one_and_no_proof_survives_a_flipped_bit(sizes: Iterable[int]) -> None:
    chance = random.Random(9162)
    for new in sizes:
        leaves = LEAVES[:new]
        for old in range(new + 1):
            proof = merkle.consistency_proof(leaves, old)
            merkle.verify_consistency(old, new, ROOTS[old], ROOTS[new], proof)
            if old == 0:
                continue
            bad_old, bad_new, *bad_proof = flipped((ROOTS[old], ROOTS[new], *proof), chance)
            assert refused(lambda: merkle.verify_consistency(old, new, bad_old, bad_new, bad_proof)), (old, new)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_a_proof_for_another_place_or_of_another_length_is_refused(size: int) -> None:
    leaves, root = LEAVES[:size], ROOTS[size]
    for index in range(size):
        proof = merkle.inclusion_proof(leaves, index)
        for other in range(-1, size + 2):
            if other != index:
                assert refused(lambda: merkle.verify_inclusion(leaves[index], other, size, proof, root))
        assert refused(lambda: merkle.verify_inclusion(leaves[index], index, size, (*proof, root), root))
        if proof:
            assert refused(lambda: merkle.verify_inclusion(leaves[index], index, size, proof[:-1], root))
            assert refused(
                lambda: merkle.verify_inclusion(leaves[index], index, size, (proof[0][:-1], *proof[1:]), root)
            )


@pytest.mark.parametrize("old", range(14))
def test_a_consistency_proof_of_another_length_is_refused(old: int) -> None:
    proof = merkle.consistency_proof(LEAVES[:13], old)
    longer = (*proof, ROOTS[1])
    assert refused(lambda: merkle.verify_consistency(old, 13, ROOTS[old], ROOTS[13], longer))
    if proof:
        assert refused(lambda: merkle.verify_consistency(old, 13, ROOTS[old], ROOTS[13], proof[:-1]))


def test_a_tree_that_never_was_has_no_proof() -> None:
    with pytest.raises(ProofInvalid):
        merkle.inclusion_proof(LEAVES[:3], 3)
    with pytest.raises(ProofInvalid):
        merkle.inclusion_proof(LEAVES[:3], -1)
    with pytest.raises(ProofInvalid):
        merkle.consistency_proof(LEAVES[:3], 4)
    assert refused(lambda: merkle.verify_consistency(4, 3, ROOTS[4], ROOTS[3], ()))
    assert refused(lambda: merkle.verify_consistency(0, 3, ROOTS[1], ROOTS[3], ()))
    assert refused(lambda: merkle.verify_consistency(3, 3, ROOTS[2], ROOTS[3], ()))


def test_a_true_proof_shows_nothing_of_a_tree_of_another_depth() -> None:
    proof = merkle.inclusion_proof(LEAVES[:8], 7)
    assert refused(lambda: merkle.verify_inclusion(LEAVES[7], 3, 4, proof, ROOTS[8]))
    assert refused(lambda: merkle.verify_inclusion(LEAVES[7], 15, 16, proof, ROOTS[8]))
    proof = merkle.consistency_proof(LEAVES[:8], 7)
    for old, new in ((3, 4), (5, 6), (6, 8), (9, 10), (12, 13)):
        assert refused(lambda: merkle.verify_consistency(old, new, ROOTS[7], ROOTS[8], proof)), (old, new)
    for new in range(2, 10):
        assert refused(lambda: merkle.verify_consistency(1, new, ROOTS[1], ROOTS[1], ())), new


def test_bytes_do_not_move_between_a_leaf_and_its_sibling() -> None:
    leaf, sibling = LEAVES[:2]
    assert refused(lambda: merkle.verify_inclusion(leaf[:-1], 0, 2, (leaf[-1:] + sibling,), ROOTS[2]))


def test_a_leaf_never_hashes_like_an_inner_node() -> None:
    left, right = LEAVES[:2]
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)


@given(st.integers(0, SIZES), st.integers(0, SIZES))
def test_a_frontier_goes_on_from_its_written_form_as_if_it_had_never_stopped(first: int, second: int) -> None:
    stop, size = sorted((first, second))
    frontier = merkle.Frontier()
    for leaf in LEAVES[:stop]:
        frontier.append(leaf)
    written = frontier.to_list()
    resumed = merkle.Frontier.from_list(stop, written)
    for leaf in LEAVES[stop:size]:
        resumed.append(leaf)
    assert (resumed.size, resumed.root()) == (size, ROOTS[size])
    assert (frontier.size, frontier.root()) == (stop, ROOTS[stop])


def test_a_copied_frontier_grows_apart() -> None:
    frontier = merkle.Frontier()
    frontier.append(LEAVES[0])
    twin = frontier.copy()
    twin.append(LEAVES[1])
    assert (frontier.root(), twin.root()) == (ROOTS[1], ROOTS[2])


@pytest.mark.parametrize(
    ("size", "roots"), [(1, []), (3, ["00" * 32]), (-1, ["00" * 32]), (1, ["00" * 31]), (1, ["zz" * 32])]
)
def test_a_written_frontier_that_fits_no_tree_is_refused(size: int, roots: list[str]) -> None:
    with pytest.raises(Unencodable):
        merkle.Frontier.from_list(size, roots)
