"""Trading signatures, receipts, and the hashing of order sets."""

from __future__ import annotations

from eth_account import Account

from benchmarks.measure import Results
from straddle.core import messages
from straddle.core.orders import MAX_ORDERS_PER_SET, OrderSet, Side, Signature, outright
from straddle.primitives.keys import SecretKey, verify, verify_many
from straddle.sequencer.receipts import LogIdentity, LogPlace, ReceiptSigner

SUBJECT = "signatures"
COUNT = 512
SETS = 20


def run(results: Results) -> None:
    """Sign, verify one by one and many at once; sets of 64 orders; receipts."""
    key = SecretKey.from_seed(b"bench")
    words = [(1, 2, 3, 4, 5, i) for i in range(COUNT)]
    results.time(SUBJECT, "sign", COUNT, lambda: [key.sign(item) for item in words])
    signed = [(key.public, item, key.sign(item)) for item in words]
    assert all(verify_many(signed))
    results.time(SUBJECT, "verify, one by one", COUNT, lambda: [verify(*item) for item in signed])
    results.time(SUBJECT, f"verify, {COUNT} at once", COUNT, lambda: verify_many(signed), note="CPU time of all cores together")
    _order_sets(results, key)
    place = LogPlace(LogIdentity(1, 2), 1, 1, bytes(32), bytes(32), 1)
    signer = ReceiptSigner(Account.from_key(b"\1" * 32))
    results.time(SUBJECT, "sign a receipt", 1_000, lambda: [signer.sign(place) for _ in range(1_000)])


def _order_sets(results: Results, key: SecretKey) -> None:
    sets = [tuple(outright(1 + 64 * n + i, 0, 10**12, 100, 100 + i, 1, Side.BUY, 10) for i in range(MAX_ORDERS_PER_SET)) for n in range(SETS)]
    unsigned = [OrderSet(3, 1, orders, Signature(0, 0, 0)) for orders in sets]
    results.time(SUBJECT, "order set of 64: root and words", SETS, lambda: [messages.order_set_words(1, item) for item in unsigned])
    results.time(SUBJECT, "order set of 64: root, words, signature", SETS, lambda: [key.sign(messages.order_set_words(1, item)) for item in unsigned])
    signatures = [key.sign(messages.order_set_words(1, item)) for item in unsigned]

    def check() -> None:
        for item, signature in zip(unsigned, signatures, strict=True):
            assert verify(key.public, messages.order_set_words(1, item), signature)

    results.time(
        SUBJECT, "order set of 64: root, words, verification", SETS, check, note="a part of accepting a quote set, whose bar is 0.8 ms", bar_per_second=1_250
    )
