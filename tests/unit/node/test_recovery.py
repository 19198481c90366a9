"""The final state comes out of layer-1 data, or of a copy that layer 1 vouches for, or not at all."""

from __future__ import annotations

import dataclasses
import zlib

import pytest
from support.session import Run

from straddle.commitments.ledger import CommittedState
from straddle.commitments.state_copy import dump_state, load_state
from straddle.core.params import Params
from straddle.l1.deployment import DeploymentError
from straddle.l1.history import History
from straddle.node import recovery
from straddle.node.recovery import RecoveryError, final_state, recorded_table
from straddle.node.version import terms_of
from straddle.risk.parameters import DEFAULT_PARAMETERS

from .test_verify import deployment_of, history_of


@pytest.fixture
def history(run: Run) -> History:
    return history_of(run)


def recover(run: Run, history: History) -> CommittedState:
    deployment = deployment_of(run)
    return final_state(history, deployment, *terms_of(deployment))


def test_the_state_is_the_sequencers(run: Run, history: History) -> None:
    state = recover(run, history)
    assert state.root == run.exchange.sequencer.state_root and state.batch_number == len(history.final)
    before = dataclasses.replace(history, final=history.final[:2])
    assert recover(run, before).root == history.final[1].state_root
    assert recover(run, History(0)).batch_number == 0


def test_a_missing_body_needs_a_copy_that_has_its_root(run: Run, history: History) -> None:
    states = [recover(run, dataclasses.replace(history, final=history.final[:count])) for count in range(len(history.final) + 1)]
    history.batches[1] = dataclasses.replace(history.batches[1], body=None)
    with pytest.raises(RecoveryError, match="batch 2: its data are not on layer 1"):
        recover(run, history)
    for worthless in (b"", b"nonsense", dump_state(states[1]), dump_state(states[3])):
        history.snapshots = {history.final[1].state_root: [worthless]}
        with pytest.raises(RecoveryError, match="batch 2: its data are not on layer 1"):
            recover(run, history)
    for after in (2, 3, len(history.final)):
        history.snapshots = {history.final[after - 1].state_root: [b"nonsense", dump_state(states[after])]}
        assert recover(run, history).root == states[-1].root
    history.snapshots = {history.final[0].state_root: [dump_state(states[1])]}
    with pytest.raises(RecoveryError, match="batch 2: its data are not on layer 1"):
        recover(run, history)


def test_a_strangers_large_copy_is_not_read_before_the_right_one(run: Run, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte of calldata inflates to a thousand, and would take many times that as JSON."""
    right = dump_state(recover(run, history))
    history.batches[1] = dataclasses.replace(history.batches[1], body=None)
    bomb = zlib.compress(b"[" + b"0," * 5_000_000 + b"0]", 9)
    read: list[int] = []

    def noting(copy: bytes, params: Params) -> CommittedState:
        read.append(len(copy))
        return load_state(copy, params)

    monkeypatch.setattr(recovery, "load_state", noting)
    history.snapshots = {history.final[-1].state_root: [bomb, right, bomb]}
    assert recover(run, history).root == history.final[-1].state_root and read == [len(right)]


def test_a_known_state_is_continued(run: Run, history: History) -> None:
    deployment = deployment_of(run)
    terms = terms_of(deployment)
    known = final_state(dataclasses.replace(history, final=history.final[:2]), deployment, *terms)
    again = final_state(history, deployment, *terms, known)
    assert again.root == history.final[-1].state_root and (known.batch_number, known.root) == (2, history.final[1].state_root)
    history.batches[0] = dataclasses.replace(history.batches[0], body=None)
    assert final_state(history, deployment, *terms, known).root == again.root, "what lies before it is not needed"
    history.batches[2] = dataclasses.replace(history.batches[2], body=None)
    history.snapshots = {history.final[-1].state_root: [dump_state(again)]}
    assert final_state(history, deployment, *terms, known).root == again.root, "a copy serves where it does not lead on"


def test_data_that_contradict_themselves_are_refused(run: Run, history: History) -> None:
    body = history.batches[2].body
    assert body is not None
    history.batches[2] = dataclasses.replace(history.batches[2], body=(body[0] ^ 1 << 60, *body[1:]))
    with pytest.raises(RecoveryError, match="batch 3: "):
        recover(run, history)
    again = history_of(run)
    again.final[2] = dataclasses.replace(again.final[2], state_root=7)
    with pytest.raises(RecoveryError, match=r"batch 3: the data give root 0x[0-9a-f]+, layer 1 has 0x7"):
        recover(run, again)


def test_a_table_is_taken_for_these_listings_alone(run: Run, history: History) -> None:
    state = recover(run, history)
    epoch = history.epochs[max(history.epochs)]
    table = recorded_table(epoch, state.listed, DEFAULT_PARAMETERS)
    assert table is not None and table.epoch == epoch.epoch
    assert recorded_table(epoch, dataclasses.replace(state.listed, root=state.listed.root ^ 1), DEFAULT_PARAMETERS) is None
    fewer = dataclasses.replace(state.listed, instruments=state.listed.instruments[:-1])
    assert recorded_table(epoch, fewer, DEFAULT_PARAMETERS) is None
    assert recorded_table(dataclasses.replace(epoch, inputs=b"none"), state.listed, DEFAULT_PARAMETERS) is None
    assert recorded_table(dataclasses.replace(epoch, risk_root=1), state.listed, DEFAULT_PARAMETERS) is None
    assert recorded_table(dataclasses.replace(epoch, time_ms=epoch.time_ms + 1), state.listed, DEFAULT_PARAMETERS) is None


def test_other_parameters_are_another_exchange(run: Run) -> None:
    deployment = deployment_of(run)
    with pytest.raises(DeploymentError, match=r"parameters: their params_hash is 0x[0-9a-f]+, but layer 1 has 0x5"):
        terms_of(dataclasses.replace(deployment, config=dataclasses.replace(deployment.config, params_hash=5)))
