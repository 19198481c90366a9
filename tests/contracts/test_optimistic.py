"""A proof only when challenged: bonds, windows, answers, finality without a proof, voids; each clock on both sides, every wei accounted for."""

from __future__ import annotations

import itertools

import pytest

from straddle.l1.contracts import load

USDC = 1_000_000
DAY_S = 86_400
WINDOW_S = 7 * DAY_S
ALLOWANCE_S = 600
BOND, STAKE = 10**18, 3 * 10**17
REWARD = 5 * 10**14
"""For a proof, at the base fee of pyrevm, 0; tests/integration/test_bonds.py has others."""
WON = BOND // 2 + STAKE
"""What the challenger of a wrong batch may collect; the other half of the proposer's bond is burnt."""
BURNT = "0x000000000000000000000000000000000000dEaD"
"""The proposer's, the challenger's."""
ALICE, BOB, EVE, PROVER = ("0x" + "00" * 18 + f"{n:04x}" for n in (0xA1, 0xB0, 0xE7, 0x9407))
WATCHERS = ["0x" + "00" * 18 + f"{n:04x}" for n in range(0x3A00, 0x3A08)]


def fails(reason: str):
    return pytest.raises(Exception, match=f"^Rollup: {reason}$")


@pytest.fixture(params=[1, 2], ids=["calldata", "blob"])
def data(request):
    return request.param


@pytest.fixture
def x(chain, new_exchange):
    """Alice and Bob have paid in; a recent epoch. Data in calldata: nothing here depends on it."""
    return ready(new_exchange(chain, policy=2))


def ready(exchange):
    exchange.deposit(ALICE, 100 * USDC)
    exchange.deposit(BOB, 50 * USDC)
    exchange.submit_epoch()
    return exchange


def propose(x, count: int = 1, **of_each):
    batches = []
    for _ in range(count):
        batches.append(x.batch(**of_each))
        x.propose(batches[-1])
    return batches


def owed(x, *people: str) -> list[int]:
    return [x.read("wei_owed", who) for who in people]


def balance(x) -> int:
    return x.chain.evm.get_balance(x.rollup.address)


def check_wei(x, held: int) -> None:
    """balance = fees + bonds held + wei owed; nothing was requested here, so there are no fees."""
    everyone = {ALICE, BOB, EVE, PROVER, x.sequencer, "0x" + "00" * 18 + "beef", BURNT, *WATCHERS}
    total = held + sum(owed(x, *everyone))
    assert balance(x) == x.read("reserved_wei") == total


def claimable(x, who: str) -> int:
    return x.chain.call(x.vault, "claimable", who)


# ---------------------------------------------------------------- the happy path


def test_a_batch_is_final_after_its_window_without_a_proof(chain, new_exchange, data):
    x = ready(new_exchange(chain, policy=2, data=data))
    (batch,) = propose(x, withdrawals=[(3, ALICE, 7 * USDC)])
    assert x.read("stake", 1) == (x.sequencer, "0x" + "00" * 20, 0, False)
    check_wei(x, BOND)
    chain.warp(WINDOW_S)
    with fails("batch is neither proven nor past its window unchallenged"):
        x.finalise(batch)
    assert (claimable(x, ALICE), x.read("state_root")) == (0, x.config.genesis_root)
    chain.warp(1)
    receipt = x.finalise(batch, sender=EVE)
    assert receipt.log("BatchFinalised") == {"batch_number": 1, "header_hash": x.headers[1], "state_root": 1001, "beneficiary": "0x" + "00" * 20}
    assert (claimable(x, ALICE), x.read("state_root"), x.read("final_batch"), x.read("queue_answered")) == (7 * USDC, 1001, 1, 2)
    assert owed(x, x.sequencer) == [BOND]
    check_wei(x, 0)
    before = chain.evm.get_balance(x.sequencer)
    assert x.send(x.sequencer, "collect_wei").log("WeiCollected") == {"owner": x.sequencer, "amount_wei": BOND}
    assert chain.evm.get_balance(x.sequencer) == before + BOND
    check_wei(x, 0)
    with fails("no wei owed"):
        x.send(x.sequencer, "collect_wei")


