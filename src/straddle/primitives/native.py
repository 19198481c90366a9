"""The one place that loads the native library (native/clib, built by hatch_build.py) and calls it.

**A process that has loaded the library must not fork**: the Go runtime's threads do not survive, and the child would hang at its first call (this module makes
that an error). Use the "spawn" start method with multiprocessing, and `subprocess` for programs. Calls release the GIL and may run in several threads.

Functions here take and return bytes, 32-byte big-endian words; the other modules of this package give them types.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path

LIBRARY_PATH = Path(__file__).resolve().parent.parent / "_native" / "libstraddle.so"
ABI_VERSION = 3
"""`abiVersion` in native/clib/main.go."""

WORD_BYTES = 32
POINT_BYTES = 64
SIGNATURE_BYTES = 96
MESSAGE_WORDS = 6
SET_HEAD_WORDS = 4
MAX_SET_ORDERS = 64
SET_NODES = tuple(sum(-(-count // (1 << level)) for level in range(7)) for count in range(MAX_SET_ORDERS + 1))
"""By the number of orders in a set: the nodes of its tree that are not empty."""

_BUFFER = ctypes.c_char_p
_SIZE = ctypes.c_int64
_SIGNATURES: dict[str, tuple[type, ...]] = {
    "straddle_source_digest": (_SIZE, _BUFFER),
    "straddle_compress": (_BUFFER, _SIZE, _BUFFER),
    "straddle_order_set": (_BUFFER, _SIZE, _SIZE, _BUFFER),
    "straddle_check_sets": (_BUFFER, _SIZE, _BUFFER, _BUFFER, _BUFFER, _SIZE, _BUFFER, _BUFFER),
    "straddle_sponge": (_BUFFER, _SIZE, _BUFFER, _SIZE, _SIZE, _BUFFER),
    "straddle_keccak256": (_BUFFER, _SIZE, _BUFFER, _SIZE, _BUFFER),
    "straddle_merkle_path": (_BUFFER, ctypes.c_uint64, _BUFFER, _SIZE, _BUFFER),
    "straddle_public_key": (_BUFFER, _BUFFER),
    "straddle_key_multiple": (_BUFFER, _BUFFER),
    "straddle_sign": (_BUFFER, _BUFFER, _BUFFER),
    "straddle_verify": (_BUFFER, _BUFFER, _BUFFER, _SIZE, _BUFFER),
}
_ERRORS = {
    1: "an input word is not below the field's modulus",
    2: "a count, tag or length is out of range",
    3: "the secret is outside [1, l)",
    4: "the public key is not a point of the prime subgroup, or is the identity",
    99: "internal error (a Go panic)",
}


_loaders: list[int] = []
"""The process that loaded the library; a forked child inherits it."""


class NativeLibraryError(RuntimeError):
    """The native library is missing or of another version."""


class NativeCallError(ValueError):
    """The native library refused its input. The typed modules check first, so seeing this is a bug in them."""


def source_digest() -> str:
    """Digest of the Go sources that the loaded library was compiled from."""
    return _call("straddle_source_digest", 128, 128).rstrip(b"\0").decode()


def compress_many(pairs: bytes) -> bytes:
    """One word for each pair of words."""
    count = len(pairs) // (2 * WORD_BYTES)
    _check_length("pairs", pairs, count * 2 * WORD_BYTES)
    return _call("straddle_compress", count * WORD_BYTES, pairs, count)


def order_set(orders: bytes) -> bytes:
    """The nodes of an order set's tree from (terms, legs) of its orders: level after level from the leaves to the root, without the empty ones."""
    count = len(orders) // (2 * WORD_BYTES)
    _check_length("orders", orders, count * 2 * WORD_BYTES)
    if not 1 <= count <= MAX_SET_ORDERS:
        raise ValueError(f"orders: {count} in one set, expected 1 to {MAX_SET_ORDERS}")
    nodes = SET_NODES[count]
    return _call("straddle_order_set", nodes * WORD_BYTES, orders, count, nodes)


def check_sets(sizes: Sequence[int], keys: bytes, heads: bytes, orders: bytes, signatures: bytes) -> tuple[bytes, bytes]:
    """For sets of `sizes` orders: their roots, and a byte for each: 1 when its signature is valid, 0 when not. A head is the message before the root."""
    count = len(sizes)
    total = sum(sizes)
    _check_length("keys", keys, count * POINT_BYTES)
    _check_length("heads", heads, count * SET_HEAD_WORDS * WORD_BYTES)
    _check_length("orders", orders, total * 2 * WORD_BYTES)
    _check_length("signatures", signatures, count * SIGNATURE_BYTES)
    encoded = struct.pack(f"={count}q", *sizes)
    out = _call("straddle_check_sets", count * (WORD_BYTES + 1), encoded, count, keys, heads, orders, total, signatures)
    return out[: count * WORD_BYTES], out[count * WORD_BYTES :]


