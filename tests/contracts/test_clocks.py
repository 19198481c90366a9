"""The queue's clocks: permissionless mode after 7 days, the freeze, and what is left to do after it. Both sides of every boundary, in seconds."""

from __future__ import annotations

import pytest

USDC = 1_000_000
FEE_WEI = 10**12
DAY_S = 86_400
ALICE, BOB, EVE, PROVER = ("0x" + "00" * 18 + f"{n:04x}" for n in (0xA1, 0xB0, 0xE7, 0x9407))
EXITS = "0x" + "00" * 18 + "e817"
POLICIES = {"zk": {}, "zk-blob": {"data": 2}, "validium": {"data": 3}, "optimistic": {"policy": 2}, "optimistic-blob": {"policy": 2, "data": 2}}


def fails(reason: str):
    return pytest.raises(Exception, match=f"^Rollup: {reason}$")


@pytest.fixture(params=POLICIES)
def x(request, chain, new_exchange):
    """Two entries in the queue, nothing answered."""
    return waiting(new_exchange(chain, **POLICIES[request.param]))


@pytest.fixture
def zk(exchange):
    return waiting(exchange)


@pytest.fixture
def optimistic(chain, new_exchange):
    return waiting(new_exchange(chain, policy=2))


def waiting(exchange):
    for who in (EVE, PROVER):
        exchange.chain.fund(who)
    exchange.deposit(ALICE, 100 * USDC)
    exchange.deposit(BOB, 50 * USDC)
    exchange.submit_epoch()
    return exchange


def later(x, seconds: int) -> None:
    x.chain.warp(seconds)
    x.submit_epoch()


def answer(x, batch, sender: str):
    """Anybody's way to propose in permissionless mode."""
    return x.propose(batch, sender=sender) if x.optimistic else x.propose_and_prove(batch, sender=sender)


# ---------------------------------------------------------------- entries


def test_every_entry_has_the_time_of_its_block(exchange):
    times = []
    for i in range(9):
        exchange.chain.warp(100 + i)
        exchange.deposit(ALICE, 100 * USDC, 0 if i == 0 else 3)
        times.append(exchange.chain.time_s)
    exchange.chain.fund(ALICE)
    exchange.send(ALICE, "force_close", 3, 5, value_wei=FEE_WEI)
    assert [exchange.read("entry_time_s", i) for i in range(11)] == [*times, exchange.chain.time_s, 0]
    assert exchange.read("entry_time_s", 2**255) == 0


# ---------------------------------------------------------------- permissionless mode


def test_attack_16_anyone_proposes_after_seven_days(x):
    start = x.chain.time_s
    later(x, 604_800)
    assert x.chain.time_s == start + 604_800
    assert not x.read("permissionless")
    with fails("only the sequencer proposes"):
        answer(x, x.batch(), EVE)
    later(x, 1)
    assert x.read("permissionless")
    batch = x.batch(withdrawals=[(3, ALICE, USDC)])
    answer(x, batch, EVE)
    # All is answered: the mode is over.
    assert not x.read("permissionless")
    with fails("only the sequencer proposes"):
        answer(x, x.batch(), EVE)
    x.propose(x.batch())


def test_an_idle_queue_opens_nothing(x):
    (x.propose if x.optimistic else x.propose_and_prove)(x.batch())
    later(x, 1000 * DAY_S)
    assert not x.read("permissionless")
    with fails("only the sequencer proposes"):
        answer(x, x.batch(), EVE)
    if not x.optimistic:
        with fails("no entry has waited long enough"):
            x.send(EVE, "freeze")


def test_the_mode_is_open_as_long_as_an_old_entry_waits(x):
    """Entries of different ages: each batch answers some; the last one closes the mode although younger entries wait."""
    later(x, 6 * DAY_S)
    x.deposit(ALICE, 5 * USDC, 3)
    later(x, DAY_S + 1)
    assert x.read("permissionless")
    answer(x, x.batch(entries=1), EVE)
    assert x.read("permissionless")
    answer(x, x.batch(entries=1), PROVER)
    assert not x.read("permissionless")
    with fails("only the sequencer proposes"):
        answer(x, x.batch(), EVE)


