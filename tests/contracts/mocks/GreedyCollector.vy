# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A challenger that calls the rollup back while it is being paid
"""

interface Rollup:
    def challenge(batch_number: uint256, header_hash: bytes32): payable
    def collect_wei(): nonpayable

ROLLUP: immutable(address)
planned: public(Bytes[40000])
went_through: public(bool)


@deploy
def __init__(rollup: address):
    ROLLUP = rollup


@external
@payable
def __default__():
    if len(self.planned) > 0:
        self.went_through = raw_call(ROLLUP, self.planned, revert_on_failure=False)


@external
@payable
def challenge(batch_number: uint256, header_hash: bytes32):
    extcall Rollup(ROLLUP).challenge(batch_number, header_hash, value=msg.value)


@external
def plan(call: Bytes[40000]):
    self.planned = call


@external
def collect() -> bool:
    """
    @return Whether the planned call went through.
    """
    extcall Rollup(ROLLUP).collect_wei()
    return self.went_through
