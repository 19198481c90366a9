"""An independent review: attempts to steal, freeze, forge, or hide data. A test here that fails is a hole; its docstring says which."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from support.anvil import wait_until_mined

from straddle.l1.anvil import Anvil, AnvilError, find_anvil
from straddle.l1.contracts import load, load_path
from straddle.l1.deploying import deploy_token
from straddle.l1.deployment import REQUEST_FEE_WEI, DeploymentError, RollupConfig, constructor_struct, read_deployment
from straddle.l1.history import read_history
from straddle.l1.rollup import RollupClient, _split_signature, sign_epoch
from straddle.l1.rpc import Reverted
from straddle.l1.sender import Sender

HERE = Path(__file__).parent
R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
P = 21888242871839275222246405745257275088696311157297823662689037894645226208583
ALICE, BOB, EVE = ("0x" + f"{n:040x}" for n in (0xA1, 0xB0, 0xE7))
USDC = 1_000_000
DAY_S = 86_400


def fails(reason: str, contract: str = "Rollup"):
    return pytest.raises(Exception, match=f"^{contract}: {reason}$")


@pytest.fixture
def ready(exchange):
    for who, amount in ((ALICE, 5), (BOB, 7), (ALICE, 1), (EVE, 2)):
        exchange.deposit(who, amount * USDC)
    exchange.submit_epoch()
    return exchange


# ---------------------------------------------------------------- a node that answers for the in-memory chain


@dataclass
class MemoryNode:
    """The part of Rpc that history and deployment use, over the in-memory chain. Records what is sent through it."""

    chain: Any
    url: str = "memory"
    transactions: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def send(self, sender: str, to: str, calldata: bytes) -> None:
        self.chain.send_raw(sender, to, calldata)
        number = len(self.transactions)
        self.transactions.append({"to": to, "input": "0x" + calldata.hex()})
        for raw in self.chain.evm.result.logs:
            topics, data = raw.data
            place = {"blockNumber": hex(number), "logIndex": "0x0", "transactionHash": hex(number), "address": raw.address}
            self.events.append(place | {"topics": ["0x" + bytes(topic).hex() for topic in topics], "data": "0x" + bytes(data).hex()})

    def chain_id(self) -> int:
        return int(self.chain.chain_id)

    def block_number(self) -> int:
        return len(self.transactions) - 1

    def code(self, address: str) -> bytes:
        return bytes(self.chain.evm.basic(address).code)

    def eth_call(self, to: str, data: bytes, block: int | str = "latest") -> bytes:
        """As the chain stands: it keeps no past."""
        return bytes(self.chain.evm.message_call("0x" + "00" * 20, to, calldata=data, is_static=True))

    def transaction(self, transaction_hash: str) -> dict[str, Any]:
        return self.transactions[int(transaction_hash, 16)]

    def logs(self, addresses: Sequence[str], from_block: int, to_block: int) -> list[dict[str, Any]]:
        inside = [log for log in self.events if from_block <= int(log["blockNumber"], 16) <= to_block]
        return [log for log in inside if to_checksum_address(log["address"]) in map(to_checksum_address, addresses)]


@pytest.fixture
def node(exchange) -> MemoryNode:
    return MemoryNode(exchange.chain)


def record_of(exchange, node):
    return read_deployment(node, exchange.rollup.address, oracles=exchange.config.oracles)


def epoch_call(exchange, inputs: bytes = b"feeds") -> bytes:
    """Canonical calldata of submit_epoch(1)."""
    now = exchange.chain.time_s * 1000
    exchange.epoch, exchange.time_ms, exchange.risk_root = 1, now, 77
    return exchange.rollup.contract.encode_call("submit_epoch", 1, now, 77, inputs, exchange.sign(exchange.epoch_digest(1, now, 77, inputs)))


def propose_call(exchange, batch) -> bytes:
    return exchange.rollup.contract.encode_call("propose", batch.effects_bytes, batch.body_bytes, batch.c)


# ---------------------------------------------------------------- can data that layer 1 accepted be found again?


def test_history_reads_the_canonical_calls(exchange, node):
    """The control for the tests below."""
    node.send(EVE, exchange.rollup.address, epoch_call(exchange))
    batch = exchange.batch()
    node.send(exchange.sequencer, exchange.rollup.address, propose_call(exchange, batch))
    history = read_history(node, record_of(exchange, node))
    assert history.epochs[1].inputs == b"feeds"
    assert history.batches[0].body == (5, 6, 7)


def test_dirty_padding_in_anybodys_epoch_does_not_end_verification(exchange, node):
    """HOLE 1. The contract ignores what follows `inputs` up to the word's end; eth_abi's strict decoder refuses it, and with it the whole history, for ever.
    Anybody may submit an epoch with the oracles' signatures, for instance by copying them from the mempool."""
    calldata = epoch_call(exchange)
    dirty = calldata.replace(b"feeds".ljust(32, b"\0"), b"feeds".ljust(31, b"\0") + b"\1")
    assert dirty != calldata
    node.send(EVE, exchange.rollup.address, dirty)
    assert exchange.read("epoch_hashes", 1) != bytes(32)
    assert read_history(node, record_of(exchange, node)).epochs[1].inputs == b"feeds"