def test_windows_run_in_parallel_and_batches_are_final_in_order(x):
    batches = propose(x, 3)
    x.chain.warp(WINDOW_S + 1)
    for late in batches[1:]:
        with fails("not what was proposed"):
            x.finalise(late)
    for batch in batches:
        x.finalise(batch)
    with fails("no such proposal"):
        x.finalise(batches[-1])
    assert owed(x, x.sequencer) == [3 * BOND]
    check_wei(x, 0)


def test_the_effects_must_be_the_proposals(x):
    (batch,) = propose(x, withdrawals=[(3, ALICE, 7 * USDC)])
    x.chain.warp(WINDOW_S + 1)
    header = x.header(batch)
    batch.effects[-2] += 1 << 160
    with fails("not what was proposed"):
        x.send(EVE, "finalise", batch.effects_bytes, header)
    with fails("not what was proposed"):
        x.finalise(batch)


def test_4095_proposals_wait_at_most(x):
    """The slots of final batches are used again, and the newest final one is never overwritten."""
    for number in range(1, 4096):
        if number % 100 == 1:
            x.submit_epoch()
        x.propose(x.batch(body=()))
    with fails("too many proposals"):
        x.propose(x.batch(body=()))
    assert x.read("batch", 0)[0] == x.headers[0]
    check_wei(x, 4095 * BOND)


@pytest.mark.parametrize("value", [0, BOND - 1, BOND + 1])
def test_a_proposal_costs_exactly_the_bond(x, value):
    function, arguments, _ = x.proposal(x.batch())
    with fails("wrong proposer bond"):
        x.send(x.sequencer, function, *arguments, value_wei=value)
    check_wei(x, 0)


def test_no_bond_where_a_proof_is_required(exchange):
    ready(exchange)
    batch = exchange.batch()
    function, arguments, _ = exchange.proposal(batch)
    with fails("wrong proposer bond"):
        exchange.send(exchange.sequencer, function, *arguments, value_wei=1)
    exchange.propose(batch)
    for call in (lambda: exchange.challenge(batch, EVE), lambda: exchange.finalise(batch)):
        with fails("a proof is required"):
            call()
    exchange.chain.warp(100 * DAY_S)
    with fails("a proof is required"):
        exchange.finalise(batch)
    assert exchange.read("stake", 1) == ("0x" + "00" * 20, "0x" + "00" * 20, 0, False)


# ---------------------------------------------------------------- proofs


def test_a_proof_ends_the_wait(chain, new_exchange, data):
    x = ready(new_exchange(chain, policy=2, data=data))
    (batch,) = propose(x, withdrawals=[(3, ALICE, USDC)])
    receipt = x.prove(batch, PROVER, sender=EVE)
    assert receipt.log("BatchFinalised") == {"batch_number": 1, "header_hash": x.headers[1], "state_root": 1001, "beneficiary": PROVER}
    assert "BatchProven" not in [log.name for log in receipt.logs]
    assert (claimable(x, ALICE), *owed(x, x.sequencer, PROVER)) == (USDC, BOND, 0)
    check_wei(x, 0)


def test_propose_and_prove_is_final_at_once(chain, new_exchange, data):
    x = ready(new_exchange(chain, policy=2, data=data))
    x.propose_and_prove(x.batch(withdrawals=[(3, ALICE, USDC)]))
    assert (x.read("final_batch"), claimable(x, ALICE)) == (1, USDC)
    check_wei(x, 0)


def test_a_batch_may_be_proven_before_its_parent_is_final(x):
    first, second = propose(x, 2)
    receipt = x.prove(second, PROVER)
    assert receipt.log("BatchProven") == {"batch_number": 2, "header_hash": x.headers[2], "beneficiary": PROVER}
    assert x.read("stake", 2)[3] and not x.read("stake", 1)[3]
    assert x.read("final_batch") == 0
    with fails("batch is proven"):
        x.prove(second, EVE)
    with fails("batch is proven"):
        x.challenge(second, EVE)
    x.prove(first)
    x.finalise(second)
    assert x.read("final_batch") == 2
    assert owed(x, x.sequencer) == [2 * BOND]
    check_wei(x, 0)


def test_a_proof_out_of_turn_is_of_its_own_header(x):
    first, second = propose(x, 2)
    for words in ([1] * 12, x.mock_proof(first, PROVER)):
        with fails("invalid proof"):
            x.prove(second, PROVER, proof=words)
    effects = list(second.effects)
    for number in (0, 3, 2**256 - 1):
        second.effects[1] = number
        with fails("no such proposal"):
            x.send(EVE, "prove", second.effects_bytes, (b"\0" * 32, 0, 0, 0, 0), [0] * 12, EVE)
    second.effects = effects
    x.prove(second, PROVER)


