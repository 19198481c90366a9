"""Constants as the contracts' sources have them."""

from __future__ import annotations

import pytest

from straddle.l1.contracts import ContractError
from straddle.research.contract_constants import contract_constant


def test_products_powers_and_names_are_computed():
    assert contract_constant("modules/bonds.vy", "MAX_ALLOWANCE_S") == 14 * 86_400
    assert contract_constant("modules/bonds.vy", "ANSWER_TIME_S") == contract_constant("Rollup.vy", "PROVING_WINDOW_S") == 86_400
    assert contract_constant("Rollup.vy", "STUCK_AFTER_S") == 22 * 86_400
    assert contract_constant("modules/queue.vy", "MAX_WAITING") == 2**13


def test_what_is_no_number_of_the_sources_is_refused():
    with pytest.raises(ContractError, match=r"Rollup\.vy: no constant NOTHING"):
        contract_constant("Rollup.vy", "NOTHING")
    with pytest.raises(ContractError, match=r"Nobody\.vy"):
        contract_constant("Nobody.vy", "NOTHING")
    with pytest.raises(ContractError, match="no constant SLOTS"):
        contract_constant("Rollup.vy", "SLOTS")  # an immutable
