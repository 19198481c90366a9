"""From a closed batch to the rows of its statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from straddle.commitments.data import QueueEntry
from straddle.commitments.effects import QUEUE_DEPOSIT, QUEUE_FORCE_CLOSE, QUEUE_FORCE_WITHDRAW, QUEUE_SET_KEY
from straddle.commitments.ledger import CommittedState, StateChange
from straddle.commitments.listings import KIND_RETIREMENT, KIND_SETTLEMENT, Listing
from straddle.commitments.preset import Preset
from straddle.commitments.risk import risk_root
from straddle.core.batch import OpenBatch
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey, L2Bid, L2Transfer, L2Withdraw
from straddle.core.instruments import Retirement, Settlement
from straddle.core.messages import MessageKind, OrderSetTree, bid_payload, cancel_payload, transfer_payload, withdrawal_payload
from straddle.core.orders import OrderSet, Signature
from straddle.core.params import Params
from straddle.core.risk_table import RiskTable
from straddle.proving.vector import ChainFacts, PostedBatch, bind
from straddle.proving.witness import (
    TABLES,
    AccountRow,
    DeleverageRow,
    FillRow,
    Header,
    InstrumentRow,
    LegRow,
    ListingRow,
    OrderRow,
    PositionRow,
    PublicInputs,
    QueueRow,
    SignatureRow,
    TakeoverRow,
    TransferRow,
    WithdrawalRow,
    Witness,
    WitnessError,
    instrument_row,
)

_UNBOUND = PublicInputs(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """What the header takes from outside the batch: the signing domain, and the hash of the log's last receipt (lowest 248 bits)."""

    domain: int
    log_root: int


def build_witness(before: CommittedState, batch: OpenBatch, preset: Preset, facts: HeaderFacts, chain: ChainFacts) -> PostedBatch:
    """Witness and layer-1 data of a closed batch; `before` is the committed state that it starts from and stays as it is.

    LedgerError when the batch does not continue `before`; WitnessError when it does not fit the preset.
    """
    change = before.copy().apply_batch(batch)
    return post_change(change, batch, before.params, preset, facts, chain)


def post_change(change: StateChange, batch: OpenBatch, params: Params, preset: Preset, facts: HeaderFacts, chain: ChainFacts) -> PostedBatch:
    """As `build_witness`, from the change that `CommittedState.apply_batch` returned."""
    if (params.account_depth, params.slot_depth) != (preset.account_depth, preset.slot_depth):
        raise WitnessError(f"preset {preset.name}: tree depths differ from the state's ({params.account_depth}, {params.slot_depth})")
    if batch.table is None:
        raise WitnessError(f"batch {batch.number}: no risk table, expected an epoch before the first batch")
    witness = _Rows(change, batch, batch.table, params, preset.name, facts).witness()
    _check_fits(witness, preset)
    return bind(witness, preset, chain)


