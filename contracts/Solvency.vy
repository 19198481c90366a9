# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Solvency
@license Apache-2.0
@notice Shows that a rollup owes no more than its row holds. docs/protocol/solvency.md specifies it.
@dev A run is its caller's own, and it is of the state at its `begin`: nobody can disturb it, and batches may become final meanwhile.

     Positions. Each instrument's sizes have to add up to 0 over all chunks. One word per run holds sum net[i] zeta^i mod r over the chunks so far, with
     zeta = keccak256(state_root, risk_root) mod r. It is 0 at the end only if every sum is: the state root commits to every position, and the risk root to
     the rows, so the sums are fixed before zeta is known; if one is not 0, the sum is a polynomial in zeta of degree below 1024 with at most as many zeros
     among 2^253 values. Sums are below 2^24 * 2^55 and cannot wrap around r.
"""

from interfaces import IRollupState
from interfaces import IVault
from interfaces import IVerifier
from modules import queue_walk
from modules import statement

initializes: statement

exports: (statement.ROLLUP, statement.VERIFIER, statement.VK_ID, statement.CHUNK_EXPONENT, statement.BODY_CELLS)

event RunBegun:
    publisher: indexed(address)
    batch_number: indexed(uint256)
    state_root: uint256
    risk_root: uint256
    chunks: uint256

event ChunkPublished:
    publisher: indexed(address)
    batch_number: indexed(uint256)
    chunk: uint256

event Solvent:
    publisher: indexed(address)
    batch_number: indexed(uint256)
    # Epoch and time of the table that everything is valued on.
    epoch: uint256
    time_ms: uint256
    # What the accounts are owed, to the unit what the row holds for them.
    liabilities: uint256
    # Accounts below maintenance margin, and 10^4 times what they lack of it together.
    below: uint256
    lacking_e4: uint256
    fund: int256

struct Run:
    batch_number: uint256
    epoch: uint256
    time_ms: uint256
    state_root: uint256
    risk_root: uint256
    row: uint256
    # Chunks of the tree that have accounts, and those published.
    chunks: uint256
    published: uint256
    # Unanswered queue entries: counted up to here, the end, the deposits among those counted.
    queue_counted: uint256
    queue_end: uint256
    deposits: uint256
    # Sums over the chunks published.
    claims: uint256
    deficits: uint256
    below: uint256
    lacking_e4: uint256
    fund: int256
    positions: uint256

MASK_96: constant(uint256) = 2**96 - 1
EQUITY_OFFSET: constant(uint256) = 2**95
DEFICIT_WORD: constant(uint256) = 5
FUND_WORD: constant(uint256) = 6
CLAIMS_WORD: constant(uint256) = 4

NETS_A_CELL: constant(uint256) = 4
NET_BITS: constant(uint256) = 56
NET_OFFSET: constant(uint256) = 2**55

EFFECTS_BYTES: constant(uint256) = 32 * statement.MAX_EFFECTS
BODY_BYTES: constant(uint256) = 32 * statement.MAX_BODY_CELLS

runs: public(HashMap[address, Run])


@deploy
def __init__(rollup: IRollupState, verifier: IVerifier, chunk_exponent: uint256, body_cells: uint256):
    """
    @param verifier Of the solvency circuit of the rollup's preset.
    @param chunk_exponent A chunk has 2^chunk_exponent accounts.
    @param body_cells Cells of the net positions.
    """
    statement.__init__(rollup, verifier, chunk_exponent, body_cells)


@external
def begin(epoch: uint256, time_ms: uint256, risk_root: uint256):
    """
    @notice Starts the caller's run: it is about the newest final batch, on a recorded table that is not older than the batch's own.
    """
    rollup: IRollupState = statement.ROLLUP
    assert statement._is_recorded(epoch, time_ms, risk_root), "Solvency: epoch, time and risk root were not recorded"
    assert epoch >= statement._final_epoch(), "Solvency: table is older than the final batch's"
    run: Run = empty(Run)
    run.batch_number = staticcall rollup.final_batch()
    run.epoch = epoch
    run.time_ms = time_ms
    run.state_root = staticcall rollup.state_root()
    run.risk_root = risk_root
    run.row = staticcall IVault(staticcall rollup.VAULT()).rows(rollup.address)
    # The final state has no account that layer 1 has not given out.
    run.chunks = (((staticcall rollup.next_account()) - 1) >> statement.CHUNK_EXPONENT) + 1
    run.queue_counted = staticcall rollup.queue_answered()
    run.queue_end = staticcall rollup.queue_length()
    self.runs[msg.sender] = run
    log RunBegun(publisher=msg.sender, batch_number=run.batch_number, state_root=run.state_root, risk_root=risk_root, chunks=run.chunks)


@external
def publish(effects: Bytes[EFFECTS_BYTES], body: Bytes[BODY_BYTES], data_commitment: uint256, proof: uint256[12], beneficiary: address):
    """
    @notice The next chunk of the caller's run. Directly, so that every account's line is found in the transaction's calldata.
    """
    assert msg.sender == tx.origin and not msg.sender.is_contract, "Solvency: call directly, the data must lie in the transaction"
    chunk: uint256 = self.runs[msg.sender].published
    assert chunk < self.runs[msg.sender].chunks, "Solvency: no chunk is missing"
    state_root: uint256 = self.runs[msg.sender].state_root
    risk_root: uint256 = self.runs[msg.sender].risk_root
    assert extract32(effects, 32 * statement.STATE_ROOT_WORD, output_type=uint256) == state_root, "Solvency: not of the run's state"
    assert extract32(effects, 32 * statement.RISK_ROOT_WORD, output_type=uint256) == risk_root, "Solvency: not on the run's table"
    assert statement._check(effects, body, data_commitment, proof, beneficiary) == chunk, "Solvency: not the next chunk"

    self.runs[msg.sender].published = chunk + 1
    self.runs[msg.sender].claims += extract32(effects, 32 * CLAIMS_WORD, output_type=uint256) >> 96
    word: uint256 = extract32(effects, 32 * DEFICIT_WORD, output_type=uint256)
    self.runs[msg.sender].deficits += word & MASK_96
    self.runs[msg.sender].below += (word >> 96) & (2**32 - 1)
    self.runs[msg.sender].lacking_e4 += word >> 128
    word = extract32(effects, 32 * FUND_WORD, output_type=uint256)
    if word != 0:
        self.runs[msg.sender].fund = convert(word, int256) - convert(EQUITY_OFFSET, int256)
    zeta: uint256 = convert(keccak256(abi_encode(state_root, risk_root)), uint256) % statement.R
    self.runs[msg.sender].positions = uint256_addmod(self.runs[msg.sender].positions, self._positions(body, zeta), statement.R)
    log ChunkPublished(publisher=msg.sender, batch_number=self.runs[msg.sender].batch_number, chunk=chunk)


@external
def count_deposits(entries: DynArray[queue_walk.Entry, queue_walk.MAX_ENTRIES]):
    """
    @notice Counts the deposits among the next unanswered entries of the caller's run; as often as it takes to reach the end.
    @param entries The queue's, from the run's `queue_counted` on.
    """
    first: uint256 = self.runs[msg.sender].queue_counted
    assert len(entries) > 0, "Solvency: no entries"
    assert first + len(entries) <= self.runs[msg.sender].queue_end, "Solvency: entries beyond the queue's end"
    self.runs[msg.sender].deposits += queue_walk._deposits(statement.ROLLUP, first, entries)
    self.runs[msg.sender].queue_counted = first + len(entries)


@external
def conclude():
    """
    @notice Ends the caller's run: what the accounts are owed is what the row holds for them.
    """
    run: Run = self.runs[msg.sender]
    assert run.chunks > 0, "Solvency: no run"
    assert run.published == run.chunks, "Solvency: chunks are missing"
    assert run.queue_counted == run.queue_end, "Solvency: deposits are not counted yet"
    assert run.positions == 0, "Solvency: positions do not add up to zero"
    # All equities, the negative ones too, and the unanswered deposits are the row; with a negative one the others are owed more than there is.
    assert run.claims + run.deposits == run.row + run.deficits, "Solvency: equities and unanswered deposits are not the row"
    assert run.deficits == 0, "Solvency: claims exceed the row"
    self.runs[msg.sender] = empty(Run)
    log Solvent(
        publisher=msg.sender,
        batch_number=run.batch_number,
        epoch=run.epoch,
        time_ms=run.time_ms,
        liabilities=run.claims,
        below=run.below,
        lacking_e4=run.lacking_e4,
        fund=run.fund,
    )


@internal
@pure
def _positions(body: Bytes[BODY_BYTES], zeta: uint256) -> uint256:
    """
    sum net[i] zeta^i mod r over the instrument rows of one chunk, by Horner's rule from the last to the first. A lane of 0 is an unused row.
    """
    value: uint256 = 0
    cells: uint256 = len(body) // 32
    for i: uint256 in range(cells, bound=statement.MAX_BODY_CELLS):
        cell: uint256 = extract32(body, 32 * (cells - 1 - i), output_type=uint256)
        for j: uint256 in range(NETS_A_CELL):
            net: uint256 = (cell >> (NET_BITS * (NETS_A_CELL - 1 - j))) & (2**NET_BITS - 1)
            value = uint256_mulmod(value, zeta, statement.R)
            if net != 0:
                value = uint256_addmod(value, net + (statement.R - NET_OFFSET), statement.R)
    return value
