"""What is chosen at deployment: every combination that makes no sense is refused, and nothing can be chosen later."""

from __future__ import annotations

import pytest
from eth_utils.address import to_checksum_address

from straddle.l1.contracts import load

DAY_S = 86_400
SOMEBODY = "0x" + "00" * 18 + "beef"
OPTIMISTIC = {"policy": 2}
SETTLED = {"policy", "data", "committee", "exits", "proposer_bond_wei", "challenger_bond_wei", "challenge_window_s", "proving_allowance_s"}


def fails(reason: str, contract: str = "Rollup"):
    return pytest.raises(Exception, match=f"^{contract}: {reason}$")


@pytest.mark.parametrize(("policy", "data"), [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)])
def test_five_policies_exist(chain, new_exchange, policy, data):
    exchange = new_exchange(chain, policy=policy, data=data)
    for name in SETTLED:
        assert str(exchange.read(name.upper())).lower() == str(getattr(exchange.config, name)).lower(), name
    assert exchange.read("FREEZE_AFTER_S") == (10 if policy == 1 else 24) * DAY_S
    assert (exchange.read("final_batch"), exchange.read("proposed_batch"), exchange.read("frozen")) == (0, 0, False)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"policy": 2, "data": 3}, "what a committee withholds cannot be challenged"),
        ({"policy": 0}, "policy must be 1 or 2"),
        ({"policy": 3}, "policy must be 1 or 2"),
        ({"data": 0}, "data must be 1, 2 or 3"),
        ({"data": 4}, "data must be 1, 2 or 3"),
        ({"data": 3, "committee": SOMEBODY}, "committee is not a contract"),
        ({"data": 3, "committee": "0x" + "00" * 20}, "committee is not a contract"),
        ({"data": 1, "committee": SOMEBODY}, "committee without committee data"),
        ({"data": 2, "committee": SOMEBODY}, "committee without committee data"),
        ({"exits": "0x" + "00" * 20}, "exits is zero"),
        ({"proposer_bond_wei": 1}, "bonds, window and allowance must be 0 where a proof is required"),
        ({"challenger_bond_wei": 1}, "bonds, window and allowance must be 0 where a proof is required"),
        ({"challenge_window_s": 7 * DAY_S}, "bonds, window and allowance must be 0 where a proof is required"),
        ({"proving_allowance_s": 600}, "bonds, window and allowance must be 0 where a proof is required"),
        (OPTIMISTIC | {"proposer_bond_wei": 0}, r"proposer bond must be 1 to 2\^96 - 1 wei"),
        (OPTIMISTIC | {"proposer_bond_wei": 2**96}, r"proposer bond must be 1 to 2\^96 - 1 wei"),
        (OPTIMISTIC | {"challenger_bond_wei": 0}, r"challenger bond must be 1 to 2\^96 - 1 wei"),
        (OPTIMISTIC | {"challenger_bond_wei": 2**96}, r"challenger bond must be 1 to 2\^96 - 1 wei"),
        (OPTIMISTIC | {"challenge_window_s": 0}, "challenge window must be 1 hour to 30 days"),
        (OPTIMISTIC | {"challenge_window_s": 3599}, "challenge window must be 1 hour to 30 days"),
        (OPTIMISTIC | {"challenge_window_s": 30 * DAY_S + 1}, "challenge window must be 1 hour to 30 days"),
        (OPTIMISTIC | {"proving_allowance_s": 0}, "proving allowance must be 1 second to 1 hour"),
        (OPTIMISTIC | {"proving_allowance_s": 3601}, "proving allowance must be 1 second to 1 hour"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(chain, new_exchange, changes, reason):
    with fails(reason):
        new_exchange(chain, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"challenge_window_s": 3600, "proving_allowance_s": 1},
        {"challenge_window_s": 30 * DAY_S, "proving_allowance_s": 3600},
        {"proposer_bond_wei": 1, "challenger_bond_wei": 2**96 - 1},
    ],
)
def test_the_bounds_themselves_are_allowed(chain, new_exchange, changes):
    exchange = new_exchange(chain, **OPTIMISTIC, **changes)
    assert exchange.read("FREEZE_AFTER_S") == 17 * DAY_S + exchange.config.challenge_window_s


def test_attack_09_no_window_can_be_shortened_later(exchange):
    """There is no function that changes a choice: what can be called at all writes none of them."""
    abi = load("Rollup").abi
    writes = {item["name"] for item in abi if item["type"] == "function" and item["stateMutability"] not in ("view", "pure")}
    assert writes == {
        "propose", "propose_blob", "propose_certified", "prove", "propose_and_prove", "propose_blob_and_prove", "propose_certified_and_prove",
        "finalise", "challenge", "void", "freeze", "pay_exit", "collect_wei", "collect_fees", "submit_epoch",
        "on_deposit", "set_key", "force_withdraw", "force_close",
    }  # fmt: skip
    # Immutables lie in the code, and nothing here replaces code.
    assert not [item for item in abi if item.get("name", "").startswith(("set_p", "set_c", "upgrade", "migrate", "initialize", "pause"))]
    assert {"POLICY", "DATA", "COMMITTEE", "EXITS", "CHALLENGE_WINDOW_S", "FREEZE_AFTER_S"} <= {item.get("name") for item in abi}


@pytest.mark.parametrize(("count", "threshold"), [(7, 6), (10, 7), (10, 8), (1, 1), (2, 2), (3, 3), (4, 3), (16, 11)])
def test_committees(chain, count, threshold):
    members = [to_checksum_address((100 + i).to_bytes(20, "big")) for i in range(count)]
    committee = chain.deploy(load("Committee"), members, threshold)
    assert (chain.call(committee, "MEMBER_COUNT"), chain.call(committee, "THRESHOLD")) == (count, threshold)
    assert all(chain.call(committee, "is_member", member) for member in members)
    assert not chain.call(committee, "is_member", "0x" + "00" * 20)


@pytest.mark.parametrize(("count", "threshold"), [(0, 0), (7, 0), (7, 4), (7, 8), (3, 2), (5, 3), (6, 4), (16, 10)])
def test_thresholds_that_an_honest_third_could_not_stop_are_refused(chain, count, threshold):
    members = [to_checksum_address((100 + i).to_bytes(20, "big")) for i in range(count)]
    with fails("threshold must be above two thirds of the members, and at most all", "Committee"):
        chain.deploy(load("Committee"), members, threshold)


@pytest.mark.parametrize("members", [(5, 5, 6), (6, 5, 7), (0, 5, 6)])
def test_members_are_counted_once(chain, members):
    with fails("members must ascend strictly and not be zero", "Committee"):
        chain.deploy(load("Committee"), [to_checksum_address(member.to_bytes(20, "big")) for member in members], 3)


def test_contracts_fit_on_layer_1(chain, new_exchange):
    """Code with its immutables, as EIP-170 counts it."""
    exchange = new_exchange(chain, data=3)
    for deployed in (exchange.rollup, exchange.committee, exchange.vault):
        assert 0 < len(chain.evm.basic(deployed.address).code) <= 24_576