def test_attack_10_a_sleeping_proposer_opens_no_way_around_the_checks(x):
    """Everything that binds the sequencer binds whoever stands in: bond, proof, epoch, queue, roots, direct calls, blobs and certificates."""
    later(x, 7 * DAY_S + 1)
    function, arguments, options = x.proposal(x.batch())
    if x.optimistic:
        with fails("wrong proposer bond"):
            x.send(EVE, function, *arguments, **options | {"value_wei": 0})
    else:
        with fails("others than the sequencer must prove at once"):
            x.send(EVE, function, *arguments, **options)
        batch = x.batch()
        good, x.mock_proof = x.mock_proof, lambda *_: [0] * 12
        with fails("invalid proof"):
            x.propose_and_prove(batch, sender=EVE)
        x.mock_proof = good
    for word, reason in ((0, "wrong domain"), (1, "wrong batch number"), (2, "old root is not the parent's new root"), (5, "wrong params hash")):
        batch = x.batch()
        batch.effects[word] += 1
        with fails(reason):
            answer(x, batch, EVE)
    x.chain.warp(901)
    with fails("risk table is too old"):
        answer(x, x.batch(), EVE)
    x.submit_epoch()
    if x.config.data == 3:
        good, x.certificates = x.certificates, lambda batch: good(batch, range(5))
        with pytest.raises(Exception, match=r"^Committee: too few certificates$"):
            answer(x, x.batch(), EVE)
        x.certificates = good
    answer(x, x.batch(), EVE)


def test_others_call_directly_too(zk, mock):
    later(zk, 7 * DAY_S + 1)
    forwarder = zk.chain.deploy(mock("Forwarder"))
    function, arguments, _ = zk.proposal(zk.batch())
    call = zk.rollup.contract.encode_call(f"{function}_and_prove", *arguments, [0] * 12, EVE)
    with pytest.raises(Exception, match="Rollup: call directly, the data must lie in the transaction"):
        zk.chain.send(EVE, forwarder, "forward", zk.rollup.address, call)


def test_attack_06_an_overdue_entry_must_be_answered_by_the_sequencer_too(x):
    """Otherwise it could keep everybody's batch out by proving its own first, which answer nothing."""
    later(x, 7 * DAY_S)
    x.propose(x.batch(entries=0))
    x.chain.warp(1)
    with fails("the batch must answer an entry, the oldest is overdue"):
        x.propose(x.batch(entries=0))
    x.propose(x.batch(entries=1))
    with fails("the batch must answer an entry, the oldest is overdue"):
        x.propose(x.batch(entries=0))
    x.propose(x.batch(entries=1))
    x.propose(x.batch(entries=0))


def test_attack_11_proposals_without_proofs_keep_nobody_out(zk):
    """Where a proof is required: the sequencer's unproved proposals go when somebody brings a batch with its proof; queue, epoch and sequence are the
    parent's again; what was dropped is never proved."""
    zk.propose_and_prove(zk.batch(entries=0))
    later(zk, 7 * DAY_S + 1)
    dropped = [zk.batch(entries=1, withdrawals=[(3, EVE, USDC)])]
    zk.propose(dropped[0])
    dropped.append(zk.batch(entries=1))
    zk.propose(dropped[1])
    assert zk.read("queue_proposed") == 2
    assert zk.read("permissionless")
    arguments = [(batch.effects_bytes, zk.header(batch), zk.mock_proof(batch, EVE), EVE) for batch in dropped]
    zk.forget(2)
    mine = zk.batch(withdrawals=[(3, ALICE, USDC)], new_root=77)
    receipt = zk.propose_and_prove(mine, sender=PROVER)
    assert [log.name for log in receipt.logs] == ["BatchesVoided", "BatchProposed", "BatchFinalised", "Credited"]
    assert receipt.log("BatchesVoided") == {"first": 2, "last": 3}
    assert (zk.read("final_batch"), zk.read("proposed_batch"), zk.read("queue_proposed"), zk.read("state_root")) == (2, 2, 2, 77)
    for words in arguments:
        with pytest.raises(Exception, match=r"^Rollup: (no such proposal|not what was proposed)$"):
            zk.send(EVE, "prove", *words)
    zk.propose(zk.batch())
    for words in arguments:
        with pytest.raises(Exception, match=r"^Rollup: (no such proposal|not what was proposed|not the oldest unproved proposal)$"):
            zk.send(EVE, "prove", *words)
    assert zk.chain.call(zk.vault, "claimable", EVE) == 0


