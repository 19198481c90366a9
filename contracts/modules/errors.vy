# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Errors
@license Apache-2.0
@notice Rollup and its parts raise their reasons here: an `assert` would put 75 bytes of encoding beside each of them, a quarter of what a contract may have.
"""


@internal
@pure
def _raise(reason: String[96]):
    raise reason