def test_calldata_cut_after_its_last_nonzero_byte_can_be_read(exchange, node):
    """HOLE 1, by the sequencer: the EVM reads zeros beyond the calldata's end, eth_abi refuses."""
    node.send(EVE, exchange.rollup.address, epoch_call(exchange))
    batch = exchange.batch(body=(5, 6, 7 << 64))
    calldata = propose_call(exchange, batch)
    assert calldata.endswith(bytes(8))
    node.send(exchange.sequencer, exchange.rollup.address, calldata[:-8])
    assert exchange.read("proposed_batch") == 1
    assert read_history(node, record_of(exchange, node)).batches[0].body == (5, 6, 7 << 64)


def test_an_offset_beyond_the_calldata_is_an_empty_body(exchange, node):
    """HOLE 1, by the sequencer: an offset into nothing reads as length 0."""
    node.send(EVE, exchange.rollup.address, epoch_call(exchange))
    batch = exchange.batch(body=())
    calldata = propose_call(exchange, batch)
    far = calldata[: 4 + 32] + (2**200).to_bytes(32, "big") + calldata[4 + 64 :]
    node.send(exchange.sequencer, exchange.rollup.address, far)
    assert exchange.read("proposed_batch") == 1
    assert read_history(node, record_of(exchange, node)).batches[0].body == ()


def test_overlapping_arguments_are_read_as_the_contract_reads_them(exchange, node):
    """Body = effects by one shared offset: unusual, and found again."""
    node.send(EVE, exchange.rollup.address, epoch_call(exchange))
    batch = exchange.batch(body=())
    size = len(batch.effects)
    words = [96, 96, batch.c, 32 * size, *batch.effects]
    if size > exchange.preset.body_words:
        pytest.skip("the preset's body is shorter than its effects")
    calldata = exchange.rollup.contract.selector("propose") + b"".join(word.to_bytes(32, "big") for word in words)
    node.send(exchange.sequencer, exchange.rollup.address, calldata)
    posted = read_history(node, record_of(exchange, node)).batches[0]
    assert posted.effects == posted.body == tuple(batch.effects)


# ---- EIP-7702: an account with delegated code calls on behalf of itself


ORACLE_KEYS = [keccak(b"oracle %d" % i) for i in range(3)]


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    try:
        binary = find_anvil()
    except AnvilError as error:
        pytest.skip(str(error))
    with Anvil(1_590_105_600, binary=binary) as running:
        yield running