def test_attack_11_a_failed_attempt_drops_nothing(zk):
    later(zk, 7 * DAY_S + 1)
    honest = zk.batch()
    zk.propose(honest)
    kept = zk.headers, zk.roots, zk.queue_ends, zk.last_sequences
    zk.headers, zk.roots, zk.queue_ends, zk.last_sequences = (list(values[:1]) for values in kept)
    zk.mock_proof, good = (lambda *_: [0] * 12), zk.mock_proof
    with fails("invalid proof"):
        zk.propose_and_prove(zk.batch(new_root=5), sender=EVE)
    zk.mock_proof = good
    zk.headers, zk.roots, zk.queue_ends, zk.last_sequences = kept
    assert zk.read("proposed_batch") == 1
    zk.prove(honest)
    assert zk.read("state_root") == honest.effects[3]


def test_nothing_is_dropped_before_the_mode_opens_or_by_the_sequencer(zk):
    zk.propose(zk.batch())
    with fails("not the oldest unproved proposal"):
        zk.propose_and_prove(zk.batch())
    with fails("only the sequencer proposes"):
        zk.propose_and_prove(zk.batch(), sender=EVE)
    assert zk.read("proposed_batch") == 1


def test_the_sequencer_never_drops_its_own(zk):
    later(zk, 7 * DAY_S + 1)
    zk.propose(zk.batch(entries=1))
    with fails("not the oldest unproved proposal"):
        zk.propose_and_prove(zk.batch(entries=1))
    assert zk.read("proposed_batch") == 1


def test_unproved_proposals_answer_nothing_where_a_proof_is_required(zk):
    """Voiding one's own batches delays nothing: the clock is the entry's, and only a final batch stops it."""
    for _ in range(7):
        zk.propose(zk.batch(new_root=zk.chain.time_s))
        later(zk, DAY_S + 1)
        zk.void()
    assert zk.read("permissionless")
    zk.submit_epoch()
    answer(zk, zk.batch(), EVE)


def test_in_optimistic_mode_a_voided_answer_opens_the_mode_again(optimistic):
    x = optimistic
    later(x, 7 * DAY_S + 1)
    false = x.batch(new_root=666)
    x.propose(false, sender=EVE)
    assert not x.read("permissionless")
    with fails("only the sequencer proposes"):
        x.propose(x.batch(), sender=PROVER)
    x.challenge(false, ALICE)
    later(x, DAY_S + 601)
    x.void(1)
    assert x.read("permissionless")
    honest = x.batch()
    x.propose(honest, sender=PROVER)
    assert x.read("stake", 1)[0] == PROVER
    x.chain.warp(7 * DAY_S + 1)
    x.finalise(honest)
    assert (x.read("wei_owed", PROVER), x.read("wei_owed", ALICE), x.read("wei_owed", EVE)) == (10**18, 8 * 10**17, 0)


# ---------------------------------------------------------------- freeze


def test_attack_16_the_freeze_comes_after_ten_or_twentyfour_days(x):
    wait_s = 24 * 86_400 if x.optimistic else 10 * 86_400
    assert x.read("FREEZE_AFTER_S") == wait_s
    x.chain.warp(wait_s)
    with fails("no entry has waited long enough"):
        x.send(EVE, "freeze")
    x.chain.warp(1)
    assert [log.name for log in x.send(EVE, "freeze").logs] == ["Frozen"]
    assert x.read("frozen")
    with fails("frozen"):
        x.send(EVE, "freeze")


def test_attack_17_nothing_unset_freezes_or_opens(x, chain, new_exchange):
    """No entry, no epoch, no proposal: nothing to void, prove, freeze or take over, at any time."""
    empty = new_exchange(chain, policy=x.config.policy)
    chain.warp(10_000 * DAY_S)
    assert not empty.read("permissionless")
    calls = [("freeze",), ("void", 0), ("void", 1), ("collect_wei",), ("pay_exit", EVE, 1), ("prove", bytes(32 * 24), (bytes(32), 0, 0, 0, 0), [0] * 12, EVE)]
    for call in calls:
        with fails("[^:]*"):
            empty.send(EVE, *call)
    with fails("epoch, time and risk root were not recorded"):
        empty.propose(empty.batch())
    with fails("no such proposal"):
        empty.read("stake", 0)


