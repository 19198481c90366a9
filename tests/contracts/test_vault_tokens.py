"""Vault on a token whose issuer changes its mind after the deposits: who is held up by it, and who is not."""

from __future__ import annotations

import pytest

ALICE, BOB, EVE = ("0x" + f"{n:040x}" for n in (0xA1, 0xB0, 0xE7))
USDC = 1_000_000
CLAIMS = {ALICE: 2 * USDC, BOB: 3 * USDC}


@pytest.fixture
def exchange(chain, mock, new_exchange):
    """On a GuardedToken, with $10 in the row and claims of both."""
    made = new_exchange(chain, token=chain.deploy(mock("GuardedToken")))
    pay_in(made, 15 * USDC)
    withdraw(made, CLAIMS)
    return made


def pay_in(exchange, amount: int) -> None:
    exchange.chain.send(EVE, exchange.token, "mint", EVE, amount)
    exchange.chain.send(EVE, exchange.vault, "deposit", exchange.rollup.address, 0, EVE, amount)
    exchange.queue.append((1, 3 + len(exchange.queue), EVE, amount, 0))


def withdraw(exchange, amounts) -> None:
    exchange.submit_epoch()
    exchange.propose_and_prove(exchange.batch(withdrawals=[(3, owner, amount) for owner, amount in amounts.items()]))


def books(exchange) -> tuple[int, int, int]:
    """Row, and the claims of both."""
    reads = exchange.chain.call
    found = reads(exchange.vault, "rows", exchange.rollup.address), *(reads(exchange.vault, "claimable", who) for who in CLAIMS)
    assert reads(exchange.token, "balanceOf", exchange.vault.address) == sum(found)
    return found


def pull(exchange, who: str) -> int:
    return exchange.chain.send(who, exchange.vault, "pull").result


def test_a_blocked_owner_holds_nobody_up_and_loses_nothing(exchange):
    exchange.chain.send(EVE, exchange.token, "block_out", BOB, True)
    with pytest.raises(Exception, match=r"^GuardedToken: blocked$"):
        pull(exchange, BOB)
    assert pull(exchange, ALICE) == 2 * USDC
    withdraw(exchange, {BOB: 4 * USDC, ALICE: USDC})
    assert exchange.read("final_batch") == 2 and books(exchange) == (5 * USDC, USDC, 7 * USDC)
    exchange.chain.send(EVE, exchange.token, "block_out", BOB, False)
    assert pull(exchange, BOB) == 7 * USDC and books(exchange) == (5 * USDC, USDC, 0)


@pytest.mark.parametrize("stop", ["pause", "block_out"])
def test_a_stopped_token_stops_no_batch(exchange, stop):
    """Batches become final and are credited while nothing moves; everything is there when it moves again."""
    args = {"pause": (), "block_out": (exchange.vault.address,)}[stop]
    exchange.chain.send(EVE, exchange.token, stop, *args, True)
    for call in (lambda: pull(exchange, ALICE), lambda: pay_in(exchange, USDC)):
        with pytest.raises(Exception, match=r"^GuardedToken: (paused|blocked)$"):
            call()
    withdraw(exchange, CLAIMS)
    assert exchange.read("final_batch") == 2 and books(exchange) == (5 * USDC, 4 * USDC, 6 * USDC)
    exchange.chain.send(EVE, exchange.token, stop, *args, False)
    assert [pull(exchange, who) for who in CLAIMS] == [4 * USDC, 6 * USDC]


def test_what_a_rebase_takes_is_missed_by_the_last_who_come(exchange):
    """The vault has no price and no owner: with less than it owes it pays in full, in the order of asking, and never a part."""
    exchange.chain.send(EVE, exchange.token, "rebase", exchange.vault.address, 4 * USDC)
    assert pull(exchange, BOB) == 3 * USDC
    with pytest.raises(Exception, match=r"^$"):
        pull(exchange, ALICE)
    exchange.chain.send(EVE, exchange.token, "mint", exchange.vault.address, USDC)
    assert pull(exchange, ALICE) == 2 * USDC


def test_gifts_and_strangers_change_no_claim(exchange):
    """Between a credit and its pull nobody can lower or lock it: `pull` has no argument to run ahead of, and reads the balance around its own transfer only."""
    exchange.chain.send(EVE, exchange.token, "mint", exchange.vault.address, 1)
    with pytest.raises(Exception, match=r"^Vault: nothing to pull$"):
        pull(exchange, EVE)
    with pytest.raises(Exception, match=r"^Vault: row too low$"):
        exchange.chain.send(EVE, exchange.vault, "credit", BOB, 1)
    exchange.chain.send(EVE, exchange.vault, "credit", BOB, 0)
    assert pull(exchange, BOB) == 3 * USDC and pull(exchange, ALICE) == 2 * USDC
    assert exchange.chain.call(exchange.token, "balanceOf", exchange.vault.address) == 10 * USDC + 1
