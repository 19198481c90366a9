# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A token whose issuer blocks addresses, pauses it or changes balances, as issuers can long after the first deposit
"""

is_blocked: public(HashMap[address, bool])
is_paused: public(bool)
balanceOf: public(HashMap[address, uint256])


@external
def mint(receiver: address, amount: uint256):
    self.balanceOf[receiver] += amount


@external
def approve(spender: address, amount: uint256):
    pass


@external
def block_out(who: address, is_blocked: bool):
    self.is_blocked[who] = is_blocked


@external
def pause(is_paused: bool):
    self.is_paused = is_paused


@external
def rebase(who: address, amount: uint256):
    """
    @notice Leaves `amount` of what `who` has.
    """
    self.balanceOf[who] = amount


@external
def transferFrom(sender: address, receiver: address, amount: uint256) -> bool:
    self._move(sender, receiver, amount)
    return True


@external
def transfer(receiver: address, amount: uint256) -> bool:
    self._move(msg.sender, receiver, amount)
    return True


@internal
def _move(sender: address, receiver: address, amount: uint256):
    assert not self.is_paused, "GuardedToken: paused"
    assert not (self.is_blocked[sender] or self.is_blocked[receiver]), "GuardedToken: blocked"
    self.balanceOf[sender] -= amount
    self.balanceOf[receiver] += amount
