"""The operator is gone and its database deleted: every account leaves, with nobody's help, from layer-1 data, one member's data, or its saved path.

Attack 19 of research/rollup.md: an escape that cannot be taken. Each way out is rebuilt from what is left when the operator is not.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from support.deserted import DAY_S, DOLLARS, EXIT, Deserted, begun, deserted, served
from typer.testing import CliRunner

from straddle.cli import exit as exit_module
from straddle.cli.main import app
from straddle.commitments.holdings import Holdings
from straddle.commitments.layout import DataError
from straddle.commitments.ledger import CommittedState
from straddle.commitments.policy import Data, Proofs
from straddle.commitments.saved import SavedAccount, save_account
from straddle.committee.client import MemberBodies, MemberClient
from straddle.committee.service import member_app
from straddle.l1.blobs import BlobArchive
from straddle.l1.deploying import StatementKey
from straddle.l1.exits import ExitsClient
from straddle.l1.history import BlobSource, BodySource, History, read_history
from straddle.l1.rpc import Reverted
from straddle.l1.sender import Sender
from straddle.node.feed import RecordedMarket
from straddle.node.leaving import Leaving, Stage
from straddle.node.recovery import RecoveryError, final_state, recorded_table
from straddle.node.statements import StatementProver, WitnessProver
from straddle.node.steps import Standing
from straddle.proving.holdings import HoldingsFacts, count_chunk
from straddle.proving.prover import Progress, ProveResult, WitnessFile
from straddle.proving.server import ProvingServer
from straddle.risk.parameters import DEFAULT_PARAMETERS

pytestmark = pytest.mark.slow


class Remembering:
    """A prover that proves the same witness once: where two policies lead to the same state, the same claims are made of it."""

    def __init__(self, prover: WitnessProver) -> None:
        self._prover, self._made = prover, dict[bytes, ProveResult]()

    def prove(self, witness: WitnessFile, progress: Callable[[Progress], None] | None = None) -> ProveResult:
        key = keccak(witness.to_json(indent=None).encode())
        if key not in self._made:
            self._made[key] = self._prover.prove(witness, progress)
        return self._made[key]


@pytest.fixture(scope="module")
def claims_prover(exits_prover: ProvingServer) -> Remembering:
    return Remembering(exits_prover)


class Way:
    """The way out for every account of a deserted rollup, as `straddle exit` takes it. What was read and rebuilt once serves all accounts."""

    def __init__(self, rollup: Deserted, prover: WitnessProver, bodies: BodySource | None = None, blobs: BlobSource | None = None) -> None:
        self.rollup, self.prover, self.bodies, self.blobs = rollup, prover, bodies, blobs
        self.exits = ExitsClient(rollup.anvil.rpc, rollup.deployment)
        self._rebuilt: CommittedState | None = None
        self._read: dict[tuple[int, int], History] = {}
        self._opened = 0

    def past(self) -> History:
        self._opened = self._opened or self.exits.state().opened_at
        known = (self._opened, len(self.rollup.epochs))
        if known not in self._read or not self._opened:
            self._read[known] = read_history(self.rollup.anvil.rpc, self.rollup.deployment, bodies=self.bodies, blobs=self.blobs)
        return self._read[known]

    def state(self, history: History) -> CommittedState:
        if self._rebuilt is None:
            self._rebuilt = final_state(history, self.rollup.deployment, self.rollup.preset, self.rollup.params)
        return self._rebuilt

    def leave(self, account: int, sender: Sender | None, saved: SavedAccount | None = None) -> Standing:
        it, rollup = self.rollup.deployment, self.rollup

        def account_of(history: History) -> SavedAccount:
            return saved or save_account(self.state(history), account, it.chain_id, it.rollup_number)

        def proves(sender: Sender) -> StatementProver:
            facts = HoldingsFacts(it.chain_id, it.rollup_number, self.exits.statement.vk_id, int(sender.address, 16))
            return StatementProver(self.prover, EXIT, rollup.domain, facts)

        return Leaving(rollup.client, self.exits, account, self.past, account_of, proves).advance(sender)

    def worth(self) -> dict[int, Holdings]:
        """Account -> what the final state and the marks make of it: an audit from the rebuilt state alone."""
        history = self.past()
        state = self.state(history)
        table = recorded_table(history.epochs[self.exits.state().marks_epoch], state.listed, DEFAULT_PARAMETERS)
        assert table is not None
        openings = {id_: save_account(state, id_, 1, 1).opening for id_ in sorted(state.accounts)}
        return {id_: count_chunk(opening, table, self.rollup.domain) for id_, opening in openings.items()}

    def claim_all(self, sender: Sender) -> dict[int, Holdings]:
        """Everybody's claim that is not made yet is proved and made, by anyone; what each account is worth."""
        worth = self.worth()
        for id_ in sorted(worth):
            made, standing = self.exits.claim_of(id_) is not None, self.leave(id_, sender)
            claimed = [text for text in standing.done if text.startswith("claimed")]
            assert len(claimed) == (worth[id_].claims > 0 and not made), (id_, standing)
        state = self.exits.state()
        assert state.total_claims == sum(item.claims for item in worth.values())
        assert state.total_claims - sum(item.debts for item in worth.values()) == state.pool, "what is claimed and owed is what there is"
        return worth

    def pay_all(self, worth: dict[int, Holdings], row: int, refunds: dict[int, int]) -> None:
        """Every owner takes the last steps; each gets his share and what he is due besides, all from the row as it was."""
        rollup, state, paid = self.rollup, self.exits.state(), 0
        before = {trader.account: rollup.client.token_balance(trader.wallet.address) for trader in rollup.traders}
        for trader in rollup.traders:
            standing = self.leave(trader.account, rollup.sender_of(trader))
            assert standing.next.stage is Stage.ENDED, standing
            received = rollup.client.token_balance(trader.wallet.address) - before[trader.account]
            claim = worth[trader.account].claims if trader.account in worth else 0
            assert received == claim * min(state.pool, state.total_claims) // state.total_claims + refunds.get(trader.account, 0), trader.account
            paid += received
        stranger = rollup.stranger()
        for id_ in (1, 2):
            if self.exits.claim_of(id_) is not None:
                self.exits.collect(stranger, id_)
            paid += self.exits.collected(id_)
        assert paid + rollup.client.row() == row, "to the unit"
        assert rollup.client.row() < len(worth), "only rounding is left"