class _Rows:
    """Collects the rows; signature rows first, since the others point at them."""

    def __init__(self, change: StateChange, batch: OpenBatch, table: RiskTable, params: Params, preset: str, facts: HeaderFacts) -> None:
        self.change, self.batch, self.table, self.params, self.preset, self.facts = change, batch, table, params, preset, facts
        self.signatures: dict[tuple[int, MessageKind, int, Signature], int] = {}
        self._trees: dict[int, OrderSetTree] = {}
        order_rows = {opening.use: row for row, opening in enumerate(change.slots)}
        if len(order_rows) != len(batch.order_uses):
            raise WitnessError(f"orders: {len(order_rows)} slot updates, expected one for each of {len(batch.order_uses)} order uses")
        self._order_rows = order_rows
        self._first_legs: list[int] = []
        """Index of the first leg row of each order row."""

    def witness(self) -> Witness:
        """All tables. Signature rows are numbered as orders, actions and cancels ask for them; leg rows come before the fills that point at them."""
        orders, withdrawals, transfers, takeovers = self._orders(), self._withdrawals(), self._transfers(), self._takeovers()
        accounts, legs = self._accounts(), self._legs()
        return Witness(
            preset=self.preset,
            header=self._header(),
            public=_UNBOUND,
            accounts=accounts,
            positions=self._positions(),
            instruments=self._instruments(),
            listings=self._listings(),
            signatures=self._signature_rows(),
            orders=orders,
            legs=legs,
            fills=self._fills(),
            queue=self._queue(),
            withdrawals=withdrawals,
            transfers=transfers,
            takeovers=takeovers,
            deleverages=self._deleverages(),
        )

    def _header(self) -> Header:
        before, after, batch = self.change.before, self.change.after, self.batch
        return Header(
            domain=self.facts.domain,
            batch_number=batch.number,
            epoch=self.table.epoch,
            time_ms=self.table.time_ms,
            first_sequence=batch.first_sequence,
            last_sequence=batch.last_sequence,
            log_root=self.facts.log_root,
            k_im_bps=self.params.k_im_bps,
            k_mm_bps=self.params.k_mm_bps,
            discount_bps=self.params.discount_bps,
            auction_ms=self.params.auction_ms,
            risk_digest=self.params.risk_digest,
            old_accounts_root=before.accounts_root,
            new_accounts_root=after.accounts_root,
            old_listings_root=before.listings_root,
            new_listings_root=after.listings_root,
            old_listing_count=before.listing_count,
            old_queue_pointer=before.queue_pointer,
            risk_root=risk_root(after.listings_root, self.table.rows),
        )

    def _orders(self) -> tuple[OrderRow, ...]:
        rows = []
        for opening in self.change.slots:
            use = self.batch.order_uses[opening.use]
            order, tree = use.order, self._tree(use.order_set)
            rows.append(
                OrderRow(
                    account=use.account,
                    step=opening.step,
                    signature=self._signature(use.account, MessageKind.ORDER_SET, tree.root, use.order_set.signature),
                    set_index=use.set_index,
                    set_path=tree.path(use.set_index),
                    nonce=order.nonce,
                    revision=order.revision,
                    expiry_ms=order.expiry_ms,
                    size=order.size_lots,
                    limit=order.limit_ticks,
                    side=int(order.side),
                    fee_cap=order.fee_cap,
                    flags=order.flags,
                    slot_old=opening.old,
                    slot_path=opening.path,
                    orders_root_old=opening.root_old,
                    orders_root_new=opening.root_new,
                    fill=use.fill,
                    fee=use.fee,
                    sequence=use.sequence,
                )
            )
        return tuple(rows)

    def _legs(self) -> tuple[LegRow, ...]:
        rows: list[LegRow] = []
        for index, opening in enumerate(self.change.slots):
            self._first_legs.append(len(rows))
            legs = self.batch.order_uses[opening.use].order.legs
            rows += [LegRow(index, place, leg.instrument, abs(leg.ratio), int(leg.ratio < 0)) for place, leg in enumerate(legs)]
        return tuple(rows)

    def _withdrawals(self) -> tuple[WithdrawalRow, ...]:
        owners = {row.id: row.new.owner for row in self.change.accounts}
        return tuple(
            WithdrawalRow(account, owners[account], command.amount, command.nonce, self._action(command))
            for account, command in sorted(self.batch.withdrawals.items())
        )

    def _transfers(self) -> tuple[TransferRow, ...]:
        commands = [command for _, command in sorted(self.batch.transfers.items())]
        return tuple(TransferRow(command.account, command.to, command.amount, command.nonce, self._action(command)) for command in commands)

    def _takeovers(self) -> tuple[TakeoverRow, ...]:
        rows = []
        for item in self.batch.takeovers:
            bid = item.bid
            terms = (0, 0, 0, -1) if bid is None else (bid.limit, bid.nonce, bid.expiry_ms, self._action(bid))
            rows.append(TakeoverRow(item.account, item.winner, item.fraction_bps, item.payment, *terms))
        return tuple(rows)

    def _deleverages(self) -> tuple[DeleverageRow, ...]:
        return tuple(DeleverageRow(item.account, item.winner, item.instrument, item.size_lots, item.price_ticks) for item in self.batch.deleverages)

    def _action(self, command: L2Withdraw | L2Transfer | L2Bid) -> int:
        """Index of the signature row of an action."""
        match command:
            case L2Withdraw():
                kind, payload = MessageKind.WITHDRAWAL, withdrawal_payload(command.nonce, command.amount)
            case L2Transfer():
                kind, payload = MessageKind.TRANSFER, transfer_payload(command.nonce, command.amount, command.to)
            case L2Bid():
                kind, payload = MessageKind.BID, bid_payload(command.nonce, command.target, command.fraction_bps, command.limit, command.expiry_ms)
        return self._signature(command.account, kind, payload, command.signature)

    def _accounts(self) -> tuple[AccountRow, ...]:
        rows = []
        for opening in self.change.accounts:
            cancel = self.batch.cancels.get(opening.id)
            signature = -1
            if cancel is not None:
                signature = self._signature(opening.id, MessageKind.CANCEL, cancel_payload(cancel.min_nonce), cancel.signature)
            rows.append(AccountRow(opening.id, opening.old, opening.new, opening.path, signature))
        return tuple(rows)

    def _positions(self) -> tuple[PositionRow, ...]:
        rows = []
        for change in self.change.positions:
            if change.instrument not in self.table:
                raise WitnessError(f"position of account {change.account}: instrument {change.instrument} is not in the risk table of epoch {self.table.epoch}")
            rows.append(PositionRow(*change))
        return tuple(rows)

    def _instruments(self) -> tuple[InstrumentRow, ...]:
        return tuple(instrument_row(row) for row in self.table.rows)

    def _listings(self) -> tuple[ListingRow, ...]:
        return tuple(listing_row(item) for item in self.batch.listings)

    def _fills(self) -> tuple[FillRow, ...]:
        return tuple(
            FillRow(
                self._leg_row(fill.taker, fill.taker_leg),
                self._leg_row(fill.maker, fill.maker_leg),
                fill.price_ticks,
                fill.size_lots,
                fill.taker_fee,
                fill.maker_fee,
            )
            for fill in self.batch.fills
        )

    def _leg_row(self, use: int, place: int) -> int:
        return self._first_legs[self._order_rows[use]] + place

    def _queue(self) -> tuple[QueueRow, ...]:
        return tuple(queue_row(entry, self.batch.forced[entry.account] if isinstance(entry, L1ForceWithdraw) else 0) for entry in self.batch.queue)

    def _signature_rows(self) -> tuple[SignatureRow, ...]:
        return tuple(SignatureRow(account, int(kind), payload, s.r_x, s.r_y, s.s) for account, kind, payload, s in self.signatures)

    def _signature(self, account: int, kind: MessageKind, payload: int, signature: Signature) -> int:
        """Index of the row; equal signatures share one."""
        return self.signatures.setdefault((account, kind, payload, signature), len(self.signatures))

    def _tree(self, order_set: OrderSet) -> OrderSetTree:
        """The set's tree, hashed once for each set object."""
        if id(order_set) not in self._trees:
            self._trees[id(order_set)] = OrderSetTree(order_set.orders)
        return self._trees[id(order_set)]


