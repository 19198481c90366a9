"""Rollup: who may deploy what, deposits, keys, fees."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

ALICE, BOB, EVE = ("0x" + f"{n:040x}" for n in (0xA1, 0xB0, 0xE7))
USDC = 1_000_000
FEE_WEI = 10**12
R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
D = 12181644023421730124874158521699555681764249180949974110617291017600649128846
G = (
    9671717474070082183213120605117400219616337014328744928644933853176787189663,
    16950150798460657717958625567821834550301663161624707787222815936182638968203,
)
ORDER = 2736030358979909402780800718157159386076813972158567259200215660948447373041
IDENTITY = (0, 1)


def fails(reason: str):
    return pytest.raises(Exception, match=f"^{reason}$")


def add(p, q):
    """Sum of two points of the trading keys' curve."""
    product = D * p[0] * q[0] * p[1] * q[1] % R
    x = (p[0] * q[1] + p[1] * q[0]) * pow(1 + product, -1, R)
    y = (p[1] * q[1] + p[0] * q[0]) * pow(1 - product, -1, R)
    return x % R, y % R


def multiply(k, p=G):
    result = IDENTITY
    while k:
        if k & 1:
            result = add(result, p)
        p, k = add(p, p), k >> 1
    return result


# ---------------------------------------------------------------- deployment


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"vault": ALICE}, "vault is not a contract"),
        ({"verifier": ALICE}, "verifier is not a contract"),
        ({"sequencer": "0x" + "00" * 20}, "sequencer is zero"),
        ({"operator": "0x" + "00" * 20}, "operator is zero"),
        ({"threshold": 0}, "threshold must be 1 to the number of oracles"),
        ({"threshold": 5}, "threshold must be 1 to the number of oracles"),
        ({"oracles": [], "threshold": 1}, "threshold must be 1 to the number of oracles"),
        ({"genesis_root": 0}, "genesis root is not a field element above 0"),
        ({"genesis_root": R}, "genesis root is not a field element above 0"),
        ({"params_hash": 0}, "params hash is not a field element above 0"),
        ({"params_hash": R}, "params hash is not a field element above 0"),
        ({"account_depth": 2}, "account depth must be 3 to 24"),
        ({"account_depth": 25}, "account depth must be 3 to 24"),
        ({"queue_rows": 0}, "queue rows must be 1 to 32"),
        ({"queue_rows": 33}, "queue rows must be 1 to 32"),
        ({"withdrawal_rows": 0}, "withdrawal rows must be 1 to 16"),
        ({"withdrawal_rows": 17}, "withdrawal rows must be 1 to 16"),
        ({"body_cells": 0}, "body cells must be 1 to 512"),
        ({"body_cells": 513}, "body cells must be 1 to 512"),
        ({"oracles": [BOB, ALICE], "threshold": 1}, "oracles must ascend strictly and not be zero"),
        ({"oracles": [ALICE, ALICE], "threshold": 1}, "oracles must ascend strictly and not be zero"),
        ({"oracles": ["0x" + "00" * 20, ALICE], "threshold": 1}, "oracles must ascend strictly and not be zero"),
    ],
)
def test_deployment_refuses_a_bad_configuration(chain, new_exchange, changes, reason):
    with fails(f"Rollup: {reason}"):
        new_exchange(chain, **changes)


def test_deployment_publishes_its_configuration(exchange):
    config = exchange.config
    for getter, value in {
        "THRESHOLD": config.threshold, "GENESIS_ROOT": config.genesis_root, "PARAMS_HASH": config.params_hash,
        "ACCOUNT_LIMIT": 2**config.account_depth, "QUEUE_ROWS": config.queue_rows, "WITHDRAWAL_ROWS": config.withdrawal_rows,
        "BODY_CELLS": config.body_cells, "REQUEST_FEE_WEI": config.request_fee_wei, "state_root": config.genesis_root, "next_account": 3, "queue_length": 0,
        "VK_ID": exchange.chain.call(exchange.verifier, "vk_id"),
    }.items():  # fmt: skip
        assert exchange.read(getter) == value, getter
    for getter, value in {"VAULT": config.vault, "VERIFIER": config.verifier, "SEQUENCER": config.sequencer}.items():
        assert exchange.read(getter) == value.lower()
    nobody, operator = "0x" + "00" * 20, config.operator.lower()
    assert [exchange.read("owner_of", account) for account in range(4)] == [nobody, operator, operator, nobody]
    assert all(exchange.read("is_oracle", oracle) for oracle in config.oracles)
    assert exchange.read("batch", 0)[0] == exchange.headers[0]


# ---------------------------------------------------------------- deposits


