# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Vault
@license Apache-2.0
@notice Holds one token for any number of rollups: one ledger row per rollup, one claimable balance per owner.
@dev A rollup can only ever spend its own row, so a broken rollup never draws on another's collateral.
     token balance = sum of rows + sum of claimable balances, to the unit (tokens sent here without `deposit` are on top of it and lost).
     No owner, no upgrade, no pause.
"""

from ethereum.ercs import IERC20

from interfaces import IRollup
from interfaces import IVault

implements: IVault

event Deposited:
    rollup: indexed(address)
    depositor: indexed(address)
    account: indexed(uint256)
    amount: uint256

event Credited:
    rollup: indexed(address)
    owner: indexed(address)
    amount: uint256

event Pulled:
    owner: indexed(address)
    amount: uint256

# Cash fields have 63 bits; with the engine's position limits a deposit below this can never take an account's cash out of its field, so none is unanswerable.
ROW_LIMIT: public(constant(uint256)) = 2**62

TOKEN: public(immutable(IERC20))

rows: public(HashMap[address, uint256])
claimable: public(HashMap[address, uint256])


@deploy
def __init__(token: IERC20):
    """
    @param token The one token held here.
    """
    assert token.address.is_contract, "Vault: token is not a contract"
    TOKEN = token


@external
def deposit(rollup: IRollup, account: uint256, owner: address, amount: uint256):
    """
    @notice Pays `amount` units of the token into `account` of `rollup`; the caller must have approved them.
    @param account Account to pay into; 0 opens a new account.
    @param owner Owner of the account, an existing one's as well: a reorg may give its number to somebody else.
    @dev A token that delivers less (or more) than `amount` is refused.
    """
    assert owner != empty(address), "Vault: deposit for the zero address"
    balance_before: uint256 = staticcall TOKEN.balanceOf(self)
    assert extcall TOKEN.transferFrom(msg.sender, self, amount, default_return_value=True), "Vault: token transfer failed"
    assert staticcall TOKEN.balanceOf(self) == balance_before + amount, "Vault: token did not deliver the exact amount"

    row: uint256 = self.rows[rollup.address] + amount
    assert row < ROW_LIMIT, "Vault: row limit reached"
    self.rows[rollup.address] = row
    log Deposited(rollup=rollup.address, depositor=msg.sender, account=account, amount=amount)
    extcall rollup.on_deposit(account, owner, amount)


@external
def credit(owner: address, amount: uint256):
    """
    @notice Called by a rollup: moves `amount` from the rollup's row to the owner's claimable balance.
    """
    assert owner != empty(address), "Vault: credit to the zero address"
    assert self.rows[msg.sender] >= amount, "Vault: row too low"
    self.rows[msg.sender] -= amount
    self.claimable[owner] += amount
    log Credited(rollup=msg.sender, owner=owner, amount=amount)


@external
def pull() -> uint256:
    """
    @notice Pays the caller's whole claimable balance to the caller.
    @return Units paid.
    @dev A token that takes more (or less) than that from this contract is refused: more would be others' money.
    """
    amount: uint256 = self.claimable[msg.sender]
    assert amount > 0, "Vault: nothing to pull"
    self.claimable[msg.sender] = 0
    log Pulled(owner=msg.sender, amount=amount)
    balance_before: uint256 = staticcall TOKEN.balanceOf(self)
    assert extcall TOKEN.transfer(msg.sender, amount, default_return_value=True), "Vault: token transfer failed"
    assert staticcall TOKEN.balanceOf(self) + amount == balance_before, "Vault: token did not take the exact amount"
    return amount