# ---------------------------------------------------------------- challenges


def test_a_challenge_needs_a_bond_and_nothing_else(x):
    (batch,) = propose(x)
    x.chain.fund(EVE)
    for value in (0, STAKE - 1, STAKE + 1, BOND):
        with fails("wrong challenger bond"):
            x.send(EVE, "challenge", 1, x.headers[1], value_wei=value)
    for number in (0, 2, 2**255):
        with fails("no such proposal"):
            x.send(EVE, "challenge", number, x.headers[1], value_wei=STAKE)
    with fails("not what was proposed"):
        x.send(EVE, "challenge", 1, x.headers[0], value_wei=STAKE)
    receipt = x.challenge(batch, EVE)
    due_s = x.chain.time_s + DAY_S + ALLOWANCE_S
    assert receipt.log("BatchChallenged") == {"batch_number": 1, "header_hash": x.headers[1], "challenger": EVE, "due_s": due_s}
    assert x.read("stake", 1) == (x.sequencer, EVE, due_s, False)
    assert x.read("open_challenges") == 1
    check_wei(x, BOND + STAKE)
    with fails("batch already challenged"):
        x.challenge(batch, ALICE)


def test_attack_16_the_window_is_seven_days_in_seconds(x):
    """Block times are seconds: a challenge comes in the last second of the window, and none after it."""
    assert x.read("CHALLENGE_WINDOW_S") == 604_800
    first, second = propose(x, 2)
    x.chain.warp(604_800)
    x.challenge(first, EVE)
    x.chain.warp(1)
    with fails("the challenge window is over"):
        x.challenge(second, EVE)
    # The parent's open challenge holds the second batch up, nothing else does.
    with fails("batch is neither proven nor past its window unchallenged"):
        x.finalise(first)
    x.prove(first)
    x.finalise(second)


def test_attack_16_the_answer_is_due_in_seconds(x):
    (batch,) = propose(x)
    x.challenge(batch, EVE)
    x.chain.warp(86_400 + 600)
    with fails("batch has no overdue challenge"):
        x.void(1)
    x.chain.warp(1)
    assert x.void(1).log("BatchesVoided") == {"first": 1, "last": 1}


def test_a_proof_in_time_is_paid_by_the_challenger(x):
    (batch,) = propose(x, withdrawals=[(3, ALICE, USDC)])
    x.challenge(batch, EVE)
    x.prove(batch, PROVER, sender=BOB)
    assert owed(x, x.sequencer, PROVER, EVE, BOB) == [BOND, REWARD, STAKE - REWARD, 0]
    assert (x.read("open_challenges"), claimable(x, ALICE)) == (0, USDC)
    check_wei(x, 0)


def test_baits_proven_within_a_day_leave_a_bond_for_the_false_batch(x):
    """What a proof leaves of a bond is the challenger's with the proof, not with finality: an honest parent that nobody challenges puts that off by a window,
    in which a false batch behind the baits would find the watcher's wallet empty."""
    _, *baits, false = batches = propose(x, 12)
    x.chain.fund(EVE, len(baits) * STAKE)
    for batch in baits:
        x.send(EVE, "challenge", batch.number, x.headers[batch.number], value_wei=STAKE)
    x.chain.warp(DAY_S)
    for batch in baits:
        x.prove(batch, PROVER)
    assert (x.read("final_batch"), owed(x, EVE, PROVER)) == (0, [len(baits) * (STAKE - REWARD), 0])
    x.send(EVE, "collect_wei")
    x.challenge(false, EVE)
    x.chain.warp(DAY_S + ALLOWANCE_S + 1)
    x.void(false.number)
    x.chain.warp(WINDOW_S)
    for batch in batches[:-1]:
        x.finalise(batch)
    assert owed(x, EVE, PROVER) == [WON, len(baits) * REWARD]
    check_wei(x, 0)


