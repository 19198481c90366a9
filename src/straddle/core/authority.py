"""Who may act for an account: the one check behind every signed command."""

from __future__ import annotations

from collections.abc import Sequence

from straddle.core.messages import MessageKind, order_words, remember_root, signed_words
from straddle.core.orders import OrderSet, Signature
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.primitives import keys, order_sets
from straddle.primitives.order_sets import SignedSet


def check_signed(exchange: Exchange, account: int, key_epoch: int, kind: MessageKind, payload: int, signature: Signature) -> Rejection | None:
    """None when the account's key signed the message and acts in the open batch.

    A key that was set in the open batch acts from the next one on; that is said only of good signatures, so nobody else can force a batch to be cut.
    """
    owner = exchange.accounts.get(account)
    if owner is None:
        return Rejection(RejectionCode.UNKNOWN_ACCOUNT, "account", account, "an account that exists")
    if key_epoch != owner.key_epoch:
        return Rejection(RejectionCode.KEY_EPOCH, "key_epoch", key_epoch, f"{owner.key_epoch}, that of the account's key")
    if not any(owner.key):
        return Rejection(RejectionCode.NO_KEY, "account", account, "an account with a trading key")
    words = signed_words(exchange.domain, kind, account, key_epoch, payload)
    if not keys.verify(owner.key, words, signature):
        return Rejection(RejectionCode.SIGNATURE, "signature", signature, "one by the account's key over this message")
    start = exchange.open_batch.start.get(account)
    if start is not None and start.key_epoch != owner.key_epoch:
        return Rejection(RejectionCode.BATCH_BOUNDARY, "key_epoch", key_epoch, "a key set before the open batch")
    return None


def check_sets(exchange: Exchange, sets: Sequence[OrderSet]) -> list[bool]:
    """Whether each set's signature is by its account's key, computed on all cores without the interpreter's lock: a sequencer calls it for commands that wait.

    It changes no answer. It remembers the roots and the valid signatures, so that `check_signed` of these sets costs a look-up; a set that is malformed, or
    whose account is unknown, is left to it as it is.
    """
    valid = [False] * len(sets)
    places, signed = [], []
    for i, order_set in enumerate(sets):
        owner = exchange.accounts.get(order_set.account)
        if owner is None or order_set.key_epoch != owner.key_epoch:
            continue
        try:
            words = order_words(order_set.orders)
        except ValueError:
            continue
        head = (exchange.domain, int(MessageKind.ORDER_SET), order_set.account, order_set.key_epoch)
        places.append(i)
        signed.append(SignedSet(owner.key, head, words, order_set.signature))
    for i, (root, good) in zip(places, order_sets.check_sets(signed), strict=True):
        remember_root(sets[i], root)
        valid[i] = good
    return valid