def test_account_zero_opens_accounts_in_order(exchange):
    assert exchange.deposit(ALICE, USDC).log("QueueEntryAdded") == {"index": 0, "account": 3, "owner": ALICE, "kind": 1, "word_1": USDC, "word_2": 0}
    assert exchange.deposit(BOB, 2 * USDC).log("QueueEntryAdded")["account"] == 4
    assert exchange.deposit(ALICE, USDC).log("QueueEntryAdded")["account"] == 5
    assert [exchange.read("owner_of", account) for account in (3, 4, 5, 6)] == [ALICE, BOB, ALICE, "0x" + "00" * 20]


def test_anyone_may_pay_into_an_account_which_stays_its_owners(exchange):
    exchange.deposit(ALICE, USDC)
    for account, owner in ((3, ALICE), (1, exchange.config.operator.lower()), (2, exchange.config.operator.lower())):
        entry = exchange.deposit(BOB, USDC, account).log("QueueEntryAdded")
        assert (entry["account"], entry["owner"]) == (account, owner)


def test_the_queue_is_a_hash_chain(exchange):
    exchange.deposit(ALICE, USDC)
    exchange.send(ALICE, "set_key", 3, multiply(8), G, value_wei=FEE_WEI)
    exchange.deposit(BOB, 3 * USDC)
    digest = b"\0" * 32
    assert exchange.read("queue_hashes", 0) == digest
    for i, entry in enumerate([(1, 3, ALICE, USDC, 0), (2, 3, ALICE, *multiply(8)), (1, 4, BOB, 3 * USDC, 0)]):
        digest = keccak(digest + encode(["uint256", "uint256", "address", "uint256", "uint256"], entry))
        assert exchange.read("queue_hashes", i + 1) == digest
    assert exchange.read("queue_length") == 3
    assert exchange.read("queue_hashes", 4) == b"\0" * 32


@pytest.mark.parametrize("account", [3, 4, 255, 256, 2**32, 2**255])
def test_a_deposit_into_no_account_is_refused(exchange, account):
    with fails("Vault: deposit for the zero address"):
        exchange.deposit(ALICE, USDC, account)  # whose owner is nobody
    with fails("Rollup: not the account's owner"):
        exchange.deposit(ALICE, USDC, account, owner=ALICE)


def test_a_deposit_names_the_owner_that_it_is_meant_for(exchange):
    """Whose number went to somebody else in a reorg, there the deposit fails instead of enriching him."""
    exchange.deposit(EVE, USDC)  # in another order ALICE would have been account 3
    exchange.deposit(ALICE, USDC)
    with fails("Rollup: not the account's owner"):
        exchange.deposit(ALICE, USDC, 3, owner=ALICE)
    assert exchange.chain.call(exchange.vault, "rows", exchange.rollup.address) == 2 * USDC
    exchange.deposit(BOB, USDC, 4, owner=ALICE)
    exchange.deposit(BOB, 2 * USDC, owner=ALICE)
    assert [exchange.read("owner_of", account) for account in (3, 4, 5)] == [EVE, ALICE, ALICE]
    assert exchange.queue[-2:] == [(1, 4, ALICE, USDC, 0), (1, 5, ALICE, 2 * USDC, 0)]


def test_a_new_account_belongs_to_somebody(exchange):
    with fails("Vault: deposit for the zero address"):
        exchange.deposit(ALICE, USDC, owner="0x" + "00" * 20)
    assert exchange.read("next_account") == 3


def test_a_small_deposit_is_refused(exchange):
    with fails("Rollup: deposit below minimum"):
        exchange.deposit(ALICE, USDC - 1)
    exchange.deposit(ALICE, USDC)


def test_only_the_vault_reports_deposits(exchange):
    for sender in (ALICE, exchange.sequencer, exchange.config.operator):
        with fails("Rollup: only the vault reports deposits"):
            exchange.send(sender, "on_deposit", 0, ALICE, USDC)


def test_accounts_end_at_the_trees_size(chain, new_exchange):
    small = new_exchange(chain, account_depth=3)
    for _ in range(5):
        small.deposit(ALICE, USDC)
    with fails("Rollup: no account left"):
        small.deposit(ALICE, USDC)
    small.deposit(ALICE, USDC, 7)


# ---------------------------------------------------------------- keys


def set_key(exchange, key, base, *, account=3, sender=ALICE, fee=FEE_WEI):
    return exchange.send(sender, "set_key", account, key, base, value_wei=fee)


@pytest.fixture
def funded(exchange):
    exchange.deposit(ALICE, USDC)
    exchange.chain.fund(ALICE)
    exchange.chain.fund(EVE)
    return exchange


@pytest.mark.parametrize("k", [1, 2, 12345, ORDER - 1, 2**250])
def test_a_key_that_is_eight_times_its_base_is_accepted(funded, k):
    base = multiply(k)
    key = multiply(8, base)
    entry = set_key(funded, key, base).log("QueueEntryAdded")
    assert entry == {"index": 1, "account": 3, "owner": ALICE, "kind": 2, "word_1": key[0], "word_2": key[1]}