def test_a_proven_batch_that_goes_with_its_ancestor_gives_everybody_his_own(x):
    """Whoever proved, or was to be paid; and the slot's next batch knows nothing of it."""
    batches = propose(x, 5)
    for batch in batches:
        x.challenge(batch, EVE)
    for batch, beneficiary in zip(batches[1:4], (EVE, x.sequencer, "0x" + "00" * 20), strict=True):
        x.prove(batch, beneficiary)
    assert (x.read("open_challenges"), owed(x, EVE)) == (2, [3 * (STAKE - REWARD)])
    x.chain.warp(DAY_S + 5 * ALLOWANCE_S + 1)
    x.void(1)
    assert (x.read("open_challenges"), owed(x, EVE, x.sequencer)) == (0, [4 * STAKE + WON, 4 * BOND])
    check_wei(x, 0)
    x.submit_epoch()
    again = propose(x, 2)
    x.chain.warp(WINDOW_S + 1)
    for batch in again:
        x.finalise(batch)
    assert owed(x, EVE, x.sequencer) == [4 * STAKE + WON, 6 * BOND]
    check_wei(x, 0)


def test_attack_08_the_reward_cannot_be_stolen(x):
    """A proof copied from the pool of transactions pays whom it was made for, whoever sends it; with another name it is no proof."""
    (batch,) = propose(x)
    x.challenge(batch, EVE)
    proof = x.mock_proof(batch, PROVER)
    with fails("invalid proof"):
        x.prove(batch, EVE, proof=proof, sender=EVE)
    x.prove(batch, PROVER, proof=proof, sender=EVE)
    assert owed(x, PROVER, EVE) == [REWARD, STAKE - REWARD]
    with fails("no such proposal"):
        x.prove(batch, PROVER, proof=proof, sender=EVE)
    check_wei(x, 0)


def test_a_late_proof_counts_until_somebody_voids(x):
    (batch,) = propose(x)
    x.challenge(batch, EVE)
    x.chain.warp(30 * DAY_S)
    x.prove(batch, PROVER)
    assert owed(x, PROVER, EVE) == [REWARD, STAKE - REWARD]
    with fails("no such proposal"):
        x.void(1)


def test_challenges_are_answered_in_any_order(x):
    batches = propose(x, 4)
    for i, batch in enumerate(batches[1:], 1):
        x.challenge(batch, WATCHERS[i])
    for batch in (batches[3], batches[1], batches[2]):
        x.prove(batch, PROVER)
    x.chain.warp(WINDOW_S + 1)
    for batch in batches:
        x.finalise(batch)
    assert owed(x, PROVER, x.sequencer) == [3 * REWARD, 4 * BOND]
    check_wei(x, 0)


# ---------------------------------------------------------------- voids


def test_a_batch_without_an_answer_pays_its_challenger(x):
    (batch,) = propose(x, withdrawals=[(3, EVE, 100 * USDC)])
    x.challenge(batch, WATCHERS[0])
    x.chain.warp(DAY_S + ALLOWANCE_S + 1)
    x.void(1)
    assert owed(x, WATCHERS[0], x.sequencer) == [WON, 0]
    assert (x.read("proposed_batch"), x.read("queue_proposed"), x.read("open_challenges"), claimable(x, EVE)) == (0, 0, 0, 0)
    check_wei(x, 0)
    before = x.chain.evm.get_balance(WATCHERS[0])
    x.send(WATCHERS[0], "collect_wei")
    assert x.chain.evm.get_balance(WATCHERS[0]) == before + WON
    assert balance(x) == x.read("reserved_wei") == x.read("wei_owed", BURNT) == BOND - BOND // 2, "half of the bond is lost to everybody"