def test_frozen_for_ever(x):
    """No proposal by anybody, no entry; epochs are still recorded."""
    later(x, (24 if x.optimistic else 10) * DAY_S + 1)
    x.send(EVE, "freeze")
    for sender in (x.sequencer, EVE):
        with fails("frozen"):
            answer(x, x.batch(), sender)
    with fails("frozen"):
        x.propose(x.batch())
    for _ in range(2):
        with fails("frozen"):
            x.deposit(ALICE, 5 * USDC)
        for call in (("force_withdraw", 3, 5), ("force_close", 3, 5), ("set_key", 3, (0, 0), (0, 0))):
            with fails("frozen"):
                x.chain.fund(ALICE)
                x.send(ALICE, *call, value_wei=FEE_WEI)
        later(x, 100 * DAY_S)


def test_a_final_answer_is_what_stops_the_freeze(optimistic):
    """When challenged: a surviving proposal closes permissionless mode, but only finality counts for the freeze."""
    x = optimistic
    batch = x.batch()
    x.propose(batch)
    x.chain.warp(24 * DAY_S + 1)
    assert not x.read("permissionless")
    x.finalise(batch)
    with fails("no entry has waited long enough"):
        x.send(EVE, "freeze")


def test_proposals_that_stand_go_on_after_the_freeze(optimistic):
    """Final, challenged, proven, voided: one of each."""
    x = optimistic
    batches = []
    for _ in range(4):
        batches.append(x.batch(entries=0, withdrawals=[(3, ALICE, USDC)]))
        x.propose(batches[-1])
        x.chain.warp(DAY_S)
        x.submit_epoch()
    x.chain.warp(20 * DAY_S + 1)
    x.submit_epoch()
    late = x.batch(entries=1)
    x.propose(late)
    x.send(EVE, "freeze")
    with fails("not frozen, or proposals are left"):
        x.send(EXITS, "pay_exit", ALICE, 1)
    x.challenge(late, EVE)
    for batch in batches[:3]:
        x.finalise(batch)
    x.prove(batches[3], PROVER)
    x.chain.warp(DAY_S + 601)
    x.void(5)
    assert (x.read("final_batch"), x.read("proposed_batch"), x.read("queue_proposed")) == (4, 4, 0)
    assert x.chain.call(x.vault, "claimable", ALICE) == 4 * USDC
    assert (x.read("wei_owed", x.sequencer), x.read("wei_owed", EVE)) == (4 * 10**18, 8 * 10**17)
    x.send(EXITS, "pay_exit", ALICE, 1)


def test_a_proposal_from_before_the_freeze_is_proven_or_voided_where_a_proof_is_required(zk):
    zk.chain.warp(10 * DAY_S + 1)
    zk.submit_epoch()
    first = zk.batch(entries=1)
    zk.propose(first)
    zk.propose(zk.batch(entries=1))
    zk.send(EVE, "freeze")
    zk.prove(first)
    with fails("not frozen, or proposals are left"):
        zk.send(EXITS, "pay_exit", ALICE, 1)
    zk.chain.warp(DAY_S + 1)
    zk.void()
    assert (zk.read("final_batch"), zk.read("proposed_batch"), zk.read("queue_answered")) == (1, 1, 1)
    zk.send(EXITS, "pay_exit", ALICE, 1)


# ---------------------------------------------------------------- exits


def test_exits_pay_only_the_end_and_only_from_the_row(x):
    for who in (EVE, x.sequencer, x.config.operator, ALICE):
        with fails("only EXITS pays exits"):
            x.send(who, "pay_exit", who, 1)
    with fails("not frozen, or proposals are left"):
        x.send(EXITS, "pay_exit", ALICE, 1)
    x.chain.warp((24 if x.optimistic else 10) * DAY_S + 1)
    with fails("not frozen, or proposals are left"):
        x.send(EXITS, "pay_exit", ALICE, 1)
    x.send(EVE, "freeze")
    with fails("only EXITS pays exits"):
        x.send(EVE, "pay_exit", EVE, 1)
    x.send(EXITS, "pay_exit", ALICE, 100 * USDC)
    with pytest.raises(Exception, match=r"^Vault: row too low$"):
        x.send(EXITS, "pay_exit", ALICE, 50 * USDC + 1)
    x.send(EXITS, "pay_exit", BOB, 50 * USDC)
    assert (x.chain.call(x.vault, "claimable", ALICE), x.chain.call(x.vault, "claimable", BOB)) == (100 * USDC, 50 * USDC)
    assert x.chain.call(x.vault, "rows", x.rollup.address) == 0