def sponge(tag: bytes, words: bytes, width: int | None = None) -> bytes:
    """The tagged hash of each row of `width` words, one after the other; all are one row when None."""
    width = len(words) // WORD_BYTES if width is None else width
    count = len(words) // (width * WORD_BYTES) if width else 0
    _check_length("words", words, count * width * WORD_BYTES)
    return _call("straddle_sponge", count * WORD_BYTES, tag, len(tag), words, count, width)


def keccak256(data: bytes) -> bytes:
    """Ethereum's hash."""
    size = len(data)
    return _call("straddle_keccak256", WORD_BYTES, struct.pack("=q", size), 1, data, size)


def keccak256_many(pieces: Sequence[bytes]) -> bytes:
    """Ethereum's hash of each piece, one after the other."""
    count, sizes = len(pieces), list(map(len, pieces))
    return _call("straddle_keccak256", count * WORD_BYTES, struct.pack(f"={count}q", *sizes), count, b"".join(pieces), sum(sizes))


def merkle_path(leaf: bytes, index: int, siblings: bytes) -> bytes:
    """depth + 1 nodes from the leaf up to the root, under depth siblings."""
    depth = len(siblings) // WORD_BYTES
    _check_length("leaf", leaf, WORD_BYTES)
    _check_length("siblings", siblings, depth * WORD_BYTES)
    if not 0 <= index < 1 << depth:
        raise ValueError(f"index: {index}, expected 0 to {(1 << depth) - 1}")
    return _call("straddle_merkle_path", (depth + 1) * WORD_BYTES, leaf, index, siblings, depth)


def public_key(secret: bytes) -> tuple[bytes, bytes]:
    """A = a G, and the B with A = 8 B."""
    _check_length("secret", secret, WORD_BYTES)
    points = _call("straddle_public_key", 2 * POINT_BYTES, secret)
    return points[:POINT_BYTES], points[POINT_BYTES:]


def key_multiple(key: bytes) -> bytes:
    """2^64 A; zeros for the unset key."""
    _check_length("key", key, POINT_BYTES)
    return _call("straddle_key_multiple", POINT_BYTES, key)


def sign(secret: bytes, message: bytes) -> bytes:
    """R.x, R.y, s."""
    _check_length("secret", secret, WORD_BYTES)
    _check_length("message", message, MESSAGE_WORDS * WORD_BYTES)
    return _call("straddle_sign", SIGNATURE_BYTES, secret, message)


def verify_many(keys: bytes, messages: bytes, signatures: bytes) -> bytes:
    """One byte for each signature: 1 valid, 0 not. Uses all cores."""
    count = len(signatures) // SIGNATURE_BYTES
    _check_length("signatures", signatures, count * SIGNATURE_BYTES)
    _check_length("keys", keys, count * POINT_BYTES)
    _check_length("messages", messages, count * MESSAGE_WORDS * WORD_BYTES)
    return _call("straddle_verify", count, keys, messages, signatures, count)


def _check_length(name: str, value: bytes, expected: int) -> None:
    """The library reads as many bytes as it is told to: a wrong length would read past the buffer."""
    if len(value) != expected:
        raise ValueError(f"{name}: {len(value)} bytes, expected {expected}")


def _call(name: str, size: int, *arguments: bytes | int) -> bytes:
    """Call a function whose output goes to a buffer of `size` bytes, its last argument."""
    out = (ctypes.c_char * max(size, 1))()
    status = getattr(_library(), name)(*arguments, out)
    if status != 0:
        raise NativeCallError(f"{name}: {_ERRORS.get(status, f'unknown status {status}')}")
    return out.raw[:size]


@cache
def _library() -> ctypes.CDLL:
    """Load the library at the first call, not at import."""
    if _loaders and _loaders[0] != os.getpid():
        raise NativeLibraryError(
            f"process {os.getpid()} was forked from process {_loaders[0]}, which had loaded the native library and must not fork: spawn it"
        )
    if not LIBRARY_PATH.exists():
        raise NativeLibraryError(f"{LIBRARY_PATH} is missing: build it with `make setup`, or `python hatch_build.py` in the repository")
    library = ctypes.CDLL(str(LIBRARY_PATH))
    found = library.straddle_abi_version()
    if found != ABI_VERSION:
        raise NativeLibraryError(f"{LIBRARY_PATH} has interface version {found}, expected {ABI_VERSION}: build it again with `make setup`")
    for name, argument_types in _SIGNATURES.items():
        function = getattr(library, name)
        function.argtypes = argument_types
        function.restype = ctypes.c_int
    _loaders.append(os.getpid())
    os.register_at_fork(after_in_child=_library.cache_clear)
    return library