def test_a_base_outside_the_subgroup_still_gives_a_key_inside(funded):
    order_two = (0, R - 1)
    base = add(multiply(99), order_two)
    assert multiply(ORDER, base) == order_two
    set_key(funded, multiply(8, base), base)


def test_zeros_revoke(funded):
    entry = set_key(funded, (0, 0), (0, 0)).log("QueueEntryAdded")
    assert (entry["kind"], entry["word_1"], entry["word_2"]) == (2, 0, 0)


SQRT_MINUS_ONE = pow(5, (R - 1) // 4, R)


@pytest.mark.parametrize(
    ("key", "base", "reason"),
    [
        (multiply(8), multiply(2), "key is not 8 times base"),
        (multiply(7), G, "key is not 8 times base"),
        ((R - multiply(8)[0], multiply(8)[1]), G, "key is not 8 times base"),
        ((multiply(8)[1], multiply(8)[0]), G, "key is not 8 times base"),
        ((multiply(8)[0], 0), G, "key is not 8 times base"),
        (G, (0, 0), "base is not on the curve"),
        (multiply(8), (G[0], G[1] + 1), "base is not on the curve"),
        (multiply(8), (G[0] + R, G[1]), "base is not on the curve"),
        (multiply(8), (G[0], G[1] + R), "base is not on the curve"),
        ((multiply(8)[0] + R, multiply(8)[1]), G, "key coordinate is not a field element"),
        ((multiply(8)[0], multiply(8)[1] + R), G, "key coordinate is not a field element"),
        (IDENTITY, IDENTITY, "key is the identity"),
        (IDENTITY, (0, R - 1), "key is the identity"),
        (IDENTITY, (SQRT_MINUS_ONE, 0), "key is the identity"),
        ((0, 0), G, "key is the identity"),
        ((SQRT_MINUS_ONE, 0), IDENTITY, "key is not 8 times base"),
    ],
)
def test_a_bad_key_is_refused(funded, key, base, reason):
    with fails(f"Rollup: {reason}"):
        set_key(funded, key, base)


def test_the_curve_constants_are_what_the_formulas_need():
    assert SQRT_MINUS_ONE**2 % R == R - 1, "a = -1 must be a square"
    assert pow(D, (R - 1) // 2, R) == R - 1, "d must not be a square"
    assert multiply(ORDER) == IDENTITY
    assert multiply(4, (SQRT_MINUS_ONE, 0)) == IDENTITY


def test_only_the_owner_sets_the_key(funded):
    for account, sender in ((3, EVE), (0, EVE), (4, EVE), (1, ALICE)):
        with fails("Rollup: not the account's owner"):
            set_key(funded, multiply(8), G, account=account, sender=sender)


@pytest.mark.parametrize("fee", [0, FEE_WEI - 1, FEE_WEI + 1])
def test_the_request_fee_is_exact(funded, fee):
    with fails("Rollup: wrong request fee"):
        set_key(funded, multiply(8), G, fee=fee)


def test_an_account_changes_its_key_again_once_a_proposal_has_answered_the_last_change(funded):
    """Attack: a run of key changes of one account would take a batch each, with everybody's entries behind it."""
    set_key(funded, multiply(8), G)
    funded.submit_epoch()
    funded.propose_and_prove(funded.batch(entries=1))  # only the deposit
    with fails("Rollup: the account's last request of this kind is not answered yet"):
        set_key(funded, (0, 0), (0, 0))
    funded.propose(funded.batch(entries=1))
    assert (funded.read("queue_answered"), funded.read("queue_proposed")) == (1, 2)
    set_key(funded, (0, 0), (0, 0))
    with fails("Rollup: the account's last request of this kind is not answered yet"):
        set_key(funded, multiply(8), G)
    funded.chain.warp(86_401)
    funded.void()
    assert funded.read("queue_proposed") == 1


def test_fees_go_to_the_sequencer_and_hold_nobody_up(funded):
    set_key(funded, multiply(8), G)
    funded.deposit(ALICE, USDC)
    set_key(funded, (0, 0), (0, 0), account=4)
    before = funded.chain.evm.get_balance(funded.sequencer)
    assert funded.send(EVE, "collect_fees").log("FeesCollected")["amount_wei"] == 2 * FEE_WEI
    assert funded.chain.evm.get_balance(funded.sequencer) == before + 2 * FEE_WEI
    assert funded.chain.evm.get_balance(funded.rollup.address) == 0


def test_a_sequencer_that_refuses_ether_cannot_stop_a_revocation(chain, mock, new_exchange):
    refuser = chain.deploy(mock("Forwarder"))
    chain.send(EVE, refuser, "refuse_ether", True)
    exchange = new_exchange(chain, sequencer=refuser.address)
    exchange.deposit(ALICE, USDC)
    set_key(exchange, (0, 0), (0, 0))
    with fails("Forwarder: no ether"):
        exchange.send(EVE, "collect_fees")
