"""A plain-Python checker of the batch statement (docs/protocol/statement.md), table by table and rule by rule.

It reads a witness only, uses exact integers where the circuit uses arguments over committed cells, and knows nothing of the transition: what the sequencer
did is one way to such tables. The differential tests hold it against the circuit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from straddle.commitments.accounts import CASH_LIMIT, AccountLeaf, positions_digest, slot_leaf
from straddle.commitments.challenge import commitment, evaluate
from straddle.commitments.data import encode_body, encode_effects
from straddle.commitments.layout import DataError
from straddle.commitments.listings import extend_listings_root
from straddle.commitments.preset import Preset
from straddle.commitments.risk import risk_root
from straddle.core.accounts import FEE_ACCOUNT, NO_KEY, PublicKey
from straddle.core.instruments import Instrument, Kind
from straddle.core.messages import ORDER_SET_DEPTH, MessageKind, order_leaf, withdrawal_payload
from straddle.core.orders import Order, Side, Signature
from straddle.core.risk_table import RiskRow
from straddle.primitives.field import MODULUS
from straddle.primitives.hashing import compress
from straddle.primitives.keys import key_multiple, verify
from straddle.proving.checker_margin import passes_rule, side_of
from straddle.proving.vector import body_of, effects_of
from straddle.proving.witness import AccountRow, FillRow, InstrumentRow, OrderRow, Witness

SIZE_LIMIT = 1 << 40
DEPOSIT, SET_KEY = 1, 2


@dataclass(frozen=True, slots=True)
class Failure:
    """The first rule that does not hold: its table and number in statement.md, and what was found."""

    rule: str
    detail: str


def check(witness: Witness, preset: Preset) -> Failure | None:
    """The first rule of the statement that the witness breaks, or None when it satisfies all."""
    try:
        _Checker(witness, preset).run()
    except _BrokenRule as broken:
        return broken.failure
    return None


class _BrokenRule(Exception):
    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(rule, detail)
        self.failure = Failure(rule, detail)


def _fail(rule: str, detail: str) -> NoReturn:
    raise _BrokenRule(rule, detail)


def _require(holds: bool, rule: str, detail: str) -> None:
    if not holds:
        _fail(rule, detail)


def _width(rule: str, name: str, value: int, bits: int) -> None:
    _require(0 <= value < 1 << bits, rule, f"{name} {value} is not {bits} bits wide")


def _element(rule: str, name: str, values: Iterable[int]) -> None:
    _require(all(0 <= value < MODULUS for value in values), rule, f"{name} is not a field element")


def _fold(leaf: int, index: int, path: Sequence[int]) -> int:
    """Root above a leaf."""
    for level, sibling in enumerate(path):
        leaf = compress(sibling, leaf) if index >> level & 1 else compress(leaf, sibling)
    return leaf


class _Checker:
    """One method a table; `accounts` and `instruments` are the lookup targets."""

    def __init__(self, witness: Witness, preset: Preset) -> None:
        self.witness, self.preset, self.header = witness, preset, witness.header
        self.accounts = {row.id: row for row in witness.accounts}
        self.instruments = {row.id: row for row in witness.instruments}

    def run(self) -> None:
        """All tables. Keys and lookup targets come first, since the others rely on them."""
        self.row_counts()
        self.header_row()
        self.account_keys()
        self.instruments_table()
        self.listings_table()
        self.signatures_table()
        for index, order in enumerate(self.witness.orders):
            self.order(index, order)
        for fill in self.witness.fills:
            self.fill(fill)
        self.fill_sums()
        self.positions_table()
        self.queue_table()
        self.withdrawals_table()
        fees = sum(fill.taker_fee + fill.maker_fee for fill in self.witness.fills)
        _require(fees == 0 or FEE_ACCOUNT in self.accounts, "accounts.5", f"fees of {fees} without a row of the fee account")
        root = self.header.old_accounts_root
        for row in self.witness.accounts:
            root = self.account_opening(row, root)
            self.account_rules(row)
        _require(root == self.header.new_accounts_root, "accounts.1", "the chain of openings does not end at the new accounts root")
        self.vector()

    def row_counts(self) -> None:
        for table in ("accounts", "positions", "instruments", "signatures", "orders", "fills", "queue", "withdrawals", "listings"):
            _require(len(getattr(self.witness, table)) <= getattr(self.preset, table), f"{table}.rows", "more rows than the preset has")

    def header_row(self) -> None:
        """Widths. Roots and params_hash (rules 1 and 2) are what the vector is made from."""
        head = self.header
        for name, bits in (("batch_number", 64), ("epoch", 64), ("time_ms", 48), ("first_sequence", 64), ("last_sequence", 64), ("k_im_bps", 16),
                           ("k_mm_bps", 16), ("old_listing_count", 32), ("old_queue_pointer", 64)):  # fmt: skip
            _width("header", name, getattr(head, name), bits)
        roots = (head.old_accounts_root, head.new_accounts_root, head.old_listings_root, head.new_listings_root, head.risk_root)
        _element("header", "a root, a digest or the domain", (head.domain, head.log_root, head.risk_digest, *roots))

    # ---- accounts

    def account_keys(self) -> None:
        ids = [row.id for row in self.witness.accounts]
        ascending = all(a < b for a, b in zip([0, *ids], ids, strict=False))
        _require(ascending, "accounts.keys", f"ids {ids} are not strictly ascending from 1")
        _require(all(identifier < 1 << self.preset.account_depth for identifier in ids), "accounts.keys", f"ids {ids} reach beyond the tree")
        for row in self.witness.accounts:
            self.leaf_widths(row.id, "old", row.old)
            self.leaf_widths(row.id, "new", row.new)

    def account_opening(self, row: AccountRow, root: int) -> int:
        """Rule 1; returns the next running root."""
        _require(len(row.path) == self.preset.account_depth, "accounts.1", f"account {row.id}: path of {len(row.path)} siblings")
        _require(_fold(row.old.hash, row.id, row.path) == root, "accounts.1", f"account {row.id}: the old leaf does not open")
        return _fold(row.new.hash, row.id, row.path)

    def leaf_widths(self, identifier: int, name: str, leaf: AccountLeaf) -> None:
        where = f"account {identifier} {name}"
        for field, bits in (("owner", 160), ("key_epoch", 32), ("min_nonce", 64), ("withdrawal_nonce", 64), ("flags", 64), ("auction", 64)):
            _width("accounts.1", f"{where} {field}", getattr(leaf, field), bits)
        _require(abs(leaf.cash) < CASH_LIMIT, "accounts.1", f"{where} cash {leaf.cash}")
        _element("accounts.1", where, (leaf.key_x, leaf.key_y, leaf.multiple_x, leaf.multiple_y, leaf.positions_digest, leaf.orders_root))

    def account_rules(self, row: AccountRow) -> None:
        """Rules 2 to 8."""
        old, new = row.old, row.new
        entries = [entry for entry in self.witness.queue if entry.account == row.id]
        owner_ok = new.owner == old.owner or (old.owner == 0 and any(entry.owner == new.owner for entry in entries))
        _require(owner_ok, "accounts.2", f"account {row.id}: owner changed without a queue entry")
        keys = [entry for entry in entries if entry.kind == SET_KEY]
        _require(len(keys) <= 1, "accounts.2", f"account {row.id}: {len(keys)} key entries")
        if keys:
            key = PublicKey(keys[0].key_x, keys[0].key_y)
            expected = (*key, *_multiple(key), old.key_epoch + 1)
        else:
            expected = (old.key_x, old.key_y, old.multiple_x, old.multiple_y, old.key_epoch)
        found = (new.key_x, new.key_y, new.multiple_x, new.multiple_y, new.key_epoch)
        _require(found == expected, "accounts.2", f"account {row.id}: key, multiple or key_epoch")
        _require((new.flags, new.auction) == (old.flags, old.auction), "accounts.2", f"account {row.id}: flags or auction changed")
        self.account_nonces(row)
        self.account_cash(row)
        self.account_margin(row)
        self.account_digests(row)
        self.account_slots(row)

    def account_nonces(self, row: AccountRow) -> None:
        if row.cancel_signature == -1:
            _require(row.new.min_nonce == row.old.min_nonce, "accounts.3", f"account {row.id}: min_nonce changed without a cancel")
        else:
            _require(row.new.min_nonce >= row.old.min_nonce, "accounts.3", f"account {row.id}: min_nonce lowered")
            self.signed("accounts.3", row.id, MessageKind.CANCEL, row.new.min_nonce)
        nonces = [item.nonce for item in self.witness.withdrawals if item.account == row.id]
        if nonces:
            _require(nonces == [row.new.withdrawal_nonce], "accounts.4", f"account {row.id}: withdrawal_nonce is not its withdrawal's")
            _require(row.new.withdrawal_nonce > row.old.withdrawal_nonce, "accounts.4", f"account {row.id}: withdrawal_nonce not raised")
        else:
            _require(row.new.withdrawal_nonce == row.old.withdrawal_nonce, "accounts.4", f"account {row.id}: withdrawal_nonce changed without a withdrawal")

    def account_cash(self, row: AccountRow) -> None:
        change = self.deposits(row.id) - sum(item.amount for item in self.witness.withdrawals if item.account == row.id)
        for fill in self.witness.fills:
            taker, maker = self.witness.orders[fill.taker], self.witness.orders[fill.maker]
            notional = fill.size * (fill.price - self.instruments[taker.instrument].funding)
            for order, fee in ((taker, fill.taker_fee), (maker, fill.maker_fee)):
                if order.account == row.id:
                    change -= Side(order.side).sign * notional + fee
            if row.id == FEE_ACCOUNT:
                change += fill.taker_fee + fill.maker_fee
        _require(row.new.cash - row.old.cash == change, "accounts.5", f"account {row.id}: cash changes by {row.new.cash - row.old.cash}, rows say {change}")

    def account_margin(self, row: AccountRow) -> None:
        rows = [item for item in self.witness.positions if item.account == row.id]
        old = side_of(row.old.cash + self.deposits(row.id), [(item.old, self.instruments[item.instrument]) for item in rows], self.header)
        new = side_of(row.new.cash, [(item.new, self.instruments[item.instrument]) for item in rows], self.header)
        withdraws = any(item.account == row.id for item in self.witness.withdrawals)
        _require(passes_rule(old, new, withdraws), "accounts.6", f"account {row.id}: margin rule, old {old}, new {new}, withdraws {withdraws}")

    def account_digests(self, row: AccountRow) -> None:
        for name, leaf in (("old", row.old), ("new", row.new)):
            sizes = {item.instrument: getattr(item, name) for item in self.witness.positions if item.account == row.id}
            _require(positions_digest(sizes) == leaf.positions_digest, "accounts.7", f"account {row.id}: {name} positions digest")

    def account_slots(self, row: AccountRow) -> None:
        root = row.old.orders_root
        for step, order in enumerate(order for order in self.witness.orders if order.account == row.id):
            _require((order.step, order.orders_root_old) == (step, root), "accounts.8", f"account {row.id}: slot chain broken at step {step}")
            root = order.orders_root_new
        _require(root == row.new.orders_root, "accounts.8", f"account {row.id}: slot chain does not end at the new orders root")

    def deposits(self, account: int) -> int:
        return sum(entry.amount for entry in self.witness.queue if entry.kind == DEPOSIT and entry.account == account)

    # ---- positions, instruments, listings

    def positions_table(self) -> None:
        keys = [(row.account, row.instrument) for row in self.witness.positions]
        _require(all(a < b for a, b in zip([(0, 0), *keys], keys, strict=False)), "positions.keys", f"{keys} not strictly ascending")
        sums: dict[tuple[int, int], int] = {}
        for fill in self.witness.fills:
            for order in (self.witness.orders[fill.taker], self.witness.orders[fill.maker]):
                key = (order.account, order.instrument)
                sums[key] = sums.get(key, 0) + Side(order.side).sign * fill.size
        for row in self.witness.positions:
            _require(abs(row.old) < SIZE_LIMIT and abs(row.new) < SIZE_LIMIT, "positions.1", f"{row}")
            _require(row.instrument in self.instruments, "positions.3", f"{row}: no such instrument row")
            _require(row.new - row.old == sums.pop((row.account, row.instrument), 0), "positions.4", f"{row}: fills say otherwise")
            _require(row.account in self.accounts, "positions.5", f"{row}: no such account row")
        _require(not any(sums.values()), "positions.4", f"fills without a position row: {sums}")

    def instruments_table(self) -> None:
        rows = [_risk_row(row) for row in self.witness.instruments]
        try:
            root = risk_root(self.header.new_listings_root, rows)
        except DataError as error:
            _fail("instruments", str(error))
        _require(all(row.linear in (0, 1) for row in self.witness.instruments), "instruments", "linear is not a bit")
        _require(root == self.header.risk_root, "instruments", "the chain does not end at the risk root")

    def listings_table(self) -> None:
        listings = []
        for j, row in enumerate(self.witness.listings):
            _require(row.id == self.header.old_listing_count + j + 1, "listings", f"row {j} has id {row.id}")
            _require(row.kind in (1, 2, 3) and row.underlying == 1, "listings", f"row {j}: kind {row.kind}, underlying {row.underlying}")
            listings.append(
                Instrument(row.id, Kind(row.kind), row.underlying, row.expiry_ms, row.strike_ticks, row.tick_ticks, row.min_lots, row.position_cap_lots)
            )
        try:
            root = extend_listings_root(self.header.old_listings_root, listings)
        except DataError as error:
            _fail("listings", str(error))
        _require(root == self.header.new_listings_root, "listings", "the chain does not end at the new listings root")

    # ---- signatures, orders, fills

    def signatures_table(self) -> None:
        for index, row in enumerate(self.witness.signatures):
            account = self.accounts.get(row.account)
            if account is None:
                _fail("signatures", f"row {index}: no account row {row.account}")
            _width("signatures", f"row {index} kind", row.kind, 8)
            _element("signatures", f"row {index} payload", (row.payload,))
            words = (self.header.domain, row.kind, row.account, account.old.key_epoch, row.payload, 0)
            key = PublicKey(account.old.key_x, account.old.key_y)
            valid = key != NO_KEY and verify(key, words, Signature(row.r_x, row.r_y, row.s))
            multiple = PublicKey(account.old.multiple_x, account.old.multiple_y)  # the circuit verifies with both, and relies on the state for their relation
            _require(valid and multiple == key_multiple(key), "signatures", f"row {index} of account {row.account} does not verify")

    def signed(self, rule: str, account: int, kind: MessageKind, payload: int) -> None:
        """Some signature row is this message's (a lookup: the row's index in the witness file only helps to fill the tables)."""
        found = any((row.account, row.kind, row.payload) == (account, kind, payload) for row in self.witness.signatures)
        _require(found, rule, f"no signature row for account {account}, kind {int(kind)}, payload {payload}")

    def order(self, index: int, row: OrderRow) -> None:
        keys = [(order.account, order.step) for order in self.witness.orders]
        _require(row.account > 0 and row.step >= 0, "orders.keys", f"row {index}: key {keys[index]}")
        _require(index == 0 or keys[index - 1] < keys[index], "orders.keys", f"row {index}: {keys[index]} not above {keys[max(index - 1, 0)]}")
        account = self.accounts.get(row.account)
        if account is None:
            _fail("orders.1", f"row {index}: no account row {row.account}")
        _require(0 <= row.set_index < 1 << ORDER_SET_DEPTH and len(row.set_path) == ORDER_SET_DEPTH, "orders.1", f"row {index}: place in the set")
        _require(row.side in (0, 1) and row.flags in (0, 1), "orders.1", f"row {index}: side {row.side}, flags {row.flags}")
        order = Order(row.nonce, row.revision, row.expiry_ms, row.size, row.limit, row.instrument, Side(row.side), row.fee_cap, row.flags)
        try:
            leaf = order_leaf(order)
        except ValueError as error:
            _fail("orders.1", f"row {index}: {error}")
        self.signed("orders.1", row.account, MessageKind.ORDER_SET, _fold(leaf, row.set_index, row.set_path))
        _require(row.nonce >= account.old.min_nonce, "orders.2", f"row {index}: nonce {row.nonce} below {account.old.min_nonce}")
        _require(row.expiry_ms > self.header.time_ms, "orders.2", f"row {index}: expired at {row.expiry_ms}")
        self.order_slot(index, row)
        _width("orders.4", f"row {index} fee", row.fee, 63)
        _require(row.fill >= 1, "orders.4", f"row {index}: no fill")
        _require(row.fee <= row.fee_cap * row.fill, "orders.4", f"row {index}: fee {row.fee} above {row.fee_cap} x {row.fill}")

    def order_slot(self, index: int, row: OrderRow) -> None:
        """Rule 3."""
        slot = row.slot_old
        for name, value, bits in (("nonce", slot.nonce, 64), ("revision", slot.revision, 16), ("filled", slot.filled, 40), ("fill", row.fill, 40)):
            _width("orders.3", f"row {index} slot {name}", value, bits)
        _require((row.nonce, row.revision) >= (slot.nonce, slot.revision), "orders.3", f"row {index}: its slot is past it")
        _require(row.filled_before + row.fill <= row.size, "orders.3", f"row {index}: overfilled")
        place = row.nonce % (1 << self.preset.slot_depth)
        _require(len(row.slot_path) == self.preset.slot_depth, "orders.3", f"row {index}: path of {len(row.slot_path)} siblings")
        _require(_fold(slot_leaf(slot), place, row.slot_path) == row.orders_root_old, "orders.3", f"row {index}: the old slot does not open")
        _require(_fold(slot_leaf(row.slot_new), place, row.slot_path) == row.orders_root_new, "orders.3", f"row {index}: the new slot does not open")
        _width("orders.3", f"row {index} sequence", row.sequence, 48)
        in_log = self.header.first_sequence <= row.sequence <= self.header.last_sequence
        _require(in_log, "orders.3", f"row {index}: sequence {row.sequence} outside the batch")

    def fill(self, row: FillRow) -> None:
        orders = self.witness.orders
        for name, place in (("taker", row.taker), ("maker", row.maker)):
            _require(0 <= place < len(orders), "fills", f"{name} {place} is not an order row")
        taker, maker = orders[row.taker], orders[row.maker]
        _require(taker.instrument == maker.instrument, "fills", f"{row}: instruments {taker.instrument} and {maker.instrument}")
        _require(taker.side != maker.side, "fills", f"{row}: both on side {taker.side}")
        for name, value in (("size", row.size), ("taker fee", row.taker_fee), ("maker fee", row.maker_fee)):
            _require(value >= 0, "fills", f"{row}: {name} is negative")
        buyer, seller = (taker, maker) if taker.side else (maker, taker)
        _require(seller.limit <= row.price <= buyer.limit, "fills", f"{row}: price outside the limits {seller.limit} to {buyer.limit}")
        instrument = self.instruments.get(taker.instrument)
        if instrument is None:
            _fail("fills", f"{row}: no instrument row {taker.instrument}")
        mark = instrument.value + instrument.funding
        _require(abs(row.price - mark) <= instrument.band, "fills", f"{row}: price outside {mark} +- {instrument.band}")
        _require(instrument.expiry_ms > self.header.time_ms, "fills", f"{row}: instrument expired at {instrument.expiry_ms}")

    def fill_sums(self) -> None:
        for index, order in enumerate(self.witness.orders):
            fill = sum(row.size for row in self.witness.fills if index in (row.taker, row.maker))
            fee = sum(row.taker_fee for row in self.witness.fills if row.taker == index) + sum(
                row.maker_fee for row in self.witness.fills if row.maker == index
            )
            _require((order.fill, order.fee) == (fill, fee), "fills.sums", f"order row {index}: ({order.fill}, {order.fee}), its fills say ({fill}, {fee})")

    # ---- queue, withdrawals, vector

    def queue_table(self) -> None:
        for index, row in enumerate(self.witness.queue):
            _require(row.kind in (DEPOSIT, SET_KEY), "queue", f"row {index}: kind {row.kind}")
            account = self.accounts.get(row.account)
            if account is None:
                _fail("queue", f"row {index}: no account row {row.account}")
            _require(account.new.owner == row.owner, "queue", f"row {index}: owner is not the account's new owner")
            _width("queue", f"row {index} amount", row.amount, 63)
            _element("queue", f"row {index} key", (row.key_x, row.key_y))
            other = (row.key_x, row.key_y) if row.kind == DEPOSIT else (row.amount, 0)
            _require(other == (0, 0), "queue", f"row {index}: a deposit has no key and a key entry no amount")

    def withdrawals_table(self) -> None:
        ids = [row.account for row in self.witness.withdrawals]
        _require(all(a < b for a, b in zip([0, *ids], ids, strict=False)), "withdrawals", f"accounts {ids} are not strictly ascending")
        for row in self.witness.withdrawals:
            account = self.accounts.get(row.account)
            if account is None:
                _fail("withdrawals", f"no account row {row.account}")
            _require(0 < row.amount < CASH_LIMIT, "withdrawals", f"account {row.account}: amount {row.amount}")
            _width("withdrawals", f"account {row.account} nonce", row.nonce, 64)
            self.signed("withdrawals", row.account, MessageKind.WITHDRAWAL, withdrawal_payload(row.nonce, row.amount))
            _require(row.owner == account.new.owner, "withdrawals", f"account {row.account}: owner is not the account's")

    def vector(self) -> None:
        public = self.witness.public
        try:
            effects = encode_effects(effects_of(self.witness, self.preset), self.preset)
            body = encode_body(body_of(self.witness), self.preset)
        except DataError as error:
            _fail("vector", str(error))
        _require(commitment(effects, body) == public.c, "vector", "C is not the sponge of the data")
        _require(evaluate(effects, public.z) == public.y_effects, "vector", "y_effects is not the effects' value at z")
        _require(evaluate(body, public.z) == public.y_body, "vector", "y_body is not the body's value at z")
        _width("vector", "beneficiary", public.beneficiary, 160)


def _multiple(key: PublicKey) -> PublicKey:
    try:
        return key_multiple(key)
    except ValueError:
        _fail("accounts.2", f"key {tuple(key)} is not in the subgroup")


def _risk_row(row: InstrumentRow) -> RiskRow:
    charges = (row.long_im, row.long_mm, row.short_im, row.short_mm)
    return RiskRow(row.id, row.expiry_ms, bool(row.linear), row.value, row.funding, row.band, *charges, row.deltas)
