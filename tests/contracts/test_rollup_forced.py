"""Forced withdrawals and forced closes: what only the owner may ask for, and what a batch must answer; proposals repeated after a void."""

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
    """Alice owns account 3 with 100 USDC, Bob account 4 with 50; a first epoch is recorded."""
    exchange.deposit(ALICE, 100 * USDC)
    exchange.deposit(BOB, 50 * USDC)
    exchange.submit_epoch()
    return exchange


def claimable(exchange, who: str) -> int:
    return exchange.chain.call(exchange.vault, "claimable", who)


def force(exchange, amount: int = 60 * USDC, account: int = 3, who: str = ALICE, fee: int = FEE_WEI):
    exchange.chain.fund(who)
    return exchange.send(who, "force_withdraw", account, amount, value_wei=fee)


def close(exchange, limit: int = 500, account: int = 3, who: str = ALICE, fee: int = FEE_WEI):
    exchange.chain.fund(who)
    return exchange.send(who, "force_close", account, limit, value_wei=fee)


def test_requests_join_the_queue(funded):
    assert force(funded).log("QueueEntryAdded") == {"index": 2, "account": 3, "owner": ALICE, "kind": 3, "word_1": 60 * USDC, "word_2": 0}
    assert close(funded).log("QueueEntryAdded") == {"index": 3, "account": 3, "owner": ALICE, "kind": 4, "word_1": 500, "word_2": 0}


@pytest.mark.parametrize("request_", [force, close])
def test_only_the_owner_asks_and_pays_the_exact_fee(funded, request_):
    for account, who in ((3, EVE), (4, ALICE), (0, ALICE), (9, ALICE)):
        with fails("not the account's owner"):
            request_(funded, account=account, who=who)
    for fee in (0, FEE_WEI - 1, FEE_WEI + 1):
        with fails("wrong request fee"):
            request_(funded, fee=fee)


def test_amounts_and_limits_are_bounded(funded):
    for amount in (0, 2**63, 2**256 - 1):
        with fails("forced amount must be 1 to 2\\^63 - 1"):
            force(funded, amount)
    for limit in (10_001, 2**256 - 1):
        with fails("limit must be at most 10000 basis points"):
            close(funded, limit)
    force(funded, 2**63 - 1)
    close(funded, 10_000)


def test_one_request_of_a_kind_waits_an_account(funded):
    force(funded), close(funded), force(funded, account=4, who=BOB)
    for request_ in (force, close):
        with fails("the account's last request of this kind is not answered yet"):
            request_(funded)
    funded.propose(funded.batch(entries=4))
    force(funded), close(funded)
    with fails("the account's last request of this kind is not answered yet"):
        force(funded, account=4, who=BOB)


@pytest.mark.parametrize("paid", [0, 1, 60 * USDC])
def test_a_proved_batch_pays_what_it_says(funded, paid):
    force(funded)
    batch = funded.batch(forced=[paid])
    funded.propose(batch)
    assert claimable(funded, ALICE) == 0
    funded.prove(batch)
    assert claimable(funded, ALICE) == paid
    assert funded.chain.call(funded.vault, "rows", funded.rollup.address) == 150 * USDC - paid


def test_forced_and_signed_withdrawals_of_one_owner_add_up(funded):
    force(funded), force(funded, 20 * USDC, account=4, who=BOB)
    funded.propose_and_prove(funded.batch(forced=[5 * USDC, 7 * USDC], withdrawals=[(4, ALICE, USDC)]))
    assert (claimable(funded, ALICE), claimable(funded, BOB)) == (6 * USDC, 7 * USDC)


def test_no_batch_pays_more_than_was_asked(funded):
    force(funded)
    with fails("forced withdrawal pays more than was asked"):
        funded.propose(funded.batch(forced=[60 * USDC + 1]))


def test_the_request_itself_is_fixed_by_the_queue(funded):
    """Another amount asked, another account, another owner, another kind: the hash chain differs."""
    force(funded)
    row = 10 + 3 * 2
    for word, change in ((row + 1, 1), (row + 1, -1), (row, 1 << 8), (row, 1 << 40), (row, 1), (row, -1)):
        batch = funded.batch(forced=[0])
        batch.effects[word] += change
        with fails("queue entries differ from the queue"):
            funded.propose(batch)


def test_a_forced_close_has_no_second_word(funded):
    close(funded)
    batch = funded.batch()
    batch.effects[10 + 3 * 2 + 2] = 1
    with fails("queue entries differ from the queue"):
        funded.propose(batch)


def test_a_voided_batch_pays_nothing(funded):
    force(funded)
    funded.propose(funded.batch(forced=[60 * USDC]))
    funded.chain.warp(DAY_S + 1)
    funded.void()
    assert claimable(funded, ALICE) == 0
    assert funded.read("queue_proposed") == 0


# ---------------------------------------------------------------- the same batches again after a void


def voided(exchange, count: int = 3):
    """`count` proposals, voided; the batches as they were."""
    batches = []
    for _ in range(count):
        batches.append(exchange.batch())
        exchange.propose(batches[-1])
    exchange.chain.warp(DAY_S + 1)
    exchange.void()
    return batches


def test_voided_batches_may_be_proposed_again_although_their_table_is_old(funded):
    """Trades with receipts need not be lost because a prover was away for a day."""
    batches = voided(funded)
    for batch in batches:
        funded.propose(batch)
    for batch in batches:
        funded.prove(batch)
    assert funded.read("final_batch") == 3


def test_only_the_very_same_batch_in_its_very_place(funded):
    """Attack: an old, favourable table with other fills."""
    batches = voided(funded)
    other = funded.batch()
    other.effects[3] += 1
    with fails("risk table is too old"):
        funded.propose(other)
    with fails("risk table is too old"):
        funded.propose(funded.batch(body=[1]))
    funded.submit_epoch()
    funded.propose(funded.batch(new_root=batches[0].effects[3]))  # a fresh batch with the root that the voided children stand on
    with fails("epoch decreases"):
        funded.propose(batches[1])


def test_a_child_with_another_parent_is_another_batch(funded):
    first, second = voided(funded, 2)
    funded.submit_epoch(epoch=funded.epoch + 1)
    funded.epoch, recent = 1, funded.time_ms
    funded.propose(first)
    assert recent > first.effects[4] >> 64
    second.effects[2] = first.effects[3]
    second.body.append(1)
    with fails("risk table is too old"):
        funded.propose(second)


def test_not_for_ever(funded):
    batches = voided(funded, 1)
    funded.chain.warp(DAY_S + 900)
    with fails("risk table is too old"):
        funded.propose(batches[0])
