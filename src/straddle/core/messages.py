"""Signed messages: order leaves, order-set trees and the six words under every signature (docs/protocol/messages.md)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import cache

from straddle.core.commands import L2Cancel, L2Protect, L2Withdraw
from straddle.core.orders import MAX_ORDERS_PER_SET, Order, OrderSet
from straddle.core.protection import ProtectionLimits
from straddle.primitives.field import pack
from straddle.primitives.hashing import compress, keccak_mod_248, sponge

ORDER_SET_DEPTH = 6
LIMIT_OFFSET = 1 << 39
"""Added to a limit in ticks so that its 40 bits are unsigned."""

SignedWords = tuple[int, int, int, int, int, int]


class MessageKind(IntEnum):
    """What a signature is for."""

    ORDER_SET = 1
    WITHDRAWAL = 2
    CANCEL = 3
    PROTECTION = 4


def domain(chain_id: int, rollup_address: int) -> int:
    """The 248-bit word that binds a signature to one rollup on one chain; the address as a 160-bit integer."""
    return keccak_mod_248(b"straddle.domain" + chain_id.to_bytes(32, "big") + rollup_address.to_bytes(20, "big"))


def order_words(order: Order) -> tuple[int, int]:
    """The two packed words of an order; ValueError names a field out of range."""
    return (
        pack(
            ("nonce", order.nonce, 64),
            ("revision", order.revision, 16),
            ("expiry_ms", order.expiry_ms, 48),
            ("size_lots", order.size_lots, 40),
            ("limit_ticks", order.limit_ticks + LIMIT_OFFSET, 40),
        ),
        pack(("instrument", order.instrument, 32), ("side", order.side, 8), ("fee_cap", order.fee_cap, 32), ("flags", order.flags, 8)),
    )


def order_leaf(order: Order) -> int:
    """The order's leaf, which is also its id."""
    return sponge("straddle.order", order_words(order))


class OrderSetTree:
    """The depth-6 Merkle tree over an order set's leaves; positions beyond the last order hold 0."""

    def __init__(self, orders: Sequence[Order]) -> None:
        if not 1 <= len(orders) <= MAX_ORDERS_PER_SET:
            raise ValueError(f"orders: {len(orders)} in one set, expected 1 to {MAX_ORDERS_PER_SET}")
        self._levels: list[list[int]] = [[order_leaf(order) for order in orders]]
        for level in range(ORDER_SET_DEPTH):
            below = self._levels[-1]
            self._levels.append([compress(below[i], below[i + 1] if i + 1 < len(below) else _zero(level)) for i in range(0, len(below), 2)])

    @property
    def leaves(self) -> tuple[int, ...]:
        """The orders' leaves (their ids), in order."""
        return tuple(self._levels[0])

    @property
    def root(self) -> int:
        """Root: the payload that the set's signature signs."""
        return self._levels[-1][0]

    def path(self, index: int) -> tuple[int, ...]:
        """Siblings of order `index`, from the leaf up (6 words)."""
        if not 0 <= index < len(self._levels[0]):
            raise IndexError(f"index: {index}, expected 0 to {len(self._levels[0]) - 1}")
        siblings = []
        for level in range(ORDER_SET_DEPTH):
            sibling = (index >> level) ^ 1
            nodes = self._levels[level]
            siblings.append(nodes[sibling] if sibling < len(nodes) else _zero(level))
        return tuple(siblings)


def order_set_root(orders: Sequence[Order]) -> int:
    """Root of the set's tree."""
    return OrderSetTree(orders).root


def order_set_payload(order_set: OrderSet) -> int:
    """Payload of kind 1."""
    return order_set_root(order_set.orders)


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


def cancel_words(domain_word: int, command: L2Cancel) -> SignedWords:
    """What the signature of a cancel signs."""
    return signed_words(domain_word, MessageKind.CANCEL, command.account, command.key_epoch, cancel_payload(command.min_nonce))


def protection_words(domain_word: int, command: L2Protect) -> SignedWords:
    """What the signature of a protection signs."""
    return signed_words(domain_word, MessageKind.PROTECTION, command.account, command.key_epoch, protection_payload(command.nonce, command.limits))


@cache
def _zero(level: int) -> int:
    """Root of an empty subtree of height `level`."""
    return 0 if level == 0 else compress(_zero(level - 1), _zero(level - 1))
