"""From a transcript back to the whole witness, on the reader's own copy of the state: the proposer's word is only for what the statement then checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from straddle.commitments.committed import SlotOpening
from straddle.commitments.data import Body, Effects, SlotData
from straddle.commitments.ledger import AccountOpening, StateChange
from straddle.commitments.listings import Listings
from straddle.core.commands import L1ForceWithdraw
from straddle.core.messages import ORDER_SET_DEPTH, MessageKind, bid_payload, cancel_payload, order_leaf, transfer_payload, withdrawal_payload
from straddle.core.params import Params
from straddle.core.risk_table import RiskRow
from straddle.primitives.compressed import decompress_point
from straddle.primitives.field import MODULUS
from straddle.primitives.hashing import compress
from straddle.proving.build import listing_row, queue_row
from straddle.proving.checker_trades import order_of
from straddle.proving.transcript import SIGNATURE_WORDS, OrderTerms, SetRow, TakeoverTerms, Transcript, TranscriptError, gaps
from straddle.proving.witness import (
    AccountRow,
    DeleverageRow,
    FillRow,
    Header,
    LegRow,
    OrderRow,
    PositionRow,
    PublicInputs,
    SignatureRow,
    TakeoverRow,
    TransferRow,
    WithdrawalRow,
    Witness,
    instrument_row,
)

__all__ = ["Rebuilt", "complete"]

_UNBOUND = PublicInputs(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A batch as its reader has it: the data, and what they did to the reader's own copy of the state."""

    effects: Effects
    body: Body
    change: StateChange
    listed: Listings
    """After the batch."""
    table: Sequence[RiskRow]
    """Recomputed from the published inputs."""
    params: Params


def complete(transcript: Transcript, rebuilt: Rebuilt, preset: str, public: PublicInputs = _UNBOUND) -> Witness:
    """The whole witness of a batch, which need not satisfy the statement: `straddle.proving.checker` says. TranscriptError: the rows are not of these data."""
    return _Completion(transcript, rebuilt).witness(preset, public)


