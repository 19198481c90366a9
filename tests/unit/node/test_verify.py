"""Verification finds every lie that layer-1 data could hold. No chain here: the history is built from a session's batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account as EthereumAccount
from support.session import LOG, OPERATOR, ORACLES, Run, post

from straddle.commitments.ledger import CommittedState
from straddle.commitments.params import params_hash
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey
from straddle.l1.deployment import Deployment, DeploymentError, RollupConfig
from straddle.l1.history import BatchFinalised, BatchProposed, EpochSubmitted, History, QueueEntryAdded
from straddle.node import verify as module
from straddle.node.traders import address_of
from straddle.node.verify import VerifyReport, verify
from straddle.node.version import preset_of
from straddle.risk.inputs import decode_inputs, encode_inputs

LAST_EPOCH = 4
"""Of the run's; its batches need this one and the first."""
PLACE = {"block_number": 1, "log_index": 0, "transaction_hash": "0x"}


@dataclasses.dataclass
class World:
    """What layer 1 says, for a test to change."""

    deployment: Deployment
    history: History
    state_root: int
    vault_row: int


def deployment_of(run: Run) -> Deployment:
    preset, params = run.config.circuit, run.exchange.sequencer.committed.params
    addresses = sorted((EthereumAccount.from_key(secret).address for secret in ORACLES), key=lambda address: int(address, 16))
    config = RollupConfig(
        sequencer=OPERATOR.address,
        operator=OPERATOR.address,
        oracles=tuple(addresses),
        threshold=2,
        genesis_root=CommittedState.genesis(params, address_of(OPERATOR)).root,
        params_hash=params_hash(params),
        account_depth=preset.account_depth,
        queue_rows=preset.queue,
        withdrawal_rows=preset.withdrawals,
        body_cells=preset.body_words,
    )
    zero = "0x" + "0" * 40
    return Deployment(LOG.chain_id, 1, zero, zero, zero, f"{LOG.rollup:#042x}", b"v" * 32, config, zero, parameters=run.market.parameters)


def history_of(run: Run) -> History:
    history = History(99)
    for closed in run.exchange.closed:
        for entry in closed.batch.queue:
            match entry:
                case L1Deposit():
                    words = (1, entry.amount, 0)
                case L1SetKey():
                    words = (2, *entry.key)
                case L1ForceWithdraw():
                    words = (3, entry.amount, 0)
                case L1ForceClose():
                    words = (4, entry.limit_bps, 0)
            added = QueueEntryAdded(**PLACE, index=entry.queue_index, kind=words[0], account=entry.account, owner=entry.owner, word_1=words[1], word_2=words[2])
            history.queue.append(added)
    for signed in run.exchange.session.epochs:
        split = tuple((item[64], int.from_bytes(item[:32], "big"), int.from_bytes(item[32:64], "big")) for item in signed.signatures)
        submitted = EpochSubmitted(**PLACE, epoch=signed.epoch, time_ms=signed.time_ms, risk_root=signed.risk_root, inputs=signed.inputs, signatures=split)
        history.epochs[signed.epoch] = submitted
    for number, batch in enumerate(post(run), start=1):
        root = batch.effects.new_state_root
        proposal = BatchProposed(
            **PLACE,
            batch_number=number,
            parent_header_hash=b"",
            header_hash=batch.header_hash,
            state_root=root,
            effects=batch.effects_words,
            body=batch.body_words,
            data_commitment=batch.witness.public.c,
            place=batch.place,
            y_body=batch.witness.public.y_body,
            transcript=b"",
        )
        history.batches.append(proposal)
        history.final.append(BatchFinalised(**PLACE, batch_number=number, header_hash=batch.header_hash, state_root=root, beneficiary="0x"))
    return history


@pytest.fixture
def world(run: Run) -> World:
    accounts = run.exchange.sequencer.exchange.accounts.values()
    return World(deployment_of(run), history_of(run), run.exchange.sequencer.state_root, sum(account.cash for account in accounts))


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> Callable[[World], VerifyReport]:
    def run_verify(world: World) -> VerifyReport:
        class Client:
            def __init__(self, rpc: object, deployment: Deployment) -> None:
                pass

            def state_root(self) -> int:
                return world.state_root

            def row(self) -> int:
                return world.vault_row

        monkeypatch.setattr(Deployment, "check", lambda self, rpc: None)
        monkeypatch.setattr(module, "read_history", lambda rpc, deployment, **sources: world.history)
        monkeypatch.setattr(module, "RollupClient", Client)
        return verify(None, world.deployment)  # type: ignore[arg-type]

    return run_verify


