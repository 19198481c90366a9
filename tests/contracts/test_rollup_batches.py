"""Rollup: propose, prove, void."""
def test_smoke(exchange):
    x = exchange
    print(x.read("domain"))
    x.deposit("0x"+"00"*19+"a1", 5_000_000)
    x.submit_epoch()
    b = x.batch(withdrawals=[(3, "0x"+"00"*19+"a1", 1_000_000)])
    r = x.propose(b)
    print(r.gas_used, r.logs)
    assert r.log("BatchProposed")["header_hash"] == x.headers[-1]
    r = x.prove(b)
    print(r.gas_used, r.logs)
    x.submit_epoch()
    r = x.propose_and_prove(x.batch())
    print(r.gas_used, r.logs)
