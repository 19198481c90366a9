# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Layer-one options
@license Apache-2.0
@notice The comparison's baseline: options, futures and a perpetual traded on layer 1 itself, with a portfolio margin check in every trade.
@dev For measuring, not for use. It does what the rollup's trade does, cheaply (docs/reference/compare.md: what would be cheaper still):
       - a signed maker order (EIP-712) is filled by a taker's call; orders share 64 slots a maker, as the rollup's do, so that a warm one costs 5,000 gas;
       - positions are packed four to a word and scanned, not mapped; the scan finds a page of tables once and leaves out checks that cannot fail;
       - fees stay in the header of who paid them until they are collected;
       - eight scenario deltas lie in a word, and one multiplication moves four of them (see `_margin`);
       - the oracle's tables lie in storage, or, chosen at deployment, in the code of a data contract, which reads cheaper and writes dearer;
       - nothing is proved and the oracle is one address: no committee's signatures are checked.

     The rule is that of docs/protocol/margin.md, simplified in favour of this contract: after a trade or a withdrawal, both portfolios meet

         equity = cash + sum q V   >=   IM = k_im_bps / 10^4 * max(0, max_s -(sum q D[s])) + sum |q| charge

     on tables that are at most `MAX_AGE_S` old, and a withdrawal leaves cash + sum over linear q V - sum over options max(-q, 0) V >= 0.
     Left out, all of which would cost more: trades that only reduce risk below IM, liquidation, price bands, combinations, reduce-only orders, key management.

     Table row of an instrument, 32-byte words:
         0: (value + 2^39)(40) | (funding + 2^39)(40) | long_im(40) | short_im(40) | flags(8): 1 linear, 2 settled | time_s(40)
         1 ..: eight (delta + 2^31)(32) each
     Everything is in micro-dollars a lot.
