"""Signed messages: order leaves, order-set trees and the six words under every signature (docs/protocol/messages.md)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache

from straddle.core.commands import L2Bid, L2Cancel, L2Protect, L2Transfer, L2Withdraw
from straddle.core.kernel import OrderCodec
from straddle.core.orders import MAX_LEGS, MAX_ORDERS_PER_SET, RATIO_MAX, Legs, Order, OrderSet
from straddle.core.protection import ProtectionLimits
from straddle.primitives import order_sets
from straddle.primitives.field import encode_all, pack
from straddle.primitives.hashing import compress, keccak_mod_248
from straddle.primitives.order_sets import set_levels, set_path, set_root
from straddle.primitives.recent import Recent

ORDER_CODEC = OrderCodec(Order)
ORDER_SET_DEPTH = order_sets.DEPTH
LIMIT_OFFSET = 1 << 39
"""Added to a limit in ticks so that its 40 bits are unsigned."""

BID_LIMIT_OFFSET = 1 << 63
"""Added to a bid's limit in micro-dollars so that its 64 bits are unsigned."""

_TERMS = ("nonce", "revision", "expiry_ms", "size_lots", "limit_ticks", "fee_cap", "side", "flags")

_ROOTS: Recent[int, tuple[OrderSet, int]] = Recent(512)
"""Roots of set objects that `authority.check_sets` saw lately, by identity: sets cannot change, and one that is held here shares its id with no other."""

SignedWords = tuple[int, int, int, int, int, int]


class MessageKind(IntEnum):
    """What a signature is for."""

    ORDER_SET = 1
    WITHDRAWAL = 2
    CANCEL = 3
    PROTECTION = 4
    TRANSFER = 5
    BID = 6


def domain(chain_id: int, rollup_address: int) -> int:
    """The 248-bit word that binds a signature to one rollup on one chain; the address as a 160-bit integer."""
    return keccak_mod_248(b"straddle.domain" + chain_id.to_bytes(32, "big") + rollup_address.to_bytes(20, "big"))


def order_terms(order: Order) -> int:
    """The 248-bit word of everything but the legs; ValueError names a field out of range."""
    nonce, revision, expiry_ms, size_lots, fee_cap, flags = order.nonce, order.revision, order.expiry_ms, order.size_lots, order.fee_cap, order.flags
    limit = order.limit_ticks + LIMIT_OFFSET
    if nonce >> 64 or revision >> 16 or expiry_ms >> 48 or size_lots >> 40 or limit >> 40 or fee_cap >> 32 or order.side >> 1 or flags >> 7:
        fields = (nonce, 64), (revision, 16), (expiry_ms, 48), (size_lots, 40), (limit, 40), (fee_cap, 32), (order.side, 1), (flags, 7)
        return pack(*((name, value, bits) for name, (value, bits) in zip(_TERMS, fields, strict=True)))
    return nonce | revision << 64 | expiry_ms << 80 | size_lots << 128 | limit << 168 | fee_cap << 208 | order.side << 240 | flags << 241


@lru_cache(maxsize=4096)
def legs_word(legs: Legs) -> int:
    """The word of 1 to 4 legs, 40 bits each, the first one lowest; ValueError for a field out of range."""
    if not 1 <= len(legs) <= MAX_LEGS:
        raise ValueError(f"legs: {len(legs)}, expected 1 to {MAX_LEGS}")
    word = shift = 0
    for instrument, ratio in legs:
        size = ratio if ratio > 0 else -ratio
        if instrument >> 32:
            raise ValueError(f"legs[{shift // 40}].instrument: {instrument}, expected 0 to 2^32 - 1")
        if not 0 < size <= RATIO_MAX:
            raise ValueError(f"legs[{shift // 40}].ratio: {ratio}, expected 1 to {RATIO_MAX}, negative where it is sold")
        word |= (instrument | size << 32 | (ratio < 0) << 39) << shift
        shift += 40
    return word


def order_words(orders: Sequence[Order]) -> bytes:
    """terms and legs of each order, encoded, one after the other; ValueError for more or fewer than 1 to 64, or a field out of range."""
    if not 1 <= len(orders) <= MAX_ORDERS_PER_SET:
        raise ValueError(f"orders: {len(orders)} in one set, expected 1 to {MAX_ORDERS_PER_SET}")
    words = ORDER_CODEC.words(orders)
    return b"".join([encode_all("order", (order_terms(order), legs_word(order.legs))) for order in orders]) if words is None else words


def order_leaf(order: Order) -> int:
    """The order's leaf, which is also its id."""
    return compress(order_terms(order), legs_word(order.legs))