LEFT_S = 26 * DAY_S
"""The exits open so long after the start, and the marks are signed an hour later: late enough under every policy, and at one time, for one set of claims."""


@contextmanager
def all_that_is_left(rollup: Deserted) -> Iterator[BodySource | None]:
    """Who has the data that are not on layer 1: one member, where a committee has them."""
    if rollup.data is not Data.COMMITTEE:
        yield None
        return
    with served(member_app(rollup.member)) as url:
        yield MemberBodies([MemberClient(url)])


@pytest.mark.parametrize(
    ("proofs", "data"),
    [(Proofs.WHEN_CHALLENGED, Data.CALLDATA), (Proofs.ALWAYS, Data.CALLDATA), (Proofs.ALWAYS, Data.COMMITTEE)],
    ids=["optimistic", "zk", "validium"],
)
def test_attack_19_fifty_accounts_leave_under_every_policy(
    proofs: Proofs, data: Data, market: RecordedMarket, tmp_path: Path, keys: tuple[StatementKey, StatementKey], claims_prover: Remembering
) -> None:
    """Nobody proves, nobody proposes; prices have fallen by a fifth, one account owes. All are paid the same share, to the unit."""
    with deserted(market, tmp_path / "operator", keys, proofs=proofs, data=data) as rollup:
        begun(rollup, 50)
        expected = {id_: item.account.cash for id_, item in rollup.sequencer.committed.accounts.items()}
        holders = [id_ for id_, item in rollup.sequencer.committed.accounts.items() if set(item.account.positions) & set(rollup.options)]
        assert len(holders) >= 50
        rollup.desert()
        late, stranger, opens_s = rollup.join(500), rollup.stranger(), market.path.start_ms // 1000 + LEFT_S
        rollup.anvil.fund(stranger.address, 10**24)
        with all_that_is_left(rollup) as bodies:
            way = Way(rollup, claims_prover, bodies)
            step = way.leave(3, stranger).next
            assert step.stage is Stage.OPERATING and step.due_s is not None and step.act is None
            with pytest.raises(Reverted, match="no entry has waited long enough"):
                rollup.client.freeze(stranger)
            assert step.due_s < opens_s
            rollup.anvil.set_time(opens_s)
            row = rollup.client.row()
            standing = way.leave(late.account, stranger)
            assert {"the rollup is frozen", "exits opened", "deposit 101 of 500.000000 USDC taken back"} <= set(standing.done), standing
            assert rollup.client.claimable(late.wallet.address) == 500 * DOLLARS
            assert rollup.client.final_batch() == rollup.posted and rollup.client.row() == row - 500 * DOLLARS
            assert {id_: item.account.cash for id_, item in way.state(way.past()).accounts.items()} == expected

        rollup.submit(rollup.sign_marks(1000 * (opens_s + 3_600), -2_000))  # from here on nobody's data are asked for
        last_two = [way.leave(id_, stranger) for id_ in (3, 4)]
        assert last_two[0].done == (f"marks: the table of epoch {rollup.epochs[-1].epoch}",) and last_two[1].done == ()
        rollup.anvil.set_time(last_two[0].next.due_s + 1)
        worth, state = way.claim_all(stranger), way.exits.state()
        assert sum(item.debts > 0 for item in worth.values()) == 1, "the thin account owes"
        assert way.exits.state().total_claims > state.pool == sum(expected.values())
        rollup.anvil.set_time(state.claims_until_s + 1)
        way.pay_all(worth, row, {late.account: 500 * DOLLARS})


