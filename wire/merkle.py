"""The Merkle tree of the log: roots, inclusion proofs and consistency proofs, RFC 6962 §2.1 and RFC 9162 §2.1 (pure).

It knows nothing of entries: a leaf is a 32-byte hash, a tree is a sequence of leaves, a proof is a tuple of 32-byte hashes
in the order of the RFC, so that other implementations verify our proofs and we verify theirs. Leaves and inner nodes are
hashed under different first bytes, so that one can never be passed off as the other.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, Self

from wire.errors import ProofInvalid, Unencodable

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of the tree without leaves."""

Proof = tuple[bytes, ...]


def leaf_hash(content: bytes) -> bytes:
    """Return the hash of a leaf's content."""
    return sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node over its two children's hashes."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """A growing tree that keeps only the roots of its complete subtrees: at most one per bit of its size.

    The kernel and the verifier append to it; a snapshot stores its to_list() and its size.
    """

    __slots__ = ("_roots", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._roots: list[bytes] = []

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Append a leaf hash (32 bytes)."""
        roots = self._roots
        carry = self._size
        self._size = carry + 1
        while carry & 1:
            leaf = sha256(b"\x01" + roots.pop() + leaf).digest()
            carry >>= 1
        roots.append(leaf)

    def root(self) -> bytes:
        """Return the root over all leaves so far; EMPTY_ROOT if there are none."""
        if not self._roots:
            return EMPTY_ROOT
        root = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            root = node_hash(left, root)
        return root

    def copy(self) -> "Frontier":
        """Return an independent copy of this tree."""
        twin = Frontier()
        twin._size, twin._roots = self._size, self._roots.copy()
        return twin

    def to_list(self) -> list[str]:
        """Return the subtree roots in hex, the largest subtree first. from_list() needs these and the size."""
        return [root.hex() for root in self._roots]

    @classmethod
    def from_list(cls, size: int, roots: Sequence[str]) -> Self:
        """Rebuild a tree from its size and to_list(). Raises Unencodable if no tree can have these."""
        if size < 0 or len(roots) != size.bit_count():
            raise Unencodable(f"a tree of {size} leaves does not have {len(roots)} complete subtrees")
        frontier = cls()
        try:
            frontier._roots = [bytes.fromhex(root) for root in roots]
        except ValueError as error:
            raise Unencodable("a subtree root is not hex") from error
        if any(len(root) != HASH_SIZE for root in frontier._roots):
            raise Unencodable(f"a subtree root is not {HASH_SIZE} bytes")
        frontier._size = size
        return frontier


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root of the tree over these leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> Proof:
    """Prove that leaf `index` is in the tree over these leaf hashes. Returns the sibling hashes from the leaf upwards."""
    if not 0 <= index < len(leaves):
        raise ProofInvalid(f"a tree of {len(leaves)} leaves has no leaf {index}")
    proof: list[bytes] = []
    start, end = 0, len(leaves)
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(root_of(leaves[middle:end]))
            end = middle
        else:
            proof.append(root_of(leaves[start:middle]))
            start = middle
    proof.reverse()
    return tuple(proof)


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> Proof:
    """Prove that the tree over these leaf hashes only appends to the tree over its first old_size leaves.

    The proof is empty if old_size is 0 or the whole: the two roots suffice.
    """
    if not 0 <= old_size <= len(leaves):
        raise ProofInvalid(f"a tree of {len(leaves)} leaves never had {old_size}")
    proof: list[bytes] = []
    start, end = 0, len(leaves)
    if old_size == 0:
        return ()
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            proof.append(root_of(leaves[middle:end]))
            end = middle
        else:
            proof.append(root_of(leaves[start:middle]))
            start = middle
    if start > 0:
        proof.append(root_of(leaves[start:end]))
    proof.reverse()
    return tuple(proof)


def _split(size: int) -> int:
    """Return the number of leaves in the left subtree: the largest power of two below size (size > 1)."""
    return 1 << ((size - 1).bit_length() - 1)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise ProofInvalid unless the proof leads from this leaf hash at index to the root of a tree of `size` leaves.

    RFC 9162 §2.1.3.2.
    """
    if not 0 <= index < size:
        raise ProofInvalid(f"a tree of {size} leaves has no leaf {index}")
    _check_lengths(leaf, root, *proof)
    node, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofInvalid("the inclusion proof is too long")
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            found = node_hash(found, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise ProofInvalid("the inclusion proof is too short")
    if found != root:
        raise ProofInvalid(f"the inclusion proof of leaf {index} does not lead to the root at size {size}")


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise ProofInvalid unless the tree with new_root only appends to the tree with old_root. RFC 9162 §2.1.4.2."""
    if not 0 <= old_size <= new_size:
        raise ProofInvalid(f"a tree of {new_size} leaves never had {old_size}")
    _check_lengths(old_root, new_root, *proof)
    if old_size in (0, new_size):
        _check_trivial(old_size, new_size, old_root, new_root, proof)
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise ProofInvalid("the consistency proof is too short")
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old_found = new_found = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofInvalid("the consistency proof is too long")
        if node & 1 or node == last:
            old_found, new_found = node_hash(sibling, old_found), node_hash(sibling, new_found)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new_found = node_hash(new_found, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise ProofInvalid("the consistency proof is too short")
    if old_found != old_root or new_found != new_root:
        raise ProofInvalid(f"the tree at size {new_size} does not continue the tree at size {old_size}")


def _check_trivial(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Verify the cases of an empty old tree and of equal sizes, in which the proof is empty."""
    if proof:
        raise ProofInvalid("the consistency proof is too long")
    if old_size == 0 and old_root != EMPTY_ROOT:
        raise ProofInvalid("this is not the root of an empty tree")
    if old_size == new_size and old_root != new_root:
        raise ProofInvalid(f"there are two different trees of {new_size} leaves")


def _check_lengths(*hashes: bytes) -> None:
    if any(len(found) != HASH_SIZE for found in hashes):
        raise ProofInvalid(f"a hash is not {HASH_SIZE} bytes long")
