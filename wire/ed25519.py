"""Ed25519 (RFC 8032) by libsodium: a key pair from a seed, signing, and verifying (pure).

It calls PyNaCl's compiled module. `nacl.bindings` does the same, but imports all of libsodium's functions with it: 360 KB and
4 ms more in each process (docs/adr/0022).
"""

from typing import Any, Final

from nacl._sodium import ffi, lib

SEED_SIZE: Final = 32
PUBLIC_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64
_SECRET_SIZE: Final = 64

lib.sodium_init()  # chooses the fastest implementation for this processor


def key_pair(seed: bytes) -> tuple[bytes, bytes]:
    """Return the public and the secret key of a seed. Raises ValueError unless it has SEED_SIZE bytes."""
    public, secret = _room(PUBLIC_SIZE), _room(_SECRET_SIZE)
    lib.crypto_sign_seed_keypair(public, secret, _checked(seed, SEED_SIZE))
    return bytes(ffi.buffer(public)), bytes(ffi.buffer(secret))


def sign(message: bytes, secret: bytes) -> bytes:
    """Return the signature of a message, SIGNATURE_SIZE bytes. secret: as key_pair() returns it; ValueError otherwise."""
    signed = _room(SIGNATURE_SIZE + len(message))
    lib.crypto_sign(signed, ffi.NULL, message, len(message), _checked(secret, _SECRET_SIZE))
    return bytes(ffi.buffer(signed, SIGNATURE_SIZE))


def is_signed(message: bytes, signature: bytes, public: bytes) -> bool:
    """Whether libsodium accepts a signature. It also refuses keys of small order and non-canonical signatures.

    public: PUBLIC_SIZE bytes; ValueError otherwise.
    """
    signed, key = signature + message, _checked(public, PUBLIC_SIZE)
    return len(signature) == SIGNATURE_SIZE and not lib.crypto_sign_open(
        _room(len(signed)), ffi.NULL, signed, len(signed), key
    )


def _room(size: int) -> Any:
    """Make an array of bytes, zeroed, for the library to write to."""
    return ffi.new("unsigned char[]", size)


def _checked(value: bytes, size: int) -> bytes:
    """Return a value whose size the library relies on. Raises ValueError for another size."""
    if len(value) != size:
        raise ValueError(f"{len(value)} bytes instead of {size}")
    return value
