"""What the prover of a challenged batch is paid, at base fees of a real chain. pyrevm knows none: tests/contracts has the rest."""

from __future__ import annotations

from pathlib import Path

from support.deserted import HashProof, begun, deserted

from straddle.l1.deploying import StatementKey
from straddle.l1.history import read_history
from straddle.node.feed import RecordedMarket
from straddle.node.proposals import StandingBatch

FIXED_WEI, GAS = 5 * 10**14, 400_000
DEAREST = 10**12
"""A base fee at which a proof costs more than the bond."""


def test_a_proof_is_paid_what_it_costs_and_never_more_than_the_bond(market: RecordedMarket, tmp_path: Path, keys: tuple[StatementKey, StatementKey]) -> None:
    with deserted(market, tmp_path / "operator", keys) as rollup:
        begun(rollup, 3)
        rpc, client, bond = rollup.anvil.rpc, rollup.client, rollup.deployment.config.challenger_bond_wei
        batches = read_history(rpc, rollup.deployment).batches
        prover, doubter = rollup.stranger("prover"), rollup.stranger("doubter")
        fees = [10**9, 2 * 10**10, DEAREST][: len(batches)]
        owed = 0
        for batch, fee in zip(batches, fees, strict=False):
            client.challenge(doubter, batch.batch_number)
            rollup.anvil.fund(prover.address, 10**24)
            rpc.call("anvil_setNextBlockBaseFeePerGas", [hex(fee)])
            rpc.call("evm_mine")  # a sender goes by the newest block
            rpc.call("anvil_setNextBlockBaseFeePerGas", [hex(fee)])
            standing = StandingBatch.of(rollup.deployment, batch)
            receipt = client.prove(prover, standing, HashProof.of((*standing.public[:4], int(prover.address, 16))))
            paid = int(rpc.call("eth_getBlockByNumber", [hex(receipt.block_number), False])["baseFeePerGas"], 16)
            assert paid == fee
            reward = min(bond, FIXED_WEI + GAS * fee)
            assert reward >= min(bond, receipt.gas_used * fee), "more than the transaction costs, or all there is"
            owed += reward
            rpc.call("anvil_setNextBlockBaseFeePerGas", ["0x1"])
            rpc.call("evm_mine")
            assert (client.wei_owed(prover.address), client.wei_owed(doubter.address)) == (owed, batch.batch_number * bond - owed)
        assert reward == bond, "the last one was dear"
        left = client.proposed_batch() - client.final_batch()
        assert client.reserved_wei() == client.wei_owed(rollup.poster.address) + len(fees) * bond + left * rollup.deployment.config.proposer_bond_wei
