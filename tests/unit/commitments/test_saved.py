"""A saved account is what the state holds, and anything else is refused before it is relied on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from support.holdings import Portfolio, state_of
from support.market import CALL, PERPETUAL, PUT

from straddle.commitments.chunk import open_chunk
from straddle.commitments.layout import DataError
from straddle.commitments.ledger import CommittedState
from straddle.commitments.saved import SavedAccount, save_account
from straddle.core.instruments import BTC, Retirement, Settlement

CHAIN, ROLLUP = 31337, 0xABCDEF


@pytest.fixture
def state() -> CommittedState:
    state = state_of({3: Portfolio(-7, {CALL: -4, PERPETUAL: 9}), 4: Portfolio(10**12, {CALL: 4, PERPETUAL: -9})})
    state.listed = state.listed.extended([Settlement(PUT, BTC, 17), Retirement(PUT, BTC)])
    return state


def test_a_saved_account_comes_back_as_it_was(state: CommittedState) -> None:
    for account in (0, 1, 3, 4, 77, 255):
        saved = save_account(state, account, CHAIN, ROLLUP)
        again = SavedAccount.from_json(saved.to_json())
        assert again == saved
        again.check(state.root)
        assert (again.account, again.state_root, again.batch_number) == (account, state.root, state.batch_number)
        assert again.listed.tabled == state.listed.tabled and again.listed.settled == {PUT: 17} and again.listed.retired == {PUT}
    with pytest.raises(DataError, match="chunk: 256"):
        save_account(state, 256, CHAIN, ROLLUP)


def test_what_is_not_under_the_root_is_refused(state: CommittedState) -> None:
    saved = save_account(state, 3, CHAIN, ROLLUP)
    with pytest.raises(DataError, match=r"state_root: saved at 0x[0-9a-f]+ \(batch 9\), expected 0x5"):
        saved.check(5)
    opening = saved.opening
    wrong = [
        replace(opening, leaves=(opening.leaves[0]._replace(cash=0),)),
        replace(opening, positions={3: {CALL: -4}}),
        replace(opening, path=(*opening.path[:-1], 1)),
        replace(opening, chunk=4),
        replace(opening, leaves=(opening.leaves[0]._replace(key_x=1 << 255),)),
        replace(opening, positions={3: {-1: 4}}),
        replace(opening, path=(*opening.path[:-1], -(1 << 255))),
    ]
    for other in wrong:
        with pytest.raises(DataError):
            replace(saved, opening=other).check(state.root)
    with pytest.raises(DataError, match="leaves: 2"):
        replace(saved, opening=open_chunk(state, 1, 1)).check(state.root)
    with pytest.raises(DataError, match="listings: 3 with root"):
        replace(saved, listed=saved.listed.extended([Settlement(CALL, BTC, 1)])).check(state.root)


def edited(saved: SavedAccount, **changes: Any) -> str:
    return json.dumps(json.loads(saved.to_json()) | changes)


def test_a_malformed_file_is_refused_by_name(state: CommittedState) -> None:
    saved = save_account(state, 3, CHAIN, ROLLUP)
    raw = json.loads(saved.to_json())
    cases = [
        ("{", "not JSON"),
        ("[" * 200_000, "not JSON"),
        ("\ud800", "not JSON"),
        ("[]", "found list, expected the fields"),
        (edited(saved, extra=1), "found .*extra"),
        (edited(saved, format="other"), "format: 'other'"),
        (edited(saved, account=3), "account: 3, expected a decimal number as a string"),
        (edited(saved, rollup="0x12"), "rollup: '0x12', expected an address"),
        (edited(saved, rollup="0x" + "g" * 40), "rollup: .* expected an address"),
        (edited(saved, params=raw["params"] | {"discount_bps": "0"}), "params.discount_bps: 0, expected 1 to"),
        (edited(saved, state={}), r"state: found \[\]"),
        (edited(saved, leaf=raw["leaf"] | {"cash": "ten"}), "leaf.cash: 'ten'"),
        (edited(saved, positions=[]), "positions: found list"),
        (edited(saved, positions={"x": "1"}), "positions: 'x'"),
        (edited(saved, path="1"), "path: str, expected a list"),
        (edited(saved, path=["1", "--1"]), r"path\[1\]: '--1'"),
        (edited(saved, listings="1"), "listings: str, expected a list"),
        (edited(saved, listings=["1"]), r"listings\[0\]: str, expected a list"),
        (edited(saved, listings=[raw["listings"][0][1:]]), r"listings\[0\].id: 2, expected 1"),
        (edited(saved, listings=raw["listings"][1:]), r"listings\[0\].id: 2, expected a listed instrument"),
        (edited(saved, listings=[["5"]]), r"listings\[0\].kind"),
    ]
    for text, message in cases:
        with pytest.raises(DataError, match=message):
            SavedAccount.from_json(text)