def test_an_account_with_delegated_code_cannot_hide_an_epochs_inputs(anvil):
    """HOLE 2. msg.sender == tx.origin also holds for a call that an EOA's delegated code makes (EIP-7702): then the inputs are not the transaction's calldata,
    and read_history refuses the whole past. Open to anybody with the oracles' signatures; to the sequencer for batches."""
    rpc = anvil.rpc
    deployer, eve = Sender(rpc, keccak(b"deployer")), Account.from_key(keccak(b"eve"))
    for who in (deployer.address, eve.address):
        anvil.fund(who)
    oracles = tuple(sorted((Account.from_key(key).address for key in ORACLE_KEYS), key=lambda text: int(text, 16)))
    vault = deployer.deploy(load("Vault"), deploy_token(deployer)).contract_address
    verifier = deployer.deploy(load_path(HERE / "mocks" / "MockVerifier.vy")).contract_address
    config = RollupConfig(deployer.address, deployer.address, oracles, 2, 999, 888, 8, 4, 2, 20)
    rollup = deployer.deploy(load("Rollup"), constructor_struct(config, vault, verifier, "", deployer.address)).contract_address
    assert rollup is not None
    client = RollupClient(rpc, read_deployment(rpc, rollup, oracles=oracles, start_block=1))
    forwarder = load_path(HERE / "mocks" / "Forwarder.vy")
    code = deployer.deploy(forwarder).contract_address

    now = anvil.time_s() * 1000
    signatures = [_split_signature(signature) for signature in sign_epoch(client.epoch_digest(1, now, 77, b"feeds"), ORACLE_KEYS[:2])]
    hidden = forwarder.encode_call("forward", rollup, load("Rollup").encode_call("submit_epoch", 1, now, 77, b"feeds", signatures))
    nonce = int(rpc.call("eth_getTransactionCount", [eve.address, "latest"]), 16)
    transaction = {
        "type": 4, "chainId": anvil.chain_id, "nonce": nonce, "gas": 1_000_000, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 0, "value": 0,
        "to": eve.address, "data": hidden, "authorizationList": [eve.sign_authorization({"chainId": anvil.chain_id, "address": code, "nonce": nonce + 1})],
    }  # fmt: skip
    sent = rpc.call("eth_sendRawTransaction", ["0x" + bytes(eve.sign_transaction(transaction).raw_transaction).hex()])
    wait_until_mined(rpc, sent)
    assert rpc.code(eve.address).startswith(b"\xef\x01\x00"), "the chain knows no EIP-7702: this test proves nothing"
    if client.has_epoch(1):
        assert read_history(rpc, client.deployment).epochs[1].inputs == b"feeds"
    else:
        with pytest.raises(Reverted, match="call directly, the data must lie in the transaction"):
            rpc.call("eth_call", [{"from": eve.address, "to": eve.address, "data": "0x" + hidden.hex()}, "latest"])


# ---------------------------------------------------------------- does the deployment's record mean what it says?


def test_check_finds_oracles_that_the_record_does_not_name(chain, new_exchange):
    """HOLE 3. The contract cannot list its oracles and does not count them, so a deployer who adds three of his own passes `Deployment.check`."""
    from eth_keys import keys

    committee = sorted((keys.PrivateKey(keccak(b"any %d" % i)) for i in range(7)), key=lambda key: key.public_key.to_canonical_address())
    names = [key.public_key.to_checksum_address() for key in committee]
    exchange = new_exchange(chain, oracles=names)
    node = MemoryNode(chain)
    with pytest.raises(DeploymentError, match="oracles"):
        read_deployment(node, exchange.rollup.address, oracles=names[:4]).check(node)


def test_check_finds_a_verifier_that_is_not_ours(chain, new_exchange, tmp_path):
    """HOLE 4. `check` compares what the contracts say of themselves, never their code: a verifier that accepts everything repeats the honest vk_id."""
    source = """
# pragma version 0.4.3
# pragma evm-version cancun
@external
@view
def vk_id() -> bytes32:
    return keccak256("mock")
@external
@view
def verify(proof: uint256[12], public_inputs: uint256[5]) -> bool:
    return True
"""
    path = tmp_path / "YesVerifier.vy"
    path.write_text(source)
    exchange = new_exchange(chain, verifier_contract=chain.deploy(load_path(path, tmp_path)))
    node = MemoryNode(chain)
    record = record_of(exchange, node)
    with pytest.raises(DeploymentError, match=r"Groth16Verifier: .* does not run"):
        record.check(node)


# ---------------------------------------------------------------- freeze


def test_key_changes_of_one_account_cannot_be_cheaper_than_the_batches_they_force(ready):
    """HOLE 5. A batch answers one key change an account (statement, Accounts 2; engine: BATCH_BOUNDARY) and the queue is answered in order, so n key changes
    of one account take n batches and n proofs, with everybody's deposits and revocations behind them. Each costs the attacker 61,506 gas and 10^12 wei."""
    who = ready.chain.fund(ALICE)
    ready.send(who, "set_key", 3, (0, 0), (0, 0), value_wei=ready.config.request_fee_wei)
    try:
        ready.send(who, "set_key", 3, (0, 0), (0, 0), value_wei=ready.config.request_fee_wei)
    except Exception as error:
        assert str(error).startswith("Rollup: ")
        return
    gas = json.loads((HERE / "gas.json").read_text())["demo"]
    batch_gas = gas["propose, empty body"] + gas["prove, empty body"]
    gwei = 10**9
    assert REQUEST_FEE_WEI + gas["set_key"] * gwei >= batch_gas * gwei, "at 1 gwei, a forced batch costs the sequencer more than it costs the attacker"


