"""From a finished run to its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from straddle.bots.pnl import PARTS, FlowTrade, PnlStudy
from straddle.core.instruments import Kind
from straddle.node.config import DemoConfig
from straddle.node.exchange import Exchange
from straddle.node.market import Market
from straddle.node.network import Network
from straddle.node.night import Happenings, Night
from straddle.node.report import (
    SYNTHETIC,
    BatchReport,
    CadenceReport,
    DemoReport,
    LiquidationReport,
    MarketReport,
    PnlReport,
    RebuildReport,
    WithdrawalReport,
)
from straddle.node.traders import Trader
from straddle.node.verify import VerifyReport
from straddle.risk.naming import instrument_name
from straddle.sequencer.poster import BatchRecord, Status

MICROS = 10**6
TICKS_PER_DOLLAR = 100


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run measured besides what its parts hold."""

    records: Sequence[BatchRecord]
    lags: Mapping[int, float]
    """Batch -> seconds from closing to verification."""
    constraints: int
    received: int
    """Micro-dollars that reached owners' wallets."""
    verified: VerifyReport
    replayed_root: int
    study: PnlStudy | None
    seconds: dict[str, float]


def flow_of(exchange: Exchange) -> list[FlowTrade]:
    """The hedging maker's fills in time, its hedges left out; the edge is how much better than the mark of its table a price was."""
    maker = next(maker.trader.account for maker in exchange.crowd.makers if maker.hedge is not None)
    marks = {batch.table.time_ms: batch.table for batch in (closed.batch for closed in exchange.closed) if batch.table is not None}
    hedges, flow = set(exchange.crowd.hedge_matches), list[FlowTrade]()
    for place, match in enumerate(exchange.session.matches):
        for fill in match.fills:
            if place in hedges or maker not in (fill.taker, fill.maker):
                continue
            makes = maker == fill.maker
            sign = -fill.taker_side.sign if makes else fill.taker_side.sign
            edge = sign * (marks[match.time_ms][fill.instrument].mark - fill.price_ticks)
            instrument = exchange.market.listed[fill.instrument][0]
            flow.append(FlowTrade(match.time_ms, instrument, sign * fill.size_lots, edge, fill.maker_fee if makes else fill.taker_fee))
    return flow


def summarise(exchange: Exchange, night: Night, network: Network, figures: Figures) -> DemoReport:
    """The report of a run."""
    config, session, happened, verified = exchange.config, exchange.session, night.happened, figures.verified
    fills = [fill for match in session.matches for fill in match.fills]
    trades, batches = max(len(session.matches), 1), max(len(figures.records), 1)
    batch_gas = sum(record.propose_gas + record.prove_gas + record.finalise_gas for record in figures.records)
    batch_bytes, tables = sum(record.data_bytes for record in figures.records), network.tables
    table_gas, table_bytes = sum(table.gas for table in tables), sum(table.data_bytes for table in tables)
    traded = {fill.instrument for fill in fills}
    lags = list(figures.lags.values()) or [0.0]
    study = figures.study
    return DemoReport(
        preset=config.preset,
        seed=config.seed,
        synthetic=list(SYNTHETIC),
        market=_market(config, exchange.market),
        cadence=CadenceReport(config.epoch_minutes, len(night.schedule.rounds), session.epochs[0].time_ms, session.epochs[-1].time_ms),
        trades=len(session.matches),
        legs=len(fills),
        multi_leg_trades=sum(match.multi_leg for match in session.matches),
        quotes=exchange.crowd.quotes,
        orders=exchange.crowd.orders,
        hedge_trades=len(exchange.crowd.hedge_matches),
        protections_tripped=len(session.trips),
        liquidations=len(happened.auctions),
        liquidation_details=_liquidations(happened),
        deleveraged=len(happened.deleverages),
        accounts=verified.accounts,
        instruments_traded=len(traded),
        expiries_traded=len({exchange.market.listed[number][0].expiry_ms for number in traded} & set(exchange.market.expiries)),
        volume_lots=sum(fill.size_lots for fill in fills),
        fees_usdc=sum(fill.taker_fee + fill.maker_fee for fill in fills) / MICROS,
        transfers_usdc=[amount / MICROS for _, _, amount in happened.transfers],
        epochs=len(session.epochs),
        batches=len(figures.records),
        batches_verified_on_l1=sum(record.status is Status.VERIFIED for record in figures.records),
        batch_details=_batches(exchange, figures),
        constraints=figures.constraints,
        constraints_per_trade=round(figures.constraints * len(figures.records) / trades, 1),
        prove_cpu_seconds_per_trade=round(sum(record.prove_cpu_seconds for record in figures.records) / trades, 3),
        prove_lag_seconds=round(sum(lags) / len(lags), 1),
        prove_lag_seconds_max=round(max(lags), 1),
        l1_gas_per_batch=round(batch_gas / batches),
        l1_gas_per_epoch=round(table_gas / max(len(tables), 1)),
        l1_gas_per_trade=round((batch_gas + table_gas) / trades),
        l1_gas_per_trade_of_batches=round(batch_gas / trades),
        l1_gas_per_trade_of_tables=round(table_gas / trades),
        l1_bytes_per_epoch=round(table_bytes / max(len(tables), 1)),
        l1_bytes_per_trade=round((batch_bytes + table_bytes) / trades),
        l1_bytes_per_trade_of_batches=round(batch_bytes / trades),
        l1_bytes_per_trade_of_tables=round(table_bytes / trades),
        vault_balance_usdc=network.client.token_balance(network.deployment.vault) / MICROS,
        sum_of_cash_usdc=verified.cash_micros / MICROS,
        conservation_error=verified.conservation_error_micros,
        conservation_errors_by_batch=exchange.conservation.errors,
        position_sums_not_zero=verified.position_sums_not_zero,
        rebuilt_root_matches=verified.state_root == verified.state_root_on_layer_1,
        rebuild=_rebuild(verified, figures.replayed_root),
        settled_instruments=len(happened.settled),
        retired_instruments=happened.retired,
        settlement_price_usd=_settlement_price_usd(exchange, night),
        withdrawal_paid_on_l1=figures.received == happened.paid > 0,
        withdrawals=_withdrawals(happened),
        received_on_l1_usdc=figures.received / MICROS,
        hedged_pnl_std=None if study is None else round(float(study.hedged.std()) / MICROS, 2),
        unhedged_pnl_std=None if study is None else round(float(study.unhedged.std()) / MICROS, 2),
        pnl=None if study is None else _pnl(study, len(flow_of(exchange))),
        seconds=figures.seconds,
    )