class _Completion:
    """Rows in the order in which they ask for signatures: orders, withdrawals, transfers, takeovers, cancels."""

    def __init__(self, transcript: Transcript, rebuilt: Rebuilt) -> None:
        self.transcript, self.rebuilt = transcript, rebuilt
        self.accounts = {opening.id: opening for opening in rebuilt.change.accounts}
        self.signatures: list[SignatureRow] = []
        self._elements = iter(transcript.elements)
        self._first_sequence = rebuilt.effects.first_sequence

    def witness(self, preset: str, public: PublicInputs) -> Witness:
        """All tables. Every element must have been asked for."""
        effects, change = self.rebuilt.effects, self.rebuilt.change
        legs = self._legs()
        orders = self._orders(legs)
        withdrawals, transfers, takeovers = self._withdrawals(), self._transfers(), tuple(map(self._takeover, self.transcript.takeovers))
        accounts = tuple(self._account(opening) for opening in change.accounts)
        if next(self._elements, None) is not None:
            raise TranscriptError("elements: more than the rows ask for")
        paid = iter(effects.paid)
        return Witness(
            preset=preset,
            header=self._header(),
            public=public,
            accounts=accounts,
            positions=self._positions(),
            instruments=tuple(map(instrument_row, self.rebuilt.table)),
            listings=tuple(map(listing_row, self.rebuilt.body.listings)),
            signatures=tuple(self.signatures),
            orders=orders,
            legs=legs,
            fills=self._fills(orders, legs),
            queue=tuple(queue_row(entry, next(paid) if isinstance(entry, L1ForceWithdraw) else 0) for entry in effects.queue),
            withdrawals=withdrawals,
            transfers=transfers,
            takeovers=takeovers,
            deleverages=tuple(DeleverageRow(*row) for row in self.transcript.deleverages),
        )

    def _header(self) -> Header:
        effects, params, before, after = self.rebuilt.effects, self.rebuilt.params, self.rebuilt.change.before, self.rebuilt.change.after
        return Header(
            domain=effects.domain,
            batch_number=effects.batch_number,
            epoch=effects.epoch,
            time_ms=effects.time_ms,
            first_sequence=effects.first_sequence,
            last_sequence=effects.last_sequence,
            log_root=effects.log_root,
            k_im_bps=params.k_im_bps,
            k_mm_bps=params.k_mm_bps,
            discount_bps=params.discount_bps,
            auction_ms=params.auction_ms,
            risk_digest=params.risk_digest,
            old_accounts_root=before.accounts_root,
            new_accounts_root=after.accounts_root,
            old_listings_root=before.listings_root,
            new_listings_root=after.listings_root,
            old_listing_count=before.listing_count,
            old_queue_pointer=before.queue_pointer,
            risk_root=effects.risk_root,
        )

    # ---- trades

    def _legs(self) -> tuple[LegRow, ...]:
        """The legs of each order in turn."""
        terms = iter(self.transcript.legs)
        rows = [LegRow(i, place, *leg) for i, order in enumerate(self.transcript.orders) for place, leg in enumerate(islice(terms, order.legs))]
        if len(rows) != len(self.transcript.legs) or len(rows) != sum(order.legs for order in self.transcript.orders):
            raise TranscriptError(f"legs: {len(self.transcript.legs)} rows, expected {sum(order.legs for order in self.transcript.orders)}, as the orders say")
        return tuple(rows)

    def _orders(self, legs: Sequence[LegRow]) -> tuple[OrderRow, ...]:
        """Rows with their places in the signed sets; order row i is the body's i-th slot update."""
        terms, slots, openings = self.transcript.orders, self.rebuilt.body.slots, self.rebuilt.change.slots
        if len(terms) != len(slots):
            raise TranscriptError(f"orders: {len(terms)} rows, expected {len(slots)}, one for each order row of the body")
        fees = self._fees(len(legs))
        legs_of: list[list[LegRow]] = [[] for _ in terms]
        order_fees = Counter[int]()
        for index, leg in enumerate(legs):
            legs_of[leg.order].append(leg)
            order_fees[leg.order] += fees[index]
        bare = [self._order(item, slot, opening, order_fees[i]) for i, (item, slot, opening) in enumerate(zip(terms, slots, openings, strict=True))]
        paths = self._set_paths(terms, bare, legs_of)
        return tuple(replace(row, set_path=path) for row, path in zip(bare, paths, strict=True))

    def _order(self, terms: OrderTerms, slot: SlotData, opening: SlotOpening, fee: int) -> OrderRow:
        """The row without its path."""
        before = opening.old.filled if slot.nonce == opening.old.nonce else 0
        return OrderRow(
            account=slot.account,
            step=opening.step,
            signature=terms.set,
            set_index=terms.set_index,
            set_path=(),
            nonce=slot.nonce,
            revision=slot.revision,
            expiry_ms=terms.expiry_ms,
            size=terms.size,
            limit=terms.limit,
            side=terms.side,
            fee_cap=terms.fee_cap,
            flags=terms.flags,
            slot_old=opening.old,
            slot_path=opening.path,
            orders_root_old=opening.root_old,
            orders_root_new=opening.root_new,
            fill=slot.filled - before,
            fee=fee,
            sequence=self._first_sequence + slot.offset,
        )

    def _set_paths(self, terms: Sequence[OrderTerms], orders: Sequence[OrderRow], legs_of: Sequence[list[LegRow]]) -> list[tuple[int, ...]]:
        """Each order's siblings in its set's tree; the sets' signature rows come first, over the roots that the trees turn out to have."""
        members: list[list[int]] = [[] for _ in self.transcript.sets]
        for i, item in enumerate(terms):
            if item.set >= len(members):
                raise TranscriptError(f"orders[{i}].set: {item.set}, expected one of {len(members)} sets")
            members[item.set].append(i)
        paths: list[tuple[int, ...]] = [()] * len(terms)
        for number, (row, indices) in enumerate(zip(self.transcript.sets, members, strict=True)):
            if not indices:
                raise TranscriptError(f"sets[{number}]: no order refers to it")
            try:
                leaves = {terms[i].set_index: order_leaf(order_of(orders[i], legs_of[i])) for i in indices}
            except ValueError as error:
                raise TranscriptError(f"orders of sets[{number}]: {error}") from None
            signature = self._point_and_s(f"sets[{number}]")
            nodes = self._tree(number, row, leaves)
            self.signatures.append(SignatureRow(orders[indices[0]].account, int(MessageKind.ORDER_SET), nodes[ORDER_SET_DEPTH, 0], *signature))
            for i in indices:
                paths[i] = tuple(nodes[level, terms[i].set_index >> level ^ 1] for level in range(ORDER_SET_DEPTH))
        return paths

    def _tree(self, number: int, row: SetRow, leaves: dict[int, int]) -> dict[tuple[int, int], int]:
        """(level, node) -> its value, of all nodes that the leaves need: those in the gaps are given, or absent (0)."""
        places = gaps(leaves)
        if row.present >> len(places):
            raise TranscriptError(f"sets[{number}].present: {row.present:#x}, expected {len(places)} bits, one for each gap")
        given = self._take(f"sets[{number}]", row.present.bit_count())
        if any(not 0 < sibling < MODULUS for sibling in given):
            raise TranscriptError(f"elements: a sibling of sets[{number}] is 0 or no field element")
        siblings = iter(given)
        nodes = {place: next(siblings) if row.present >> i & 1 else 0 for i, place in enumerate(places)}
        known = leaves
        for level in range(ORDER_SET_DEPTH):
            nodes |= {(level, node): value for node, value in known.items()}
            known = {node >> 1: _parent(nodes[level, node & ~1], nodes[level, node | 1]) for node in known}
        return nodes | {(ORDER_SET_DEPTH, 0): known[0]}

    def _fees(self, legs: int) -> Counter[int]:
        """leg row -> fees of its fills."""
        fees = Counter[int]()
        for i, fill in enumerate(self.transcript.fills):
            for name, leg, fee in (("taker", fill.taker, fill.taker_fee), ("maker", fill.maker, fill.maker_fee)):
                if leg >= legs:
                    raise TranscriptError(f"fills[{i}].{name}: {leg}, expected one of {legs} leg rows")
                fees[leg] += fee
        return fees

    def _fills(self, orders: Sequence[OrderRow], legs: Sequence[LegRow]) -> tuple[FillRow, ...]:
        return tuple(
            FillRow(row.taker, row.maker, row.over_limit + orders[legs[row.maker].order].limit, row.size, row.taker_fee, row.maker_fee)
            for row in self.transcript.fills
        )

    # ---- requests

    def _withdrawals(self) -> tuple[WithdrawalRow, ...]:
        rows = []
        for item in self.rebuilt.effects.withdrawals:
            nonce = self._opening("withdrawals", item.account).new.action_nonce
            signature = self._signature("withdrawals", item.account, MessageKind.WITHDRAWAL, withdrawal_payload(nonce, item.amount))
            rows.append(WithdrawalRow(item.account, item.owner, item.amount, nonce, signature))
        return tuple(rows)

    def _transfers(self) -> tuple[TransferRow, ...]:
        rows = []
        for item in self.transcript.transfers:
            nonce = self._opening("transfers", item.account).new.action_nonce
            signature = self._signature("transfers", item.account, MessageKind.TRANSFER, transfer_payload(nonce, item.amount, item.to))
            rows.append(TransferRow(item.account, item.to, item.amount, nonce, signature))
        return tuple(rows)

    def _takeover(self, row: TakeoverTerms) -> TakeoverRow:
        share = (row.account, row.winner, row.fraction_bps, row.payment)
        if not row.bid:
            return TakeoverRow(*share, row.limit, 0, row.expiry_ms, -1)
        nonce = self._opening("takeovers", row.winner).new.action_nonce
        try:
            payload = bid_payload(nonce, row.account, row.fraction_bps, row.limit, row.expiry_ms)
        except ValueError as error:
            raise TranscriptError(f"takeovers: {error}") from None
        return TakeoverRow(*share, row.limit, nonce, row.expiry_ms, self._signature("takeovers", row.winner, MessageKind.BID, payload))

    # ---- accounts

    def _account(self, opening: AccountOpening) -> AccountRow:
        """A raised min_nonce is signed; a cancel that raises nothing is not needed."""
        raised = opening.new.min_nonce != opening.old.min_nonce
        signature = self._signature("cancels", opening.id, MessageKind.CANCEL, cancel_payload(opening.new.min_nonce)) if raised else -1
        return AccountRow(opening.id, opening.old, opening.new, opening.path, signature)

    def _positions(self) -> tuple[PositionRow, ...]:
        """The body's rows, those too that were 0 and stay 0."""
        old = {(change.account, change.instrument): change.old for change in self.rebuilt.change.positions}
        tabled = self.rebuilt.listed.tabled
        rows = [(row.account, tabled[row.row - 1].id, row.size_lots) for row in self.rebuilt.body.positions]
        return tuple(PositionRow(account, item, old.get((account, item), 0), size) for account, item, size in rows)

    def _opening(self, table: str, account: int) -> AccountOpening:
        if account not in self.accounts:
            raise TranscriptError(f"{table}: account {account}, expected one that the body touches")
        return self.accounts[account]

    def _signature(self, table: str, account: int, kind: MessageKind, payload: int) -> int:
        """Index of a signature row that the elements give."""
        self.signatures.append(SignatureRow(account, int(kind), payload, *self._point_and_s(table)))
        return len(self.signatures) - 1

    def _point_and_s(self, table: str) -> tuple[int, int, int]:
        point, s = self._take(table, SIGNATURE_WORDS)
        try:
            return *decompress_point(point), s
        except ValueError as error:
            raise TranscriptError(f"elements: signature of {table}: {error}") from None

    def _take(self, table: str, count: int) -> tuple[int, ...]:
        taken = tuple(islice(self._elements, count))
        if len(taken) != count:
            raise TranscriptError(f"elements: too few for {table}")
        return taken


def _parent(left: int, right: int) -> int:
    """A node whose right half is absent is its left one."""
    return compress(left, right) if right else left