def test_attack_06_a_lie_without_a_proof_is_never_final(x):
    """A root, an entry, an outcome that the statement does not allow: no proof exists, so a challenge is enough, whatever the lie."""
    x.chain.fund(ALICE)
    x.send(ALICE, "force_withdraw", 3, 100 * USDC, value_wei=10**12)
    batch = x.batch(new_root=666, forced=[0])
    x.propose(batch)
    x.challenge(batch, EVE)
    for lie in range(30):
        with fails("invalid proof"):
            x.prove(batch, PROVER, proof=[lie, *range(11)])
    x.chain.warp(DAY_S + ALLOWANCE_S + 1)
    x.void(1)
    assert (x.read("queue_proposed"), x.read("state_root")) == (0, x.config.genesis_root)
    # The skipped tail is still the queue's.
    x.submit_epoch()
    honest = x.batch(forced=[100 * USDC])
    assert honest.effects[9] == 3 << 64
    x.propose_and_prove(honest)
    assert claimable(x, ALICE) == 100 * USDC


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_attack_12_no_descendant_of_a_voided_batch_pays(x, depth):
    """Four batches, each pays Alice; the one at `depth` goes. What stands before it pays, nothing after it ever does, proven, past its window or not."""
    batches = propose(x, 4, withdrawals=[(3, ALICE, 10 * USDC)])
    arguments = [(batch.effects_bytes, x.header(batch)) for batch in batches]
    proofs = [x.mock_proof(batch, PROVER) for batch in batches]
    doomed = batches[depth - 1]
    x.challenge(doomed, EVE)
    for i in range(depth, 4):
        x.send(PROVER, "prove", *arguments[i], proofs[i], PROVER)
    x.chain.warp(WINDOW_S + 1)
    for i in range(depth - 1):
        x.send(EVE, "finalise", *arguments[i])
    with fails("batch is neither proven nor past its window unchallenged"):
        x.send(EVE, "finalise", *arguments[depth - 1])
    assert x.void(depth).log("BatchesVoided") == {"first": depth, "last": 4}
    assert claimable(x, ALICE) == 10 * USDC * (depth - 1)
    for i in range(depth - 1, 4):
        with fails("no such proposal"):
            x.send(EVE, "finalise", *arguments[i])
        with fails("no such proposal"):
            x.send(EVE, "prove", *arguments[i], proofs[i], PROVER)
    # Nor when other batches have taken their places.
    x.submit_epoch()
    for _ in range(depth, 5):
        x.propose(x.batch(new_root=7000 + len(x.roots)))
    for i in range(depth - 1, 4):
        with pytest.raises(Exception, match=r"^Rollup: (not what was proposed|no such proposal)$"):
            x.send(EVE, "prove", *arguments[i], proofs[i], PROVER)
    x.chain.warp(WINDOW_S + 1)
    with fails("not what was proposed"):
        x.send(EVE, "finalise", *arguments[depth - 1])
    assert claimable(x, ALICE) == 10 * USDC * (depth - 1)
    assert owed(x, x.sequencer, EVE) == [3 * BOND, WON]
    check_wei(x, (5 - depth) * BOND)


def test_descendants_get_their_own_bonds_back(x):
    """Four proposals; 1, 2 and 4 challenged, 4 answered. Only the first is void for want of an answer."""
    batches = propose(x, 4)
    for i in (0, 1, 3):
        x.challenge(batches[i], WATCHERS[i])
    x.prove(batches[3], PROVER)
    assert x.read("open_challenges") == 2
    x.chain.warp(DAY_S + 3 * ALLOWANCE_S + 1)
    x.void(1)
    assert owed(x, WATCHERS[0], WATCHERS[1], WATCHERS[3], PROVER, x.sequencer) == [WON, STAKE, STAKE, 0, 3 * BOND]
    assert x.read("open_challenges") == 0
    check_wei(x, 0)


def test_the_queue_pointer_is_the_surviving_parents(x):
    """Of four entries, batch 1 answers one, 2 and 3 two more: what batch 1 answered stays answered when 2 goes."""
    for _ in range(2):
        x.deposit(ALICE, 5 * USDC, 3)
    x.propose(x.batch(entries=1))
    doomed, _ = propose(x, 2, entries=1)
    assert x.read("queue_proposed") == 3
    x.challenge(doomed, EVE)
    x.chain.warp(DAY_S + ALLOWANCE_S + 1)
    x.void(2)
    assert (x.read("queue_proposed"), x.read("queue_answered")) == (1, 0)
    x.submit_epoch()
    after = x.batch()
    assert after.effects[9] == 1 | 3 << 64
    x.propose(after)


def test_every_overdue_challenge_can_be_the_one_that_counts(x):
    """Of two overdue ones the later is voided first: its challenger has both bonds of that batch, the other's of the other."""
    batches = propose(x, 3)
    x.challenge(batches[0], WATCHERS[0])
    x.challenge(batches[1], WATCHERS[1])
    x.chain.warp(DAY_S + 2 * ALLOWANCE_S + 1)
    assert x.void(2).log("BatchesVoided") == {"first": 2, "last": 3}
    x.void(1)
    assert owed(x, WATCHERS[0], WATCHERS[1], x.sequencer) == [WON, WON, BOND]
    check_wei(x, 0)