def _market(config: DemoConfig, market: Market) -> MarketReport:
    kinds = [instrument.kind for instrument in market.instruments]
    names = {instrument.expiry_ms: instrument_name(instrument).split("-")[1] for instrument, record in market.listed.values() if record is not None}
    return MarketReport(
        chain=config.chain.name,
        prices=config.prices.name,
        start_ms=market.path.start_ms,
        end_ms=market.path.end_ms,
        refused_rows=sum(refusal.whole_row for _, refusal in market.refusals),
        refused_quotes=sum(not refusal.whole_row for _, refusal in market.refusals),
        refusals=[f"{name} {refusal}" for name, refusal in market.refusals],
        instruments=len(kinds),
        options=sum(kind in (Kind.CALL, Kind.PUT) for kind in kinds),
        futures=sum(kind is Kind.FUTURE for kind in kinds),
        expiries=[names[expiry] for expiry in market.expiries],
    )


def matches_of(exchange: Exchange) -> dict[int, range]:
    """Batch -> places of its match events in the session's list: a batch's fills are whole matches, in their order."""
    found, first = {}, 0
    matches = exchange.session.matches
    for closed in exchange.closed:
        legs, last = len(closed.batch.fills), first
        while legs > 0:
            legs -= len(matches[last].fills)
            last += 1
        found[closed.batch.number], first = range(first, last), last
    return found


def _batches(exchange: Exchange, figures: Figures) -> list[BatchReport]:
    closed = {closed.batch.number: closed.batch for closed in exchange.closed}
    matches, found = matches_of(exchange), []
    for record in figures.records:
        batch = closed[record.number]
        legs, trades = len(batch.fills), len(matches[record.number])
        found.append(
            BatchReport(
                number=record.number,
                status=record.status.value,
                epoch=record.epoch,
                time_ms=batch.table.time_ms if batch.table else 0,
                trades=trades,
                legs=legs,
                accounts=len(batch.start),
                header_hash="0x" + record.header_hash,
                state_root=record.state_root,
                data_bytes=record.data_bytes,
                propose_gas=record.propose_gas,
                prove_gas=record.prove_gas,
                finalise_gas=record.finalise_gas,
                prove_wall_seconds=record.prove_wall_seconds,
                prove_cpu_seconds=record.prove_cpu_seconds,
                lag_seconds=round(figures.lags.get(record.number, 0.0), 1),
                propose_transaction=record.propose_transaction,
                prove_transaction=record.prove_transaction,
            )
        )
    return found


def _liquidations(happened: Happenings) -> list[LiquidationReport]:
    found = []
    for begun in happened.auctions:
        taken = [event for event in happened.takeovers if event.account == begun.account]
        last = taken[-1] if taken else None
        found.append(
            LiquidationReport(
                account=begun.account,
                begun_ms=begun.start_ms,
                forced=begun.forced,
                taken_by=last.winner if last else None,
                payment_usdc=last.payment / MICROS if last else None,
                instruments=len(last.lots) if last else 0,
                ended=any(event.account == begun.account for event in happened.ended),
            )
        )
    return found


def _withdrawals(happened: Happenings) -> list[WithdrawalReport]:
    def report(trader: Trader, forced: bool, asked: int, paid: int) -> WithdrawalReport:
        return WithdrawalReport(trader.account, trader.wallet.address, forced, asked / MICROS, paid / MICROS)

    return [
        *(report(trader, False, amount, amount) for trader, amount in happened.withdrawals),
        *(report(t, True, asked, paid) for t, asked, paid in happened.forced),
    ]


def _settlement_price_usd(exchange: Exchange, night: Night) -> float | None:
    market, expiry_ms = exchange.market, night.schedule.expiry_ms
    return market.path.settlement_ticks(expiry_ms, market.parameters.risk) / TICKS_PER_DOLLAR if expiry_ms else None


def _rebuild(verified: VerifyReport, replayed_root: int) -> RebuildReport:
    return RebuildReport(
        state_root=f"{verified.state_root:#066x}",
        state_root_on_layer_1=f"{verified.state_root_on_layer_1:#066x}",
        batches=verified.batches,
        tables_recomputed=verified.tables,
        replayed_root=f"{replayed_root:#066x}",
        replayed_equal=replayed_root == verified.state_root,
        mismatches=verified.mismatches,
    )


def _pnl(study: PnlStudy, trades: int) -> PnlReport:
    parts = {name: {"mean": round(float(study.parts[name].mean()) / MICROS, 2), "std": round(float(study.parts[name].std()) / MICROS, 2)} for name in PARTS}
    return PnlReport(len(study.hedged), trades, round(float(study.hedged.mean()) / MICROS, 2), round(float(study.unhedged.mean()) / MICROS, 2), parts)
