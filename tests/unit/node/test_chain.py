"""Layer 1 of a node: the queue as it grows and goes back, and a chain of its own that comes back as it was."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from straddle.l1.anvil import Anvil, AnvilError, find_anvil
from straddle.l1.history import HistoryError
from straddle.l1.rpc import ConnectionFailed
from straddle.l1.sender import Sender
from straddle.node import chain as module
from straddle.node.chain import ChainMismatch, DevChain, Observation, QueueReader, Settlement
from straddle.node.config import ConfigError
from straddle.node.keys import NodeKeys, warn_of_readers

GENESIS_S = 1_590_000_000


class Chain:
    """A client whose blocks hold queue entries by index; deposits of 1,000 times the index plus one."""

    def __init__(self) -> None:
        self.blocks: list[list[int]] = [[]]
        self.deployment = SimpleNamespace(start_block=0, rollup="0x1", config=SimpleNamespace(sequencer="0x5"))
        self.rpc = SimpleNamespace(
            block_number=lambda: len(self.blocks) - 1,
            logs=self.logs,
            block=lambda number: {"hash": repr(self.blocks[: number + 1])},
            time_s=lambda: GENESIS_S + len(self.blocks),
            balance_wei={"0x5": 7}.__getitem__,
        )
        self.answered = 2

    def logs(self, address: str, first: int, last: int) -> list[dict[str, str]]:
        return [
            {"blockNumber": hex(block), "logIndex": hex(i), "transactionHash": "0x", "data": f"0x{index:02x}", "topics": []}  # type: ignore[dict-item]
            for block in range(first, min(last, len(self.blocks) - 1) + 1)
            for i, index in enumerate(self.blocks[block])
        ]

    def proposed_batch(self) -> int:
        return 5

    def final_batch(self) -> int:
        return 4

    def row(self) -> int:
        return 77

    def queue_answered(self) -> int:
        return self.answered

    def queue_length(self) -> int:
        return sum(map(len, self.blocks))

    def entry_time_s(self, index: int) -> int:
        return GENESIS_S + index

    def frozen(self) -> bool:
        return False

    def permissionless(self) -> bool:
        return True

    def open_challenges(self) -> int:
        return 1

    def reserved_wei(self) -> int:
        return 9

    def wei_owed(self, owner: str) -> int:
        assert owner == "0x5"
        return 8


class Decoder:
    def decode_log(self, topics: list[bytes], data: bytes) -> Any:
        fields = {"index": data[0], "kind": 1, "account": 3, "owner": "0xa", "word_1": 1_000 * (data[0] + 1), "word_2": 0}
        return SimpleNamespace(name="QueueEntryAdded", fields=fields)


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Chain:
    monkeypatch.setattr(module, "load", lambda name: Decoder())
    return Chain()


def test_entries_count_when_they_are_confirmed_and_are_seen_before(chain: Chain) -> None:
    reader = QueueReader(chain, confirmations=2)  # type: ignore[arg-type]
    chain.blocks += [[0, 1], [], [2]]
    seen = reader.look()
    assert [entry.index for entry in reader.entries] == [0, 1]
    settlement = Settlement(GENESIS_S + 4, False, True, 1, GENESIS_S + 2, 1, 9, 8, 7)
    assert seen == Observation(3, 5, 4, 77, ((0, 1_000), (1, 2_000), (2, 3_000)), settlement)
    chain.answered = 3
    assert (settlement := reader.look().settlement).unanswered == 0 and settlement.oldest_unanswered_s is None
    chain.blocks += [[], []]
    reader.look()
    assert [(entry.index, entry.block_number) for entry in reader.entries] == [(0, 1), (1, 1), (2, 3)]


def test_a_reorg_of_what_was_not_confirmed_is_followed(chain: Chain) -> None:
    reader = QueueReader(chain, confirmations=1)  # type: ignore[arg-type]
    chain.blocks += [[0], [1]]
    reader.look()
    chain.blocks[2:] = [[], [1], []]
    assert reader.look().deposits == ((0, 1_000), (1, 2_000))
    assert [(entry.index, entry.block_number) for entry in reader.entries] == [(0, 1), (1, 3)]


def test_a_gap_is_told_and_the_queue_read_again(chain: Chain) -> None:
    reader = QueueReader(chain, confirmations=0)  # type: ignore[arg-type]
    chain.blocks += [[0], [1]]
    reader.look()
    chain.blocks += [[3]]
    with pytest.raises(HistoryError, match=r"queue entry 3 follows entry 1: layer 1 left some out"):
        reader.look()
    chain.blocks[3] = [2, 3]
    reader.look()
    assert [entry.index for entry in reader.entries] == [0, 1, 2, 3]


def test_another_chain_of_the_same_height_is_read_from_its_beginning(chain: Chain) -> None:
    reader = QueueReader(chain, confirmations=0)  # type: ignore[arg-type]
    chain.blocks += [[0], [1]]
    reader.look()
    chain.blocks[1:] = [[], [0], [1]]
    assert (reader.readings, reader.look().block) == (1, 3)
    assert ([(entry.index, entry.block_number) for entry in reader.entries], reader.readings) == ([(0, 2), (1, 3)], 2)


def test_who_stops_is_not_kept_by_blocks_that_come_faster_than_they_are_read(chain: Chain) -> None:
    reader, looks = QueueReader(chain, confirmations=0), 0  # type: ignore[arg-type]

    def again() -> bool:
        nonlocal looks
        looks += 1
        return looks <= 3

    def busy() -> int:
        chain.blocks.append([])
        return len(chain.blocks) - 1

    chain.rpc.block_number = busy
    with pytest.raises(ConnectionFailed, match="blocks come faster than they can be read"):
        reader.look(again)
    assert looks == 4


def test_a_shorter_chain_is_read_from_its_beginning(chain: Chain) -> None:
    """What it lacks may still come, until it is as high as it was."""
    reader = QueueReader(chain, confirmations=0)  # type: ignore[arg-type]
    chain.blocks += [[0], [1], [2]]
    reader.look()
    assert not reader.is_behind
    del chain.blocks[2:]
    found = []
    for _ in range(3):
        reader.look()
        found.append(([entry.index for entry in reader.entries], reader.is_behind))
        chain.blocks.append([])
    assert found == [([0], True), ([0], True), ([0], False)]


@pytest.fixture(scope="module")
def anvil_is_there() -> None:
    try:
        find_anvil()
    except AnvilError as error:
        pytest.skip(f"needs `make setup`: {error}")


def test_a_chain_of_its_own_comes_back_as_it_was_kept(tmp_path: Path, anvil_is_there: None) -> None:
    state, wallet = tmp_path / "layer1.state", NodeKeys.open(tmp_path / "keys.json", 1).operator
    with DevChain("", state, GENESIS_S) as chain:
        chain.fund(wallet.address)
        sender = Sender(chain.rpc, bytes(wallet.key))
        receipt = sender.send(wallet.address, b"", value_wei=1)
        chain.reach((GENESIS_S + 5_000) * 1000 - 1)
        time_s, block = chain.time_s(), chain.rpc.block("latest")["hash"]
        assert time_s == GENESIS_S + 5_001
    with DevChain("", state, GENESIS_S) as chain:
        assert (chain.time_s(), chain.rpc.block("latest")["hash"]) == (time_s, block)
        assert chain.rpc.call("eth_getTransactionReceipt", [receipt.transaction_hash])["blockNumber"] == hex(receipt.block_number)
        chain.reach((GENESIS_S + 100) * 1000)  # the past: nothing moves
        assert chain.time_s() == time_s
        Sender(chain.rpc, bytes(wallet.key)).send(wallet.address, b"", value_wei=1)
        assert chain.time_s() > time_s, "the next block is not before what was kept"
        chain.keep()
        height = chain.rpc.block_number()
        Sender(chain.rpc, bytes(wallet.key)).send(wallet.address, b"", value_wei=1)
        assert chain._anvil is not None
        chain._anvil.stop()  # it dies with what was not kept
        chain._anvil.start()
        chain._anvil.rpc.call("anvil_loadState", [state.read_text()])
        assert chain.rpc.block_number() == height
    state.write_text("0x1234")
    with pytest.raises(ChainMismatch, match=r"its kept state .* cannot be loaded"), DevChain("", state, GENESIS_S):
        pass


def test_of_two_states_that_are_kept_at_a_time_the_later_one_stays(tmp_path: Path) -> None:
    """The poster's thread and layer 1's both keep the chain; an older state over a newer one would be behind the journal after a crash."""
    state = tmp_path / "layer1.state"
    chain = DevChain("", state, GENESIS_S)
    other = threading.Thread(target=chain.keep)
    dumps: list[str] = []

    def dump(method: str) -> str:
        assert method == "anvil_dumpState"
        dumps.append(f"state {len(dumps) + 1}")
        found = dumps[-1]
        if len(dumps) == 1:
            other.start()
            other.join(0.2)  # it would be through by now if nothing held it back
        return found

    chain._anvil = SimpleNamespace(rpc=SimpleNamespace(call=dump))  # type: ignore[assignment]
    chain.keep()
    other.join()
    assert dumps == ["state 1", "state 2"] and state.read_text() == "state 2" and list(tmp_path.iterdir()) == [state]


def test_a_chain_whose_clock_is_ahead_is_refused(tmp_path: Path, anvil_is_there: None) -> None:
    with Anvil(GENESIS_S) as anvil, DevChain(anvil.url, tmp_path / "none", 1_000) as chain:
        chain.check_clock((GENESIS_S - 900) * 1000)
        with pytest.raises(ConfigError, match=r"layer1\.url: the chain's clock is at \d+ s, expected at most .*--timestamp 1000"):
            chain.check_clock((GENESIS_S - 1_000) * 1000)
    assert not (tmp_path / "none").exists()


def test_keys_are_made_once_for_the_owners_eyes_only(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys = NodeKeys.open(path, 3)
    assert path.stat().st_mode & 0o777 == 0o600 and warn_of_readers(path) is None
    again = NodeKeys.open(path, 3)
    assert [account.address for account in (keys.operator, keys.sequencer, *keys.oracles)] == [
        account.address for account in (again.operator, again.sequencer, *again.oracles)
    ]
    assert [int(oracle.address, 16) for oracle in keys.oracles] == sorted(int(oracle.address, 16) for oracle in keys.oracles)
    with pytest.raises(ConfigError, match=r"epochs\.oracles: 2, expected 3, the number of oracle keys"):
        NodeKeys.open(path, 2)
    path.chmod(0o644)
    assert "others may read it" in str(warn_of_readers(path))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"operator": 1, "sequencer": "0x1"}', '{"operator": "zz", "sequencer": "0x1"}'])
def test_malformed_keys_are_refused_without_showing_them(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"keys .*keys\.json") as error:
        NodeKeys.open(path, 3)
    assert "zz" not in str(error.value)