def test_attack_19_a_validium_is_left_with_one_members_data_or_a_saved_account(
    market: RecordedMarket, tmp_path: Path, keys: tuple[StatementKey, StatementKey], exits_prover: ProvingServer
) -> None:
    with deserted(market, tmp_path / "operator", keys, proofs=Proofs.ALWAYS, data=Data.COMMITTEE) as rollup:
        begun(rollup, 5)
        it, committed = rollup.deployment, rollup.sequencer.committed
        files = {trader.account: save_account(committed, trader.account, it.chain_id, it.rollup_number).to_json() for trader in rollup.traders}
        stale = save_account(committed, 4, it.chain_id, it.rollup_number)
        cash = sum(item.account.cash for item in committed.accounts.values())
        rollup.desert()
        rollup.client.force_withdraw(rollup.sender_of(rollup.traders[0]), rollup.traders[0].account, 1)
        with served(member_app(rollup.member)) as url:
            _leave_a_validium(rollup, exits_prover, url, files, stale, cash)


def _leave_a_validium(rollup: Deserted, prover: WitnessProver, url: str, files: dict[int, str], stale: SavedAccount, cash: int) -> None:
    """Odd accounts with their saved files and nobody's data, even ones with one member's."""
    stranger = rollup.stranger()
    alone, helped = Way(rollup, prover), Way(rollup, prover, MemberBodies([MemberClient(url)]))
    rollup.pass_days(10.1)
    assert alone.leave(3, stranger, SavedAccount.from_json(files[3])).next.stage is Stage.MARKS
    where = ("--l1", rollup.anvil.rpc.url, "--rollup", rollup.deployment.rollup, "--account", 4)
    code, said = run(*where)
    assert code == 2 and "its data are not on layer 1, or no longer" in said, said
    code, said = run(*where, "--data", url)
    assert code == 0 and "they are fixed then" in said, said
    with pytest.raises(DataError, match="state_root: saved at"):
        alone.leave(4, stranger, _moved(stale))

    rollup.pass_days(3.1)  # no table comes: the final batch's are the marks
    for trader in rollup.traders:
        way, saved = (alone, SavedAccount.from_json(files[trader.account])) if trader.account % 2 else (helped, None)
        standing = way.leave(trader.account, stranger, saved)
        assert standing.done[-1].startswith("claimed") and standing.next.stage is Stage.CLAIMS, standing
    assert rollup.epochs[-1].epoch == alone.exits.state().marks_epoch
    helped.leave(2, stranger)
    helped.leave(1, stranger)
    state = alone.exits.state()
    assert state.total_claims == state.pool == cash, "nobody owes: everybody is paid in full"
    rollup.pass_days(14.1)
    for trader in rollup.traders:
        standing = alone.leave(trader.account, rollup.sender_of(trader))
        assert standing.next.stage is Stage.ENDED, standing
        assert rollup.client.token_balance(trader.wallet.address) == helped.worth()[trader.account].claims


def _moved(saved: SavedAccount) -> SavedAccount:
    """As if it had been saved a batch earlier."""
    opening = saved.opening
    parts = opening.parts._replace(batch_number=opening.parts.batch_number - 1)
    return SavedAccount(
        saved.chain_id, saved.rollup, type(opening)(opening.params, parts, opening.chunk, opening.leaves, opening.positions, opening.path), saved.listed
    )