def test_no_log_sequence_ends_the_chain(ready):
    """HOLE 6. last_sequence = 2^64 - 1 is accepted; the next first_sequence would have to be 2^64, which does not fit its field: once proved, no batch
    can follow, ever. The statement proves it (64 bits, tied to nothing in a batch without fills)."""
    batch = ready.batch()
    effects = list(batch.effects)
    effects[7] = (effects[7] & (2**64 - 1)) | (2**64 - 1) << 64
    batch = replace(batch, effects=effects)
    try:
        ready.propose_and_prove(batch)
    except Exception as error:
        assert str(error).startswith("Rollup: ")
        return
    successor = ready.batch()
    effects = list(successor.effects)
    effects[7] = 2**64 - 1 << 64  # first sequence 2^64 mod 2^64: the nearest there is
    ready.propose(replace(successor, effects=effects))


def test_many_tiny_entries_are_answered_in_order(ready):
    for _ in range(9):
        ready.deposit(EVE, USDC, 3)
    rows = ready.preset.queue
    while ready.queue_ends[-1] < len(ready.queue):
        before = ready.queue_ends[-1]
        ready.propose_and_prove(ready.batch())
        assert ready.queue_ends[-1] - before in (rows, len(ready.queue) - before)


def test_a_key_sent_for_an_account_that_waits_in_the_queue_is_behind_its_deposit(exchange):
    exchange.deposit(ALICE, USDC)
    exchange.send(exchange.chain.fund(ALICE), "set_key", 3, (0, 0), (0, 0), value_wei=exchange.config.request_fee_wei)
    assert [entry[:2] for entry in exchange.queue] == [(1, 3), (2, 3)]
    with pytest.raises(Exception, match="not the account's owner"):
        exchange.send(exchange.chain.fund(ALICE), "set_key", 4, (0, 0), (0, 0), value_wei=exchange.config.request_fee_wei)


# ---------------------------------------------------------------- another's money


THIEF = """
# pragma version 0.4.3
# pragma evm-version cancun
interface Vault:
    def pull() -> uint256: nonpayable
    def credit(owner: address, amount: uint256): nonpayable
    def deposit(rollup: address, account: uint256, owner: address, amount: uint256): nonpayable
vault: Vault
plan: uint256
target: address
data: Bytes[20000]
failed: public(bool)
@deploy
def __init__(vault: Vault):
    self.vault = vault
@external
def configure(plan: uint256, target: address, data: Bytes[20000]):
    self.plan = plan
    self.target = target
    self.data = data
@external
def on_deposit(account: uint256, owner: address, amount: uint256):
    if self.plan == 1:
        extcall self.vault.pull()
    elif self.plan == 2:
        extcall self.vault.credit(self, amount)
    elif self.plan == 3:
        extcall self.vault.deposit(self, 0, owner, 0)
    elif self.plan == 4:
        ok: bool = False
        answer: Bytes[32] = b""
        ok, answer = raw_call(self.target, self.data, max_outsize=32, revert_on_failure=False)
        self.failed = not ok
@external
def steal(owner: address, amount: uint256):
    extcall self.vault.credit(owner, amount)
"""


@pytest.fixture
def thief(ready, tmp_path):
    path = tmp_path / "Thief.vy"
    path.write_text(THIEF)
    return ready.chain.deploy(load_path(path, tmp_path), ready.vault.address)


def pay(exchange, who: str, rollup: str, amount: int) -> None:
    exchange.chain.fund(who)
    exchange.chain.send(who, exchange.token, "mint", who, amount)
    exchange.chain.send(who, exchange.token, "approve", exchange.vault.address, amount)
    exchange.chain.send(who, exchange.vault, "deposit", rollup, 0, who, amount)


def vault_reads(exchange, name: str, who: str) -> int:
    return exchange.chain.call(exchange.vault, name, who)


