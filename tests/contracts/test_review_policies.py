"""Review of the policies: attempts to take bonds, to make a false batch final, to lock or to stop everybody. Each is refused."""

from __future__ import annotations

import random

import pytest

from straddle.l1.contracts import load_path

USDC = 1_000_000
DAY_S = 86_400
WINDOW_S = 7 * DAY_S
ANSWER_S = DAY_S + 600
BOND, STAKE = 10**18, 3 * 10**17
PROOF_WEI = 5 * 10**14
"""What a challenger pays for a proof at the base fee of pyrevm, 0."""
REWARD = BOND // 2
"""Of a challenger whose batch is never proven; the other half of the proposer's bond is burnt."""
FEE_WEI = 10**12
R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
P_BLS = 52435875175126190479447740508185965837690552500527637822603658699938581184513
NOBODY = "0x" + "00" * 20
BURNT = "0x" + "00" * 18 + "dead"
ALICE, BOB, EVE, PROVER, WATCHER = ("0x" + "00" * 18 + f"{n:04x}" for n in (0xA1, 0xB0, 0xE7, 0x9407, 0x3A00))


def fails(reason: str):
    return pytest.raises(Exception, match=f"^Rollup: {reason}$")


def ready(x):
    for who in (ALICE, BOB, EVE, PROVER, WATCHER):
        x.chain.fund(who)
    x.deposit(ALICE, 100 * USDC)
    x.deposit(BOB, 50 * USDC)
    x.submit_epoch()
    return x


@pytest.fixture
def x(chain, new_exchange):
    """Optimistic."""
    return ready(new_exchange(chain, policy=2))


@pytest.fixture
def zk(exchange):
    return ready(exchange)


@pytest.fixture
def validium(chain, new_exchange):
    return ready(new_exchange(chain, data=3))


def propose(x, **made):
    batch = x.batch(**made)
    x.propose(batch)
    return batch


def challenge(x, batch, who: str, header_hash: bytes | None = None):
    return x.send(x.chain.fund(who), "challenge", batch.number, header_hash or x.headers[batch.number], value_wei=STAKE)


def later(x, seconds: int) -> None:
    x.chain.warp(seconds)
    x.submit_epoch()


def owed(x, *people: str) -> list[int]:
    return [x.read("wei_owed", who) for who in people]


def claimable(x, who: str) -> int:
    return x.chain.call(x.vault, "claimable", who)


def wei(x) -> int:
    return x.chain.evm.get_balance(x.rollup.address)


def model(x):
    """What the exchange's model of headers and queue holds, to go back to."""
    return [list(part) for part in (x.headers, x.roots, x.queue_ends, x.last_sequences)]


def restore(x, kept) -> None:
    x.headers, x.roots, x.queue_ends, x.last_sequences = (list(part) for part in kept)


# ---------------------------------------------------------------- findings


def test_a_challengers_bond_is_not_baited(x):
    """Finding 1, repaired. The sequencer leaves a valid batch 1 that it challenged itself without its proof, shows a false batch 2, and, when a challenge of
    that one is on its way, voids both and proposes valid ones first: in one block, without a reorganisation. The challenge names the header."""
    valid = propose(x)
    challenge(x, valid, EVE)
    later(x, ANSWER_S + 1)
    propose(x, new_root=666)
    false_header = x.headers[2]
    x.void(1)
    propose(x)
    honest = propose(x)
    with fails("not what was proposed"):
        challenge(x, honest, WATCHER, false_header)
    x.prove(honest, EVE)
    assert owed(x, EVE, WATCHER) == [REWARD + STAKE, 0]


def test_an_exchange_that_keeps_every_deadline_is_not_frozen(chain, new_exchange):
    """Finding 2, repaired. 320 batches of an hour's proving each are challenged at the end of the window, the one that answers the queue last: its answer is
    due 14.3 days later; the freeze came after 14."""
    x = ready(new_exchange(chain, policy=2, proving_allowance_s=3600))
    batches = []
    for number in range(320):
        if number % 100 == 0:
            x.submit_epoch()
        batches.append(x.batch(body=()))
        x.propose(batches[-1])
    chain.warp(WINDOW_S)
    dues = [challenge(x, batch, WATCHER).log("BatchChallenged")["due_s"] for batch in reversed(batches)]
    chain.warp(max(dues) - chain.time_s)
    with fails("no entry has waited long enough"):
        x.send(EVE, "freeze")
    # The longest answer that there is to a batch that was proposed within a day.
    assert x.read("FREEZE_AFTER_S") >= DAY_S + WINDOW_S + DAY_S + 14 * DAY_S


