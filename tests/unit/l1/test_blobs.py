"""Blobs on layer 1: transactions, sources, archive, costs."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import httpx
import pytest
import rlp
from eth_account import Account
from eth_account.typed_transactions.blob_transactions.blob_transaction import BlobTransaction
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from straddle.commitments.blob import BLOB_BYTES, BlobError, blob_hash, blobs_bytes, bytes_blobs, cells_blob
from straddle.l1.anvil import Anvil
from straddle.l1.blobs import (
    BLOB_GAS,
    AnvilBlobs,
    BeaconBlobs,
    BlobArchive,
    BlobMissing,
    FirstOf,
    ProposalGas,
    calldata_gas,
    cheapest_blob_cells,
    sign_blob_transaction,
    transaction_gas,
)
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Sender

BLOBS = (cells_blob([1, 2, 3]), *bytes_blobs(b"transcript " * 100))
HASHES = tuple(blob_hash(blob) for blob in BLOBS)
GENESIS_S = 1_600_000_000


# ---- transactions


FIELDS = {
    "chainId": 1, "nonce": 3, "gas": 100_000, "maxFeePerGas": 9, "maxPriorityFeePerGas": 1, "maxFeePerBlobGas": 5, "value": 2, "data": b"abc",
    "to": "0x" + "22" * 20,
}  # fmt: skip


@pytest.mark.slow
def test_a_signed_blob_transaction_is_eth_accounts_own():
    """Byte for byte what eth-account makes of the same fields and blobs, with its own commitments and proofs."""
    account = Account.from_key(keccak(b"sender"))
    ours = sign_blob_transaction(account, FIELDS, BLOBS[:1])
    assert ours == bytes(account.sign_transaction({**FIELDS, "type": 3}, blobs=[BLOBS[0]]).raw_transaction)
    read = BlobTransaction.from_bytes(HexBytes(ours))
    assert read.blob_data is not None and [blob.as_bytes() for blob in read.blob_data.blobs] == [BLOBS[0]]


def test_every_blob_brings_its_hash_and_128_proofs():
    decoded = rlp.decode(sign_blob_transaction(Account.from_key(keccak(b"sender")), FIELDS, BLOBS)[1:])
    (*_, hashes, _, _, _), version, blobs, commitments, proofs = decoded
    assert (tuple(hashes), version, tuple(blobs)) == (HASHES, b"\1", BLOBS)
    assert len(commitments) == len(BLOBS) and len(proofs) == 128 * len(BLOBS)


@pytest.mark.parametrize("blobs", [(), (BLOBS[0],) * 7])
def test_a_transaction_has_one_to_six_blobs(blobs):
    with pytest.raises(BlobError, match=f"blobs: {len(blobs)}, expected 1 to 6"):
        sign_blob_transaction(Account.from_key(keccak(b"sender")), FIELDS, blobs)


@pytest.mark.slow
def test_anvil_takes_blobs_and_gives_them_back(anvil, tmp_path):
    sender = Sender(anvil.rpc, keccak(b"blobs"))
    anvil.fund(sender.address)
    before = anvil.rpc.balance_wei(sender.address)
    receipt = sender.send("0x" + "22" * 20, b"", blobs=BLOBS)
    assert receipt.blob_gas_used == len(BLOBS) * BLOB_GAS and receipt.gas_used == 21_000
    assert before - anvil.rpc.balance_wei(sender.address) == receipt.fee_wei > 0
    assert [bytes.fromhex(text[2:]) for text in anvil.rpc.transaction(receipt.transaction_hash)["blobVersionedHashes"]] == list(HASHES)
    source = FirstOf(AnvilBlobs(anvil.rpc), archive=BlobArchive(tmp_path))
    found = [source.blob(name, receipt.block_number) for name in HASHES]
    assert tuple(found) == BLOBS and blobs_bytes(found[1:]) == b"transcript " * 100
    # Once seen, it is there without the chain.
    assert FirstOf(archive=BlobArchive(tmp_path)).blob(HASHES[0], receipt.block_number) == BLOBS[0]
    with pytest.raises(BlobMissing, match="anvil does not have it"):
        AnvilBlobs(anvil.rpc).blob(b"\1" * 32, receipt.block_number)


# ---- beacon node


class Beacon:
    """A beacon node with blobs in slots, and the execution node's blocks."""

    def __init__(self, answer: httpx.Response | None = None) -> None:
        self.slots = {5: BLOBS}
        self.answer, self.asked = answer, []

    def source(self) -> BeaconBlobs:
        transport = httpx.MockTransport(self.handle)
        return BeaconBlobs("http://beacon/", Rpc("http://node", transport=transport), transport=transport)

    def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "node":
            return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": {"hash": "0x" + "11" * 32, "timestamp": hex(GENESIS_S + 5 * 12)}})
        self.asked.append(request.url.path)
        if request.url.path == "/eth/v1/beacon/genesis":
            return httpx.Response(200, json={"data": {"genesis_time": str(GENESIS_S)}})
        if self.answer is not None:
            return self.answer
        wanted = request.url.params["versioned_hashes"]
        found = [blob for blob in self.slots.get(int(request.url.path.rsplit("/", 1)[1]), ()) if f"0x{blob_hash(blob).hex()}" == wanted]
        return httpx.Response(200, json={"data": [f"0x{blob.hex()}" for blob in found]})


def test_a_beacon_node_is_asked_for_the_slot_of_the_block():
    beacon = Beacon()
    with beacon.source() as source:
        assert [source.blob(name, 77) for name in HASHES] == list(BLOBS)
        with pytest.raises(BlobMissing, match="has none in slot 5"):
            source.blob(b"\1" * 32, 77)
    assert beacon.asked == ["/eth/v1/beacon/genesis", *["/eth/v1/beacon/blobs/5"] * 3]