def test_an_unchallenged_or_answered_batch_cannot_be_voided(x):
    batches = propose(x, 2)
    x.challenge(batches[0], EVE)
    x.prove(batches[0])
    x.chain.warp(365 * DAY_S)
    for number in (0, 1, 3):
        with fails("no such proposal"):
            x.void(number)
    with fails("batch has no overdue challenge"):
        x.void(2)


def test_a_new_batch_in_a_voided_ones_place_starts_afresh(x):
    """Its stake is its own: no challenge, no proof and no due date is left over from before."""
    first, second = propose(x, 2)
    x.challenge(first, EVE)
    x.prove(second, PROVER)
    x.chain.warp(DAY_S + ALLOWANCE_S + 1)
    x.void(1)
    x.submit_epoch()
    propose(x, 2)
    for number in (1, 2):
        assert x.read("stake", number) == (x.sequencer, "0x" + "00" * 20, 0, False)
    with fails("batch has no overdue challenge"):
        x.void(1)
    check_wei(x, 2 * BOND)


def test_a_slot_used_again_starts_afresh(chain, new_exchange):
    """Batch 4097 lies where batch 1 lay, which was challenged and proven."""
    x = ready(new_exchange(chain, policy=2))
    first = x.batch(body=())
    x.propose(first)
    x.challenge(first, EVE)
    x.prove(first)
    for number in range(2, 4098):
        if number % 100 == 2:
            x.submit_epoch()
        x.propose_and_prove(x.batch(body=())) if number < 4097 else x.propose(x.batch(body=()))
    assert x.read("stake", 4097) == (x.sequencer, "0x" + "00" * 20, 0, False)


def test_many_descendants_are_voided_in_parts(x):
    """700 proposals, each challenged by another: 256 a call, the newest first, within a transaction's gas; everything is paid back."""
    batches = []
    for number in range(700):
        if number % 100 == 0:
            x.submit_epoch()
        batches.append(x.batch(body=()))
        x.propose(batches[-1])
    challengers = ["0x" + f"{0xCC000000 + i:040x}" for i in range(700)]
    for batch, who in zip(batches, challengers, strict=True):
        x.challenge(batch, who)
    x.chain.warp(DAY_S + 700 * ALLOWANCE_S + 1)
    ranges, gas = [], []
    while x.read("proposed_batch") >= 1:
        receipt = x.void(1)
        ranges.append(tuple(receipt.log("BatchesVoided").values()))
        gas.append(receipt.gas_used)
    assert ranges == [(445, 700), (189, 444), (1, 188)]
    assert max(gas) < 2**24  # a transaction's limit (EIP-7825)
    assert owed(x, challengers[0], x.sequencer) == [WON, 699 * BOND]
    assert owed(x, *challengers[1:]) == [STAKE] * 699
    assert x.read("open_challenges") == 0
    assert balance(x) == x.read("reserved_wei") == 700 * (BOND + STAKE)


@pytest.mark.parametrize(("count", "ranges"), [(256, [(1, 256)]), (257, [(2, 257), (1, 1)])])
def test_256_proposals_go_a_call(x, count, ranges):
    batches = propose(x, count, body=())
    x.challenge(batches[0], EVE)
    x.chain.warp(DAY_S + ALLOWANCE_S + 1)
    assert [tuple(x.void(1).log("BatchesVoided").values()) for _ in ranges] == ranges
    assert owed(x, EVE, x.sequencer) == [WON, (count - 1) * BOND]
    check_wei(x, 0)


def test_a_void_in_parts_can_be_interrupted(x):
    """By a late proof: what is gone is gone and paid for, the rest stands."""
    batches = []
    for number in range(300):
        if number % 100 == 0:
            x.submit_epoch()
        batches.append(x.batch(body=()))
        x.propose(batches[-1])
    x.challenge(batches[0], EVE)
    x.chain.warp(DAY_S + ALLOWANCE_S + 1)
    assert x.void(1).log("BatchesVoided") == {"first": 45, "last": 300}
    x.prove(batches[0], PROVER)
    assert (x.read("final_batch"), x.read("proposed_batch")) == (1, 44)
    with fails("no such proposal"):
        x.void(1)
    assert owed(x, PROVER, EVE, x.sequencer) == [REWARD, STAKE - REWARD, 257 * BOND]
    check_wei(x, 43 * BOND)


# ---------------------------------------------------------------- bonds


