"""A validium with seven members as processes: six sign while one is away, with two away batches go to layer 1, and come back when the members do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.loop import Loop, open_loop

from straddle.commitments.policy import Data
from straddle.commitments.state_copy import load_state
from straddle.committee.client import MemberBodies, MemberClient
from straddle.l1.anvil import AnvilError, find_anvil
from straddle.l1.history import read_history
from straddle.node.members import DevCommittee, MembersCertifier, connect
from straddle.node.network import Network
from straddle.node.terms import MEMBERS, PolicyTerms
from straddle.node.verify import verify
from straddle.proving.prover import Prover, ProverError

pytestmark = pytest.mark.slow

VALIDIUM = PolicyTerms(data=Data.COMMITTEE)


@dataclass
class Committee:
    """The members of a loop, and the way to them."""

    processes: DevCommittee
    record: Path
    network: Network
    urls: dict[str, str]
    stack: ExitStack

    def certifier(self) -> MembersCertifier:
        client = self.stack.enter_context(connect(self.network.deployment, self.urls))
        return MembersCertifier(self.network.deployment, client, self.network.sequencer)

    def restart(self) -> None:
        """All run again; those that were away listen elsewhere."""
        self.urls = self.processes.start(self.record, self.network.anvil.url)

    def tips(self) -> set[tuple[int, str]]:
        found = set()
        for url in self.urls.values():
            with MemberClient(url) as client:
                status = client.status()
                found.add((status["batch_number"], status["state_root"]))
        return found


@pytest.fixture
def prover() -> Prover:
    try:
        find_anvil()
        return Prover()
    except (AnvilError, ProverError) as error:
        pytest.skip(f"needs `make setup`: {error}")


@pytest.fixture
def validium(prover: Prover, tmp_path: Path) -> Iterator[tuple[Loop, Committee]]:
    made: list[Committee] = []
    with ExitStack() as stack:

        def start(network: Network) -> MembersCertifier:
            processes = stack.enter_context(DevCommittee(tmp_path / "members", MEMBERS, network.members))
            record = tmp_path / "deployment.json"
            record.write_text(network.deployment.to_json())
            made.append(Committee(processes, record, network, processes.start(record, network.anvil.url), stack))
            return made[0].certifier()

        loop = stack.enter_context(open_loop(prover, tmp_path, VALIDIUM, certifier=start))
        yield loop, made[0]


def places(loop: Loop) -> list[Data]:
    return [batch.place.data for batch in read_history(loop.anvil.rpc, loop.network.deployment).batches]


def new_poster(loop: Loop, committee: Committee) -> None:
    """The node is restarted, with the members' addresses of now."""
    loop.poster.close()
    loop.poster = loop.network.poster(loop.folder / "poster.sqlite", loop.prover, loop.steps.append, certifier=committee.certifier(), patience_s=0.0)
    for closed in loop.exchange.closed:
        loop.poster.add(closed)


def test_a_validium_with_its_members_away_and_back(validium: tuple[Loop, Committee]) -> None:
    loop, committee = validium
    client, deployment, rpc = loop.client, loop.network.deployment, loop.anvil.rpc
    first, second = committee.processes.addresses[0], committee.processes.addresses[4]

    committee.processes.stop(first)  # kill -9
    loop.poster.advance()
    assert places(loop) == [Data.COMMITTEE] and client.proposed_batch() == 1

    committee.processes.stop(second)
    loop.trade()
    loop.poster.advance()
    away = len(loop.exchange.closed)
    assert places(loop) == [Data.COMMITTEE, *[Data.CALLDATA] * (away - 1)]
    ((root, copies),) = read_history(rpc, deployment).snapshots.items()
    assert root == client.batch(1).state_root and load_state(copies[0], loop.network.params).root == root

    committee.restart()
    new_poster(loop, committee)
    loop.next_epoch()
    loop.trade()
    loop.poster.advance()
    count = len(loop.exchange.closed)
    assert places(loop)[away:] == [Data.COMMITTEE] * (count - away)
    assert committee.tips() == {(count, f"{loop.exchange.sequencer.state_root:#066x}")}  # those that were away have what they missed

    loop.poster.post()
    assert client.final_batch() == count and client.state_root() == loop.exchange.sequencer.state_root
    with MemberClient(committee.urls[first]) as member:
        report = verify(rpc, deployment, bodies=MemberBodies([member]))
    assert report.ok and report.batches == count, report.mismatches
    without = verify(rpc, deployment)
    assert "body lies in committee and none of the sources given has it" in without.mismatches[0] and without.batches == 0