def test_a_fake_rollup_spends_its_own_row_only(ready, thief):
    before = vault_reads(ready, "rows", ready.rollup.address)
    pay(ready, EVE, thief.address, 10 * USDC)
    with fails("row too low", "Vault"):
        ready.chain.send(EVE, thief, "steal", EVE, 10 * USDC + 1)
    ready.chain.send(EVE, thief, "steal", EVE, 10 * USDC)
    with fails("row too low", "Vault"):
        ready.chain.send(EVE, thief, "steal", EVE, 1)
    assert vault_reads(ready, "rows", ready.rollup.address) == before
    assert ready.chain.send(EVE, ready.vault, "pull").result == 10 * USDC
    assert ready.chain.call(ready.token, "balanceOf", ready.vault.address) == before


@pytest.mark.parametrize("plan", [1, 2, 3])
def test_a_fake_rollup_cannot_reenter_the_vault(ready, thief, plan):
    ready.chain.send(EVE, thief, "configure", plan, EVE, b"")
    with pytest.raises(Exception):  # noqa: B017 (the lock reverts without a reason)
        pay(ready, EVE, thief.address, 10 * USDC)
    assert vault_reads(ready, "rows", thief.address) == 0


def test_a_proof_inside_a_deposit_neither_pays_nor_is_lost(ready, thief):
    batch = ready.batch(withdrawals=[(3, ALICE, USDC)])
    ready.propose(batch)
    call = ready.rollup.contract.encode_call("prove", batch.effects_bytes, ready.header(batch), ready.mock_proof(batch, EVE), EVE)
    ready.chain.send(EVE, thief, "configure", 4, ready.rollup.address, call)
    pay(ready, EVE, thief.address, 10 * USDC)
    assert ready.chain.call(thief, "failed")
    assert (ready.read("final_batch"), vault_reads(ready, "claimable", ALICE)) == (0, 0)
    ready.prove(batch)
    assert vault_reads(ready, "claimable", ALICE) == USDC


def test_nobody_spends_anothers_allowance(ready):
    ready.chain.send(ALICE, ready.token, "mint", ALICE, 50 * USDC)
    ready.chain.send(ALICE, ready.token, "approve", ready.vault.address, 50 * USDC)
    with pytest.raises(Exception, match="allowance too low"):
        ready.chain.send(EVE, ready.vault, "deposit", ready.rollup.address, 0, EVE, USDC)


@pytest.mark.parametrize("target", ["vault", "token", "verifier"])
def test_a_deposit_to_a_contract_that_is_no_rollup_is_refused(ready, target):
    with pytest.raises(Exception):  # noqa: B017
        pay(ready, EVE, getattr(ready, target).address, USDC)


# ---------------------------------------------------------------- another batch


def test_attack_04_public_inputs_have_one_encoding_only(ready):
    batch = ready.batch()
    ready.propose(batch)
    good = ready.header(batch)
    for place in range(1, 5):
        header = list(good)
        header[place] = (header[place] + R) % 2**256
        with fails("not what was proposed"):
            ready.send(EVE, "prove", batch.effects_bytes, tuple(header), ready.mock_proof(batch, EVE), EVE)
    calldata = ready.rollup.contract.encode_call("prove", batch.effects_bytes, good, ready.mock_proof(batch, EVE), EVE)
    wide = calldata.replace(bytes.fromhex(EVE[2:]).rjust(32, b"\0"), b"\1" + bytes.fromhex(EVE[2:]).rjust(31, b"\0"))
    assert wide != calldata
    with pytest.raises(Exception):  # noqa: B017 (the clamp of `beneficiary` has no reason)
        ready.chain.send_raw(EVE, ready.rollup.address, wide)


def test_a_voided_proposal_and_its_children_are_never_proved(ready):
    old = [ready.batch(new_root=5000)]
    ready.propose(old[0])
    old.append(ready.batch(new_root=5001))
    ready.propose(old[1])
    arguments = [(batch.effects_bytes, ready.header(batch), ready.mock_proof(batch, EVE), EVE) for batch in old]
    ready.chain.warp(DAY_S + 1)
    ready.void()
    with fails("no such proposal"):
        ready.send(EVE, "prove", *arguments[0])
    ready.submit_epoch()
    new = ready.batch(new_root=6000)
    ready.propose(new)
    with fails("not what was proposed"):
        ready.send(EVE, "prove", *arguments[0])
    ready.prove(new)
    with fails("no such proposal"):
        ready.send(EVE, "prove", *arguments[1])


