"""A market of other numbers than the defaults: traded, and rebuilt from what layer 1 has of it with those numbers alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.session import Run, run_night

from straddle.commitments.ledger import CommittedState
from straddle.core.accounts import FEE_ACCOUNT
from straddle.core.fees import FeeSchedule
from straddle.l1.deployment import Deployment, DeploymentError
from straddle.node.chain import ChainMismatch, chosen_parameters, kept_deployment, open_deployment
from straddle.node.config import ConfigError, DemoConfig
from straddle.node.settings import Settings
from straddle.node.verify import VerifyReport
from straddle.node.version import exchange_params, terms_of
from straddle.primitives.files import FileError
from straddle.risk.market_parameters import DEFAULT_MARKET, MarketParameters
from straddle.risk.parameter_keys import KEYS
from straddle.watcher.examine import Examiner, Verdict

from .test_verify import World, deployment_of, history_of, verified  # noqa: F401

CHOSEN = MarketParameters.from_json(
    '{"margin": {"k_im_bps": 12000, "k_mm_bps": 9000}, "auction": {"discount_bps": 2000}, "fees": {"taker_bps": 0, "maker_bps": 5},'
    ' "risk": {"range_bps": 1800, "linear_band_index_bps": 300, "funding_cap_bps_e2": 4000}, "instruments": {"position_cap_lots": 5000000}}'
)


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = DemoConfig.recorded(preset="nano", rounds=2, hours=1, takers=2, parameters=CHOSEN)
    return run_night(config, tmp_path_factory.mktemp("chosen"))


def test_the_engine_trades_on_the_chosen_numbers(run: Run, chosen: Run) -> None:
    fills = [fill for match in chosen.exchange.session.matches for fill in match.fills]
    assert fills and all(fill.taker_fee == 0 for fill in fills) and sum(fill.maker_fee for fill in fills) > 0
    assert chosen.exchange.sequencer.exchange.accounts[FEE_ACCOUNT].cash == sum(fill.maker_fee for fill in fills)
    assert all(fill.taker_fee > 0 for match in run.exchange.session.matches for fill in match.fills if fill.price_ticks > 0)
    assert {instrument.position_cap_lots for instrument in chosen.market.instruments} == {5_000_000}
    params = chosen.exchange.sequencer.exchange.params
    assert (params.k_im_bps, params.k_mm_bps, params.discount_bps) == (12_000, 9_000, 2_000)
    ours, theirs = (one.exchange.session.table.rows[0] for one in (chosen, run))
    assert abs(2 * ours.band - 3 * theirs.band) <= 3, "3 % instead of 2 %"
    assert 1.12 < max(ours.deltas) / max(theirs.deltas) < 1.13, "18 % instead of 16 %"


def test_they_are_verified_from_layer_1_data_with_the_record_alone(chosen: Run, verified: Callable[[World], VerifyReport]) -> None:  # noqa: F811
    accounts = chosen.exchange.sequencer.exchange.accounts.values()
    world = World(deployment_of(chosen), history_of(chosen), chosen.exchange.sequencer.state_root, sum(account.cash for account in accounts))
    report = verified(replace(world, deployment=Deployment.from_json(world.deployment.to_json())))
    assert report.mismatches == [] and report.batches == len(chosen.exchange.closed) and report.tables > 0
    for other in (DEFAULT_MARKET, replace(CHOSEN, fees=FeeSchedule()), replace(CHOSEN, risk=DEFAULT_MARKET.risk)):
        with pytest.raises(DeploymentError, match=r"parameters: their params_hash is 0x[0-9a-f]+, but layer 1 has 0x"):
            verified(replace(world, deployment=replace(world.deployment, parameters=other)))


def test_a_watcher_recomputes_its_tables_on_them(chosen: Run) -> None:
    deployment, history = deployment_of(chosen), history_of(chosen)
    preset, params = terms_of(deployment)
    genesis = CommittedState.genesis(params, int(deployment.config.operator, 16))
    found = Examiner(deployment, preset, params).examine(genesis, history.batches[0], history, history.epochs)
    assert found.verdict is Verdict.REBUILT and not any("risk root" in note for note in found.notes)
    others = Examiner(replace(deployment, parameters=DEFAULT_MARKET), preset, params).examine(genesis, history.batches[0], history, history.epochs)
    assert any("risk root" in note for note in others.notes)


def test_every_section_changes_the_hash(chosen: Run) -> None:
    preset = chosen.config.circuit
    mixed = [replace(DEFAULT_MARKET, **{section: getattr(CHOSEN, section)}) for section in KEYS if section != "listing"]
    assert len({exchange_params(preset, each) for each in [DEFAULT_MARKET, CHOSEN, *mixed]}) == 7


def test_a_record_with_a_number_changed_is_refused(chosen: Run) -> None:
    text = deployment_of(chosen).to_json()
    assert Deployment.from_json(text).parameters == CHOSEN
    assert '"maker_bps": 5' in text
    with pytest.raises(DeploymentError, match=r"params_hash is 0x"):
        terms_of(Deployment.from_json(text.replace('"maker_bps": 5', '"maker_bps": 4')))
    with pytest.raises(DeploymentError, match=r"fees.maker_bps = 50000|fees.maker_bps: 50000, expected 0 to 10000"):
        Deployment.from_json(text.replace('"maker_bps": 5', '"maker_bps": 50000'))
    with pytest.raises(DeploymentError, match=r"fees.maker_bps: missing, expected every key"):
        Deployment.from_json(text.replace('"maker_bps": 5,', ""))


def test_the_settings_name_a_file_and_a_folder_keeps_its_own(chosen: Run, tmp_path: Path) -> None:
    record, file = tmp_path / "deployment.json", tmp_path / "parameters.json"
    named = Settings.load(None, {"market.parameters": str(file)})
    with pytest.raises(FileError, match=r"market.parameters .*parameters.json: No such file"):
        chosen_parameters(named, kept_deployment(record))
    file.write_text('{"fees": {"taker_bps": 4}}')
    assert chosen_parameters(named, kept_deployment(record)) == replace(DEFAULT_MARKET, fees=FeeSchedule(taker_bps=4))
    assert chosen_parameters(Settings(), kept_deployment(record)) == DEFAULT_MARKET
    record.write_text(deployment_of(chosen).to_json())
    assert chosen_parameters(Settings(), kept_deployment(record)) == CHOSEN
    file.write_text('{"risk": {"band_min_ticks": 0}}')
    with pytest.raises(ConfigError, match=r"market.parameters .*parameters.json: risk.band_min_ticks = 0: expected 1 to 10000000"):
        chosen_parameters(named, kept_deployment(record))


def test_a_changed_file_does_not_change_an_exchange(chosen: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "deployment.json"
    record.write_text(deployment_of(chosen).to_json())
    monkeypatch.setattr(Deployment, "check", lambda self, rpc: None)
    wallet = SimpleNamespace(address="0x" + "11" * 20)
    keys = SimpleNamespace(operator=wallet, sequencer=wallet, oracles=[wallet])
    chain = SimpleNamespace(fund=lambda address: None, rpc=None)
    changed = replace(CHOSEN, fees=FeeSchedule(0, 6))
    with pytest.raises(ChainMismatch, match=r"parameters are fixed: fees.maker_bps = 5, not 6. Leave market.parameters out, or start in an empty folder"):
        open_deployment(record, kept_deployment(record), chain, Settings(preset="nano"), changed, keys, None)  # type: ignore[arg-type]
