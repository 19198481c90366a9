# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A token that misbehaves in one of the ways that exist
"""

interface Vault:
    def pull() -> uint256: nonpayable
    def credit(owner: address, amount: uint256): nonpayable
    def deposit(rollup: address, account: uint256, amount: uint256): nonpayable

fee: public(uint256)
answer: public(bool)
# 0: none, 1: pull, 2: credit, 3: deposit
reentry: public(uint256)
on_transfer_out: public(bool)
rollup: public(address)
balanceOf: public(HashMap[address, uint256])


@deploy
def __init__():
    self.answer = True


@external
def configure(fee: uint256, answer: bool, reentry: uint256, on_transfer_out: bool, rollup: address):
    self.fee = fee
    self.answer = answer
    self.reentry = reentry
    self.on_transfer_out = on_transfer_out
    self.rollup = rollup


@external
def mint(receiver: address, amount: uint256):
    self.balanceOf[receiver] += amount


@external
def transferFrom(sender: address, receiver: address, amount: uint256) -> bool:
    self.balanceOf[sender] -= amount
    self.balanceOf[receiver] += amount - self.fee
    if not self.on_transfer_out:
        self._reenter(receiver)
    return self.answer


@external
def transfer(receiver: address, amount: uint256) -> bool:
    self.balanceOf[msg.sender] -= amount
    self.balanceOf[receiver] += amount - self.fee
    if self.on_transfer_out:
        self._reenter(msg.sender)
    return self.answer


@internal
def _reenter(vault: address):
    if self.reentry == 1:
        extcall Vault(vault).pull()
    elif self.reentry == 2:
        extcall Vault(vault).credit(self, 0)
    elif self.reentry == 3:
        extcall Vault(vault).deposit(self.rollup, 0, 0)