def test_void_brings_back_the_older_epoch_and_nothing_older(ready):
    ready.propose_and_prove(ready.batch())
    first = (ready.epoch, ready.time_ms, ready.risk_root)
    ready.submit_epoch(epoch=9)
    ready.propose(ready.batch())
    ready.chain.warp(DAY_S + 1)
    ready.void()
    now = ready.chain.time_s * 1000
    ready.submit_epoch(epoch=first[0] + 1, time_ms=now)
    ready.propose(ready.batch())
    ready.epoch, ready.time_ms, ready.risk_root = first
    with fails("epoch decreases"):
        ready.propose(ready.batch())


@pytest.mark.parametrize("count", [5, 2**64 - 1, 2**64, 2**191])
def test_a_count_beyond_rows_or_queue_is_refused(ready, count):
    batch = ready.batch(entries=0)
    effects = list(batch.effects)
    effects[9] = count << 64
    with pytest.raises(Exception, match=r"too many queue entries|not a field element"):
        ready.propose(replace(batch, effects=effects))


def test_entries_that_nobody_queued_are_refused(ready):
    ready.propose_and_prove(ready.batch())
    for entry in ((0, 0, 0), (1 << 200, 0, 0), (1 | 3 << 8 | 0xE7 << 40 | 1 << 200, USDC, 0)):
        batch = ready.batch(entries=0)
        effects = list(batch.effects)
        effects[9] |= 1 << 64
        effects[10:13] = entry
        with pytest.raises(Exception, match=r"queue entries differ from the queue|wrong queue outcome"):
            ready.propose(replace(batch, effects=effects))


# ---------------------------------------------------------------- keys


D = 12181644023421730124874158521699555681764249180949974110617291017600649128846


def add(p: tuple[int, int], q: tuple[int, int]) -> tuple[int, int]:
    product = D * p[0] * q[0] * p[1] * q[1] % R
    x = (p[0] * q[1] + p[1] * q[0]) * pow(1 + product, -1, R) % R
    return x, (p[1] * q[1] + p[0] * q[0]) * pow(1 - product, -1, R) % R


def multiply(k: int, point: tuple[int, int]) -> tuple[int, int]:
    total = (0, 1)
    while k:
        if k & 1:
            total = add(total, point)
        point, k = add(point, point), k >> 1
    return total


