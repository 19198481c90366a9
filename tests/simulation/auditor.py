"""What must hold whatever happens, judged by what shares nothing with the engine: the ledger, and another reading of the margin rule."""

from __future__ import annotations

from collections import Counter
from random import Random

from support.audit import audit_derived
from support.audit_accounts import BatchAudit, vault_flows

from straddle.core.batch import OpenBatch
from straddle.core.commands import Command
from straddle.sequencer.receipts import Receipt
from straddle.sequencer.sequencer import Accepted

from .layer1 import ReorgingLayer1
from .ledger import Ledger
from .node import PARAMS, SIGNER, Node

RECEIPTS_COMPARED = 8


def audit_batch(batch: OpenBatch) -> None:
    """Each account by the rule or as one that was seized. Nobody gains from a seizure what is not the market's: no closing is better for the winner than the
    mark, no bidder pays more than the value of what it takes, and nobody owes more than before."""
    audit, table, relief = BatchAudit(batch, PARAMS), batch.table, Counter[int]()
    audit.run()
    assert table is not None
    for row in batch.deleverages:
        gained = row.size_lots * (row.price_ticks - table[row.instrument].mark)
        assert gained >= 0, f"account {row.account}: closed at a price worse than the mark: {row}"
        relief[row.account] += gained
    for takeover in batch.takeovers:
        assert takeover.bid is None or audit.new[takeover.account].equity <= audit.old[takeover.account].equity + relief[takeover.account]
    for account in audit.sold.keys() | audit.bankrupt:
        assert audit.new[account].equity >= min(audit.old[account].equity, 0) + relief[account], f"account {account} owes more than before it was seized"


class Auditor:
    """What was acknowledged, and what follows from it."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.ledger = Ledger(PARAMS.slots)
        self.audited = 0
        """The last batch whose record was recounted."""
        self._deposited = self._paid_out = 0
        """By the records of those batches."""

    def acknowledged(self, command: Command, accepted: Accepted) -> None:
        """The next entry of the log, and what it did."""
        place = accepted.receipt.place
        assert place.sequence == len(self.receipts) + 1, f"receipt {place.sequence} follows receipt {len(self.receipts)}"
        assert not self.receipts or place.previous_hash == self.receipts[-1].place.hash
        self.receipts.append(accepted.receipt)
        self.ledger.follow(command, accepted.events)

    def look(self, node: Node, layer1: ReorgingLayer1, *, deeply: bool) -> None:
        """Balances and conservation; the batches closed since the last time; `deeply`, also what the engine keeps in steps."""
        exchange = node.sequencer.exchange
        self.ledger.compare(exchange)
        assert layer1.deposited(exchange.queue_pointer) == self.ledger.deposited, "what was answered is not what layer 1's queue says"
        self.recount(node)
        if exchange.open_batch.first_sequence == exchange.next_sequence:
            assert (self._deposited, self._paid_out) == (self.ledger.deposited, self.ledger.paid_out)
        if deeply and exchange.trading_open:
            audit_derived(exchange)

    def recount(self, node: Node) -> None:
        """Each batch that was closed since the last time, each account of it: by the rule, or as one that was seized."""
        for closed in node.closed:
            if closed.batch.number > self.audited:
                assert closed.batch.number == self.audited + 1
                self.audited += 1
                audit_batch(closed.batch)
                deposited, paid_out = vault_flows(closed.batch)
                self._deposited += deposited
                self._paid_out += paid_out
        node.closed.clear()

    def after_restart(self, node: Node, rng: Random) -> None:
        """Every acknowledged command is in the log where its receipt says. The last hash covers all before it; some receipts are compared in full."""
        for receipt in [*rng.sample(self.receipts, min(RECEIPTS_COMPARED, len(self.receipts))), *self.receipts[-1:]]:
            again = node.sequencer.receipt(receipt.place.sequence)
            assert (again.place, again.signer, receipt.signer) == (receipt.place, SIGNER.address, SIGNER.address)
