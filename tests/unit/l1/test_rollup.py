"""The typed client and the history reader, on a real chain."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from eth_account import Account
from eth_utils.crypto import keccak

from straddle.commitments.policy import Data, PolicyError, Proofs
from straddle.committee.layer1 import HeadersOnLayer1
from straddle.core.accounts import PublicKey
from straddle.l1.certificates import certificate_digest, sign_digest
from straddle.l1.contracts import load
from straddle.l1.deploying import CircuitKeys, StatementKey, created_address, deploy
from straddle.l1.deployment import Deployment, DeploymentError, constructor_struct, read_deployment
from straddle.l1.events import EpochRecorded
from straddle.l1.history import (
    BatchesVoided,
    BatchFinalised,
    BatchProposed,
    EpochSubmitted,
    HistoryError,
    HistoryReader,
    Outline,
    QueueEntryAdded,
    SnapshotPosted,
    read_history,
)
from straddle.l1.rollup import RollupClient, sign_epoch
from straddle.l1.rpc import Reverted, RpcError
from straddle.l1.sender import Sender

USDC = 1_000_000
FIXTURE = Path(__file__).parents[2] / "contracts" / "fixtures" / "groth16.json"
BASE = PublicKey(
    9671717474070082183213120605117400219616337014328744928644933853176787189663, 16950150798460657717958625567821834550301663161624707787222815936182638968203
)


@pytest.fixture
def story(world):
    """Deposits, a key, a batch proposed and proved, one at once, one voided."""
    client, alice = world.client, world.alice
    client.mint(alice, alice.address, 100 * USDC)
    deposit = client.deposit(alice, 40 * USDC)
    client.revoke_key(alice, deposit.account)
    client.deposit(alice, 5 * USDC, deposit.account)
    queue = read_history(world.anvil.rpc, world.deployment).queue
    first = world.batch(1, world.submit_epoch(1, b"first feeds"), 1001, queue[:2], [(deposit.account, alice.address, 7 * USDC)])
    client.propose(world.sequencer, first, first.c)
    client.prove(world.bob, first, first.proof)
    second = world.batch(2, world.submit_epoch(2, b"second feeds"), 1002, queue[2:])
    client.propose_and_prove(world.sequencer, second, second.proof)
    for root in (6, 7):
        doomed = world.batch(root, world.submit_epoch(root), root)
        client.propose(world.sequencer, doomed, doomed.c)
    world.anvil.set_time(world.anvil.time_s() + 86_402)
    client.void(world.bob, 3)
    third = world.batch(8, world.submit_epoch(8, b"late feeds"), 1003)
    client.propose(world.sequencer, third, third.c)
    return SimpleNamespace(account=deposit.account, batches=[first, second, third])


def test_the_client_reads_what_happened(world, story):
    client = world.client
    assert (client.proposed_batch(), client.final_batch(), client.state_root()) == (3, 2, 1002)
    assert (client.queue_length(), client.next_account(), client.owner_of(3)) == (3, 4, world.alice.address)
    assert client.owner_of(9) == "0x" + "00" * 20
    assert (client.has_epoch(2), client.has_epoch(3), client.epoch_hash(3)) == (True, False, None)
    batch = client.batch(3)
    assert (batch.state_root, batch.last_sequence, batch.queue_end, batch.epoch) == (1003, 9, 3, 8)
    assert client.row() == 38 * USDC
    assert client.claimable(world.alice.address) == 7 * USDC
    client.pull(world.alice)
    assert client.token_balance(world.alice.address) == 62 * USDC
    with pytest.raises(Reverted, match="Vault: nothing to pull"):
        client.pull(world.alice)


def test_history_is_the_whole_past_in_order(world, story):
    history = read_history(world.anvil.rpc, world.deployment)
    kinds = [type(event) for event in history.events]
    assert kinds == [
        *[QueueEntryAdded] * 3, EpochSubmitted, BatchProposed, BatchFinalised, EpochSubmitted, BatchProposed, BatchFinalised,
        EpochSubmitted, BatchProposed, EpochSubmitted, BatchProposed, BatchesVoided, EpochSubmitted, BatchProposed,
    ]  # fmt: skip
    assert [(entry.kind, entry.account, entry.word_1) for entry in history.queue] == [(1, 3, 40 * USDC), (2, 3, 0), (1, 3, 5 * USDC)]
    assert {entry.owner for entry in history.queue} == {int(world.alice.address, 16)}
    assert [list(batch.effects) for batch in history.batches] == [batch.effects_words for batch in story.batches]
    assert [batch.body for batch in history.batches] == [(11, 0, 13)] * 3
    assert [batch.state_root for batch in history.batches] == [1001, 1002, 1003]
    assert [final.batch_number for final in history.final] == [1, 2]
    assert {final.beneficiary for final in history.final} == {world.bob.address}
    assert {number: epoch.inputs for number, epoch in history.epochs.items()}[1] == b"first feeds"
    assert len(history.epochs[2].signatures) == 2
    assert history.batches[-1].header_hash == world.client.header_hash(3)
    assert sorted(history.events, key=lambda event: (event.block_number, event.log_index)) == history.events


def test_members_see_which_headers_stand_and_which_were_voided(world, story):
    events = read_history(world.anvil.rpc, world.deployment).events
    proposed = [event for event in events if isinstance(event, BatchProposed)]
    assert [event.batch_number for event in proposed] == [1, 2, 3, 4, 3]
    view = HeadersOnLayer1(world.anvil.rpc, world.deployment)
    for event in proposed[:2] + proposed[4:]:
        assert view.stands(event.batch_number, event.header_hash) and not view.is_voided(event.batch_number, event.header_hash)
    for event in proposed[2:4]:
        assert view.is_voided(event.batch_number, event.header_hash) and not view.stands(event.batch_number, event.header_hash)
    assert not view.is_voided(1, bytes(32)) and not view.stands(9, bytes(32))
    blocks = world.anvil.rpc.block_number() - proposed[4].block_number
    before = HeadersOnLayer1(world.anvil.rpc, world.deployment, confirmations=blocks + 1)
    assert not before.stands(3, proposed[4].header_hash) and before.is_voided(3, proposed[2].header_hash)


def test_history_can_end_earlier(world, story):
    whole = read_history(world.anvil.rpc, world.deployment)
    before = read_history(world.anvil.rpc, world.deployment, whole.final[0].block_number - 1)
    assert (len(before.batches), len(before.final)) == (1, 0)


class Liar:
    """Passes calls on, and changes what comes back."""

    def __init__(self, rpc, change_logs=lambda logs: logs, change_transaction=lambda transaction: transaction) -> None:
        self._rpc, self._change_logs, self._change_transaction = rpc, change_logs, change_transaction

    def block_number(self):
        return self._rpc.block_number()

    def logs(self, *args):
        return self._change_logs(self._rpc.logs(*args))

    def eth_call(self, *args):
        return self._rpc.eth_call(*args)

    def transaction(self, transaction_hash):
        return self._change_transaction(self._rpc.transaction(transaction_hash))


def without(logs, name, world, which=0):
    topic = "0x" + world.client._rollup.event_topic(name).hex()
    doomed = [log for log in logs if log["topics"][0] == topic][which]
    return [log for log in logs if log is not doomed]


@pytest.mark.parametrize(
    ("name", "which", "message"),
    [
        ("QueueEntryAdded", 0, "queue entry 1, expected 0"),
        ("BatchProposed", 0, "BatchFinalised of batch 1, expected one of 1 to 0"),
        ("BatchProposed", 1, "BatchFinalised of batch 2, expected one of 2 to 1"),
        ("BatchProposed", 2, "batch 4 proposed, expected 3"),
        ("BatchProposed", 3, "batches 3 to 4 voided, expected the last of 3 to 3"),
        ("BatchesVoided", 0, "batch 3 proposed, expected 5"),
        ("BatchFinalised", 0, "batch 2 final, expected 1"),
        ("BatchFinalised", -1, "final batches: 1 by the logs, expected 2, the contract's: logs are left out"),
        ("QueueEntryAdded", -1, "queue entries: [0-9]+ by the logs, expected [0-9]+"),
    ],
)
def test_a_missing_log_is_noticed(world, story, name, which, message):
    with pytest.raises(HistoryError, match=message):
        read_history(Liar(world.anvil.rpc, change_logs=lambda logs: without(logs, name, world, which)), world.deployment)


def test_changed_data_are_noticed(world, story):
    def change(function, spoil):
        selector = "0x" + world.client._rollup.selector(function).hex()
        return lambda transaction: {**transaction, "input": spoil(transaction["input"])} if transaction["input"].startswith(selector) else transaction

    def flip_a_cell(data):
        return data.replace(f"{13:064x}", f"{14:064x}")

    for function in ("propose", "propose_and_prove"):
        with pytest.raises(HistoryError, match=r"the calldata of batch [12] do not give its header hash"):
            read_history(Liar(world.anvil.rpc, change_transaction=change(function, flip_a_cell)), world.deployment)
    with pytest.raises(HistoryError, match="inputs of epoch 1 do not match their hash"):
        spoil = change("submit_epoch", lambda data: data.replace(b"first".hex(), b"worst".hex()))
        read_history(Liar(world.anvil.rpc, change_transaction=spoil), world.deployment)
    with pytest.raises(HistoryError, match="log of epoch 1 differs from its transaction"):
        spoil = change("submit_epoch", lambda data: data.replace(f"{71:064x}", f"{72:064x}"))
        read_history(Liar(world.anvil.rpc, change_transaction=spoil), world.deployment)
    with pytest.raises(HistoryError, match="the transaction calls void, expected submit_epoch"):
        void = "0x" + world.client._rollup.selector("void").hex()
        read_history(Liar(world.anvil.rpc, change_transaction=change("submit_epoch", lambda data: void)), world.deployment)
    with pytest.raises(HistoryError, match=f"expected {world.deployment.rollup}"):
        read_history(Liar(world.anvil.rpc, change_transaction=lambda transaction: {**transaction, "to": world.alice.address}), world.deployment)


def test_refusals_arrive_with_their_reason_before_anything_is_sent(world):
    nonce = world.anvil.rpc.call("eth_getTransactionCount", [world.alice.address, "latest"])
    with pytest.raises(Reverted) as caught:
        world.client.set_key(world.alice, 3, BASE, BASE)
    assert caught.value.reason == "Rollup: key is not 8 times base"
    assert world.anvil.rpc.call("eth_getTransactionCount", [world.alice.address, "latest"]) == nonce


def test_epochs_need_the_right_oracles(world):
    time_ms = world.anvil.time_s() * 1000
    digest = world.client.epoch_digest(1, time_ms, 5, b"")
    with pytest.raises(Reverted, match="signer is not an oracle"):
        world.client.submit_epoch(world.bob, 1, time_ms, 5, b"", sign_epoch(digest, [keccak(b"stranger"), keccak(b"other stranger")]))
    with pytest.raises(ValueError, match="signature: 3 bytes, expected 65"):
        world.client.submit_epoch(world.bob, 1, time_ms, 5, b"", [b"abc"])


def test_domain_is_the_messages(world):
    from straddle.core.messages import domain

    assert world.client.domain() == domain(world.deployment.chain_id, world.deployment.rollup_number)


# ---------------------------------------------------------------- deployment


def verifying_key() -> SimpleNamespace:
    raw = json.loads(FIXTURE.read_text())["verifying_key"]
    return SimpleNamespace(**{name: [[int(w, 16) for w in word] if isinstance(word, list) else int(word, 16) for word in words] for name, words in raw.items()})


def all_keys() -> CircuitKeys:
    key = verifying_key()
    return CircuitKeys(key, StatementKey(key, 0, 2), StatementKey(key, 3, 2))


def test_deploy_with_a_real_verifying_key(anvil, world):
    deployer, told = world.sender(b"deployer"), list[tuple[str, float]]()
    deployed = deploy(anvil.rpc, deployer, all_keys(), world.deployment.config, tell=lambda step, done: told.append((step, done)))
    deployed.check(anvil.rpc)
    assert [step for step, _ in told[::3]] == ["the test dollar", "contract 3 of 7: Groth16Verifier of Solvency", "contract 6 of 7: Exits"]
    assert [round(7 * done) for _, done in told] == [0, *range(7)] and len(deployed.created_by) == 7
    assert deployed.config == world.deployment.config
    assert deployed.rollup != world.deployment.rollup
    assert RollupClient(anvil.rpc, deployed).state_root() == 999
    assert deployed.exits is not None and deployed.exits.address == deployed.exits_address
    assert deployed.solvency is not None and (deployed.solvency.chunk_exponent, deployed.solvency.body_cells) == (3, 2)
    assert Deployment.from_json(deployed.to_json()) == deployed
    again = deploy(anvil.rpc, deployer, all_keys(), world.deployment.config, token=deployed.token)
    assert (again.token, again.vk_id) == (deployed.token, deployed.vk_id)


def test_a_rollup_without_exits_is_refused(anvil, world):
    """Whoever holds the key of that address could take everything after a freeze."""
    deployed = deploy(anvil.rpc, world.sender(b"deployer"), CircuitKeys(verifying_key()), world.deployment.config)
    deployed.check_values(anvil.rpc)
    with pytest.raises(DeploymentError, match=f"exits: no contract of this version at {deployed.exits_address}"):
        deployed.check(anvil.rpc)


def test_the_creation_of_every_contract_is_compared(anvil, world):
    deployed = deploy(anvil.rpc, world.sender(b"deployer"), all_keys(), world.deployment.config)
    assert set(deployed.created_by) == set(deployed.contract_addresses)
    for name in deployed.created_by:
        other = next(by for known, by in deployed.created_by.items() if known != name)
        for changed in ({**deployed.created_by, name: other}, {known: by for known, by in deployed.created_by.items() if known != name}):
            with pytest.raises(DeploymentError, match="created_by"):
                dataclasses.replace(deployed, created_by=changed).check(anvil.rpc)


@pytest.mark.parametrize(
    "change", [{"proofs": Proofs.WHEN_CHALLENGED, "proposer_bond_wei": 5, "challenger_bond_wei": 6, "challenge_window_s": 3_600, "proving_allowance_s": 7}]
)
def test_terms_of_an_optimistic_rollup_are_read_back(anvil, world, change):
    config = dataclasses.replace(world.deployment.config, **change)
    deployed = deploy(anvil.rpc, world.sender(b"deployer"), all_keys(), config)
    deployed.check(anvil.rpc)
    assert deployed.config == config and config.policy == "optimistic rollup, data in calldata"
    with pytest.raises(PolicyError, match="withheld data cannot be challenged"):
        deploy(anvil.rpc, world.sender(b"deployer"), all_keys(), dataclasses.replace(config, data=Data.COMMITTEE))


MEMBERS = sorted((Account.from_key(keccak(b"member %d" % i)) for i in range(7)), key=lambda account: int(account.address, 16))


@pytest.fixture
def validium(anvil, world):
    config = dataclasses.replace(
        world.deployment.config, data=Data.COMMITTEE, members=tuple(account.address for account in MEMBERS), member_threshold=6, sequencer=world.alice.address
    )
    return deploy(anvil.rpc, world.sender(b"deployer"), all_keys(), config)


def test_a_committee_is_part_of_the_record(anvil, validium):
    validium.check(anvil.rpc)
    assert validium.config.policy == "validium, data with a committee" and validium.log_addresses == (validium.rollup, validium.committee)
    stranger = dataclasses.replace(validium, config=dataclasses.replace(validium.config, members=(*validium.config.members[:6], "0x" + "11" * 20)))
    with pytest.raises(DeploymentError, match=r"members: 0x1111.* is not one of"):
        stranger.check_values(anvil.rpc)
    fewer = dataclasses.replace(validium, config=dataclasses.replace(validium.config, members=validium.config.members[:6]))
    with pytest.raises(DeploymentError, match="has 7 members, the record names 6"):
        fewer.check_values(anvil.rpc)


def test_the_committee_contract_takes_the_certificates_that_members_sign(anvil, validium):
    digest = certificate_digest(validium.chain_id, validium.rollup_number, 3, b"h" * 32)
    signatures = [sign_digest(account, digest) for account in MEMBERS]
    committee = load("Committee")

    def check(chosen):
        split = [(item[64], int.from_bytes(item[:32], "big"), int.from_bytes(item[32:64], "big")) for item in chosen]
        return committee.decode_result("check", anvil.rpc.eth_call(validium.committee, committee.encode_call("check", digest, split)))

    assert check(signatures) is True and check(signatures[1:]) is True
    with pytest.raises(Reverted, match="too few certificates"):
        check(signatures[:5])


def test_posted_snapshots_are_history(anvil, world, validium):
    client = RollupClient(anvil.rpc, validium)
    for part, data in enumerate((b"first ", b"second")):
        client.post_snapshot(world.bob, 77, part, 2, data)
    client.post_snapshot(world.alice, 77, 0, 1, b"another")
    client.post_snapshot(world.bob, 78, 0, 2, b"never finished")
    bob = world.bob.address
    assert [client.snapshot_parts(bob, root, parts) for root, parts in ((78, 2), (78, 3), (77, 2))] == [1, 0, 0]
    assert client.snapshot_parts(world.alice.address, 77, 1) == 1 and client.snapshot_parts(world.sequencer.address, 77, 1) == 0
    history = read_history(anvil.rpc, validium)
    assert history.snapshots == {77: [b"first second", b"another"]}
    assert [type(event) for event in history.events] == [SnapshotPosted] * 4
    assert client.has_snapshot(world.alice.address, 77) and not client.has_snapshot(world.bob.address, 77)


def test_an_address_is_known_before_its_contract(anvil, world):
    sender = world.sender(b"new here")
    for nonce in range(3):
        assert sender.deploy(load("TestUSDC")).contract_address == created_address(sender.address, nonce)
    assert created_address("0x" + "00" * 20, 0) == "0xBd770416a3345F91E4B34576cb804a576fa48EB1"
    assert len({created_address(sender.address, nonce) for nonce in (0, 1, 127, 128, 255, 256, 65_536)}) == 7


def test_deployments_survive_json(world):
    deployment = world.deployment
    assert Deployment.from_json(deployment.to_json()) == deployment
    deployment.check_values(world.anvil.rpc)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda raw: "{", "deployment is not JSON"),
        (lambda raw: "[]", "deployment: found list, expected the fields"),
        (lambda raw: json.dumps({k: v for k, v in raw.items() if k != "vault"}), "expected the fields .*vault"),
        (lambda raw: json.dumps(raw | {"config": {}}), r"deployment\.config: found \[\], expected the fields"),
        (lambda raw: json.dumps(raw | {"vk_id": 5}), "deployment is malformed"),
        (lambda raw: json.dumps(raw | {"config": raw["config"] | {"genesis_root": "zz"}}), "deployment is malformed"),
    ],
)
def test_malformed_deployments_are_refused(world, spoil, message):
    with pytest.raises(DeploymentError, match=message):
        Deployment.from_json(spoil(json.loads(world.deployment.to_json())))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("chain_id",), 1, "chain_id: 31337 at http.*, expected 1"),
        (("vk_id",), "0x" + "00" * 32, "vk_id: "),
        (("vault",), "0x" + "11" * 20, "vault: "),
        (("config", "genesis_root"), "0x5", "genesis_root: 999 on the chain, expected 5"),
        (("config", "threshold"), 1, "threshold: 2 on the chain, expected 1"),
        (("config", "oracles"), ["0x" + "11" * 20], "oracles: 0x1111.* is not one of"),
        (("rollup",), "0x" + "11" * 20, "rollup: no contract at 0x1111"),
    ],
)
def test_a_record_that_differs_from_the_chain_is_refused(world, path, value, message):
    raw = json.loads(world.deployment.to_json())
    inner = raw
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    with pytest.raises(DeploymentError, match=message):
        Deployment.from_json(json.dumps(raw)).check_values(world.anvil.rpc)


def test_the_struct_has_the_constructors_fields(world):
    """They are passed by position."""
    constructor = next(item for item in load("Rollup").abi if item["type"] == "constructor")
    names = [part["name"] for part in constructor["inputs"][0]["components"]]
    config = world.deployment.config
    values = dict(zip(names, constructor_struct(config, "vault", "verifier", "committee", "exits"), strict=True))
    assert {name: values[name] for name in ("vault", "verifier", "committee", "exits")} == {name: name for name in ("vault", "verifier", "committee", "exits")}
    assert (values["policy"], values["data"], values["oracles"]) == (1, 1, list(config.oracles))
    shared = set(names) - {"vault", "verifier", "committee", "exits", "policy", "data", "oracles"}
    assert {name: values[name] for name in shared} == {name: getattr(config, name) for name in shared}


def test_a_sender_without_ether_is_told(anvil):
    with pytest.raises(RpcError, match=r"(?i)insufficient funds|lack of funds"):
        Sender(anvil.rpc, keccak(b"poor")).send("0x" + "11" * 20, b"", value_wei=1)


def test_reading_needs_only_the_rollups_address(world):
    found = read_deployment(world.anvil.rpc, world.deployment.rollup.lower())
    assert found.config.oracles == ()
    assert (found.vault, found.token, found.config.sequencer) == (world.deployment.vault, world.deployment.token, world.sequencer.address)


def test_the_newest_epoch_of_a_block_is_the_highest_recorded_before_it():
    """Epochs may be recorded in any order."""
    reader = HistoryReader(SimpleNamespace(config=SimpleNamespace(genesis_root=1), rollup="0x1", committee=""), Outline(0))
    for block, number in ((5, 3), (5, 2), (7, 9), (8, 4)):
        reader._add(EpochRecorded(block_number=block, log_index=0, transaction_hash="", epoch=number, time_ms=1, risk_root=1, inputs_hash=b""))
    assert [reader.history.newest_epoch(block) for block in (5, 6, 7, 8, 9)] == [0, 3, 3, 9, 9]
    reader.undo(6)
    assert reader.history.newest_epoch(99) == 3
