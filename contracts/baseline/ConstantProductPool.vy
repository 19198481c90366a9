# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Constant-product pool
@license Apache-2.0
@notice The comparison's token swap: two tokens, reserves in one word, x y never falls, 0.3% of what comes in stays.
@dev For measuring, not for use: one provider, who deployed it. Price accumulators, protocol fees and flash swaps are left out.
"""

from ethereum.ercs import IERC20

event Swapped:
    sender: indexed(address)
    zero_for_one: bool
    amount_in: uint256
    amount_out: uint256

FEE_BPS: public(constant(uint256)) = 30
RESERVE_LIMIT: constant(uint256) = 2**112

TOKEN_0: public(immutable(IERC20))
TOKEN_1: public(immutable(IERC20))
PROVIDER: public(immutable(address))

# reserve_0(112) | reserve_1(112) at bit 128
reserves: uint256


@deploy
def __init__(token_0: IERC20, token_1: IERC20):
    """
    @param token_1 Another token.
    """
    assert token_0.address.is_contract and token_1.address.is_contract, "ConstantProductPool: token is not a contract"
    assert token_0.address != token_1.address, "ConstantProductPool: the tokens are the same"
    TOKEN_0 = token_0
    TOKEN_1 = token_1
    PROVIDER = msg.sender


@external
def add(amount_0: uint256, amount_1: uint256):
    """
    @notice The provider's liquidity.
    """
    assert msg.sender == PROVIDER, "ConstantProductPool: only the provider"
    reserve_0: uint256 = 0
    reserve_1: uint256 = 0
    reserve_0, reserve_1 = self._reserves()
    self._set_reserves(reserve_0 + amount_0, reserve_1 + amount_1)
    self._receive(TOKEN_0, amount_0)
    self._receive(TOKEN_1, amount_1)


@external
def remove():
    """
    @notice Pays everything to the provider.
    """
    assert msg.sender == PROVIDER, "ConstantProductPool: only the provider"
    reserve_0: uint256 = 0
    reserve_1: uint256 = 0
    reserve_0, reserve_1 = self._reserves()
    self._set_reserves(0, 0)
    self._pay(TOKEN_0, reserve_0)
    self._pay(TOKEN_1, reserve_1)


@external
def swap(zero_for_one: bool, amount_in: uint256, min_out: uint256) -> uint256:
    """
    @notice Exact amount in.
    @param zero_for_one Token 0 comes in.
    @return What the caller got of the other token, rounded down.
    """
    reserve_0: uint256 = 0
    reserve_1: uint256 = 0
    reserve_0, reserve_1 = self._reserves()
    assert amount_in > 0 and amount_in < RESERVE_LIMIT, "ConstantProductPool: amount out of range"
    assert reserve_0 > 0 and reserve_1 > 0, "ConstantProductPool: no liquidity"
    reserve_in: uint256 = reserve_0 if zero_for_one else reserve_1
    reserve_out: uint256 = reserve_1 if zero_for_one else reserve_0
    counted: uint256 = amount_in * (10_000 - FEE_BPS)
    amount_out: uint256 = reserve_out * counted // (reserve_in * 10_000 + counted)
    assert amount_out >= min_out, "ConstantProductPool: too little out"
    log Swapped(sender=msg.sender, zero_for_one=zero_for_one, amount_in=amount_in, amount_out=amount_out)
    if zero_for_one:
        self._set_reserves(reserve_0 + amount_in, reserve_1 - amount_out)
        self._receive(TOKEN_0, amount_in)
        self._pay(TOKEN_1, amount_out)
    else:
        self._set_reserves(reserve_0 - amount_out, reserve_1 + amount_in)
        self._receive(TOKEN_1, amount_in)
        self._pay(TOKEN_0, amount_out)
    return amount_out


@external
@view
def reserve() -> (uint256, uint256):
    """
    @notice What the pool holds of both tokens.
    """
    return self._reserves()


@internal
@view
def _reserves() -> (uint256, uint256):
    word: uint256 = self.reserves
    return word & (2**128 - 1), word >> 128


@internal
def _set_reserves(reserve_0: uint256, reserve_1: uint256):
    assert reserve_0 < RESERVE_LIMIT and reserve_1 < RESERVE_LIMIT, "ConstantProductPool: reserve too large"
    self.reserves = reserve_0 | (reserve_1 << 128)


@internal
def _receive(token: IERC20, amount: uint256):
    assert extcall token.transferFrom(msg.sender, self, amount, default_return_value=True), "ConstantProductPool: token transfer failed"


@internal
def _pay(token: IERC20, amount: uint256):
    assert extcall token.transfer(msg.sender, amount, default_return_value=True), "ConstantProductPool: token transfer failed"
