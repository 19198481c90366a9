"""What a program keeps for itself, damaged at random: it gives what was kept, says that it cannot, or does without; never something else."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from straddle.commitments.policy import Data
from straddle.commitments.state_copy import StateCopyError, dump_state, load_state
from straddle.committee.config import MemberConfig, MemberConfigError
from straddle.committee.offer import Offer
from straddle.committee.store import MemberStore
from straddle.committee.store import StoreError as MemberStoreError
from straddle.l1 import contracts
from straddle.node.config import ConfigError
from straddle.node.settings import Settings
from straddle.primitives.files import FileError
from straddle.proving.keys import Proof, ProverOutputError, VerifyingKey
from straddle.proving.prover import json_object
from straddle.proving.witness import Witness, WitnessError
from straddle.sequencer.journal import Journal
from straddle.sequencer.snapshots import SnapshotStore
from straddle.watcher.store import FILE, Judged, Store, StoreError
from tests.differential.stories import STORIES
from tests.support.damage import damaged
from tests.unit.proving.test_prover import KEY, PROOF, public
from tests.unit.sequencer import market

ROUNDS = 120
HASHES = [bytes([i]) * 32 for i in range(24)]


def damage(rng: Random, folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(damaged(rng, path.read_bytes()))


def each_damage(tmp_path: Path, name: str, content: bytes, seed: str) -> Any:
    """(number, folder) of copies of a file, each with a damage."""
    for i in range(ROUNDS):
        folder = tmp_path / "bad"
        folder.mkdir()
        (folder / name).write_bytes(damaged(Random(f"{seed}/{i}"), content))
        yield i, folder
        shutil.rmtree(folder)


# ---- a watcher's store


def fill_watcher(store: Store) -> None:
    for block in range(1, 21):
        logs = [{"blockNumber": hex(block), "logIndex": hex(place), "data": "0x" + f"{block:02x}" * 60} for place in range(3)]
        store.extend(block, f"block {block}", logs)
    store.save_transactions(({"hash": f"0x{i}", "to": "0xab", "input": "0x" + f"{i:02x}" * 100} for i in range(20)), own=True)
    for i, key in enumerate(HASHES):
        store.save_blob(key, bytes([i]) * 500)
        store.save_body(key, (i, 7, 2**250))
        store.save_judged(Judged(i, key, "holds", "why", ("a note",)))
    store.save_state(1, HASHES[1], b"a state" * 30)
    store.save_state(2, HASHES[2], b"another" * 30)


def read_watcher(store: Store) -> dict[tuple[str, object], Any]:
    found: dict[tuple[str, object], Any] = {("log", i): log for i, log in enumerate(store.logs())}
    found |= {("transaction", item["hash"]): item for item in store.transactions(0, 100)[1]}
    for name, read in (("blob", store.blob), ("body", store.body), ("judged", store.judged)):
        found |= {(name, key): value for key in HASHES if (value := read(key)) is not None}
    found |= {("own", f"0x{i}"): True for i in range(20) if store.is_own(f"0x{i}")}
    found |= {("transaction by hash", f"0x{i}"): item for i in range(20) if (item := store.transaction(f"0x{i}")) is not None}
    return found | {("state", state[0]): state for state in store.states()}


def test_a_watcher_never_believes_what_its_disk_spoilt(tmp_path: Path) -> None:
    """It challenges with its own bond what contradicts what it kept."""
    store = Store(tmp_path, 1, "0xAA")
    fill_watcher(store)
    expected, told, less = read_watcher(store), 0, 0
    store.close()
    for i, folder in each_damage(tmp_path, FILE, (tmp_path / FILE).read_bytes(), "watcher"):
        try:
            store = Store(folder, 1, "0xAA")
            found = read_watcher(store)
            store.close()
        except StoreError as error:
            assert str(folder) in str(error)
            told += 1
            continue
        logs = [value for (name, _), value in found.items() if name == "log"]
        whole = [value for (name, _), value in expected.items() if name == "log"]
        assert [log for log in whole if log in logs] == logs, f"damage {i}: other logs"  # one that is missing is missed by the contract's counts
        assert all(expected[key] == value for key, value in found.items() if key[0] != "log"), f"damage {i} is not told"
        less += found != expected
    assert told > ROUNDS // 10 and less > ROUNDS // 20


# ---- a member's store


def offer(number: int) -> Offer:
    return Offer(number, HASHES[number - 1], Data.COMMITTEE, tuple(range(30)), tuple(range(40)), b"inputs" * 20, bytes([number]) * 65)


def test_a_member_never_gives_or_forgets_what_its_disk_spoilt(tmp_path: Path) -> None:
    path = tmp_path / "member.sqlite"
    store = MemberStore(path, 31337, "0xAA")
    for number in range(1, 20):
        store.extend(HASHES[number], offer(number), f"copy {number}".encode() * 20 if number % 4 == 0 else None)
        store.sign(number, HASHES[number])
    store.close()
    told = 0
    for i, folder in each_damage(tmp_path, path.name, path.read_bytes(), "member"):
        try:
            store = MemberStore(folder / path.name, 31337, "0xAA")
            with store.reading() as reader:
                held, copies = reader.held(1, 100), list(reader.copies(100))
                headers = [(number, header) for number in range(1, 20) if (header := reader.header(number)) is not None]
                by_header = [found for header in HASHES if (found := reader.batch(header)) is not None]
            signed = {number: store.signed(number) for number in range(1, 20)}
            store.close()
        except MemberStoreError as error:
            assert str(folder) in str(error)
            told += 1
            continue
        for batch in (*held, *by_header):
            assert batch.offer == offer(batch.offer.number) and batch.header_hash == HASHES[batch.offer.number], f"damage {i}: another batch"
        assert all(header == HASHES[number] for number, header in headers), f"damage {i}: another chain"
        assert all(copy == f"copy {number}".encode() * 20 for number, copy in copies), f"damage {i}: another state"
        assert all(found == [HASHES[number]] or (not found and not held) for number, found in signed.items()), f"damage {i}: a signature is forgotten"
    assert told > ROUNDS // 10


# ---- snapshots


def test_a_damaged_snapshot_never_gives_another_state(tmp_path: Path) -> None:
    store, roots = SnapshotStore(tmp_path / "good", market.IDENTITY), {}
    sequencer = market.open_sequencer(tmp_path / "journal.sqlite")
    sequencer.submit_many(market.opening())
    for number in range(1, 4):
        sequencer.submit_many(market.trading_round(number))
        sequencer.close_batch()
        store.write(sequencer.exchange, sequencer.committed, sequencer.position)
        roots[sequencer.position.sequence] = sequencer.state_root
    sequencer.close()
    journal, newest, older = Journal(tmp_path / "journal.sqlite", market.IDENTITY), 0, 0
    for i in range(ROUNDS // 4):
        folder = tmp_path / "bad"
        shutil.copytree(tmp_path / "good", folder)
        bad, said = SnapshotStore(folder, market.IDENTITY), list[str]()
        damage(Random(f"snapshot/{i}"), folder, bad.paths()[-1].name)
        restored = bad.restore(journal, 10**9, said.append)
        assert restored is not None and restored.committed.root == roots[restored.position.sequence]
        newest += restored.position.sequence == max(roots)
        older += len(said) == 1 and bad.paths()[-1].name in said[0]
        shutil.rmtree(folder)
    assert newest + older == ROUNDS // 4 and older > 10
    journal.close()


# ---- copies of a state, witnesses, proofs


@pytest.mark.parametrize("inside", [False, True], ids=["bytes", "json"])
def test_a_damaged_copy_of_a_state_is_refused_or_has_another_root(inside: bool) -> None:
    story = STORIES["reduce_only"]()
    state, refused, others = story.state, 0, 0
    good = dump_state(state)
    for i in range(ROUNDS):
        rng = Random(f"copy/{inside}/{i}")
        bad = zlib.compress(damaged(rng, zlib.decompress(good))) if inside else damaged(rng, good)
        try:
            found = load_state(bad, state.params)
        except StateCopyError as error:
            assert len(str(error)) > 10
            refused += 1
            continue
        assert (found.root == state.root) == (dump_state(found) == good), f"damage {i}"
        others += found.root != state.root
    assert refused > ROUNDS // 10 and (not inside or others > 0)


def test_damaged_witnesses_and_answers_of_the_prover_are_told() -> None:
    witness = STORIES["reduce_only"]().closed[1].posted.witness
    proof = json.dumps({**PROOF, "public": public(witness)}).encode()
    cases: list[tuple[bytes, Callable[[bytes], Any], type[Exception]]] = [
        (witness.to_json(indent=None).encode(), lambda content: Witness.from_json(content.decode("utf-8", "replace")), WitnessError),
        (proof, lambda content: Proof.from_json(json_object("prove", content.decode("utf-8", "replace"))), ProverOutputError),
        (json.dumps(KEY).encode(), lambda content: VerifyingKey.from_json(json_object("setup", content.decode("utf-8", "replace"))).id, ProverOutputError),
    ]
    for good, read, error in cases:
        told = 0
        for i in range(ROUNDS):
            try:
                read(damaged(Random(f"{error}/{i}"), good))
            except error as found:
                assert len(str(found)) > 10
                told += 1
        assert told > ROUNDS // 10


def test_a_contract_of_the_cache_is_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = contracts.contracts_directory() / "TestUSDC.vy"
    good = contracts.Contract("TestUSDC", ({"type": "event", "name": "Transfer", "inputs": []},), bytes(range(256)) * 4, bytes(range(256)))
    monkeypatch.setattr(contracts, "_compile", lambda path: good)
    contracts.load_path.cache_clear()
    contracts.load_path(source, tmp_path / "good")
    (entry,) = (tmp_path / "good").iterdir()
    for i, folder in each_damage(tmp_path, entry.name, entry.read_bytes(), "contract"):
        contracts.load_path.cache_clear()
        found = contracts.load_path(source, folder)
        assert (found.abi, found.bytecode, found.runtime) == (good.abi, good.bytecode, good.runtime), f"damage {i}"
    contracts.load_path.cache_clear()


# ---- configuration


def test_a_damaged_configuration_is_told_by_key_or_line(tmp_path: Path) -> None:
    member = b'deployment = "d.json"\nl1 = "http://127.0.0.1:1"\npeers = ["http://127.0.0.1:2"]\nport = 7\ncatch_up_seconds = 2.5\n'
    for good, load, errors in (
        (Settings().to_toml().encode(), Settings.load, (ConfigError, FileError)),
        (member, lambda path: MemberConfig.load(path, {}), (MemberConfigError, FileError)),
    ):
        told = 0
        for _, folder in each_damage(tmp_path, "config.toml", good, "config"):
            try:
                load(folder / "config.toml")
            except errors as error:
                assert len(str(error)) > 10
                told += 1
        assert told > ROUNDS // 10