"""

from ethereum.ercs import IERC20

event Deposited:
    owner: indexed(address)
    amount: uint256

event Withdrawn:
    owner: indexed(address)
    amount: uint256

event Filled:
    maker: indexed(address)
    taker: indexed(address)
    instrument: indexed(uint256)
    lots: int256
    price: uint256

event Delivered:
    owner: indexed(address)
    instrument: indexed(uint256)
    amount: int256

struct Order:
    instrument: uint256
    is_buy: bool
    lots: uint256
    price: uint256
    nonce: uint256
    expiry_s: uint256

struct Margin:
    equity: int256
    requirement: int256
    settled: int256

TYPE_HASH: constant(bytes32) = keccak256("Order(uint256 instrument,bool is_buy,uint256 lots,uint256 price,uint256 nonce,uint256 expiry_s)")
DOMAIN_TYPE_HASH: constant(bytes32) = keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)")
HALF_SECP256K1_N: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168

# Bounds: sum |q| 2^32 stays below 2^63, a lane of the scan.
MAX_POSITIONS: constant(uint256) = 128
MAX_LOTS: constant(int256) = 2**24
MAX_INSTRUMENT: constant(uint256) = 2**16 - 1
MAX_PRICE: constant(uint256) = 2**39
MAX_CASH: constant(int256) = 2**63
MAX_ROWS: constant(uint256) = 64
MAX_DELTA_WORDS: constant(uint256) = 6
ORDER_SLOTS: constant(uint256) = 64

# A position: instrument(16) at bit 40 | (size + 2^39)(40).
# An account's header: count(8) | (cash + 2^63)(64) at bit 8 | fees that it paid and nobody collected yet at bit 72.
POSITION_BITS: constant(uint256) = 56
POSITIONS_A_WORD: constant(uint256) = 4
FEES_BIT: constant(uint256) = 72
OFFSET_40: constant(int256) = 2**39
MASK_40: constant(uint256) = 2**40 - 1
MASK_56: constant(uint256) = 2**56 - 1
MASK_64: constant(uint256) = 2**64 - 1

# The even ones of eight 32-bit fields; 2^63 in each of four lanes.
EVEN_FIELDS: constant(uint256) = (2**32 - 1) * (1 + 2**64 + 2**128 + 2**192)
LANE_OFFSETS: constant(uint256) = 2**63 * (1 + 2**64 + 2**128 + 2**192)

FLAG_LINEAR: constant(uint256) = 1
FLAG_SETTLED: constant(uint256) = 2

TOKEN: public(immutable(IERC20))
ORACLE: public(immutable(address))
FEES_TO: public(immutable(address))
FEE_PER_LOT: public(immutable(uint256))
K_IM_BPS: public(immutable(uint256))
MAX_AGE_S: public(immutable(uint256))
DELTA_WORDS: public(immutable(uint256))
TABLES_IN_CODE: public(immutable(bool))
DOMAIN_SEPARATOR: public(immutable(bytes32))

headers: HashMap[address, uint256]
positions: HashMap[address, uint256[MAX_POSITIONS // POSITIONS_A_WORD]]
# maker -> nonce % ORDER_SLOTS -> nonce(64) at bit 40 | filled(40)
slots: HashMap[address, uint256[ORDER_SLOTS]]
rows: HashMap[uint256, uint256[1 + MAX_DELTA_WORDS]]
# With two delta words.
short_rows: HashMap[uint256, uint256[3]]
pages: HashMap[uint256, address]


@deploy
def __init__(
    token: IERC20, oracle: address, fees_to: address, fee_per_lot: uint256, k_im_bps: uint256, max_age_s: uint256, delta_words: uint256, tables_in_code: bool
):
    """
    @param fee_per_lot The taker's, micro-dollars.
    @param delta_words 2: sixteen scenarios, 6: forty-eight.
    """
    assert token.address.is_contract, "LayerOneOptions: token is not a contract"
    assert oracle != empty(address) and fees_to != empty(address), "LayerOneOptions: oracle or fees address is zero"
    assert delta_words == 2 or delta_words == 6, "LayerOneOptions: delta words must be 2 or 6"
    assert fee_per_lot < 2**30 and k_im_bps < 2**16, "LayerOneOptions: fee or margin rate too large"
    assert max_age_s <= MASK_40, "LayerOneOptions: maximum age too large"
    TOKEN = token
    ORACLE = oracle
    FEES_TO = fees_to
    FEE_PER_LOT = fee_per_lot
    K_IM_BPS = k_im_bps
    MAX_AGE_S = max_age_s
    DELTA_WORDS = delta_words
    TABLES_IN_CODE = tables_in_code
    DOMAIN_SEPARATOR = keccak256(abi_encode(DOMAIN_TYPE_HASH, keccak256("LayerOneOptions"), chain.id, self))


# ---------------------------------------------------------------- tables


@external
def post(first: uint256, data: Bytes[32 * (1 + MAX_DELTA_WORDS) * MAX_ROWS]):
    """
    @notice The oracle's rows of instruments `first`, `first` + 1, ... In code, they are a page of 64 instruments that replaces the page before.
    """
    assert msg.sender == ORACLE, "LayerOneOptions: only the oracle posts tables"
    width: uint256 = 1 + DELTA_WORDS
    count: uint256 = len(data) // (32 * width)
    assert count > 0 and len(data) == 32 * width * count, "LayerOneOptions: rows are not whole"
    assert first + count - 1 <= MAX_INSTRUMENT, "LayerOneOptions: instrument out of range"
    if TABLES_IN_CODE:
        assert first % MAX_ROWS == 0, "LayerOneOptions: a page begins at a multiple of 64"
        # Creation code that returns what follows it, which begins with STOP: 10 bytes, then 1 + len(data) bytes.
        size: bytes2 = convert(convert(len(data) + 1, uint16), bytes2)
        self.pages[first // MAX_ROWS] = raw_create(concat(x"61", size, x"80600a3d393df3", x"00", data))
        return
    for i: uint256 in range(count, bound=MAX_ROWS):
        if DELTA_WORDS == 2:
            self.short_rows[first + i] = abi_decode(slice(data, 96 * i, 96), uint256[3])
        else:
            self.rows[first + i] = abi_decode(slice(data, 224 * i, 224), uint256[7])


# ---------------------------------------------------------------- money


@external
def deposit(amount: uint256):
    """
    @notice Moves `amount` of the token from the caller into the caller's account.
    """
    assert amount < 2**62, "LayerOneOptions: amount too large"
    self._change_cash(msg.sender, convert(amount, int256))
    log Deposited(owner=msg.sender, amount=amount)
    assert extcall TOKEN.transferFrom(msg.sender, self, amount, default_return_value=True), "LayerOneOptions: token transfer failed"


@external
def withdraw(amount: uint256):
    """
    @notice Pays `amount` to the caller, whose portfolio must meet its margin without it.
    """
    assert amount < 2**62, "LayerOneOptions: amount too large"
    self._change_cash(msg.sender, -convert(amount, int256))
    margin: Margin = self._margin(msg.sender)
    assert margin.equity >= margin.requirement, "LayerOneOptions: margin"
    assert margin.settled >= 0, "LayerOneOptions: not settled"
    log Withdrawn(owner=msg.sender, amount=amount)
    assert extcall TOKEN.transfer(msg.sender, amount, default_return_value=True), "LayerOneOptions: token transfer failed"


@external
def deliver(owner: address, instrument: uint256):
    """
    @notice Turns an account's position in a settled instrument into cash. By anyone.
    """
    row: uint256[1 + MAX_DELTA_WORDS] = self._row(instrument)
    assert (row[0] >> 160) & FLAG_SETTLED != 0, "LayerOneOptions: instrument is not settled"
    size: int256 = self._size(owner, instrument)
    assert size != 0, "LayerOneOptions: no position"
    amount: int256 = size * self._signed_40(row[0])
    self._move(owner, instrument, -size, amount, 0)
    log Delivered(owner=owner, instrument=instrument, amount=amount)


@external
def collect_fees(payers: DynArray[address, MAX_ROWS]):
    """
    @notice Pays the fees that these accounts paid to their owner.
    """
    amount: uint256 = 0
    for payer: address in payers:
        header: uint256 = self.headers[payer]
        amount += header >> FEES_BIT
        self.headers[payer] = header & (2**FEES_BIT - 1)
    assert extcall TOKEN.transfer(FEES_TO, amount, default_return_value=True), "LayerOneOptions: token transfer failed"


# ---------------------------------------------------------------- trades


@external
def fill(order: Order, v: uint256, r: uint256, s: uint256, lots: uint256):
    """
    @notice Fills `lots` of a signed order at its price, the caller being the taker. A hedge is the same call for the perpetual.
    """
    assert block.timestamp <= order.expiry_s, "LayerOneOptions: order expired"
    assert order.price < MAX_PRICE, "LayerOneOptions: price out of range"
    assert s <= HALF_SECP256K1_N, "LayerOneOptions: signature is malleated"
    digest: bytes32 = keccak256(concat(x"1901", DOMAIN_SEPARATOR, keccak256(abi_encode(TYPE_HASH, order))))
    maker: address = ecrecover(digest, v, r, s)
    assert maker != empty(address), "LayerOneOptions: invalid signature"
    assert maker != msg.sender, "LayerOneOptions: maker and taker are the same"
    self._use_order(maker, order, lots)

    row: uint256[1 + MAX_DELTA_WORDS] = self._row(order.instrument)
    assert row[0] != 0, "LayerOneOptions: no such instrument"
    assert (row[0] >> 160) & FLAG_SETTLED == 0, "LayerOneOptions: instrument is settled"
    # lots < 2^40 by _use_order.
    size: int256 = convert(lots, int256)
    if not order.is_buy:
        size = -size
    cash: int256 = -size * (convert(order.price, int256) - self._signed_40(row[0] >> 40))
    fee: uint256 = lots * FEE_PER_LOT
    self._move(maker, order.instrument, size, cash, 0)
    self._move(msg.sender, order.instrument, -size, -cash - convert(fee, int256), fee)
    margin: Margin = self._margin(maker)
    assert margin.equity >= margin.requirement, "LayerOneOptions: maker's margin"
    margin = self._margin(msg.sender)
    assert margin.equity >= margin.requirement, "LayerOneOptions: taker's margin"
    log Filled(maker=maker, taker=msg.sender, instrument=order.instrument, lots=size, price=order.price)


@external
def cancel(nonce: uint256):
    """
    @notice No order of the caller's with this nonce is filled any more.
    """
    assert nonce <= MASK_64, "LayerOneOptions: nonce out of range"
    word: uint256 = self.slots[msg.sender][nonce % ORDER_SLOTS]
    assert nonce >= word >> 40, "LayerOneOptions: nonce is used up"
    self.slots[msg.sender][nonce % ORDER_SLOTS] = (nonce << 40) | MASK_40


# ---------------------------------------------------------------- views


@external
@view
def account(owner: address) -> (int256, DynArray[uint256, MAX_POSITIONS], DynArray[int256, MAX_POSITIONS]):
    """
    @notice Cash, instruments held, sizes.
    """
    instruments: DynArray[uint256, MAX_POSITIONS] = []
    sizes: DynArray[int256, MAX_POSITIONS] = []
    for i: uint256 in range(self.headers[owner] & 255, bound=MAX_POSITIONS):
        position: uint256 = self._position(owner, i)
        instruments.append(position >> 40)
        sizes.append(convert(position & MASK_40, int256) - OFFSET_40)
    return self._cash(self.headers[owner]), instruments, sizes


@external
@view
def margin(owner: address) -> Margin:
    """
    @notice Equity, initial margin (rounded up) and settled cash.
    """
    return self._margin(owner)


@external
@view
def fees(owner: address) -> uint256:
    """
    @notice Fees that an account paid and nobody collected yet.
    """
    return self.headers[owner] >> FEES_BIT


# ---------------------------------------------------------------- internal


@internal
def _use_order(maker: address, order: Order, lots: uint256):
    assert lots > 0 and order.lots < MASK_40, "LayerOneOptions: lots out of range"
    assert order.nonce <= MASK_64, "LayerOneOptions: nonce out of range"
    word: uint256 = self.slots[maker][order.nonce % ORDER_SLOTS]
    filled: uint256 = 0
    if word >> 40 == order.nonce:
        filled = word & MASK_40
    else:
        assert order.nonce > word >> 40, "LayerOneOptions: nonce is used up"
    filled += lots
    assert filled <= order.lots, "LayerOneOptions: order is filled"
    self.slots[maker][order.nonce % ORDER_SLOTS] = (order.nonce << 40) | filled


@internal
def _change_cash(owner: address, amount: int256):
    header: uint256 = self.headers[owner]
    self.headers[owner] = self._header(header & 255, self._cash(header) + amount, header >> FEES_BIT)


@internal
def _move(owner: address, instrument: uint256, lots: int256, cash: int256, fee: uint256):
    """
    Adds to a position, to the cash and to the fees paid. A position of 0 gives its place to the last one.
    """
    header: uint256 = self.headers[owner]
    count: uint256 = header & 255
    word: uint256 = 0
    place: uint256 = count
    size: int256 = 0
    for i: uint256 in range(count, bound=MAX_POSITIONS):
        if i % POSITIONS_A_WORD == 0:
            word = self.positions[owner][i // POSITIONS_A_WORD]
        if (word >> 40) & MAX_INSTRUMENT == instrument:
            place = i
            size = unsafe_sub(convert(word & MASK_40, int256), OFFSET_40)
            break
        word >>= POSITION_BITS
    size += lots
    assert size < MAX_LOTS and size > -MAX_LOTS, "LayerOneOptions: position too large"
    if size == 0:
        # Only a position that exists becomes 0: lots are never 0.
        count -= 1
        if place != count:
            self._set_position(owner, place, self._position(owner, count))
    else:
        if place == count:
            assert count < MAX_POSITIONS, "LayerOneOptions: too many positions"
            count += 1
        self._set_position(owner, place, (instrument << 40) | convert(size + OFFSET_40, uint256))
    self.headers[owner] = self._header(count, self._cash(header) + cash, (header >> FEES_BIT) + fee)


@internal
@view
def _size(owner: address, instrument: uint256) -> int256:
    for i: uint256 in range(self.headers[owner] & 255, bound=MAX_POSITIONS):
        position: uint256 = self._position(owner, i)
        if position >> 40 == instrument:
            return convert(position & MASK_40, int256) - OFFSET_40
    return 0


@internal
@view
def _margin(owner: address) -> Margin:
    """
    Scans the portfolio. Of a word of eight deltas the four even fields stay in place, 64 bits apart, and so do the four odd ones shifted down by 32. A product
    with q, two's complement, is the four products at once; borrows between lanes cancel in the sum, whose lanes are brought above 0 by LANE_OFFSETS.
    """
    header: uint256 = self.headers[owner]
    lanes: uint256[2 * MAX_DELTA_WORDS] = empty(uint256[2 * MAX_DELTA_WORDS])
    total: int256 = 0
    charge: int256 = 0
    equity: int256 = self._cash(header)
    settled: int256 = equity
    word: uint256 = 0
    row: uint256[1 + MAX_DELTA_WORDS] = empty(uint256[1 + MAX_DELTA_WORDS])
    page: address = empty(address)
    page_number: uint256 = max_value(uint256)
    # No sum here can overflow: sizes are below 2^24, numbers of a row below 2^40, positions 128 at most.
    for i: uint256 in range(header & 255, bound=MAX_POSITIONS):
        if i % POSITIONS_A_WORD == 0:
            word = self.positions[owner][i // POSITIONS_A_WORD]
        instrument: uint256 = (word >> 40) & MAX_INSTRUMENT
        size: int256 = unsafe_sub(convert(word & MASK_40, int256), OFFSET_40)
        word >>= POSITION_BITS
        if not TABLES_IN_CODE:
            row = self._row(instrument)
        else:
            if instrument // MAX_ROWS != page_number:
                page_number = instrument // MAX_ROWS
                page = self.pages[page_number]
            # Without `_row_of`, whose own check costs a tenth of the scan: a page without a row that is held fails here.
            if DELTA_WORDS == 6:
                row = abi_decode(slice(page.code, unsafe_add(1, unsafe_mul(224, instrument % MAX_ROWS)), 224), uint256[7])
            else:
                row = self._row_of(page, instrument)

        flags: uint256 = row[0] >> 160
        value: int256 = unsafe_mul(size, unsafe_sub(convert(row[0] & MASK_40, int256), OFFSET_40))
        equity = unsafe_add(equity, value)
        if flags & FLAG_LINEAR != 0 or size < 0:
            settled = unsafe_add(settled, value)
        if flags & FLAG_SETTLED != 0:
            continue
        assert unsafe_add((flags >> 8) & MASK_40, MAX_AGE_S) >= block.timestamp, "LayerOneOptions: table is too old"
        if size > 0:
            charge = unsafe_add(charge, unsafe_mul(size, convert((row[0] >> 80) & MASK_40, int256)))
        else:
            charge = unsafe_sub(charge, unsafe_mul(size, convert((row[0] >> 120) & MASK_40, int256)))
        total = unsafe_add(total, size)
        factor: uint256 = convert(convert(size, bytes32), uint256)
        # Written out: a loop's checked indices cost several times as much.
        lanes[0] = unsafe_add(lanes[0], unsafe_mul(factor, row[1] & EVEN_FIELDS))
        lanes[1] = unsafe_add(lanes[1], unsafe_mul(factor, (row[1] >> 32) & EVEN_FIELDS))
        lanes[2] = unsafe_add(lanes[2], unsafe_mul(factor, row[2] & EVEN_FIELDS))
        lanes[3] = unsafe_add(lanes[3], unsafe_mul(factor, (row[2] >> 32) & EVEN_FIELDS))
        if DELTA_WORDS == 6:
            lanes[4] = unsafe_add(lanes[4], unsafe_mul(factor, row[3] & EVEN_FIELDS))
            lanes[5] = unsafe_add(lanes[5], unsafe_mul(factor, (row[3] >> 32) & EVEN_FIELDS))
            lanes[6] = unsafe_add(lanes[6], unsafe_mul(factor, row[4] & EVEN_FIELDS))
            lanes[7] = unsafe_add(lanes[7], unsafe_mul(factor, (row[4] >> 32) & EVEN_FIELDS))
            lanes[8] = unsafe_add(lanes[8], unsafe_mul(factor, row[5] & EVEN_FIELDS))
            lanes[9] = unsafe_add(lanes[9], unsafe_mul(factor, (row[5] >> 32) & EVEN_FIELDS))
            lanes[10] = unsafe_add(lanes[10], unsafe_mul(factor, row[6] & EVEN_FIELDS))
            lanes[11] = unsafe_add(lanes[11], unsafe_mul(factor, (row[6] >> 32) & EVEN_FIELDS))
    loss: int256 = -self._lowest(lanes, total)
    if loss > 0:
        charge += (loss * convert(K_IM_BPS, int256) + 9_999) // 10_000
    return Margin(equity=equity, requirement=charge, settled=settled)


@internal
@view
def _lowest(lanes: uint256[2 * MAX_DELTA_WORDS], total: int256) -> int256:
    """
    min over scenarios of sum q D: each delta was taken 2^31 too high, `total` lots of them.
    """
    lowest: uint256 = MASK_64
    for j: uint256 in range(2 * DELTA_WORDS, bound=2 * MAX_DELTA_WORDS):
        word: uint256 = unsafe_add(lanes[j], LANE_OFFSETS)
        lowest = min(lowest, min(min(word & MASK_64, (word >> 64) & MASK_64), min((word >> 128) & MASK_64, word >> 192)))
    return convert(lowest, int256) - 2**63 - total * 2**31


@internal
@view
def _row(instrument: uint256) -> uint256[1 + MAX_DELTA_WORDS]:
    """
    An instrument's row; zeros if there is none.
    """
    short: uint256[3] = empty(uint256[3])
    if not TABLES_IN_CODE:
        if DELTA_WORDS == 6:
            return self.rows[instrument]
        short = self.short_rows[instrument]
        return [short[0], short[1], short[2], 0, 0, 0, 0]
    return self._row_of(self.pages[instrument // MAX_ROWS], instrument)


@internal
@view
def _row_of(page: address, instrument: uint256) -> uint256[1 + MAX_DELTA_WORDS]:
    """
    An instrument's row in the code of its page; zeros if there is none.
    """
    start: uint256 = unsafe_add(1, unsafe_mul(32 * (1 + DELTA_WORDS), instrument % MAX_ROWS))
    if page.codesize <= start:
        return empty(uint256[1 + MAX_DELTA_WORDS])
    if DELTA_WORDS == 6:
        return abi_decode(slice(page.code, start, 224), uint256[7])
    short: uint256[3] = abi_decode(slice(page.code, start, 96), uint256[3])
    return [short[0], short[1], short[2], 0, 0, 0, 0]


@internal
@view
def _position(owner: address, place: uint256) -> uint256:
    return (self.positions[owner][place // POSITIONS_A_WORD] >> (POSITION_BITS * (place % POSITIONS_A_WORD))) & MASK_56


@internal
def _set_position(owner: address, place: uint256, position: uint256):
    bits: uint256 = POSITION_BITS * (place % POSITIONS_A_WORD)
    word: uint256 = self.positions[owner][place // POSITIONS_A_WORD]
    self.positions[owner][place // POSITIONS_A_WORD] = (word & ~(MASK_56 << bits)) | (position << bits)


@internal
@pure
def _signed_40(word: uint256) -> int256:
    return convert(word & MASK_40, int256) - OFFSET_40


@internal
@pure
def _cash(header: uint256) -> int256:
    """
    An account that was never touched has the header 0 and no cash.
    """
    if header == 0:
        return 0
    return convert((header >> 8) & MASK_64, int256) - MAX_CASH


@internal
@pure
def _header(count: uint256, cash: int256, fees: uint256) -> uint256:
    assert cash < MAX_CASH and cash > -MAX_CASH, "LayerOneOptions: cash out of range"
    return count | (convert(cash + MAX_CASH, uint256) << 8) | (fees << FEES_BIT)
