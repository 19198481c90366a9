# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A contract that calls on behalf of anybody, and refuses ether when told so
"""

refuses_ether: public(bool)


@external
@payable
def __default__():
    assert not self.refuses_ether, "Forwarder: no ether"


@external
def refuse_ether(refuse: bool):
    self.refuses_ether = refuse


@external
@payable
def forward(target: address, data: Bytes[40000]) -> Bytes[1024]:
    return raw_call(target, data, max_outsize=1024, value=msg.value)
