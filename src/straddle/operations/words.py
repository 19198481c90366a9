"""What commands that add words to the listings chain have in common."""

from __future__ import annotations

from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange


def check_words(exchange: Exchange, count: int) -> Rejection | None:
    """They come before the batch's rows, and the batch has room for them. The table that covers them comes after."""
    used, room = len(exchange.open_batch.listings), exchange.capacity.listings
    if count > room:
        return Rejection(RejectionCode.EXCEEDS_CAPACITY, "listings", count, f"at most {room} words at once (the preset)")
    if used + count > room and not exchange.trading_open:
        return Rejection(RejectionCode.EPOCH_REQUIRED, "listings", used + count, f"an epoch first: a batch has at most {room} words")
    if used + count > room or exchange.open_batch.start:
        return Rejection(RejectionCode.BATCH_BOUNDARY, "listings", used + count, f"at most {room} words, before the rows of a batch")
    return None