@pytest.mark.parametrize("path", list(itertools.product(["window", "proof", "late proof", "no proof"], ["alone", "child"])), ids="-".join)
def test_attack_13_what_is_paid_is_what_was_deposited(x, path):
    """Through every way in which a batch can end, with a challenged child or without: everybody's collections add up to everybody's bonds, to the wei."""
    ending, family = path
    people = [x.sequencer, EVE, BOB, PROVER]
    before = {who: x.chain.evm.get_balance(x.chain.fund(who)) for who in people}
    batches = propose(x, 2 if family == "child" else 1)
    if family == "child":
        x.challenge(batches[1], BOB)
    if ending != "window":
        x.challenge(batches[0], EVE)
    deposited = BOND * len(batches) + STAKE * ((ending != "window") + (family == "child"))
    check_wei(x, deposited)
    if ending == "window":
        x.chain.warp(WINDOW_S + 1)
        x.finalise(batches[0])
    elif ending == "no proof":
        x.chain.warp(DAY_S + 2 * ALLOWANCE_S + 1)
        x.void(1)
    else:
        x.chain.warp(0 if ending == "proof" else 3 * DAY_S)
        x.prove(batches[0], PROVER)
    if family == "child" and ending != "no proof":
        x.prove(batches[1], PROVER)
    check_wei(x, 0)
    for who in people:
        if x.read("wei_owed", who):
            x.send(who, "collect_wei")
    burnt = BOND // 2 if ending == "no proof" else 0
    assert balance(x) == x.read("reserved_wei") == x.read("wei_owed", BURNT) == burnt
    after = {who: x.chain.evm.get_balance(who) for who in people}
    assert sum(after.values()) + burnt == sum(before.values())
    gains = [after[who] - before[who] for who in people]
    child = family == "child"
    if ending == "no proof":
        assert gains == [-BOND, BOND // 2, 0, 0]
    else:
        assert gains == [0, -REWARD if ending != "window" else 0, -REWARD if child else 0, REWARD * ((ending != "window") + child)]


def test_fees_and_bonds_are_kept_apart(x):
    """Collecting the request fees never touches a bond, nor wei that is owed."""
    x.chain.fund(ALICE)
    fee = 10**12
    x.send(ALICE, "force_withdraw", 3, USDC, value_wei=fee)
    first, _ = propose(x, 2)
    x.challenge(first, EVE)
    before = x.chain.evm.get_balance(x.sequencer)
    assert x.send(EVE, "collect_fees").log("FeesCollected") == {"amount_wei": fee}
    assert x.chain.evm.get_balance(x.sequencer) == before + fee
    assert x.send(EVE, "collect_fees").log("FeesCollected") == {"amount_wei": 0}
    check_wei(x, 2 * BOND + STAKE)
    x.prove(first, PROVER)
    assert x.send(EVE, "collect_fees").log("FeesCollected") == {"amount_wei": 0}
    check_wei(x, BOND)


def test_whoever_refuses_his_wei_stops_nobody(x, mock):
    """A challenger that takes no ether: voids and proofs go on, only its own collection fails."""
    forwarder = x.chain.deploy(mock("Forwarder"))
    x.chain.fund(EVE)
    x.chain.fund(forwarder.address)
    (batch,) = propose(x)
    x.chain.send(EVE, forwarder, "forward", x.rollup.address, load("Rollup").encode_call("challenge", 1, x.headers[1]), value_wei=STAKE)
    x.chain.send(EVE, forwarder, "refuse_ether", True)
    x.chain.warp(DAY_S + ALLOWANCE_S + 1)
    x.void(1)
    call = load("Rollup").encode_call("collect_wei")
    with pytest.raises(Exception, match="Forwarder: no ether"):
        x.chain.send(EVE, forwarder, "forward", x.rollup.address, call)
    assert owed(x, forwarder.address) == [WON]
    x.chain.send(EVE, forwarder, "refuse_ether", False)
    x.chain.send(EVE, forwarder, "forward", x.rollup.address, call)
    assert balance(x) == BOND // 2
    assert batch.number == 1


@pytest.mark.parametrize(
    "call", [("collect_wei",), ("collect_fees",), ("wei_owed", EVE), ("challenge", 1, b"\0" * 32), ("freeze",), ("POLICY",)], ids=lambda call: call[0]
)
def test_a_collector_cannot_come_back_in(x, mock, call):
    """Reentrancy: while it is paid, a challenger calls the contract that pays it. Only what reads the code answers."""
    greedy = x.chain.deploy(mock("GreedyCollector"), x.rollup.address)
    x.chain.fund(EVE)
    propose(x, 2)
    x.chain.send(EVE, greedy, "challenge", 1, x.headers[1], value_wei=STAKE)
    x.chain.warp(DAY_S + ALLOWANCE_S + 1)
    x.void(1)
    x.submit_epoch()
    propose(x)
    x.chain.send(EVE, greedy, "plan", load("Rollup").encode_call(*call))
    assert x.chain.send(EVE, greedy, "collect").result is (call == ("POLICY",))
    assert (x.chain.evm.get_balance(greedy.address), owed(x, greedy.address)) == (WON, [0])
    check_wei(x, BOND)


# ---------------------------------------------------------------- many challenges


def test_attack_14_challenging_everything_at_once_buys_no_rollback(x):
    """Every pending batch is challenged in the last second of the oldest window, layer 1 censored until then. One prover that needs the allowance for each
    proof, one after the other, answers all in time; and all are final at most one proving period after their windows."""
    count = 40
    batches = []
    for _ in range(count):
        batches.append(x.batch(body=()))
        x.propose(batches[-1])
    end = x.chain.time_s + WINDOW_S
    x.chain.warp(WINDOW_S)
    dues = [x.challenge(batch, WATCHERS[i % 8]).log("BatchChallenged")["due_s"] for i, batch in enumerate(batches)]
    assert dues == [end + DAY_S + (i + 1) * ALLOWANCE_S for i in range(count)]
    # Censored for the whole first day: then the prover gets one proof through an allowance, in order.
    x.chain.warp(DAY_S)
    for batch, due in zip(batches, dues, strict=True):
        x.chain.warp(ALLOWANCE_S)
        assert x.chain.time_s <= due
        with fails("batch has no overdue challenge"):
            x.void(batch.number)
        x.prove(batch, PROVER)
    assert x.chain.time_s == end + DAY_S + count * ALLOWANCE_S
    assert (x.read("final_batch"), x.read("open_challenges")) == (count, 0)
    assert owed(x, PROVER) == [count * REWARD]
    check_wei(x, 0)


def test_answered_challenges_no_longer_put_others_off(x):
    batches = propose(x, 4)
    for batch in batches[:3]:
        x.challenge(batch, EVE)
    for batch in batches[:3]:
        x.prove(batch)
    receipt = x.challenge(batches[3], EVE)
    assert receipt.log("BatchChallenged")["due_s"] == x.chain.time_s + DAY_S + ALLOWANCE_S


def test_ones_own_challenges_put_an_answer_off_by_14_days_at_most(chain, new_exchange):
    """A proposer who challenges batches of his own, whose bonds he gets back with a void, cannot put the end of a false batch off for longer."""
    x = ready(new_exchange(chain, policy=2, proving_allowance_s=3600))
    batches = []
    for number in range(400):
        if number % 100 == 0:
            x.submit_epoch()
        batches.append(x.batch(body=()))
        x.propose(batches[-1])
    dues = [x.challenge(batch, EVE).log("BatchChallenged")["due_s"] - x.chain.time_s - DAY_S for batch in reversed(batches)]
    assert dues[:336] == [3600 * (i + 1) for i in range(336)]
    assert set(dues[335:]) == {14 * DAY_S}
    x.chain.warp(15 * DAY_S)
    with fails("batch has no overdue challenge"):
        x.void(1)
    x.chain.warp(1)
    while x.read("proposed_batch"):
        x.void(1)
    assert owed(x, EVE, x.sequencer) == [WON + 399 * STAKE, 399 * BOND]
    check_wei(x, 0)


def test_a_descendant_of_a_false_batch_may_be_provable(x):
    """Its statement is about its own parent's root, false or not. Yet its proof earns nothing, since it is never final: its challenger has his bond back."""
    false, valid_on_it = propose(x, 2)
    x.challenge(false, WATCHERS[0])
    x.challenge(valid_on_it, WATCHERS[1])
    x.prove(valid_on_it, EVE)
    x.chain.warp(DAY_S + 2 * ALLOWANCE_S + 1)
    x.void(1)
    assert owed(x, WATCHERS[0], WATCHERS[1], EVE, x.sequencer) == [WON, STAKE, 0, BOND]
    check_wei(x, 0)
