"""Trading signatures, receipts, and the hashing of order sets."""

from __future__ import annotations

from eth_account import Account

from benchmarks.measure import Results
from straddle.core import messages
from straddle.core.orders import MAX_ORDERS_PER_SET, OrderSet, Side, outright
from straddle.primitives.hashing import compress, compress_many, sponge
from straddle.primitives.keys import SecretKey, verify, verify_many
from straddle.primitives.order_sets import SignedSet, check_sets
from straddle.sequencer.receipts import LogIdentity, LogPlace, ReceiptSigner

SUBJECT = "signatures"
COUNT = 512
SETS = 20


def run(results: Results) -> None:
    """Hashes; sign, verify one by one and many at once; sets of one order and of 64; receipts."""
    results.time(SUBJECT, "compress, one by one", COUNT, lambda: [compress(1, i) for i in range(COUNT)])
    results.time(SUBJECT, f"compress, {COUNT} at once", COUNT, lambda: compress_many([(1, i) for i in range(COUNT)]))
    results.time(SUBJECT, "sponge of 10 words", COUNT, lambda: [sponge("bench", range(i, i + 10)) for i in range(COUNT)])
    key = SecretKey.from_seed(b"bench")
    words = [(1, 2, 3, 4, 5, i) for i in range(COUNT)]
    results.time(SUBJECT, "sign", COUNT, lambda: [key.sign(item) for item in words])
    signed = [(key.public, item, key.sign(item)) for item in words]
    results.time(SUBJECT, "verify, one by one", COUNT, lambda: [verify(*item) for item in signed])
    results.time(SUBJECT, f"verify, {COUNT} at once", COUNT, lambda: verify_many(signed), note="CPU time of all cores together")
    results.time(SUBJECT, "verify, already checked", COUNT, lambda: [verify(*item) for item in signed])
    _order_sets(results, key, 1, COUNT, 16_000)
    _order_sets(results, key, MAX_ORDERS_PER_SET, SETS, 2_500)
    place = LogPlace(LogIdentity(1, 2), 1, 1, bytes(32), bytes(32), 1)
    signer = ReceiptSigner(Account.from_key(b"\1" * 32))
    results.time(SUBJECT, "sign a receipt", 1_000, lambda: [signer.sign(place) for _ in range(1_000)])


def _order_sets(results: Results, key: SecretKey, size: int, count: int, bar_per_second: float) -> None:
    """`count` sets of `size` orders: roots; roots and verification, one set after the other as the transition does it, and all sets at once."""
    label = f"order set of {size}"
    sets = [tuple(outright(1 + size * n + i, 0, 10**12, 100, 100 + i, 1, Side.BUY, 10) for i in range(size)) for n in range(count)]
    signatures = [key.sign(messages.signed_words(1, messages.MessageKind.ORDER_SET, 3, 1, messages.order_set_root(orders))) for orders in sets]
    signed = [OrderSet(3, 1, orders, signature) for orders, signature in zip(sets, signatures, strict=True)]
    results.time(SUBJECT, f"{label}: root", count, lambda: [messages.order_set_root(item.orders) for item in signed])

    def one_by_one() -> None:
        for item in signed:
            assert verify(key.public, messages.order_set_words(1, item), item.signature)

    def together() -> None:
        head = (1, int(messages.MessageKind.ORDER_SET), 3, 1)
        assert all(valid for _, valid in check_sets([SignedSet(key.public, head, messages.order_words(item.orders), item.signature) for item in signed]))

    results.time(SUBJECT, f"{label}: root, words, verification", count, one_by_one, note="a part of accepting a set", bar_per_second=bar_per_second)
    results.time(SUBJECT, f"{label}: checked {count} at once", count, together, note="CPU time of all cores together", bar_per_second=bar_per_second)
