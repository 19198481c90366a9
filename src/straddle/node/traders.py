"""Traders: an owner's wallet on layer 1, a trading key, and the messages that it signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from eth_account import Account as EthereumAccount
from eth_account.signers.local import LocalAccount

from straddle.core.commands import L2Bid, L2Cancel, L2Protect, L2Trade, L2Transfer, L2Withdraw
from straddle.core.messages import bid_words, cancel_words, order_set_words, protection_words, transfer_words, withdrawal_words
from straddle.core.orders import Order, OrderSet, Signature
from straddle.core.protection import ProtectionLimits
from straddle.primitives.hashing import keccak256
from straddle.primitives.keys import SecretKey

_NO_SIGNATURE = Signature(0, 0, 0)


def wallet_of(seed: int, name: str) -> LocalAccount:
    """A development wallet that anybody can recompute from seed and name."""
    wallet: LocalAccount = EthereumAccount.from_key(keccak256(f"straddle.development-wallet/{seed}/{name}".encode()))
    return wallet


def address_of(wallet: LocalAccount) -> int:
    """A wallet's address as an integer."""
    return int(wallet.address, 16)


@dataclass(slots=True)
class Trader:
    """One account's owner and its trading key. Counts the nonces that it used."""

    name: str
    wallet: LocalAccount
    key: SecretKey
    domain: int
    account: int = 0
    """Id that layer 1 gave the account, 0 before."""
    key_epoch: int = 1
    next_nonce: int = 1
    next_action_nonce: int = 1

    @classmethod
    def create(cls, seed: int, name: str, domain: int) -> Trader:
        """A development trader that follows from seed and name."""
        return cls(name, wallet_of(seed, name), SecretKey.from_seed(f"{seed}/{name}".encode()), domain)

    def sub_account(self, name: str) -> Trader:
        """Another account of the same owner, with the same key."""
        return Trader(name, self.wallet, self.key, self.domain)

    @property
    def owner(self) -> int:
        """The owner's address as an integer."""
        return address_of(self.wallet)

    def sign_orders(self, orders: Sequence[Order]) -> L2Trade:
        """A signed order set; nonces must be the trader's own (`next_nonce` on), which are then used up."""
        unsigned = OrderSet(self.account, self.key_epoch, tuple(orders), _NO_SIGNATURE)
        self.next_nonce = max(self.next_nonce, *(order.nonce + 1 for order in orders))
        return L2Trade(OrderSet(self.account, self.key_epoch, unsigned.orders, self.key.sign(order_set_words(self.domain, unsigned))))

    def sign_cancel(self, min_nonce: int) -> L2Cancel:
        """A signed cancel of every order with a nonce below `min_nonce`."""
        unsigned = L2Cancel(self.account, self.key_epoch, min_nonce, _NO_SIGNATURE)
        return replace(unsigned, signature=self.key.sign(cancel_words(self.domain, unsigned)))

    def sign_withdrawal(self, amount_micros: int) -> L2Withdraw:
        """A signed withdrawal to the owner."""
        unsigned = L2Withdraw(self.account, self.key_epoch, self._action_nonce(), amount_micros, _NO_SIGNATURE)
        return replace(unsigned, signature=self.key.sign(withdrawal_words(self.domain, unsigned)))

    def sign_transfer(self, to: int, amount_micros: int) -> L2Transfer:
        """A signed transfer to another account of the owner."""
        unsigned = L2Transfer(self.account, self.key_epoch, self._action_nonce(), to, amount_micros, _NO_SIGNATURE)
        return replace(unsigned, signature=self.key.sign(transfer_words(self.domain, unsigned)))

    def sign_bid(self, target: int, fraction_bps: int, limit_micros: int, expiry_ms: int) -> L2Bid:
        """A signed bid for a fraction of an account's portfolio."""
        unsigned = L2Bid(self.account, self.key_epoch, self._action_nonce(), target, fraction_bps, limit_micros, expiry_ms, _NO_SIGNATURE)
        return replace(unsigned, signature=self.key.sign(bid_words(self.domain, unsigned)))

    def sign_protection(self, nonce: int, limits: ProtectionLimits) -> L2Protect:
        """A signed market-maker protection; `nonce` exceeds that of the last one."""
        unsigned = L2Protect(self.account, self.key_epoch, nonce, limits, _NO_SIGNATURE)
        return replace(unsigned, signature=self.key.sign(protection_words(self.domain, unsigned)))

    def _action_nonce(self) -> int:
        nonce = self.next_action_nonce
        self.next_action_nonce += 1
        return nonce