def queue_row(entry: QueueEntry, paid: int) -> QueueRow:
    """An entry of the queue as a witness has it; `paid` is what a forced withdrawal was paid."""
    match entry:
        case L1Deposit():
            return QueueRow(QUEUE_DEPOSIT, entry.account, entry.owner, entry.amount, 0, 0, 0)
        case L1SetKey():
            return QueueRow(QUEUE_SET_KEY, entry.account, entry.owner, 0, 0, entry.key.x, entry.key.y)
        case L1ForceWithdraw():
            return QueueRow(QUEUE_FORCE_WITHDRAW, entry.account, entry.owner, entry.amount, paid, 0, 0)
        case L1ForceClose():
            return QueueRow(QUEUE_FORCE_CLOSE, entry.account, entry.owner, entry.limit_bps, 0, 0, 0)


def listing_row(item: Listing) -> ListingRow:
    """A word of the listings chain as a witness has it."""
    if isinstance(item, Settlement):
        return ListingRow(item.instrument, KIND_SETTLEMENT, item.underlying, 0, item.value_ticks, 0, 0, 0)
    if isinstance(item, Retirement):
        return ListingRow(item.instrument, KIND_RETIREMENT, item.underlying, 0, 0, 0, 0, 0)
    terms = (item.expiry_ms, item.strike_ticks, item.tick_ticks, item.min_lots, item.position_cap_lots)
    return ListingRow(item.id, int(item.kind), item.underlying, *terms)


def _check_fits(witness: Witness, preset: Preset) -> None:
    for name in TABLES:
        rows: Sequence[object] = getattr(witness, name)
        if len(rows) > getattr(preset, name):
            raise WitnessError(f"{name}: {len(rows)} rows, expected at most {getattr(preset, name)} in preset {preset.name}")