def test_attack_19_a_zk_rollup_with_an_unproved_proposal_is_left(
    market: RecordedMarket, tmp_path: Path, keys: tuple[StatementKey, StatementKey], exits_prover: ProvingServer
) -> None:
    """The proposal that nobody proves is voided; what it would have done did not happen, and its table cannot become the marks."""
    with deserted(market, tmp_path / "operator", keys, proofs=Proofs.ALWAYS) as rollup:
        begun(rollup, 3)
        final, rollup.prove = rollup.sequencer.committed.copy(), False
        rollup.trade(rollup.traders[0], rollup.traders[1], rollup.options[0], 4)
        rollup.desert()
        way, stranger = Way(rollup, exits_prover), rollup.stranger()
        assert rollup.client.proposed_batch() == rollup.client.final_batch() + 1
        rollup.client.force_close(rollup.sender_of(rollup.traders[1]), rollup.traders[1].account, 0)
        rollup.pass_days(10.1)
        standing = way.leave(3, stranger)
        assert standing.done[:2] == ("the rollup is frozen", f"proposals from {final.batch_number + 1} on voided")
        assert way.state(way.past()).root == final.root == way.exits.state().state_root
        opened, root = way.exits.state().opened_at, rollup.final_listings_root
        rollup.final_listings_root = root ^ 1  # as if instruments had been listed in the batch that is void
        rollup.submit(rollup.sign_marks(1000 * (opened + 30), 100))
        assert way.leave(3, stranger).done == ()
        rollup.final_listings_root = root
        rollup.submit(rollup.sign_marks(1000 * (opened + 40), 500))
        assert way.leave(3, stranger).done == (f"marks: the table of epoch {rollup.epochs[-1].epoch}",)
        assert DAY_S == 86_400 and way.leave(3, None).next.due_s == way.exits.state().claims_after_s


def run(*arguments: object) -> tuple[int, str]:
    """`straddle exit` with these arguments: its exit code and what it says, on one line."""
    result = CliRunner().invoke(app, ["exit", *map(str, arguments)], env={"COLUMNS": "200"})
    return result.exit_code, " ".join((result.output + (result.stderr if result.stderr_bytes else "")).split())


