"""Vault: exact deposits, rows, pulled withdrawals, tokens that misbehave."""

from __future__ import annotations

import pytest
from support.odd_token import GOOD, KINDS, NO_CALL, planned

from straddle.l1.contracts import load

ALICE, BOB, EVE = ("0x" + f"{n:040x}" for n in (0xA1, 0xB0, 0xE7))
USDC = 1_000_000
REFUSALS = dict.fromkeys(["answers false", "answers false and moves nothing"], "^Vault: token transfer failed$")


def fails(reason: str):
    return pytest.raises(Exception, match=f"^{reason}$")


@pytest.fixture
def odd(chain, mock, new_exchange):
    """An exchange on a token that can be told to misbehave."""
    return new_exchange(chain, token=chain.deploy(mock("OddToken")))


def odd_deposit(exchange, amount: int = 5 * USDC):
    exchange.chain.send(ALICE, exchange.token, "mint", ALICE, amount)
    return exchange.chain.send(ALICE, exchange.vault, "deposit", exchange.rollup.address, 0, ALICE, amount)


def withdraw(exchange, owner: str, amount: int, account: int = 3):
    exchange.submit_epoch()
    exchange.propose_and_prove(exchange.batch(withdrawals=[(account, owner, amount)]))


def test_the_token_must_be_a_contract(chain):
    with fails("Vault: token is not a contract"):
        chain.deploy(load("Vault"), ALICE)


def test_deposit_moves_tokens_and_raises_the_row(exchange):
    receipt = exchange.deposit(ALICE, 5 * USDC)
    assert receipt.log("Deposited") == {"rollup": exchange.rollup.address.lower(), "depositor": ALICE, "account": 0, "amount": 5 * USDC}
    assert exchange.chain.call(exchange.vault, "rows", exchange.rollup.address) == 5 * USDC
    assert exchange.chain.call(exchange.token, "balanceOf", exchange.vault.address) == 5 * USDC
    assert exchange.chain.call(exchange.token, "balanceOf", ALICE) == 0


def test_deposit_without_tokens_or_allowance_is_refused(exchange):
    with fails("TestUSDC: allowance too low"):
        exchange.chain.send(ALICE, exchange.vault, "deposit", exchange.rollup.address, 0, ALICE, USDC)
    exchange.chain.send(ALICE, exchange.token, "approve", exchange.vault.address, USDC)
    with fails("TestUSDC: balance too low"):
        exchange.chain.send(ALICE, exchange.vault, "deposit", exchange.rollup.address, 0, ALICE, USDC)


def test_the_row_stays_below_its_limit(exchange):
    limit = exchange.chain.call(exchange.vault, "ROW_LIMIT")
    assert limit == 2**62
    with fails("Vault: row limit reached"):
        exchange.deposit(ALICE, limit)
    exchange.deposit(ALICE, limit - 2 * USDC)
    exchange.deposit(ALICE, 2 * USDC - 1)
    with fails("Vault: row limit reached"):
        exchange.deposit(ALICE, USDC)


def test_a_deposit_to_something_that_is_no_rollup_is_refused(exchange):
    exchange.chain.send(ALICE, exchange.token, "mint", ALICE, USDC)
    exchange.chain.send(ALICE, exchange.token, "approve", exchange.vault.address, USDC)
    for target in (BOB, exchange.token.address):
        with pytest.raises(Exception, match=r"^$"):
            exchange.chain.send(ALICE, exchange.vault, "deposit", target, 0, ALICE, USDC)
    assert exchange.chain.call(exchange.token, "balanceOf", ALICE) == USDC


def test_rows_are_separate(exchange, mock):
    """Whoever calls `credit` spends their own row, and anybody's own row but a rollup's is empty."""
    exchange.deposit(ALICE, 5 * USDC)
    with fails("Vault: row too low"):
        exchange.chain.send(EVE, exchange.vault, "credit", EVE, 1)
    forwarder = exchange.chain.deploy(mock("Forwarder"))
    with fails("Vault: row too low"):
        exchange.chain.send(EVE, forwarder, "forward", exchange.vault.address, exchange.vault.contract.encode_call("credit", EVE, 1))


def test_credit_to_the_zero_address_is_refused(exchange):
    with fails("Vault: credit to the zero address"):
        exchange.chain.send(EVE, exchange.vault, "credit", "0x" + "00" * 20, 0)


def test_pull_pays_once(exchange):
    exchange.deposit(ALICE, 5 * USDC)
    withdraw(exchange, BOB, 2 * USDC)
    assert exchange.chain.call(exchange.vault, "claimable", BOB) == 2 * USDC
    with fails("Vault: nothing to pull"):
        exchange.chain.send(ALICE, exchange.vault, "pull")
    receipt = exchange.chain.send(BOB, exchange.vault, "pull")
    assert receipt.result == 2 * USDC
    assert receipt.log("Pulled") == {"owner": BOB, "amount": 2 * USDC}
    assert exchange.chain.call(exchange.token, "balanceOf", BOB) == 2 * USDC
    assert exchange.chain.call(exchange.vault, "rows", exchange.rollup.address) == 3 * USDC
    with fails("Vault: nothing to pull"):
        exchange.chain.send(BOB, exchange.vault, "pull")


def test_a_proved_withdrawal_above_the_row_reverts(exchange):
    """No sound proof says so; were there one, the row would still bound the loss."""
    exchange.deposit(ALICE, 5 * USDC)
    with fails("Vault: row too low"):
        withdraw(exchange, BOB, 5 * USDC + 1)
    assert exchange.read("final_batch") == 0