@pytest.mark.slow
def test_anvils_beacon_interface_gives_the_same(anvil_binary):
    """Blocks every twelve seconds, so that slots are blocks, as anvil counts them."""
    with Anvil(GENESIS_S, binary=anvil_binary) as chain, BeaconBlobs(chain.url, chain.rpc) as source:
        chain.rpc.call("anvil_setBlockTimestampInterval", [12])
        sender = Sender(chain.rpc, keccak(b"beacon"))
        chain.fund(sender.address)
        sender.send("0x" + "22" * 20, b"")
        receipt = sender.send("0x" + "22" * 20, b"", blobs=BLOBS)
        assert [source.blob(name, receipt.block_number) for name in HASHES] == list(BLOBS)
        with pytest.raises(BlobMissing):
            source.blob(HASHES[0], receipt.block_number - 1)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(404, json={"message": "pruned"}), "status 404"),
        (httpx.Response(200, text="<html>"), "no answer from the beacon node: JSONDecodeError"),
        (httpx.Response(200, content=b"[" * 200_000), "no answer from the beacon node: ValueError brackets nested"),
        (httpx.Response(200, json={"data": []}), "none in slot 5"),
        (httpx.Response(200, json={"data": ["0x1234"]}), "gave no blob of 131072 bytes"),
        (httpx.Response(200, json={"data": ["0x" + "zz" * BLOB_BYTES]}), "gave no blob of 131072 bytes"),
        (httpx.Response(200, json={"data": ["0x" + BLOBS[1].hex()]}), "the source gave another, 0x01"),
        (httpx.Response(200, json={"data": ["0x" + "ff" * BLOB_BYTES]}), "element 0 is .*, expected less than the modulus"),
    ],
)
def test_a_beacon_node_is_not_believed(answer, reason):
    with Beacon(answer).source() as source, pytest.raises(BlobMissing, match=reason):
        source.blob(HASHES[0], 77)


# ---- archive


def test_the_archive_keeps_blobs_and_checks_what_it_reads(tmp_path):
    archive = BlobArchive(tmp_path / "blobs")
    with pytest.raises(BlobMissing, match="not in "):
        archive.blob(HASHES[0], 1)
    assert archive.keep(BLOBS[0]) == archive.keep(BLOBS[0]) == HASHES[0]
    assert archive.blob(HASHES[0], 1) == BLOBS[0]
    (file,) = (tmp_path / "blobs").iterdir()
    file.write_bytes(BLOBS[1])
    with pytest.raises(BlobMissing, match="gave another"):
        archive.blob(HASHES[0], 1)
    file.write_bytes(BLOBS[0][:-1])
    with pytest.raises(BlobMissing, match="expected 131072"):
        archive.blob(HASHES[0], 1)
    with pytest.raises(BlobError):
        archive.keep(b"")


def test_sources_are_asked_in_turn(tmp_path):
    good, bad = BlobArchive(tmp_path / "good"), BlobArchive(tmp_path / "bad")
    for blob in BLOBS:
        good.keep(blob)
    assert FirstOf(bad, good).blob(HASHES[1], 1) == BLOBS[1]
    with pytest.raises(BlobMissing, match=r"bad; blob .*good"):
        FirstOf(bad, good).blob(b"\1" * 32, 1)
    with pytest.raises(BlobMissing, match="nobody to ask"):
        FirstOf().blob(HASHES[0], 1)


# ---- costs


def test_calldata_cost_at_least_the_floor(anvil):
    """The formula is anvil's: EIP-2028 for busy transactions, EIP-7623 for those that only carry data."""
    sender = Sender(anvil.rpc, keccak(b"floor"))
    anvil.fund(sender.address)
    for data in (b"", bytes(100), b"\1" * 100, b"\1\0" * 500):
        assert sender.send("0x" + "22" * 20, data).gas_used == transaction_gas(data, 0)
    data = b"\1" * 1000
    assert transaction_gas(data, 0) == 21_000 + 40 * 1000
    assert transaction_gas(data, 24_000) == transaction_gas(data, 0) and transaction_gas(data, 24_001) == transaction_gas(data, 0) + 1
    assert calldata_gas(b"\1\0\0") == 24


GAS = ProposalGas(empty=190_000, cell=Fraction(1711, 2), empty_floor=100_000, cell_floor=Fraction(1270), blob=250_000)


@pytest.mark.parametrize("prices", [(10**9, 1), (10**9, 10**9), (7, 10**9), (30 * 10**9, 5 * 10**9), (10**9, 30 * 10**9)])
def test_the_batch_size_from_which_a_blob_is_cheaper(prices):
    gas_price, blob_price = prices
    blob = GAS.blob * gas_price + BLOB_GAS * blob_price
    first = cheapest_blob_cells(GAS, gas_price, blob_price)
    assert GAS.calldata(first) * gas_price > blob >= GAS.calldata(first - 1) * gas_price


def test_a_blob_may_always_be_cheaper():
    assert cheapest_blob_cells(replace(GAS, blob=100_000), 10**9, 1) == 0
    for change, prices in (({"cell": Fraction(0)}, (1, 1)), ({"cell_floor": Fraction(-1)}, (1, 1)), ({}, (0, 1))):
        with pytest.raises(ValueError, match="expected more than 0"):
            cheapest_blob_cells(replace(GAS, **change), *prices)


def test_the_floor_is_what_large_bodies_in_calldata_cost():
    assert GAS.calldata(0) == 190_000 and GAS.calldata(217) == 190_000 + Fraction(1711, 2) * 217
    assert GAS.calldata(1000) == 100_000 + 1270 * 1000
