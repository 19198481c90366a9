"""ConstantProductPool, the comparison's token swap."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.odd_token import ANSWERS_FALSE

from straddle.l1.contracts import load
from straddle.research.layer_one import baseline_contract

PROVIDER, TRADER = ("0x" + f"{n:040x}" for n in (0x9407, 0x74AD))
START = (10**9, 3 * 10**9)


def fails(reason: str):
    return pytest.raises(Exception, match=f"^ConstantProductPool: {reason}$")


@pytest.fixture
def pool(chain):
    chain.fund(TRADER)
    tokens = [chain.deploy(load("TestUSDC")) for _ in range(2)]
    deployed = chain.deploy(baseline_contract("ConstantProductPool"), *(token.address for token in tokens), sender=PROVIDER)
    for who in (PROVIDER, TRADER):
        for token in tokens:
            chain.send(who, token, "mint", who, 2**115)
            chain.send(who, token, "approve", deployed.address, 2**115)
    return deployed, tokens


def balances(chain, pool, who):
    return tuple(chain.call(token, "balanceOf", who) for token in pool[1])


def test_a_swap_pays_by_the_product_less_the_fee(chain, pool):
    chain.send(PROVIDER, pool[0], "add", *START)
    before = balances(chain, pool, TRADER)
    out = chain.send(TRADER, pool[0], "swap", True, 10**6, 1).result
    assert out == START[1] * 10**6 * 9970 // (START[0] * 10_000 + 10**6 * 9970)
    after = balances(chain, pool, TRADER)
    assert (after[0] - before[0], after[1] - before[1]) == (-(10**6), out)
    assert chain.call(pool[0], "reserve") == (START[0] + 10**6, START[1] - out) == balances(chain, pool, pool[0].address)
    chain.send(PROVIDER, pool[0], "remove")
    assert balances(chain, pool, pool[0].address) == (0, 0) == chain.call(pool[0], "reserve")


def test_the_product_never_falls_and_no_token_is_lost(chain, pool):
    chain.send(PROVIDER, pool[0], "add", *START)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(zero_for_one=st.booleans(), amount=st.integers(1, 10**10))
    def check(zero_for_one, amount):
        before = chain.call(pool[0], "reserve")
        chain.send(TRADER, pool[0], "swap", zero_for_one, amount, 0)
        after = chain.call(pool[0], "reserve")
        assert after[0] * after[1] >= before[0] * before[1]
        assert after == balances(chain, pool, pool[0].address)

    check()


def test_what_it_refuses(chain, pool, mock):
    with fails("no liquidity"):
        chain.send(TRADER, pool[0], "swap", True, 1, 0)
    with fails("reserve too large"):
        chain.send(PROVIDER, pool[0], "add", 2**112, 1)
    chain.send(PROVIDER, pool[0], "add", *START)
    for function, args in (("add", (1, 1)), ("remove", ())):
        with fails("only the provider"):
            chain.send(TRADER, pool[0], function, *args)
    for amount in (0, 2**112):
        with fails("amount out of range"):
            chain.send(TRADER, pool[0], "swap", False, amount, 0)
    with fails("too little out"):
        chain.send(TRADER, pool[0], "swap", False, 1000, 1000)
    contract, token = baseline_contract("ConstantProductPool"), pool[1][0]
    with fails("the tokens are the same"):
        chain.deploy(contract, token.address, token.address)
    with fails("token is not a contract"):
        chain.deploy(contract, token.address, TRADER)
    odd = chain.deploy(mock("OddToken"))
    broken = chain.deploy(contract, token.address, odd.address, sender=PROVIDER)
    chain.send(PROVIDER, odd, "configure", *ANSWERS_FALSE.as_tuples())
    chain.send(PROVIDER, token, "approve", broken.address, 10)
    with fails("token transfer failed"):
        chain.send(PROVIDER, broken, "add", 1, 0)
