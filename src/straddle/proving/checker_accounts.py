"""The accounts table of the statement: rules accounts.1 to accounts.10."""

from __future__ import annotations

from straddle.commitments.accounts import CASH_LIMIT, EMPTY_POSITIONS_DIGEST, AccountLeaf, positions_digest
from straddle.commitments.effects import QUEUE_FORCE_CLOSE, QUEUE_FORCE_WITHDRAW, QUEUE_SET_KEY
from straddle.core.accounts import FEE_ACCOUNT, INSURANCE_ACCOUNT, PublicKey
from straddle.core.messages import MessageKind
from straddle.core.params import BPS
from straddle.primitives.keys import key_multiple
from straddle.proving.checker_margin import AuctionWord, MarginSide, discount_fits, passes_rule, side_of
from straddle.proving.checker_tables import Tables, elements, fail, fold, require, width
from straddle.proving.witness import AccountRow

LEAF_WIDTHS = (("owner", 160), ("key_epoch", 32), ("min_nonce", 64), ("action_nonce", 64), ("flags", 64), ("auction", 63))


def check_keys(tables: Tables) -> None:
    """Ids ascend from 1 on and lie in the tree; fields have their widths."""
    ids = [row.id for row in tables.witness.accounts]
    ascending = all(a < b for a, b in zip([0, *ids], ids, strict=False))
    require(ascending, "accounts.keys", f"ids {ids} are not strictly ascending from 1")
    require(all(identifier < 1 << tables.preset.account_depth for identifier in ids), "accounts.keys", f"ids {ids} reach beyond the tree")
    for row in tables.witness.accounts:
        for name, leaf in (("old", row.old), ("new", row.new)):
            _leaf_widths(f"account {row.id} {name}", leaf)


def check_accounts(tables: Tables) -> None:
    """Every rule of every row, once the other tables hold."""
    fees = sum(fill.taker_fee + fill.maker_fee for fill in tables.witness.fills)
    require(fees == 0 or FEE_ACCOUNT in tables.accounts, "accounts.4", f"fees of {fees} without a row of the fee account")
    root = tables.header.old_accounts_root
    for row in tables.witness.accounts:
        require(len(row.path) == tables.preset.account_depth, "accounts.1", f"account {row.id}: path of {len(row.path)} siblings")
        elements("accounts.1", f"account {row.id}: a sibling", row.path)
        require(fold(row.old.hash, row.id, row.path) == root, "accounts.1", f"account {row.id}: the old leaf does not open")
        root = fold(row.new.hash, row.id, row.path)
        _AccountRules(tables, row).check()
    require(root == tables.header.new_accounts_root, "accounts.1", "the chain of openings does not end at the new accounts root")


def _leaf_widths(where: str, leaf: AccountLeaf) -> None:
    for field, bits in LEAF_WIDTHS:
        width("accounts.1", f"{where} {field}", getattr(leaf, field), bits)
    require(abs(leaf.cash) < CASH_LIMIT, "accounts.1", f"{where} cash {leaf.cash}")
    elements("accounts.1", where, (leaf.key_x, leaf.key_y, leaf.multiple_x, leaf.multiple_y, leaf.positions_digest, leaf.orders_root))