@contextmanager
def a_node(answer: str) -> Iterator[str]:
    """Something that answers every request with this text, as a node's interface would; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if answer else 404)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def lies_of(text: str) -> list[tuple[str, str]]:
    """What a dishonest node could say, and why it is not kept."""
    honest = json.loads(text)
    richer = honest | {"leaf": honest["leaf"] | {"cash": str(int(honest["leaf"]["cash"]) + 1)}}
    older = honest | {"state": honest["state"] | {"queue_pointer": "0"}}
    return [
        (json.dumps(richer), "path: leads to"),
        (json.dumps(older), "state_root: saved at"),
        (json.dumps(honest | {"positions": {}}), "positions: their digest differs"),
        (json.dumps(honest | {"account": "5"}), "it saved account 5"),
        (json.dumps(honest | {"state": honest["state"] | {"batch_number": "999"}}), "batch 999: not proposed on layer 1"),
        ("{}", "saved account: found"),
        ("", "status 404"),
    ]


def test_the_command_takes_an_account_all_the_way(
    market: RecordedMarket, tmp_path: Path, keys: tuple[StatementKey, StatementKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exit_module, "WAIT_S", 0.0)
    monkeypatch.setattr(exit_module, "POLL_S", 0.01)
    with deserted(market, tmp_path / "operator", keys, proofs=Proofs.ALWAYS) as rollup:
        begun(rollup, 3)
        worth = rollup.session.exchange.requirement_of(4).equity
        root = rollup.sequencer.committed.root
        rollup.desert()
        trader = rollup.traders[1]
        where = ("--l1", rollup.anvil.rpc.url, "--rollup", rollup.deployment.rollup, "--account", trader.account)
        key, saved = tmp_path / "key", tmp_path / "saved.json"
        key.write_text("0x" + bytes(trader.wallet.key).hex() + "\n")
        assert run(*where, "--save", saved)[0] == 0
        SavedAccount.from_json(saved.read_text()).check(root)
        with a_node(saved.read_text()) as url:
            assert run(*where, "--save", tmp_path / "from-node.json", "--node", url)[0] == 0
        assert (tmp_path / "from-node.json").read_text() == saved.read_text()
        for text, message in lies_of(saved.read_text()):
            with a_node(text) as url:
                code, said = run(*where, "--save", tmp_path / "lie.json", "--node", url)
            assert code == 2 and message in said and not (tmp_path / "lie.json").exists(), (message, said)
        code, said = run(*where)
        assert code == 0 and "nothing to leave yet: every request is answered" in said and "--start" in said, said
        code, said = run(*where, "--start")
        assert code == 2 and f"--start: expected together with the --key of the owner of account {trader.account}" in said, said
        rollup.sender_of(trader)
        code, said = run(*where[:-2], "--key", key, "--start")
        assert code == 0 and "asks for 0.000001 USDC: the clock runs" in said and "freeze the rollup, unless queue entry" in said, said
        assert "at hand: this machine has the exchange's key of nano-exit" in said, said
        code, said = run(*where, "--keys", tmp_path / "no keys")
        assert code == 0 and "not at hand. proving key of nano-exit: this machine has none, expected the one with vk_id 0x" in said, said
        rollup.pass_days(10.1)
        assert "possible now" in run(*where)[1] and not rollup.client.frozen()
        code, said = run(*where, "--key", key)
        assert code == 0 and "the rollup is frozen" in said and "exits opened" in said and "not before" in said, said
        other = (*where[:-1], 3)
        code, said = run(*other, "--key", key, "--saved", saved)
        assert code == 2 and "account 0x4, expected 0x3" in said, said
        rollup.pass_days(3.1)
        code, said = run(*where, "--key", key, "--saved", saved)
        assert code == 0 and "marks: the final batch's table" in said and "claimed" in said, said
        rollup.pass_days(14.1)
        code, said = run(*where, "--key", key)
        assert code == 0 and "collected" in said and "pulled" in said and "ended" in said, said
        assert rollup.client.token_balance(trader.wallet.address) == worth
        refusals = [
            ((*where, "--key", Path(__file__)), "is no private key"),
            ((*where, "--rollup", "0x12"), "--rollup: '0x12', expected an address"),
            ((*where, "--node", "http://127.0.0.1:1"), "expected only together with --save"),
            ((*where, "--save", saved, "--node", "http://127.0.0.1:1"), "no node answers"),
            (("--l1", rollup.anvil.rpc.url, "--account", 3), "--rollup: missing"),
            (where[:-2], "--account: missing, expected its number, or its owner's --key"),
            ((*where[:-1], 256), "--account: 256, expected less than 256"),
        ]
        for arguments, message in refusals:
            code, said = run(*arguments)
            assert code == 2 and message in said, (message, said)


def test_attack_19_a_rollup_with_data_in_blobs_is_left_from_an_archive(
    market: RecordedMarket, tmp_path: Path, keys: tuple[StatementKey, StatementKey], claims_prover: Remembering
) -> None:
    """A folder of somebody who kept the blobs gives the whole state; without one, nothing does. Once the claims are made nobody's data are needed."""
    archive = BlobArchive(tmp_path / "blobs")
    with deserted(market, tmp_path / "operator", keys, data=Data.BLOB, archive=archive) as rollup:
        begun(rollup, 3)
        cash, row = {id_: item.account.cash for id_, item in rollup.sequencer.committed.accounts.items()}, rollup.client.row()
        rollup.client.force_withdraw(rollup.sender_of(rollup.traders[0]), 3, 1)
        rollup.desert()
        rollup.pass_days(17.1)
        key = tmp_path / "key"
        key.write_text(bytes(rollup.traders[1].wallet.key).hex())
        where = ("--l1", rollup.anvil.rpc.url, "--rollup", rollup.deployment.rollup, "--account", 4, "--key", key)
        code, said = run(*where, "--data", archive.directory)
        assert code == 0 and f"batch {rollup.posted} final" in said and "exits opened" in said, said
        rollup.pass_days(3.1)
        code, said = run(*where, "--data", archive.directory)
        assert code == 0 and "claimed" in said, said
        it, way = rollup.deployment, Way(rollup, claims_prover, blobs=archive)
        kept = final_state(read_history(rollup.anvil.rpc, it, blobs=archive), it, rollup.preset, rollup.params)
        assert kept.root == way.exits.state().state_root
        worth = way.claim_all(rollup.stranger())
        assert way.exits.state().pool == row == sum(cash.values()) and len(worth) == 5
        for path in archive.directory.iterdir():
            path.unlink()
        with pytest.raises(RecoveryError, match="its data are not on layer 1, or no longer"):
            final_state(read_history(rollup.anvil.rpc, it, blobs=archive), it, rollup.preset, rollup.params)
        rollup.pass_days(14.1)
        Way(rollup, claims_prover).pay_all(worth, row, {})