def test_an_honest_history_verifies(run: Run, world: World, verified: Callable[[World], VerifyReport]) -> None:
    report = verified(world)
    assert report.mismatches == []
    assert report.ok
    assert report.batches == len(run.exchange.closed) == len(world.history.final)
    assert report.tables == len({closed.batch.table.epoch for closed in run.exchange.closed if closed.batch.table})
    assert report.state_root == report.state_root_on_layer_1 == run.exchange.sequencer.state_root
    assert report.conservation_error_micros == report.position_sums_not_zero == 0
    assert report.accounts == 2 + len(run.exchange.traders) + 1


def change_body(world: World) -> None:
    batch = world.history.batches[0]
    world.history.batches[0] = dataclasses.replace(batch, body=(batch.body[0] + (1 << 32), *batch.body[1:]))


def swap_proofs(world: World) -> None:
    world.history.final[1] = dataclasses.replace(world.history.final[1], state_root=world.history.final[0].state_root)


def change_deposit(world: World) -> None:
    world.history.queue[0] = dataclasses.replace(world.history.queue[0], word_1=world.history.queue[0].word_1 - 1)


def publish(world: World, number: int, **changes: Any) -> None:
    """Other inputs of an epoch."""
    epoch = world.history.epochs[number]
    inputs = dataclasses.replace(decode_inputs(epoch.inputs), **changes)
    world.history.epochs[number] = dataclasses.replace(epoch, inputs=encode_inputs(inputs))


def change_vol(world: World) -> None:
    (option, vol), *rest = decode_inputs(world.history.epochs[1].inputs).vols
    publish(world, 1, vols=((option, vol + 1), *rest))


def change_signature(world: World) -> None:
    epoch = world.history.epochs[1]
    world.history.epochs[1] = dataclasses.replace(epoch, signatures=epoch.signatures[:1])


def change_funding(world: World) -> None:
    """Another epoch in between, whose funding does not follow."""
    publish(world, 2, cumulative_funding=decode_inputs(world.history.epochs[2].inputs).cumulative_funding + 1)


def forget_epoch(world: World) -> None:
    del world.history.epochs[LAST_EPOCH]


def change_root(world: World) -> None:
    world.state_root += 1


def empty_vault(world: World) -> None:
    world.vault_row -= 1


def change_genesis(world: World) -> None:
    config = dataclasses.replace(world.deployment.config, genesis_root=5)
    world.deployment = dataclasses.replace(world.deployment, config=config)


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (change_body, "batch 1: cash of all accounts changes by"),
        (swap_proofs, "batch 2 state root: "),
        (change_deposit, "batch 1: effects.queue: differs from layer 1's"),
        (change_vol, "batch 1 risk root from the inputs of epoch 1"),
        (change_signature, "epoch 1: 1 oracle signatures: expected at least 2"),
        (change_funding, f"epoch {LAST_EPOCH}: funding"),
        (forget_epoch, f"epoch {LAST_EPOCH} was never submitted"),
        (change_root, "state root: "),
        (empty_vault, "vault row less queued deposits: "),
        (change_genesis, "genesis root: "),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_lie_is_found(world: World, verified: Callable[[World], VerifyReport], lie: Callable[[World], None], message: str) -> None:
    lie(world)
    report = verified(world)
    assert not report.ok
    assert any(message in mismatch for mismatch in report.mismatches), report.mismatches


def test_deposits_that_wait_count_for_the_vault(world: World, verified: Callable[[World], VerifyReport]) -> None:
    last = world.history.queue[-1]
    world.history.queue.append(dataclasses.replace(last, index=last.index + 1, kind=1, account=3, word_1=777, word_2=0))
    world.vault_row += 777
    report = verified(world)
    assert report.ok
    assert report.queued_micros == 777


def test_proposals_without_a_proof_do_not_count(world: World, verified: Callable[[World], VerifyReport]) -> None:
    world.history.final.pop()
    world.state_root = world.history.final[-1].state_root
    report = verified(world)
    assert report.proposals == 1
    assert report.state_root == world.state_root
    assert any("vault row" in mismatch for mismatch in report.mismatches)  # the withdrawal of the last batch has not left yet


def test_other_parameters_are_refused(world: World, verified: Callable[[World], VerifyReport]) -> None:
    config: Any = dataclasses.replace(world.deployment.config, params_hash=1)
    world.deployment = dataclasses.replace(world.deployment, config=config)
    with pytest.raises(DeploymentError, match=r"parameters: their params_hash is 0x[0-9a-f]+, but layer 1 has 0x1: expected --deployment"):
        verified(world)


def test_the_preset_follows_from_the_deployed_sizes(run: Run) -> None:
    deployment = deployment_of(run)
    assert preset_of(deployment) == run.config.circuit
    odd = dataclasses.replace(deployment, config=dataclasses.replace(deployment.config, queue_rows=3))
    with pytest.raises(DeploymentError, match="expected those of one of nano, demo"):
        preset_of(odd)
