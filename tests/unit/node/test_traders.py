"""What a trader signs with its trading key."""

from __future__ import annotations

from straddle.core.messages import cancel_words
from straddle.node.traders import Trader
from straddle.primitives.keys import verify


def test_a_cancel_is_signed_for_one_account_and_one_nonce() -> None:
    trader = Trader.create(1, "trader", domain=77)
    trader.account = 5
    command = trader.sign_cancel(12)
    assert (command.account, command.key_epoch, command.min_nonce) == (5, 1, 12)
    assert verify(trader.key.public, cancel_words(77, command), command.signature)
    trader.account = 6
    assert not verify(trader.key.public, cancel_words(77, trader.sign_cancel(12)), command.signature)