class _AccountRules:
    """Rules 2 to 10 of one row."""

    def __init__(self, tables: Tables, row: AccountRow) -> None:
        self.tables, self.row, self.where = tables, row, f"account {row.id}"
        self.positions = tables.positions_of(row.id)
        self.steps, self.acting = tables.steps_of(row.id), bool(tables.actions.get(row.id))
        self.forced = tables.entries_of(row.id, QUEUE_FORCE_WITHDRAW)
        self.takeovers, self.bankrupt = tables.takeovers_of(row.id), bool(tables.deleverages_of(row.id))
        self.seized = bool(self.takeovers) or self.bankrupt

    def check(self) -> None:
        self.owner_and_key()
        self.nonces()
        self.cash()
        old, new = self.sides()
        self.digests(old, new)
        if self.seized:
            self.seizure(old, new)
        else:
            require(passes_rule(old, new), "accounts.5", f"{self.where}: margin rule, old {old}, new {new}")
        self.coverage(new)
        self.forced_withdrawal(new)
        self.slots()
        self.auction(old, new)

    def owner_and_key(self) -> None:
        """Rule 2."""
        old, new = self.row.old, self.row.new
        entries = [entry for entry in self.tables.witness.queue if entry.account == self.row.id]
        owner_ok = new.owner == old.owner or (old.owner == 0 and any(entry.owner == new.owner for entry in entries))
        require(owner_ok, "accounts.2", f"{self.where}: owner changed without a queue entry")
        keys = [entry for entry in entries if entry.kind == QUEUE_SET_KEY]
        require(len(keys) <= 1, "accounts.2", f"{self.where}: {len(keys)} key entries")
        expected = (old.key_x, old.key_y, old.multiple_x, old.multiple_y, old.key_epoch)
        if keys:
            key = PublicKey(keys[0].key_x, keys[0].key_y)
            expected = (*key, *_multiple(key), old.key_epoch + 1)
        found = (new.key_x, new.key_y, new.multiple_x, new.multiple_y, new.key_epoch)
        require(found == expected, "accounts.2", f"{self.where}: key, multiple or key_epoch")
        require(new.flags == old.flags, "accounts.2", f"{self.where}: flags changed")

    def nonces(self) -> None:
        """Rule 3."""
        old, new = self.row.old, self.row.new
        if self.row.cancel_signature == -1:
            require(new.min_nonce == old.min_nonce, "accounts.3", f"{self.where}: min_nonce changed without a cancel")
        else:
            require(new.min_nonce >= old.min_nonce, "accounts.3", f"{self.where}: min_nonce lowered")
            self.tables.signed("accounts.3", self.row.id, MessageKind.CANCEL, new.min_nonce)
        if self.acting:
            require(self.tables.actions[self.row.id] == [new.action_nonce], "accounts.3", f"{self.where}: action_nonce is not that of its one action")
            require(new.action_nonce > old.action_nonce, "accounts.3", f"{self.where}: action_nonce not raised")
        else:
            require(new.action_nonce == old.action_nonce, "accounts.3", f"{self.where}: action_nonce changed without an action")

    def cash(self) -> None:
        """Rule 4."""
        change, expected = self.row.new.cash - self.row.old.cash, self.tables.cash[self.row.id]
        require(change == expected, "accounts.4", f"{self.where}: cash changes by {change}, rows say {expected}")

    def sides(self) -> tuple[MarginSide, MarginSide]:
        """Both sides of the margin rule, of the positions that rows open."""
        instruments, header = self.tables.instruments, self.tables.header
        held = [(row, instruments[row.instrument]) for row in self.positions]
        deposits = self.tables.deposits(self.row.id)
        old = side_of(self.row.old.cash + deposits, [(row.old, instrument) for row, instrument in held], header)
        return old, side_of(self.row.new.cash, [(row.new, instrument) for row, instrument in held], header)

    def digests(self, old: MarginSide, new: MarginSide) -> None:
        """Rule 7."""
        leaves = (("old", self.row.old), ("new", self.row.new))
        if self.positions:
            for name, leaf in leaves:
                sizes = {row.instrument: getattr(row, name) for row in self.positions}
                require(positions_digest(sizes) == leaf.positions_digest, "accounts.7", f"{self.where}: {name} positions digest")
            return
        require(self.row.old.positions_digest == self.row.new.positions_digest, "accounts.7", f"{self.where}: positions digest changed without position rows")
        if self.row.old.positions_digest == EMPTY_POSITIONS_DIGEST:
            return
        code = self.auction_change()
        busy = self.steps or self.acting or self.forced or self.seized or code in ("begun", "ended")
        require(not busy, "accounts.7", f"{self.where}: closed, but it trades, acts, is forced or seized, or its auction begins or ends ({code})")
        require(new.equity >= old.equity, "accounts.7", f"{self.where}: closed, and its cash falls by {old.equity - new.equity}")

    def coverage(self, new: MarginSide) -> None:
        """Rule (a) for an account that acts or wins, settled >= 0 for one that pays (rule 5; takeovers for the insurance fund)."""
        if self.acting:
            require(new.covered, "accounts.5", f"{self.where}: acts without rule (a), {new}")
        if self.row.id in self.tables.payers:
            require(new.covered and new.settled >= 0, "accounts.5", f"{self.where}: pays without rule (a) or settled cash, {new}")
        if self.row.id == INSURANCE_ACCOUNT and any(row.winner == INSURANCE_ACCOUNT for row in self.tables.witness.takeovers):
            require(new.covered, "takeovers", f"the insurance fund takes over without rule (a), {new}")

    def forced_withdrawal(self, new: MarginSide) -> None:
        """Rule 6: paid = min(asked, withdrawable), judged after the payment."""
        if not self.forced:
            return
        require(len(self.forced) == 1, "accounts.6", f"{self.where}: {len(self.forced)} forced withdrawals")
        require(not self.steps and not self.acting, "accounts.6", f"{self.where}: forced, but it has orders or acts")
        asked, paid = self.forced[0].amount, self.forced[0].paid
        may_pay = new.covered and new.settled >= 0
        nothing_left = may_pay and (new.scaled_surplus < BPS or new.settled == 0)
        ok = (paid == asked and may_pay) or (paid < asked and nothing_left) or (paid == 0 and not may_pay)
        require(ok, "accounts.6", f"{self.where}: asked {asked}, paid {paid}, after it {new}")

    def slots(self) -> None:
        """Rule 8."""
        root = self.row.old.orders_root
        for step, order in enumerate(order for order in self.tables.witness.orders if order.account == self.row.id):
            require((order.step, order.orders_root_old) == (step, root), "accounts.8", f"{self.where}: slot chain broken at step {step}")
            root = order.orders_root_new
        require(root == self.row.new.orders_root, "accounts.8", f"{self.where}: slot chain does not end at the new orders root")

    def auction_change(self) -> str:
        """What became of the auction word: unchanged, ended, begun or close_begun, by the leaves alone."""
        old, new = self.row.old.auction, self.row.new.auction
        if new == old:
            return "unchanged"
        if new == 0:
            return "ended"
        return "close_begun" if AuctionWord.of(new).forced else "begun"

    def auction(self, old: MarginSide, new: MarginSide) -> None:
        """Rule 9."""
        header, before = self.tables.header, AuctionWord.of(self.row.old.auction)
        closes = self.tables.entries_of(self.row.id, QUEUE_FORCE_CLOSE)
        require(len(closes) <= 1, "accounts.9", f"{self.where}: {len(closes)} forced closes")
        require(before.start_ms > 0 or before.word == 0, "accounts.9", f"{self.where}: old auction word {before}")
        change = self.auction_change()
        if closes and not self.row.old.auction:
            expected = AuctionWord(header.time_ms, 1, closes[0].amount)
            require(self.row.new.auction == expected.word, "accounts.9", f"{self.where}: auction word {self.row.new.auction} after a forced close")
        elif change == "begun":
            require(self.row.old.auction == 0 and old.below_maintenance, "accounts.9", f"{self.where}: auction begun, old {old}")
            require(self.row.new.auction == header.time_ms, "accounts.9", f"{self.where}: auction begun at another time than the table's")
        elif change == "ended":
            sold = self.row.new.positions_digest == EMPTY_POSITIONS_DIGEST
            over = sold or header.time_ms - before.start_ms >= header.auction_ms if before.forced else new.covered
            require(over, "accounts.9", f"{self.where}: auction ended, new {new}")
        else:
            require(change == "unchanged", "accounts.9", f"{self.where}: forced close begun without a queue entry, or during an auction")

    def seizure(self, old: MarginSide, new: MarginSide) -> None:
        """Rule 10."""
        auction, header = AuctionWord.of(self.row.old.auction), self.tables.header
        where = f"{self.where} seized: "
        require(len(self.takeovers) <= 1, "accounts.10", f"{where}{len(self.takeovers)} takeovers")
        require(1 <= auction.start_ms <= header.time_ms, "accounts.10", f"{where}no auction since before the table's time ({auction})")
        require(not (self.steps or self.acting or self.forced), "accounts.10", f"{where}it has orders, acts or is forced")
        require(old.below_maintenance or bool(auction.forced), "accounts.10", f"{where}neither below MM nor asked for, {old}")
        require(new.scaled_surplus >= old.scaled_surplus, "accounts.10", f"{where}equity - IM falls, old {old}, new {new}")
        require(discount_fits(old, new, auction, header), "accounts.10", f"{where}loses more than the discount, old {old}, new {new}")
        relief = self.tables.relief_of(self.row.id)
        require(new.equity >= min(old.equity, 0) + relief, "accounts.10", f"{where}it owes more afterwards, old {old}, new {new}, relief {relief}")
        for row in self.takeovers:
            highest = max(old.equity, 0) if row.signature == -1 else old.equity + relief
            require(new.equity <= highest, "accounts.10", f"{where}the winner gives it {new.equity - highest}")
        if self.bankrupt:
            require(old.equity < 0 and new.equity <= 0, "accounts.10", f"{where}deleveraged, but not bankrupt, old {old}, new {new}")


def _multiple(key: PublicKey) -> PublicKey:
    try:
        return key_multiple(key)
    except ValueError:
        fail("accounts.2", f"key {tuple(key)} is not in the subgroup")