@pytest.mark.parametrize("name", KINDS)
def test_deposits_and_payouts_of_odd_tokens(odd, name):
    """Refused, or exact to the unit for the vault; a claim that is not paid out stays."""
    kind, books = KINDS[name], lambda: [odd.chain.call(odd.vault, "rows", odd.rollup.address), odd.chain.call(odd.vault, "claimable", BOB)]
    odd_deposit(odd)
    odd.queue.append((1, 3, ALICE, 5 * USDC, 0))
    withdraw(odd, BOB, 2 * USDC)
    odd.chain.send(ALICE, odd.token, "configure", *kind.as_tuples())
    odd.chain.send(ALICE, odd.token, "mint", ALICE, 10)
    if kind.is_taken:
        odd_deposit(odd)
    else:
        with pytest.raises(Exception, match=REFUSALS.get(name, "Vault: token did not deliver the exact amount|^$")):
            odd_deposit(odd)
    assert books() == [(8 if kind.is_taken else 3) * USDC, 2 * USDC]
    assert odd.chain.call(odd.token, "balanceOf", odd.vault.address) == sum(books())
    if kind.is_paid:
        odd.chain.send(BOB, odd.vault, "pull")
        assert odd.chain.call(odd.token, "balanceOf", BOB) == 2 * USDC + kind.leaving.bonus - kind.leaving.fee
    else:
        with pytest.raises(Exception, match=REFUSALS.get(name, "Vault: token did not take the exact amount|^$")):
            odd.chain.send(BOB, odd.vault, "pull")
    assert books()[1] == (0 if kind.is_paid else 2 * USDC)
    assert odd.chain.call(odd.token, "balanceOf", odd.vault.address) == sum(books())
    if not kind.is_paid:
        odd.chain.send(ALICE, odd.token, "configure", *GOOD.as_tuples())
        odd.chain.send(BOB, odd.vault, "pull")
        assert odd.chain.call(odd.token, "balanceOf", BOB) == 2 * USDC


@pytest.mark.parametrize("call", ["pull", "credit", "deposit"])
@pytest.mark.parametrize("is_leaving", [False, True])
def test_a_token_that_calls_the_vault_back_is_refused(odd, call, is_leaving):
    """By the lock: each of the calls goes through by itself."""
    odd_deposit(odd)
    odd.queue.append((1, 3, ALICE, 5 * USDC, 0))
    odd.submit_epoch()
    odd.propose_and_prove(odd.batch(withdrawals=[(3, BOB, 2 * USDC), (3, odd.token.address, USDC)]))
    odd.chain.send(ALICE, odd.token, "mint", odd.token.address, USDC)
    args = {"pull": (), "credit": (EVE, 0), "deposit": (odd.rollup.address, 0, EVE, USDC)}[call]
    calls = [planned(odd.vault, call, args, 0, False), NO_CALL]
    odd.chain.send(ALICE, odd.token, "call_back", *(reversed(calls) if is_leaving else calls))
    before = odd.chain.call(odd.token, "balanceOf", odd.vault.address)
    with fails("OddToken: call back refused"):
        if is_leaving:
            odd.chain.send(BOB, odd.vault, "pull")
        else:
            odd_deposit(odd)
    assert odd.chain.call(odd.token, "balanceOf", odd.vault.address) == before
    assert odd.chain.call(odd.vault, "claimable", BOB) == 2 * USDC
    odd.chain.send(ALICE, odd.token, "call_back", NO_CALL, NO_CALL)
    odd.chain.send(ALICE, odd.token, "act", odd.vault.address, odd.vault.contract.encode_call(call, *args), 0)


def test_tokens_sent_without_a_deposit_change_no_balance(exchange):
    exchange.deposit(ALICE, 5 * USDC)
    exchange.chain.send(EVE, exchange.token, "mint", exchange.vault.address, 7)
    assert exchange.chain.call(exchange.vault, "rows", exchange.rollup.address) == 5 * USDC
    exchange.deposit(ALICE, 5 * USDC)
    assert exchange.chain.call(exchange.vault, "rows", exchange.rollup.address) == 10 * USDC


# ---------------------------------------------------------------- the development token


def test_usdc_moves_and_refuses(exchange):
    token, chain = exchange.token, exchange.chain
    chain.send(ALICE, token, "mint", ALICE, 10)
    chain.send(ALICE, token, "transfer", BOB, 4)
    chain.send(BOB, token, "approve", EVE, 3)
    chain.send(EVE, token, "transferFrom", BOB, EVE, 3)
    assert [chain.call(token, "balanceOf", who) for who in (ALICE, BOB, EVE)] == [6, 1, 3]
    assert chain.call(token, "totalSupply") == 10
    assert (chain.call(token, "name"), chain.call(token, "symbol"), chain.call(token, "decimals")) == ("Test USDC", "tUSDC", 6)
    with fails("TestUSDC: mint to the zero address"):
        chain.send(ALICE, token, "mint", "0x" + "00" * 20, 1)
    with fails("TestUSDC: transfer to the zero address"):
        chain.send(ALICE, token, "transfer", "0x" + "00" * 20, 1)
    with fails("TestUSDC: balance too low"):
        chain.send(ALICE, token, "transfer", BOB, 7)
    with fails("TestUSDC: allowance too low"):
        chain.send(EVE, token, "transferFrom", BOB, EVE, 1)