class OrderSetTree:
    """The depth-6 Merkle tree over an order set's leaves; positions beyond the last order hold 0, and an empty right side passes the left one through."""

    def __init__(self, orders: Sequence[Order]) -> None:
        self._levels = set_levels(order_words(orders))

    @property
    def leaves(self) -> tuple[int, ...]:
        """The orders' leaves (their ids), in order."""
        return tuple(self._levels[0])

    @property
    def root(self) -> int:
        """Root: the payload that the set's signature signs."""
        return self._levels[-1][0]

    def path(self, index: int) -> tuple[int, ...]:
        """Siblings of order `index`, from the leaf up (6 words, 0 where there is none)."""
        return set_path(self._levels, index)


def order_set_root(orders: Sequence[Order]) -> int:
    """Root of the set's tree."""
    return set_root(order_words(orders))


def order_set_payload(order_set: OrderSet) -> int:
    """Payload of kind 1: the set's root. ValueError for a set that has none."""
    known = _ROOTS.get(id(order_set))
    if known is not None and known[0] is order_set:
        return known[1]
    return order_set_root(order_set.orders)


def remember_root(order_set: OrderSet, root: int) -> None:
    """Make `order_set_payload` of this object a look-up."""
    _ROOTS.put(id(order_set), (order_set, root))


def withdrawal_payload(nonce: int, amount: int) -> int:
    """Payload of kind 2; `amount` in micro-dollars."""
    return pack(("nonce", nonce, 64), ("amount", amount, 63))


def cancel_payload(min_nonce: int) -> int:
    """Payload of kind 3."""
    return pack(("min_nonce", min_nonce, 64))


def protection_payload(nonce: int, limits: ProtectionLimits) -> int:
    """Payload of kind 4; ValueError names a field out of range."""
    return pack(
        ("nonce", nonce, 64),
        ("interval_ms", limits.interval_ms, 32),
        ("frozen_ms", limits.frozen_ms, 32),
        ("quantity_lots", limits.quantity_lots, 40),
        ("delta_micros", limits.delta_micros, 63),
    )


def transfer_payload(nonce: int, amount: int, to: int) -> int:
    """Payload of kind 5; `amount` in micro-dollars."""
    return pack(("nonce", nonce, 64), ("amount", amount, 63), ("spare", 0, 1), ("to", to, 32))


def bid_payload(nonce: int, target: int, fraction_bps: int, limit: int, expiry_ms: int) -> int:
    """Payload of kind 6; `limit` in micro-dollars, signed."""
    offset_limit = limit + BID_LIMIT_OFFSET
    return pack(("nonce", nonce, 64), ("target", target, 32), ("fraction_bps", fraction_bps, 14), ("limit", offset_limit, 64), ("expiry_ms", expiry_ms, 48))


def signed_words(domain_word: int, kind: MessageKind, account: int, key_epoch: int, payload: int) -> SignedWords:
    """The six words of any message."""
    return (domain_word, int(kind), account, key_epoch, payload, 0)


def order_set_words(domain_word: int, order_set: OrderSet) -> SignedWords:
    """What the signature of an order set signs."""
    return signed_words(domain_word, MessageKind.ORDER_SET, order_set.account, order_set.key_epoch, order_set_payload(order_set))


def withdrawal_words(domain_word: int, command: L2Withdraw) -> SignedWords:
    """What the signature of a withdrawal signs."""
    payload = withdrawal_payload(command.nonce, command.amount)
    return signed_words(domain_word, MessageKind.WITHDRAWAL, command.account, command.key_epoch, payload)


def transfer_words(domain_word: int, command: L2Transfer) -> SignedWords:
    """What the signature of a transfer signs."""
    payload = transfer_payload(command.nonce, command.amount, command.to)
    return signed_words(domain_word, MessageKind.TRANSFER, command.account, command.key_epoch, payload)


def bid_words(domain_word: int, command: L2Bid) -> SignedWords:
    """What the signature of a bid signs."""
    payload = bid_payload(command.nonce, command.target, command.fraction_bps, command.limit, command.expiry_ms)
    return signed_words(domain_word, MessageKind.BID, command.account, command.key_epoch, payload)


def cancel_words(domain_word: int, command: L2Cancel) -> SignedWords:
    """What the signature of a cancel signs."""
    return signed_words(domain_word, MessageKind.CANCEL, command.account, command.key_epoch, cancel_payload(command.min_nonce))


def protection_words(domain_word: int, command: L2Protect) -> SignedWords:
    """What the signature of a protection signs."""
    return signed_words(domain_word, MessageKind.PROTECTION, command.account, command.key_epoch, protection_payload(command.nonce, command.limits))
