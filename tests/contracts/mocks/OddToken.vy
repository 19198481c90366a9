# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A token that misbehaves in the ways that exist
@dev With `act` it does what any contract may: it owns accounts, and calls whom it likes.
"""

struct Behaviour:
    # Moves nothing, whatever it answers.
    is_still: bool
    # Kept of what the receiver gets.
    fee: uint256
    # Taken from the sender on top.
    charge: uint256
    # Made for the receiver on top.
    bonus: uint256
    # Its answer's bytes; none is no answer.
    answer: Bytes[64]

struct CallBack:
    target: address
    data: Bytes[8192]
    amount_wei: uint256
    # Whether it goes on as if nothing had been when the call fails.
    is_patient: bool

coming: Behaviour
leaving: Behaviour
on_coming: CallBack
on_leaving: CallBack
went_through: public(bool)
balanceOf: public(HashMap[address, uint256])


@deploy
@payable
def __init__():
    self.coming.answer = abi_encode(True)
    self.leaving.answer = abi_encode(True)


@external
@payable
def __default__():
    pass


@external
def configure(coming: Behaviour, leaving: Behaviour):
    """
    @param coming How `transferFrom` behaves.
    @param leaving How `transfer` does.
    """
    self.coming = coming
    self.leaving = leaving


@external
def call_back(on_coming: CallBack, on_leaving: CallBack):
    """
    @notice Calls made once the tokens have moved; without a target none.
    """
    self.on_coming = on_coming
    self.on_leaving = on_leaving
    self.went_through = False


@external
@payable
def act(target: address, data: Bytes[8192], amount_wei: uint256) -> Bytes[1024]:
    return raw_call(target, data, max_outsize=1024, value=amount_wei)


@external
def mint(receiver: address, amount: uint256):
    self.balanceOf[receiver] += amount


@external
def approve(spender: address, amount: uint256):
    pass


@external
@raw_return
def transferFrom(sender: address, receiver: address, amount: uint256) -> Bytes[64]:
    self._move(self.coming, sender, receiver, amount)
    self._call(self.on_coming)
    return self.coming.answer


@external
@raw_return
def transfer(receiver: address, amount: uint256) -> Bytes[64]:
    self._move(self.leaving, msg.sender, receiver, amount)
    self._call(self.on_leaving)
    return self.leaving.answer


@internal
def _move(how: Behaviour, sender: address, receiver: address, amount: uint256):
    if how.is_still:
        return
    self.balanceOf[sender] -= amount + how.charge
    self.balanceOf[receiver] += amount + how.bonus - how.fee


@internal
def _call(planned: CallBack):
    if planned.target != empty(address):
        self.went_through = raw_call(planned.target, planned.data, value=planned.amount_wei, revert_on_failure=False)
        assert self.went_through or planned.is_patient, "OddToken: call back refused"
