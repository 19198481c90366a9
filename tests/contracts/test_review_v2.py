"""Attacks on what version 2 added to layer 1, by a reviewer who did not write it: steal by a forced withdrawal, block the queue, use an old table."""

from __future__ import annotations

import pytest

ALICE, BOB, EVE = ("0x" + f"{n:040x}" for n in (0xA1, 0xB0, 0xE7))
USDC = 1_000_000
FEE_WEI = 10**12
DAY_S = 86_400


def fails(reason: str):
    return pytest.raises(Exception, match=f"^Rollup: {reason}$")


@pytest.fixture
def funded(exchange):
    """Alice owns account 3 with 100 USDC, Bob account 4 with 50, answered by a proved batch."""
    exchange.deposit(ALICE, 100 * USDC)
    exchange.deposit(BOB, 50 * USDC)
    exchange.submit_epoch()
    exchange.propose_and_prove(exchange.batch())
    return exchange


def claimable(exchange, who: str) -> int:
    return exchange.chain.call(exchange.vault, "claimable", who)


def force(exchange, amount: int = 60 * USDC, account: int = 3, who: str = ALICE):
    exchange.chain.fund(who)
    return exchange.send(who, "force_withdraw", account, amount, value_wei=FEE_WEI)


def close(exchange, limit: int = 500, account: int = 3, who: str = ALICE):
    exchange.chain.fund(who)
    return exchange.send(who, "force_close", account, limit, value_wei=FEE_WEI)


# ---------------------------------------------------------------- steal


def test_a_forced_withdrawal_is_paid_once(funded):
    """Proved twice, or proved, then voided and proposed again."""
    force(funded)
    batch = funded.batch(forced=[7 * USDC])
    funded.propose(batch)
    funded.prove(batch)
    with fails("no such proposal"):
        funded.prove(batch)
    with fails("no such proposal"):
        funded.void()
    with fails("wrong batch number"):
        funded.propose(batch)
    assert claimable(funded, ALICE) == 7 * USDC


def test_a_batch_voided_and_proposed_again_pays_once(funded):
    force(funded)
    batch = funded.batch(forced=[7 * USDC])
    funded.propose(batch)
    funded.chain.warp(DAY_S + 1)
    funded.void()
    funded.propose(batch)
    funded.prove(batch)
    assert claimable(funded, ALICE) == 7 * USDC


def test_the_payment_proved_is_the_payment_proposed(funded):
    """Attack: prove with effects in which the forced withdrawal pays more, or to somebody else."""
    force(funded)
    batch = funded.batch(forced=[7 * USDC])
    funded.propose(batch)
    header, proof = funded.header(batch), funded.mock_proof(batch, EVE)
    for word, change in ((12, 1), (10, (int(EVE, 16) - int(ALICE, 16)) << 40)):
        batch.effects[word] += change
        with fails("not what was proposed"):
            funded.send(EVE, "prove", batch.effects_bytes, header, proof, EVE)
        batch.effects[word] -= change


@pytest.mark.parametrize("kind", [1, 2, 4])
def test_only_forced_withdrawals_pay_by_their_third_word(funded, kind):
    """Attack: a third word in an entry of another kind, or another kind with the hash of a forced withdrawal."""
    if kind == 1:
        funded.deposit(ALICE, USDC, account=3)
    elif kind == 2:
        funded.chain.fund(ALICE)
        funded.send(ALICE, "set_key", 3, (0, 0), (0, 0), value_wei=FEE_WEI)
    else:
        close(funded)
    batch = funded.batch()
    batch.effects[12] = 5 * USDC
    with fails("queue entries differ from the queue"):
        funded.propose(batch)
    batch.effects[10] += 3 - kind
    with fails("(queue entries differ from the queue|forced withdrawal pays more than was asked)"):
        funded.propose(batch)


def test_bits_beyond_an_entry_are_refused(funded):
    """Attack: numbers that layer 1 masks and the circuit would not."""
    force(funded)
    for bit in (200, 201, 208, 232, 253):
        batch = funded.batch(forced=[0])
        batch.effects[10] ^= 1 << bit
        with fails("(wrong queue outcome|effects word is not a field element)"):
            funded.propose(batch)