def test_blocking_by_false_proposals_costs_a_bond(x):
    """Finding 3, repaired as far as it goes: in permissionless mode false proposals still keep everybody out until the freeze, but each costs.
    Eve challenges her own false batch at once, so that nobody else can; when the answer is overdue she voids it and proposes the next in the same block."""
    later(x, 7 * DAY_S + 1)
    spent, rounds = 0, 0
    while True:
        false = x.batch(new_root=666)
        x.propose(false, sender=EVE)
        challenge(x, false, EVE)
        spent += BOND + STAKE
        rounds += 1
        with fails("only the sequencer proposes"):
            x.propose(x.batch(), sender=PROVER)
        with fails("batch already challenged"):
            challenge(x, false, WATCHER)
        later(x, ANSWER_S + 1)
        x.void(1)
        if x.chain.time_s > x.read("entry_time_s", 0) + x.read("FREEZE_AFTER_S"):
            break
    x.send(EVE, "freeze")
    assert x.read("final_batch") == 0
    assert rounds > 13
    assert owed(x, EVE, BURNT) == [spent - rounds * BOND // 2, rounds * BOND // 2]


def test_what_cannot_be_paid_locks_nobody_up(x):
    """Finding 4, repaired. Whatever drained the row (a false batch that nobody challenged in time): what comes after it and cannot be paid must end in the
    exits' equal shares. It was neither finalised nor challenged nor voided, and no exit opened."""
    unpayable = propose(x, withdrawals=[(3, ALICE, 151 * USDC)])
    x.chain.warp(WINDOW_S + 1)
    with pytest.raises(Exception, match=r"^Vault: row too low$"):
        x.finalise(unpayable)
    x.chain.warp(x.read("FREEZE_AFTER_S") - WINDOW_S)
    x.send(EVE, "freeze")
    with fails("the challenge window is over"):
        challenge(x, unpayable, WATCHER)
    x.chain.warp(30 * DAY_S)
    x.void(1)
    assert (x.read("proposed_batch"), owed(x, x.sequencer), wei(x)) == (0, [BOND], BOND)


def test_the_freeze_leaves_time_to_make_final_what_stands(x):
    """Finding 5, repaired: of a dead sequencer's batches, past their windows, none goes with the freeze in one block at the wish of who lost money in them."""
    standing = propose(x, withdrawals=[(3, ALICE, USDC)])
    x.chain.warp(300 * DAY_S)
    x.send(EVE, "freeze")
    for wait in (0, WINDOW_S + 22 * DAY_S):
        x.chain.warp(wait)
        with fails("batch has no overdue challenge"):
            x.void(1)
    x.finalise(standing)
    assert claimable(x, ALICE) == USDC


def test_a_false_batch_hides_behind_no_other(x):
    """It has a window of its own. The sequencer challenges its valid batch 1 itself in the last second; whoever leaves the false batch 2 alone because the
    first one is challenged has lost: 1 is proven, and 2 is past its window. So 2 must be challenged within its own, whatever becomes of 1."""
    first = propose(x)
    false = propose(x, withdrawals=[(3, EVE, 140 * USDC)])
    x.chain.warp(WINDOW_S)
    challenge(x, first, EVE)
    snapshot_of_chain = x.chain.evm.snapshot()
    x.chain.warp(DAY_S)
    x.prove(first, EVE)
    x.finalise(false)
    assert claimable(x, EVE) == 140 * USDC
    x.chain.evm.revert(snapshot_of_chain)
    x.chain.warp(-DAY_S)
    challenge(x, false, WATCHER)
    x.chain.warp(DAY_S)
    x.prove(first, EVE)
    with fails("batch is neither proven nor past its window unchallenged"):
        x.finalise(false)
    x.chain.warp(1201)
    x.void(2)
    assert (claimable(x, EVE), owed(x, WATCHER)) == (0, [REWARD + STAKE])


def test_a_challenger_of_what_is_voided_loses_nothing(x):
    """He must challenge within the batch's own window (see above), and its ancestor's falsehood shows only after it: the proposer saw to that."""
    false, *steps = propose(x, new_root=666), propose(x), propose(x), propose(x)
    x.chain.warp(WINDOW_S)
    challenge(x, false, EVE)
    for batch in steps:
        challenge(x, batch, WATCHER)
        x.prove(batch, EVE)
    x.chain.warp(DAY_S + 601)
    x.void(1)
    assert x.read("proposed_batch") == 0
    if owed(x, WATCHER) != [3 * STAKE]:
        assert owed(x, EVE) == [REWARD + STAKE + 3 * STAKE]
        pytest.fail("three bonds of a challenger of void batches are the attacker's")


def test_where_a_proof_is_required_what_cannot_be_paid_is_voided(zk):
    unpayable = propose(zk, withdrawals=[(3, ALICE, 151 * USDC)])
    with pytest.raises(Exception, match=r"^Vault: row too low$"):
        zk.prove(unpayable)
    zk.chain.warp(10 * DAY_S + 1)
    zk.send(EVE, "freeze")
    zk.void()
    assert zk.read("proposed_batch") == zk.read("final_batch") == 0


# ---------------------------------------------------------------- forks and slots


def test_a_proof_does_not_outlive_its_proposal(x):
    """The very same batches come back after a void (equal headers): their proofs, challenges and windows do not."""
    first, second = x.batch(), None
    x.propose(first)
    second = propose(x)
    headers = list(x.headers)
    challenge(x, first, WATCHER)
    challenge(x, second, WATCHER)
    x.prove(second, PROVER)
    x.chain.warp(ANSWER_S + 1)
    x.void(1)
    x.propose(first)
    x.propose(second)
    assert x.headers == headers
    for number in (1, 2):
        assert x.read("stake", number) == (x.sequencer, NOBODY, 0, False)
    x.prove(first)
    with fails("batch is neither proven nor past its window unchallenged"):
        x.finalise(second)
    challenge(x, second, EVE)
    x.prove(second, PROVER)
    # Everything once: the first proof of batch 2 was of a void one, whose challenger has his bond back.
    assert owed(x, PROVER, WATCHER, EVE, x.sequencer) == [PROOF_WEI, REWARD + 2 * STAKE, STAKE - PROOF_WEI, BOND + 2 * BOND]
    assert wei(x) == x.read("reserved_wei") == sum(owed(x, PROVER, WATCHER, EVE, x.sequencer, BURNT))


@pytest.mark.parametrize("policy", [1, 2])
def test_nothing_of_another_branch_is_proven_or_finalised(chain, new_exchange, policy):
    """Branch A is voided, branch B stands in its slots: neither A's batches nor B's numbers with A's parents pass."""
    x = ready(new_exchange(chain, policy=policy))
    branch_a = [propose(x, withdrawals=[(3, EVE, USDC)]), propose(x, withdrawals=[(3, EVE, 2 * USDC)])]
    words = [(batch.effects_bytes, x.header(batch), x.mock_proof(batch, EVE)) for batch in branch_a]
    if policy == 2:
        challenge(x, branch_a[0], WATCHER)
    later(x, ANSWER_S + 1)
    x.void(1)
    branch_b = [propose(x, new_root=71), propose(x, new_root=72)]
    for effects, header, proof in words:
        with pytest.raises(Exception, match=r"^Rollup: (not what was proposed|not the oldest unproved proposal)$"):
            x.send(EVE, "prove", effects, header, proof, EVE)
        if policy == 2:
            with fails("not what was proposed"):
                x.send(EVE, "finalise", effects, header)
    # B's own words with A's header and the other way round.
    with pytest.raises(Exception, match=r"^Rollup: not what was proposed$"):
        x.send(EVE, "prove", branch_b[0].effects_bytes, words[0][1], words[0][2], EVE)
    with pytest.raises(Exception, match=r"^Rollup: not what was proposed$"):
        x.send(EVE, "prove", words[0][0], x.header(branch_b[0]), words[0][2], EVE)
    with fails("invalid proof"):
        x.send(EVE, "prove", branch_b[0].effects_bytes, x.header(branch_b[0]), words[0][2], EVE)
    for batch in branch_b:
        x.prove(batch)
    assert (x.read("state_root"), claimable(x, EVE)) == (72, 0)


def test_a_child_of_a_voided_batch_is_not_proposed_on_another(x):
    """Its old root, its queue range and its sequence are its parent's; and its header has another parent even where those agree."""
    first = propose(x)
    child = x.batch()
    challenge(x, first, WATCHER)
    x.chain.warp(ANSWER_S + 1)
    x.void(1)
    x.submit_epoch()
    with fails("wrong batch number"):
        x.propose(child)
    sibling = x.batch(body=(9,))
    x.propose(sibling)
    # Same roots and numbers, another header of the parent: the child's table is an old one, and the slot's voided header does not vouch for it.
    x.chain.warp(15 * 60 + 1)
    with fails("epoch decreases"):
        x.propose(child)


def test_the_slot_of_a_former_batch_vouches_for_nothing(zk):
    """A voided header opens the way back for itself alone: not with another body, not for another number, not for ever."""
    first = propose(zk)
    zk.chain.warp(DAY_S + 1)
    zk.void(1)
    for spoilt in (zk.batch(body=(1,)), zk.batch(withdrawals=[(3, EVE, USDC)]), zk.batch(new_root=5)):
        with fails("risk table is too old"):
            zk.propose(spoilt)
    kept = model(zk)
    zk.propose(first)
    zk.chain.warp(DAY_S + 1)
    zk.void(1)
    restore(zk, kept)
    with fails("risk table is too old"):
        zk.chain.warp(15 * 60)
        zk.propose(first)


def test_a_void_in_parts_with_proposals_in_between(x):
    """The proposer goes on between two calls: his new proposals go first, the false one goes in the end, and every bond is counted once."""
    batches = []
    for number in range(300):
        if number % 100 == 0:
            x.submit_epoch()
        batches.append(x.batch(body=()))
        x.propose(batches[-1])
    challenge(x, batches[0], WATCHER)
    challenge(x, batches[50], BOB)
    later(x, ANSWER_S + 1201)
    x.void(1)
    for _ in range(10):
        x.propose(x.batch(body=()))
    calls = 0
    while x.read("proposed_batch"):
        x.void(1)
        calls += 1
    assert calls == 1
    assert owed(x, WATCHER, BOB, x.sequencer) == [REWARD + STAKE, STAKE, 309 * BOND]
    assert wei(x) == x.read("reserved_wei") == sum(owed(x, WATCHER, BOB, x.sequencer, BURNT))
    assert x.read("open_challenges") == 0


def test_voiding_256_strangers_batches_fits_a_transaction(x):
    """Permissionless mode, a proposer and a challenger of their own to each batch: the dearest void there is."""
    for _ in range(300):
        x.deposit(ALICE, USDC, 3)
    x.chain.warp(7 * DAY_S + 1)
    people = ["0x" + f"{0xAA000000 + i:040x}" for i in range(512)]
    batches = []
    for i in range(256):
        if i % 100 == 0:
            x.submit_epoch()
        batches.append(x.batch(body=(), entries=1))
        x.propose(batches[-1], sender=x.chain.fund(people[i]))
    for i, batch in enumerate(batches):
        challenge(x, batch, people[256 + i])
    x.chain.warp(DAY_S + 256 * 600 + 1)
    receipt = x.void(1)
    assert receipt.log("BatchesVoided") == {"first": 1, "last": 256}
    assert receipt.gas_used < 2**24
    assert owed(x, people[0], people[256]) == [0, REWARD + STAKE]
    assert owed(x, people[1], people[257]) == [BOND, STAKE]
    assert wei(x) == x.read("reserved_wei") == 256 * (BOND + STAKE)


def test_permissionless_proposals_block_nobody_where_a_proof_is_required(zk):
    """A stranger cannot propose without a proof; what he drops with one has to be answered by one; the sequencer's batches are not lost for good."""
    later(zk, 7 * DAY_S + 1)
    honest = propose(zk, entries=1)
    kept = model(zk)
    for made in ({"entries": 0}, {"entries": 2}):
        zk.forget(1)
        with fails("others than the sequencer must prove at once"):
            zk.propose(zk.batch(**made), sender=EVE)
        restore(zk, kept)
    zk.forget(1)
    with fails("the batch must answer an entry, the oldest is overdue"):
        zk.propose_and_prove(zk.batch(entries=0), sender=EVE)
    restore(zk, kept)
    assert zk.read("proposed_batch") == 1
    zk.prove(honest)
    # One entry is left overdue: the stranger takes it, and then the mode is over.
    zk.propose_and_prove(zk.batch(entries=1), sender=EVE)
    with fails("only the sequencer proposes"):
        zk.propose_and_prove(zk.batch(), sender=EVE)


def test_a_stranger_who_drops_everything_leaves_the_clock_running(zk):
    """He answers one entry; the others are as old as before."""
    for _ in range(3):
        zk.deposit(ALICE, USDC, 3)
    later(zk, 7 * DAY_S + 1)
    propose(zk, entries=4)
    zk.forget(1)
    zk.propose_and_prove(zk.batch(entries=1), sender=EVE)
    assert (zk.read("queue_proposed"), zk.read("permissionless")) == (1, True)
    zk.chain.warp(3 * DAY_S)
    zk.send(EVE, "freeze")
    with fails("frozen"):
        zk.propose_and_prove(zk.batch(entries=1), sender=EVE)


@pytest.mark.parametrize("policy", [1, 2])
def test_no_answer_that_is_none(chain, new_exchange, policy):
    """An overdue entry is not answered by skipping it, by an empty range, by a range that begins elsewhere, or by an entry in another's place."""
    x = ready(new_exchange(chain, policy=policy))
    later(x, 7 * DAY_S + 1)
    send = x.propose if policy == 2 else x.propose_and_prove
    good = x.batch()
    spoilt = {
        "queue range does not follow the parent's": {9: 1 | 1 << 64},
        "the batch must answer an entry, the oldest is overdue": {9: 0},
        "too many queue entries": {9: 5 << 64},
        "wrong queue outcome": {10: good.effects[10] & (1 << 200) - 1},
        "unused row is not zero": {9: 1 << 64},
        "queue entries differ from the queue": {11: good.effects[11] + 1},
    }
    for reason, changes in spoilt.items():
        batch = x.batch()
        for place, word in changes.items():
            batch.effects[place] = word
        with fails(reason):
            send(batch, sender=EVE)
    batch = x.batch()
    batch.effects[10:13], batch.effects[13:16] = batch.effects[13:16], batch.effects[10:13]
    with fails("queue entries differ from the queue"):
        send(batch, sender=EVE)
    batch = x.batch()
    batch.effects[10] = batch.effects[10] & ~255 | 3
    with fails("queue entries differ from the queue"):
        send(batch, sender=EVE)


# ---------------------------------------------------------------- words


def test_no_word_has_two_forms(x):
    """w and w + r, or bits beyond a field, would be two effects with one value at z."""
    good = x.batch(withdrawals=[(3, ALICE, USDC)])
    for i in range(len(good.effects)):
        batch = x.batch(withdrawals=[(3, ALICE, USDC)])
        batch.effects[i] += R
        with fails("effects word is not a field element"):
            x.propose(batch)
    for i in range(3):
        batch = x.batch()
        batch.body[i] += R
        with fails("body cell is not a field element"):
            x.propose(batch)
    for cut in (good.effects_bytes[:-32], good.effects_bytes + bytes(32), b"", good.effects_bytes[:-1]):
        with pytest.raises(Exception, match=r"^(Rollup: wrong effects length|)$"):
            x.send(x.sequencer, "propose", cut, good.body_bytes, good.c, value_wei=BOND)
        with pytest.raises(Exception, match=r"^(Rollup: .*|)$"):
            x.send(x.sequencer, "prove", cut, x.header(good), [0] * 12, EVE)
        with pytest.raises(Exception, match=r"^(Rollup: .*|)$"):
            x.send(x.sequencer, "finalise", cut, x.header(good))
    for body in (good.body_bytes + b"\1", good.body_bytes[:-1], good.body_bytes + bytes(32 * x.config.body_cells)):
        with pytest.raises(Exception, match=r"^(Rollup: wrong body length|)$"):
            x.send(x.sequencer, "propose", good.effects_bytes, body, good.c, value_wei=BOND)
    for c in (R, good.c + R, 2**256 - 1):
        with fails("data commitment is not a field element"):
            x.send(x.sequencer, "propose", good.effects_bytes, good.body_bytes, c, value_wei=BOND)


@pytest.mark.parametrize("policy", [1, 2])
def test_no_header_has_two_forms(chain, new_exchange, policy):
    """Each word of the header is bound; the committee's "no value" opens nothing where there is none."""
    x = ready(new_exchange(chain, policy=policy))
    batch = propose(x)
    good = x.header(batch)
    proof = x.mock_proof(batch, EVE)
    spoilt = [(*good[:i], good[i] + R, *good[i + 1 :]) for i in range(1, 5)] + [(bytes(32), *good[1:]), (bytes(32), *good[1:4], 0), (*good[:4], 0)]
    for header in spoilt:
        with fails("not what was proposed"):
            x.send(EVE, "prove", batch.effects_bytes, header, proof, EVE)
    x.send(EVE, "prove", batch.effects_bytes, good, proof, EVE)


# ---------------------------------------------------------------- wei


def test_fees_are_all_that_is_collected(x):
    """Bonds held, bonds owed and fees in one balance: whatever is going on, the sequencer gets the fees."""
    first, second = propose(x), propose(x)
    x.send(ALICE, "force_withdraw", 3, USDC, value_wei=FEE_WEI)
    challenge(x, first, WATCHER)
    challenge(x, second, BOB)
    x.prove(second, PROVER)

    def collect() -> int:
        before = x.chain.evm.get_balance(x.sequencer)
        x.send(EVE, "collect_fees")
        return x.chain.evm.get_balance(x.sequencer) - before

    assert [collect(), collect()] == [FEE_WEI, 0]
    x.chain.warp(ANSWER_S + 1201)
    x.void(1)
    assert collect() == 0
    assert wei(x) == x.read("reserved_wei") == sum(owed(x, WATCHER, BOB, x.sequencer, BURNT)) == 2 * (BOND + STAKE)
    for who in (WATCHER, BOB, x.sequencer):
        x.send(who, "collect_wei")
        assert collect() == 0
        with fails("no wei owed"):
            x.send(who, "collect_wei")
    assert wei(x) == x.read("reserved_wei") == REWARD


def test_a_proof_for_nobody_gives_nobody_elses_wei_away(x):
    batch = propose(x)
    challenge(x, batch, WATCHER)
    x.prove(batch, NOBODY)
    assert owed(x, NOBODY, x.sequencer) == [PROOF_WEI, BOND]
    assert wei(x) == x.read("reserved_wei") == BOND + STAKE


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_wei_and_tokens_are_conserved_whatever_happens(chain, new_exchange, seed):
    """Random calls of everybody, each at any time, right or wrong ones; an independent account of all bonds."""
    x = ready(new_exchange(chain, policy=2, challenge_window_s=3600))
    rng = random.Random(seed)
    standing = {}
    people = [x.sequencer, EVE, WATCHER, PROVER, BOB, BURNT]
    owes = dict.fromkeys(people, 0)
    fees = 0
    window = 3600
    done = dict.fromkeys(("propose", "challenge", "prove", "finalise", "void", "wrong"), 0)
    for _ in range(300):
        final, tip = x.read("final_batch"), x.read("proposed_batch")
        kind = rng.choice(["propose", "propose", "challenge", "challenge", "prove", "finalise", "void", "wait", "ask", "collect"])
        number = rng.randint(final, tip + 1)
        s = standing.get(number)
        now = chain.time_s
        match kind:
            case "propose":
                x.submit_epoch()
                batch = x.batch(withdrawals=[(3, ALICE, rng.randint(1, 1000))])
                x.propose(batch)
                standing[tip + 1] = {"batch": batch, "at": now, "by": x.sequencer, "who": None, "proven": False}
                done[kind] += 1
            case "challenge":
                who = rng.choice(people[1:-1])
                right = s is not None and now <= s["at"] + window and not s["proven"] and s["who"] is None
                chain.fund(who)
                try:
                    receipt = x.send(who, "challenge", number, x.headers[min(number, len(x.headers) - 1)], value_wei=STAKE)
                    assert right
                    s.update(who=who, due=receipt.log("BatchChallenged")["due_s"])
                    done[kind] += 1
                except Exception as error:
                    assert not right, error
                    done["wrong"] += 1
            case "prove" if s is not None and not (s["proven"]):
                x.prove(s["batch"], PROVER)
                s["proven"] = True
                if s["who"]:
                    owes[s["who"]] += STAKE - PROOF_WEI
                if number == final + 1:
                    owes[s["by"]] += BOND
                    owes[PROVER] += PROOF_WEI if s["who"] else 0
                    del standing[number]
                done[kind] += 1
            case "finalise" if s is not None:
                right = number == final + 1 and (s["proven"] or (s["who"] is None and now > s["at"] + window))
                try:
                    x.finalise(s["batch"])
                    assert right
                    owes[s["by"]] += BOND
                    owes[PROVER] += PROOF_WEI if s["who"] else 0
                    del standing[number]
                    done[kind] += 1
                except Exception as error:
                    assert not right, error
                    done["wrong"] += 1
            case "void":
                right = s is not None and s["who"] is not None and not s["proven"] and now > s["due"]
                try:
                    x.void(number)
                    assert right
                    for n in range(number, tip + 1):
                        gone = standing.pop(n)
                        if n == number:
                            owes[gone["who"]] += REWARD
                            owes[BURNT] += REWARD
                        else:
                            owes[gone["by"]] += BOND
                        if gone["who"]:
                            owes[gone["who"]] += PROOF_WEI if gone["proven"] else STAKE
                    done[kind] += 1
                except Exception as error:
                    assert not right, error
                    done["wrong"] += 1
            case "wait":
                chain.warp(rng.choice([1, 600, 3600, 86_400 + 600, 2 * 86_400]))
            case "ask":
                if x.read("queue_proposed") == x.read("queue_length"):
                    chain.fund(ALICE)
                    x.send(ALICE, "force_withdraw", 3, 5, value_wei=FEE_WEI)
                    fees += FEE_WEI
            case "collect":
                who = rng.choice(people[:-1])
                if owes[who]:
                    x.send(who, "collect_wei")
                    owes[who] = 0
        held = sum(BOND + (0 if not s["who"] else PROOF_WEI if s["proven"] else STAKE) for s in standing.values())
        assert owed(x, *people) == [owes[who] for who in people]
        assert x.read("reserved_wei") == held + sum(owes.values())
        assert wei(x) == x.read("reserved_wei") + fees
        assert x.read("open_challenges") == sum(1 for s in standing.values() if s["who"] and not s["proven"])
        row = chain.call(x.vault, "rows", x.rollup.address)
        assert row + claimable(x, ALICE) == 150 * USDC == chain.call(x.token, "balanceOf", x.vault.address)
    assert all(done.values()), done


def test_challenging_oneself_costs_half_a_bond(x):
    """Whoever is proposer, challenger and prover at once has everything back but what a void burns."""
    before = x.chain.evm.get_balance(x.sequencer)
    first, second = propose(x), propose(x)
    for batch in (first, second):
        x.send(x.sequencer, "challenge", batch.number, x.headers[batch.number], value_wei=STAKE)
    x.prove(second, x.sequencer)
    x.chain.warp(DAY_S + 601)
    x.void(1)
    x.send(x.sequencer, "collect_wei")
    assert x.chain.evm.get_balance(x.sequencer) == before - BOND // 2
    assert wei(x) == x.read("reserved_wei") == BOND // 2


def test_late_challenges_neither_reopen_nor_shorten(x):
    """After its window a batch is final in fact: nothing stops it; nor does a challenge in the window's last second leave less than a day."""
    first, second = propose(x), propose(x)
    x.chain.warp(WINDOW_S)
    due = challenge(x, second, EVE).log("BatchChallenged")["due_s"]
    assert due == x.chain.time_s + ANSWER_S
    x.chain.warp(1)
    with fails("the challenge window is over"):
        challenge(x, first, EVE)
    with fails("batch has no overdue challenge"):
        x.void(1)
    x.finalise(first)
    x.chain.warp(DAY_S * 300)
    with fails("batch is neither proven nor past its window unchallenged"):
        x.finalise(second)
    x.prove(second)
    for call in (lambda: challenge(x, second, EVE), lambda: x.void(2), lambda: x.finalise(second)):
        with fails("no such proposal"):
            call()


# ---------------------------------------------------------------- committee


def snapshot(x, who: str, root: int, part: int = 0, parts: int = 1):
    return x.chain.send(who, x.committee, "post_snapshot", root, part, parts, b"state")


def away(x, **made):
    batch = x.batch(**made)
    batch.in_calldata = True
    return batch


def test_a_snapshot_of_another_branch_opens_nothing(validium):
    x = validium
    propose(x)
    snapshot(x, x.sequencer, x.roots[-1])
    later(x, DAY_S + 1)
    x.void(1)
    propose(x, new_root=77)
    with fails("the caller has posted no snapshot of the parent's state"):
        x.propose(away(x))
    # Nor does a calldata batch of a voided branch, once its own place is another's.
    snapshot(x, x.sequencer, 77)
    x.propose(away(x, new_root=78))
    x.propose(away(x, new_root=79))
    later(x, DAY_S + 1)
    x.void(2)
    x.propose(x.batch(new_root=78))
    snapshot(x, x.sequencer, 77)
    with fails("the caller has posted no snapshot of the parent's state"):
        x.propose(away(x))


def test_strangers_bring_their_own_snapshot_and_the_sequencers_stays(validium):
    x = validium
    later(x, 7 * DAY_S + 1)
    snapshot(x, x.sequencer, x.roots[-1])
    with fails("the caller has posted no snapshot of the parent's state"):
        x.propose_and_prove(away(x, entries=1), sender=EVE)
    snapshot(x, EVE, x.roots[-1], 0, 2)
    with fails("the caller has posted no snapshot of the parent's state"):
        x.propose_and_prove(away(x, entries=1), sender=EVE)
    snapshot(x, EVE, x.roots[-1], 1, 2)
    x.propose_and_prove(away(x, entries=1), sender=EVE)
    assert x.read("final_batch") == 1


@pytest.mark.parametrize(("root", "part", "parts"), [(8, 1, 2), (7, 1, 3), (7, 2, 2), (7, 1, 1), (7, 2, 3)])
def test_parts_do_not_change_under_way(validium, root, part, parts):
    x = validium
    snapshot(x, EVE, 7, 0, 2)
    with pytest.raises(Exception, match=r"^Committee: "):
        snapshot(x, EVE, root, part, parts)
    assert not x.chain.call(x.committee, "has_snapshot", EVE, 7)
    snapshot(x, EVE, 7, 1, 2)
    assert x.chain.call(x.committee, "has_snapshot", EVE, 7)
    for who, other in ((BOB, 7), (EVE, 0), (EVE, 8), (NOBODY, 0)):
        assert not x.chain.call(x.committee, "has_snapshot", who, other)


def test_certificates_are_of_one_branch(validium):
    """Those for a voided batch serve for the very same batch again, and for none with another parent, number or content."""
    x = validium
    first = x.batch()
    certificates = x.certificates(first)
    x.propose(first)
    second = x.batch()
    of_second = x.certificates(second)
    x.propose(second)
    x.chain.warp(DAY_S + 1)
    x.void(1)
    x.submit_epoch()
    other = x.batch(body=(1, 1))
    with pytest.raises(Exception, match=r"^Committee: signer is not a member$"):
        x.send(x.sequencer, "propose_certified", other.effects_bytes, other.c + 1, certificates)
    x.propose(other)
    child = x.batch()
    with pytest.raises(Exception, match=r"^Committee: signer is not a member$"):
        x.send(x.sequencer, "propose_certified", child.effects_bytes, child.c, of_second)
    assert x.read("proposed_batch") == 1


def test_the_committees_value_of_the_body_is_below_the_modulus(validium):
    x = validium
    batch = propose(x)
    good = x.header(batch)
    value = x.public_inputs(batch, EVE)[3]
    proof = x.mock_proof(batch, EVE)
    for wrong in (value + 1, 0, value + R):
        with fails("invalid proof"):
            x.send(EVE, "prove", batch.effects_bytes, (*good[:4], wrong), proof, EVE)
    x.send(EVE, "prove", batch.effects_bytes, (*good[:4], value), proof, EVE)


def test_a_stranger_certifies_nothing_by_certifying_much(validium):
    """Sixteen signatures of strangers, one member's repeated, one's malleated twin: still nobody."""
    x = validium
    batch = x.batch()
    six = x.certificates(batch)
    for certificates in (six[:5] + six[4:5], six[:5], [six[0]] * 16, six[::-1], [*six[:5], (0, 0, 0)], [*six[:5], (27, 1, 1)], []):
        with pytest.raises(Exception, match=r"^(Committee|Signers): "):
            x.send(x.sequencer, "propose_certified", batch.effects_bytes, batch.c, certificates)
    with pytest.raises(Exception):  # noqa: B017 - not payable, no reason
        x.send(x.sequencer, "propose_certified", batch.effects_bytes, batch.c, six, value_wei=1)
    x.send(x.sequencer, "propose_certified", batch.effects_bytes, batch.c, six)


# ---------------------------------------------------------------- blobs


def test_no_opening_of_another_form(chain, new_exchange):
    x = ready(new_exchange(chain, data=2))
    batch = x.batch()
    function, (effects, c, (commitment, proof, y)), options = x.proposal(batch)
    hashes = options["blob_hashes"]
    other = x.proposal(x.batch(body=(8, 9)))[2]["blob_hashes"]
    wrong = [
        ((commitment, proof, y + P_BLS if y + P_BLS < 2**256 else P_BLS), hashes), ((commitment, proof, y + R), hashes),
        ((commitment, proof, (y - R) % P_BLS), hashes), ((commitment[:47], proof, y), hashes), ((commitment, proof[:47], y), hashes),
        ((b"", b"", 0), hashes), ((bytes([0xC0]) + bytes(47), bytes([0xC0]) + bytes(47), 0), hashes), ((proof, commitment, y), hashes),
        ((commitment, proof, y), other), ((commitment, proof, y), [*other, *hashes]),
    ]  # fmt: skip
    for opening, blobs in wrong:
        with fails("the blob does not have this value"):
            x.send(x.sequencer, function, effects, c, opening, blob_hashes=blobs)
    with fails("the transaction has no blob"):
        x.send(x.sequencer, function, effects, c, (commitment, proof, y))
    for name, arguments in (("propose", (effects, batch.body_bytes, c)), ("propose_and_prove", (effects, batch.body_bytes, c, [0] * 12, EVE))):
        with fails("the body must be a blob"):
            x.send(x.sequencer, name, *arguments, blob_hashes=hashes)
    with fails("no committee"):
        x.send(x.sequencer, "propose_certified", effects, c, [])
    # The opening of one z is none of another's: other effects, other c.
    with fails("the blob does not have this value"):
        x.send(x.sequencer, function, effects, c + 1, (commitment, proof, y), blob_hashes=hashes)
    x.send(x.sequencer, function, effects, c, (commitment, proof, y), blob_hashes=hashes)


def test_a_voided_blob_batch_needs_its_blob_again(chain, new_exchange):
    """The way back after a void is the same header, and that has the blob's hash: nobody proposes it without carrying the blob."""
    x = ready(new_exchange(chain, data=2))
    batch = x.batch()
    function, arguments, options = x.proposal(batch)
    x.propose(batch)
    x.chain.warp(DAY_S + 1)
    x.void(1)
    with fails("the transaction has no blob"):
        x.send(x.sequencer, function, *arguments)
    x.send(x.sequencer, function, *arguments, **options)


# ---------------------------------------------------------------- a flooded queue

FLOODER = """
# pragma version 0.4.3
# pragma evm-version cancun
interface Token:
    def mint(receiver: address, amount: uint256): nonpayable
    def approve(spender: address, amount: uint256) -> bool: nonpayable

interface Vault:
    def deposit(rollup: address, account: uint256, owner: address, amount: uint256): nonpayable

@external
def flood(token: Token, vault: Vault, rollup: address, account: uint256, owner: address, count: uint256):
    extcall token.mint(self, count * 10**6)
    extcall token.approve(vault.address, count * 10**6)
    for _: uint256 in range(count, bound=10000):
        extcall vault.deposit(rollup, account, owner, 10**6)
"""


def test_a_flood_of_deposits_opens_no_permissionless_mode(x, tmp_path):
    path = tmp_path / "Flooder.vy"
    path.write_text(FLOODER)
    flooder = x.chain.deploy(load_path(path))
    rows, gas = x.config.queue_rows, 0
    entries = 4095 * rows + 1 - len(x.queue)
    while entries > 0:
        count = min(250, entries)
        try:
            receipt = x.chain.send(EVE, flooder, "flood", x.token.address, x.vault.address, x.rollup.address, 3, x.read("owner_of", 3), count)
        except Exception:
            break  # the queue is full
        x._note(receipt)
        gas += receipt.gas_used
        entries -= count
    # The sequencer proposes all that it may, at once.
    for number in range(1, 4096):
        if number % 1000 == 1:
            x.submit_epoch()
        batch = x.batch(body=())
        if number == 1:
            first = batch
        if number > 1 and x.queue_ends[-1] == len(x.queue):
            return
        x.propose(batch)
    with fails("too many proposals"):
        x.propose(x.batch(body=()))
    x.chain.warp(WINDOW_S + 1)
    if x.read("permissionless"):
        assert gas < 50_000 * 4095 * rows
        x.submit_epoch()
        x.finalise(first, sender=EVE)
        false = x.batch(body=(), new_root=666)
        x.propose(false, sender=EVE)
        challenge(x, false, EVE)
        pytest.fail(f"for {gas // 4095 // rows} gas a deposit, and no fault of the sequencer's, its next batches go with a stranger's false one")
