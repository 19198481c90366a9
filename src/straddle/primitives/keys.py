"""Trading keys and their signatures over six words."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from straddle.primitives import native
from straddle.primitives.field import MODULUS, check_element, decode_all
from straddle.primitives.points import NO_KEY, PublicKey, Signature
from straddle.primitives.recent import Recent

__all__ = ["NO_KEY", "SUBGROUP_ORDER", "PublicKey", "SecretKey", "Signature", "is_valid_key", "key_multiple", "remember_valid", "verify", "verify_many"]

SUBGROUP_ORDER = 2736030358979909402780800718157159386076813972158567259200215660948447373041
"""l, the order of the curve's prime subgroup."""
SEED_BYTES = 32

VALID: Recent[tuple[int, ...], bool] = Recent(8192)
"""Key, words and signature of signatures that native verification found valid lately; some 10 MB. Validity is a function of these alone."""


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A secret scalar in [1, l) with its points. Its repr shows the public key only. Signing is not constant in time."""

    value: int = field(repr=False)
    public: PublicKey = field(init=False, compare=False)
    base: PublicKey = field(init=False, compare=False, repr=False)
    """The point B with public = 8 B, which layer 1 asks for at registration."""

    def __post_init__(self) -> None:
        if not isinstance(self.value, int) or not 1 <= self.value < SUBGROUP_ORDER:
            raise ValueError("secret: expected an integer in [1, l)")  # never show it
        public, base = native.public_key(self.value.to_bytes(32, "big"))
        object.__setattr__(self, "public", PublicKey(*decode_all(public)))
        object.__setattr__(self, "base", PublicKey(*decode_all(base)))

    @classmethod
    def from_seed(cls, seed: bytes) -> SecretKey:
        """The key of a seed of any length; it is no more secret than its seed."""
        if not isinstance(seed, bytes) or not seed:
            raise ValueError("seed: expected at least one byte")
        digest = hashlib.sha512(b"straddle.secret" + seed).digest()
        return cls(1 + int.from_bytes(digest, "big") % (SUBGROUP_ORDER - 1))

    @classmethod
    def generate(cls, entropy: Callable[[int], bytes]) -> SecretKey:
        """A fresh key from `entropy(n)`, which gives n random bytes: `os.urandom` in earnest."""
        seed = entropy(SEED_BYTES)
        if len(seed) != SEED_BYTES:
            raise ValueError(f"entropy: {len(seed)} bytes, expected {SEED_BYTES}")
        return cls.from_seed(seed)

    def sign(self, words: Sequence[int]) -> Signature:
        """Sign six field elements. The nonce follows from secret and words: equal inputs give equal signatures."""
        signature = native.sign(self.value.to_bytes(32, "big"), _encode_message("words", words))
        return Signature(*decode_all(signature))


def verify(public_key: PublicKey, words: Sequence[int], signature: Signature) -> bool:
    """Whether the signature of six field elements is valid. Out-of-range words raise ValueError; every defect of key or signature gives False."""
    if VALID and VALID.get((*public_key, *words, *signature.integers)):
        return True
    message = _encode_message("words", words)
    key = encode_integers("public_key", public_key)
    encoded = encode_integers("signature", signature.integers)
    return key is not None and encoded is not None and native.verify_many(key, message, encoded) == b"\1"


def verify_many(items: Sequence[tuple[PublicKey, Sequence[int], Signature]]) -> list[bool]:
    """`verify` of each (public key, words, signature), in one native call on all cores without the interpreter's lock. The valid ones are remembered."""
    messages, keys, signatures = [], [], []
    unencodable = []
    for i, (key, words, signature) in enumerate(items):
        messages.append(_encode_message("words", words, i))
        encoded_key = encode_integers("public_key", key)
        encoded = encode_integers("signature", signature.integers)
        if encoded_key is None or encoded is None:
            unencodable.append(i)
        keys.append(encoded_key or bytes(native.POINT_BYTES))
        signatures.append(encoded or bytes(native.SIGNATURE_BYTES))
    valid = [byte == 1 for byte in native.verify_many(b"".join(keys), b"".join(messages), b"".join(signatures))]
    for i in unencodable:
        valid[i] = False
    for (key, words, signature), good in zip(items, valid, strict=True):
        if good:
            remember_valid(key, words, signature)
    return valid


def remember_valid(public_key: PublicKey, words: Sequence[int], signature: Signature) -> None:
    """Make `verify` of this a look-up. Only for what native verification has found valid; safe for concurrent use."""
    VALID.put((*public_key, *words, *signature.integers), True)


def is_valid_key(public_key: PublicKey) -> bool:
    """Whether a point is on the curve, in the prime subgroup and not the identity. The unset key is not."""
    encoded = encode_integers("public_key", public_key)
    if encoded is None or max(public_key) >= MODULUS or public_key == NO_KEY:
        return False
    try:
        native.key_multiple(encoded)
    except native.NativeCallError:
        return False
    return True


def key_multiple(public_key: PublicKey) -> PublicKey:
    """2^64 A, which the account stores beside A; NO_KEY for NO_KEY. ValueError for a point that is no valid key."""
    if public_key == NO_KEY:
        return NO_KEY
    if not is_valid_key(public_key):
        raise ValueError(f"public_key: {tuple(public_key)}, expected a point of the prime subgroup other than the identity")
    return PublicKey(*decode_all(native.key_multiple(b"".join(value.to_bytes(32, "big") for value in public_key))))


def _encode_message(name: str, words: Sequence[int], item: int | None = None) -> bytes:
    """Six elements as bytes; errors call them `name`, of an item if there are several."""
    try:
        if len(words) == native.MESSAGE_WORDS and min(words) >= 0 and max(words) < MODULUS:  # the common case, without making names
            return b"".join([word.to_bytes(32, "big") for word in words])
    except (TypeError, AttributeError):  # no integers: said below
        pass
    if item is not None:
        name = f"items[{item}].{name}"
    if len(words) != native.MESSAGE_WORDS:
        raise ValueError(f"{name}: {len(words)} words, expected {native.MESSAGE_WORDS}")
    return b"".join([_encode_element(f"{name}[{i}]", word) for i, word in enumerate(words)])


def _encode_element(name: str, value: int) -> bytes:
    check_element(name, value)
    return value.to_bytes(32, "big")


def encode_integers(name: str, values: tuple[int, ...]) -> bytes | None:
    """32-byte integers, or None if one has more bytes or is negative: the native side judges the rest."""
    try:
        return b"".join([value.to_bytes(32, "big") for value in values])
    except (OverflowError, AttributeError):
        for value in values:
            if not isinstance(value, int):
                raise TypeError(f"{name}: {value!r}, expected integers") from None
        return None