def test_forced_payments_come_out_of_this_rollups_row(funded):
    """A proof that pays more than the row holds, which the circuit does not admit, cannot reach the deposits of another rollup in the vault."""
    force(funded, 2**62)
    batch = funded.batch(forced=[150 * USDC + 1])
    funded.propose(batch)
    funded.chain.send(BOB, funded.token, "mint", funded.vault.address, 1000 * USDC)  # tokens that belong to nobody's row
    with pytest.raises(Exception):  # noqa: B017 - the row's underflow has no reason
        funded.prove(batch)
    assert funded.read("final_batch") == 1
    assert claimable(funded, ALICE) == 0


# ---------------------------------------------------------------- block and grieve


def test_requests_of_different_kinds_and_accounts_do_not_hinder_each_other(funded):
    force(funded)
    close(funded)
    force(funded, account=4, who=BOB)
    with fails("the account's last request of this kind is not answered yet"):
        force(funded)
    funded.propose(funded.batch(entries=1))
    force(funded)
    with fails("the account's last request of this kind is not answered yet"):
        close(funded)


def test_nobody_else_can_use_up_an_owners_request(funded):
    for who in (EVE, BOB, funded.sequencer):
        for ask in (force, close):
            with fails("not the account's owner"):
                ask(funded, who=who)
    funded.deposit(EVE, USDC, account=3)  # anybody may pay in, and it changes nothing of that
    force(funded)


def test_a_void_leaves_requests_that_take_a_batch_each_and_no_more_can_be_added(funded):
    """What a request after each proposal can leave behind: two entries of a kind for one account, of which a batch answers one. They are answered in turn."""
    force(funded)
    funded.propose(funded.batch(entries=1, forced=[USDC]))
    force(funded)
    funded.chain.warp(DAY_S + 1)
    funded.void()
    with fails("the account's last request of this kind is not answered yet"):
        force(funded)
    funded.submit_epoch()
    for _ in range(2):
        funded.propose_and_prove(funded.batch(entries=1, forced=[USDC]))
    assert claimable(funded, ALICE) == 2 * USDC
    force(funded)


def test_a_request_after_a_void_is_open_again_once_the_same_batch_is_back(funded):
    """A key that leaks must be revocable; so must a forced withdrawal be repeatable, whatever was voided in between."""
    force(funded)
    batch = funded.batch(forced=[0])
    funded.propose(batch)
    funded.chain.warp(DAY_S + 1)
    funded.void()
    with fails("the account's last request of this kind is not answered yet"):
        force(funded)
    funded.propose(batch)
    force(funded)


def test_the_operator_owns_the_insurance_account_as_any_owner_does(funded):
    """No theft, and said in the pages: what account 2 holds beyond its margin is the operator's to take out, as are the fees."""
    operator = funded.config.operator
    for account in (1, 2):
        force(funded, account=account, who=operator)
        with fails("not the account's owner"):
            force(funded, account=account, who=EVE)
    funded.propose_and_prove(funded.batch(forced=[3, 4]))
    assert claimable(funded, operator) == 7


# ---------------------------------------------------------------- an old table


def test_an_old_table_serves_nothing_new_after_a_void(funded):
    """Attack: propose an empty batch on a favourable table, let it be voided, and fill it a day later with what has become profitable."""
    placeholder = funded.batch()
    funded.propose(placeholder)
    funded.chain.warp(DAY_S + 1)
    funded.void()
    force(funded)  # an entry that came later
    for change in ({"body": [9]}, {"new_root": 5}, {"withdrawals": [(3, EVE, 1)]}, {"entries": 1}):
        with fails("risk table is too old"):
            funded.propose(funded.batch(**{"entries": 0} | change))
    funded.propose(placeholder)


def test_a_header_of_256_batches_ago_opens_nothing(funded):
    """Its slot is that of the next batch, and its number is hashed: the same words are another batch."""
    first = funded.batch()
    funded.propose_and_prove(first)
    for _ in range(255):
        funded.propose_and_prove(funded.batch())
    assert (funded.read("final_batch") + 1) % 256 == first.number
    funded.chain.warp(3600)
    stale = funded.batch(new_root=first.effects[3])
    with fails("risk table is too old"):
        funded.propose(stale)


def test_a_voided_batch_comes_back_behind_its_own_parent_and_not_for_ever(funded):
    first = funded.batch()
    funded.propose(first)
    second = funded.batch()
    funded.propose(second)
    funded.chain.warp(DAY_S + 1)
    funded.void()
    funded.propose(first)
    funded.prove(first)
    funded.propose(second)  # its parent is the very same: this is the one that may come back
    funded.chain.warp(DAY_S + 900)
    funded.void()
    with fails("risk table is too old"):  # more than 48 h 15 min after its table
        funded.propose(second)