def square_root(n: int) -> int | None:
    """Tonelli and Shanks; r - 1 = 2^28 odd."""
    if pow(n, (R - 1) // 2, R) != 1:
        return None
    odd, power = R - 1, 0
    while odd % 2 == 0:
        odd, power = odd // 2, power + 1
    c, x, t = pow(5, odd, R), pow(n, (odd + 1) // 2, R), pow(n, odd, R)
    while t != 1:
        i, probe = 0, t
        while probe != 1:
            probe, i = probe * probe % R, i + 1
        step = pow(c, 1 << (power - i - 1), R)
        x, c, power = x * step % R, step * step % R, i
        t = t * c % R
    return x


def curve_points() -> Iterator[tuple[int, int]]:
    """Points of every order: x counts up, y solves the equation."""
    for x in range(1, 200):
        if root := square_root((1 + x * x) * pow(1 - D * x * x, -1, R) % R):
            yield x, root


ORDER = 2736030358979909402780800718157159386076813972158567259200215660948447373041


def test_keys_are_eight_times_any_point_of_any_order(exchange):
    torsion = []
    for account, base in enumerate(curve_points(), start=3):
        small = multiply(ORDER, base)
        if small not in torsion:
            torsion.append(small)
        exchange.deposit(exchange.chain.fund(ALICE), USDC)  # each opens an account: one unanswered key change an account
        exchange.send(ALICE, "set_key", account, multiply(8, base), base, value_wei=exchange.config.request_fee_wei)
        if len(torsion) == 8:
            break
    assert len(torsion) == 8, "not every coset of the subgroup was met"
    for small in torsion:
        # 8 small = identity: no key; and a key moved out of the subgroup by a point of small order is refused.
        with pytest.raises(Exception, match="key is the identity"):
            exchange.send(ALICE, "set_key", 3, (0, 1), small, value_wei=exchange.config.request_fee_wei)
        if small != (0, 1):
            base = next(curve_points())
            moved = add(multiply(8, base), small)
            with pytest.raises(Exception, match=r"key is not 8 times base|key is the identity"):
                exchange.send(ALICE, "set_key", 3, moved, base, value_wei=exchange.config.request_fee_wei)


# ---------------------------------------------------------------- the folded pairing


FIXTURE = json.loads((HERE / "fixtures" / "groth16.json").read_text())
FIELDS = ("alpha", "beta", "gamma", "delta", "k", "pedersen_g", "pedersen_g_sigma_neg")


def numbers(value: Any) -> Any:
    return [numbers(item) for item in value] if isinstance(value, list) else int(value, 16)


@pytest.fixture
def verifier(chain):
    return chain.deploy(load("Groth16Verifier"), *(numbers(FIXTURE["verifying_key"][name]) for name in FIELDS))


def words_of(index: int) -> tuple[list[int], list[int]]:
    proof = FIXTURE["proofs"][index]
    return [int(word, 16) for part in ("a", "b", "c", "commitment", "pok") for word in proof[part]], numbers(proof["public"])


def says_yes(chain, verifier, proof: list[int], public: list[int]) -> bool:
    try:
        return bool(chain.call(verifier, "verify", proof, public))
    except Exception as error:
        assert type(error).__name__ == "Reverted"
        return False


@pytest.mark.parametrize("zeroed", [(0, 1), (2, 3, 4, 5), (6, 7), (8, 9), (10, 11), (8, 9, 10, 11), (0, 1, 2, 3, 4, 5), (0, 1, 6, 7), tuple(range(12))])
def test_points_at_infinity_prove_nothing(chain, verifier, zeroed):
    proof, public = words_of(0)
    assert says_yes(chain, verifier, proof, public)
    assert not says_yes(chain, verifier, [0 if i in zeroed else word for i, word in enumerate(proof)], public)


@pytest.mark.parametrize("signs", [(1,), (7,), (9,), (11,), (9, 11), (1, 7), (1, 9, 11), (3, 5)])
def test_changed_signs_prove_nothing(chain, verifier, signs):
    proof, public = words_of(0)
    assert not says_yes(chain, verifier, [P - word if i in signs else word for i, word in enumerate(proof)], public)


@pytest.mark.parametrize("word", range(12))
def test_coordinates_have_one_encoding(chain, verifier, word):
    proof, public = words_of(0)
    changed = list(proof)
    changed[word] += P
    assert changed[word] < 2**256
    assert not says_yes(chain, verifier, changed, public)


def test_a_proofs_bytes_are_not_unique_and_nothing_needs_them_to_be(chain, verifier):
    """(A, B) and (-A, -B): as the contract's comment says. The rollup proves each number once, whatever the bytes."""
    proof, public = words_of(0)
    twin = [P - word if i in (1, 4, 5) else word for i, word in enumerate(proof)]
    assert twin != proof
    assert says_yes(chain, verifier, twin, public)


def test_the_commitment_of_another_proof_is_refused(chain, verifier):
    (one, public), (two, _) = words_of(0), words_of(1)
    assert not says_yes(chain, verifier, one[:8] + two[8:], public)
    assert not says_yes(chain, verifier, one[:10] + two[10:], public)


# ---------------------------------------------------------------- fees


def test_fees_cannot_be_collected_twice_by_reentering(chain, new_exchange, tmp_path):
    source = """
# pragma version 0.4.3
# pragma evm-version cancun
interface Rollup:
    def collect_fees(): nonpayable
rollup: public(address)
@external
def configure(rollup: address):
    self.rollup = rollup
@external
@payable
def __default__():
    extcall Rollup(self.rollup).collect_fees()
"""
    path = tmp_path / "Greedy.vy"
    path.write_text(source)
    greedy = chain.deploy(load_path(path, tmp_path))
    exchange = new_exchange(chain, sequencer=greedy.address)
    chain.send(EVE, greedy, "configure", exchange.rollup.address)
    exchange.deposit(chain.fund(ALICE), USDC)
    exchange.send(ALICE, "set_key", 3, (0, 0), (0, 0), value_wei=exchange.config.request_fee_wei)
    with pytest.raises(Exception):  # noqa: B017 (the lock)
        exchange.send(EVE, "collect_fees")
    assert chain.evm.get_balance(exchange.rollup.address) == exchange.config.request_fee_wei
