"""Rollup: proposals and their order, with a mock verifier that ties a proof to its public inputs."""

from __future__ import annotations

from dataclasses import replace

import pytest

ALICE, BOB, EVE = ("0x" + f"{n:040x}" for n in (0xA1, 0xB0, 0xE7))
USDC = 1_000_000
R = 21888242871839275222246405745257275088548364400416034343698204186575808495617


def fails(reason: str):
    return pytest.raises(Exception, match=f"^Rollup: {reason}$")


@pytest.fixture
def ready(exchange):
    """Six deposits (nano answers four a batch), and a fresh epoch."""
    for who, amount in ((ALICE, 5), (BOB, 7), (ALICE, 1), (EVE, 2), (BOB, 3), (EVE, 4)):
        exchange.deposit(who, amount * USDC)
    exchange.submit_epoch()
    return exchange


# ---------------------------------------------------------------- the way that it should go


def test_propose_fixes_the_header_and_moves_nothing(ready):
    receipt = ready.propose(ready.batch(withdrawals=[(3, ALICE, USDC)]))
    assert receipt.log("BatchProposed") == {"batch_number": 1, "header_hash": ready.headers[1], "state_root": 1001}
    assert (ready.read("proposed_batch"), ready.read("final_batch"), ready.read("state_root")) == (1, 0, ready.config.genesis_root)
    assert ready.read("batch", 1) == (ready.headers[1], 1001, 5 | 4 << 64 | 1 << 128 | ready.chain.time_s << 192)
    assert ready.chain.call(ready.vault, "claimable", ALICE) == 0


def test_prove_moves_the_root_and_credits(ready):
    batch = ready.batch(withdrawals=[(3, ALICE, USDC), (4, BOB, 2 * USDC)])
    ready.propose(batch)
    receipt = ready.prove(batch, beneficiary=EVE)
    assert receipt.log("BatchFinalised") == {"batch_number": 1, "header_hash": ready.headers[1], "state_root": 1001, "beneficiary": EVE}
    assert (ready.read("final_batch"), ready.read("state_root")) == (1, 1001)
    assert ready.chain.call(ready.vault, "claimable", ALICE) == USDC
    assert ready.chain.call(ready.vault, "claimable", BOB) == 2 * USDC
    assert ready.chain.call(ready.vault, "rows", ready.rollup.address) == 19 * USDC


def test_propose_and_prove_does_both(ready):
    receipt = ready.propose_and_prove(ready.batch(withdrawals=[(3, ALICE, USDC)]))
    assert [log.name for log in receipt.logs] == ["BatchProposed", "BatchFinalised", "Credited"]
    assert (ready.read("proposed_batch"), ready.read("final_batch"), ready.read("state_root")) == (1, 1, 1001)
    assert ready.chain.call(ready.vault, "claimable", ALICE) == USDC


def test_proposals_run_ahead_and_are_proved_in_order(ready):
    batches = []
    for _ in range(3):
        batches.append(ready.batch())
        ready.propose(batches[-1])
    assert [batch.effects[9] >> 64 for batch in batches] == [4, 2, 0]
    for late in batches[1:]:
        with fails("not the oldest unproved proposal"):
            ready.prove(late)
    for batch in batches:
        ready.prove(batch)
    assert ready.read("state_root") == 1003
    with fails("no such proposal"):
        ready.prove(batches[-1])


def test_propose_and_prove_needs_a_proven_parent(ready):
    ready.propose(ready.batch())
    with fails("not the oldest unproved proposal"):
        ready.propose_and_prove(ready.batch())


def test_header_and_challenge_are_those_of_the_specification(ready):
    """The verifier sees the public inputs that Python computes from docs/protocol/data.md; every part of them matters (below)."""
    batch = ready.batch(body=[0, 11, 0, R - 1])
    ready.propose(batch)
    c, z, y_effects, y_body, beneficiary = ready.public_inputs(batch, BOB)
    assert y_effects == sum(word * pow(z, i, R) for i, word in enumerate(batch.effects)) % R
    assert y_body == (11 * z + (R - 1) * pow(z, 3, R)) % R
    ready.prove(batch, beneficiary=BOB)
    assert (c, beneficiary) == (batch.c, int(BOB, 16))


@pytest.mark.parametrize("cells", [0, 1, 26])
def test_trailing_zero_cells_may_be_left_out(ready, cells):
    assert ready.preset.body_words == 26
    batch = ready.batch(body=[9] * cells)
    ready.propose(batch)
    ready.prove(batch)


def test_the_slots_of_old_batches_are_reused(ready):
    """More batches than slots: the chain goes on, old batches are gone, and the newest proven one is never overwritten."""
    for _ in range(260):
        ready.submit_epoch()
        ready.propose_and_prove(ready.batch())
    assert ready.read("final_batch") == 260
    assert ready.read("batch", 260)[0] == ready.headers[260]
    for number in (0, 259, 261):
        with fails("no such proposal"):
            ready.read("batch", number)


def test_proposals_stop_before_they_reach_the_newest_proven_batch(ready):
    first = ready.batch()
    ready.propose(first)
    for _ in range(254):
        ready.propose(ready.batch())
    with fails("too many proposals"):
        ready.propose(ready.batch())
    ready.prove(first)
    ready.propose(ready.batch())


# ---------------------------------------------------------------- who


def test_only_the_sequencer_proposes(ready):
    batch = ready.batch()
    for sender in (EVE, ready.config.operator):
        with fails("only the sequencer proposes"):
            ready.send(sender, "propose", batch.effects_bytes, batch.body_bytes, batch.c)
        with fails("only the sequencer proposes"):
            ready.send(sender, "propose_and_prove", batch.effects_bytes, batch.body_bytes, batch.c, [0] * 12, EVE)


def test_the_transaction_itself_must_carry_the_data(chain, mock, new_exchange):
    forwarder = chain.deploy(mock("Forwarder"))
    exchange = new_exchange(chain, sequencer=forwarder.address)
    exchange.submit_epoch()
    batch = exchange.batch()
    calldata = exchange.rollup.contract.encode_call("propose", batch.effects_bytes, batch.body_bytes, batch.c)
    with fails("call directly, the data must lie in the transaction"):
        chain.send(EVE, forwarder, "forward", exchange.rollup.address, calldata)


# ---------------------------------------------------------------- effects that layer 1 knows better


def propose_changed(exchange, word: int, value: int):
    batch = exchange.batch(withdrawals=[(3, ALICE, USDC)])
    effects = list(batch.effects)
    assert effects[word] != value
    effects[word] = value
    exchange.propose(replace(batch, effects=effects))


def test_the_parent_must_be_the_last_proposal(ready):
    first = ready.batch()
    ready.propose(first)
    with fails("wrong batch number"):
        ready.send(ready.sequencer, "propose", first.effects_bytes, first.body_bytes, first.c)
    with fails("old root is not the parent's new root"):
        propose_changed(ready, 2, ready.config.genesis_root)
    ready.propose(ready.batch())


@pytest.mark.parametrize(
    ("word", "delta", "reason"),
    [
        (0, 1, "wrong domain"),
        (1, 1, "wrong batch number"),
        (1, -1, "wrong batch number"),
        (2, 1, "old root is not the parent's new root"),
        (4, 1, "epoch, time and risk root were not recorded"),
        (4, 1 << 64, "epoch, time and risk root were not recorded"),
        (4, 1 << 112, "epoch, time and risk root were not recorded"),
        (4, -1, "epoch, time and risk root were not recorded"),
        (5, 1, "wrong params hash"),
        (6, 1, "epoch, time and risk root were not recorded"),
        (7, 1, "first sequence does not follow the parent's last"),
        (7, -1, "first sequence does not follow the parent's last"),
        (7, -(5 << 64), "last sequence is before the first"),
        (7, 1 << 128, "batch covers too many log entries"),
        (7, 2**24 << 64, "batch covers too many log entries"),
        (9, 1, "queue range does not follow the parent's"),
        (9, 1 << 64, "too many queue entries"),
        (9, 1 << 80, "too many queue entries"),
        (9, -(1 << 64), "unused row is not zero"),
    ],
)
def test_a_changed_header_word_is_refused(ready, word, delta, reason):
    value = ready.batch(withdrawals=[(3, ALICE, USDC)]).effects[word] + delta
    with fails(reason):
        propose_changed(ready, word, value)


@pytest.mark.parametrize("word", range(10, 22))
@pytest.mark.parametrize("bit", [0, 8, 40, 199])
def test_queue_entries_are_the_queues(ready, word, bit):
    value = ready.batch(withdrawals=[(3, ALICE, USDC)]).effects[word] ^ 1 << bit
    with fails("queue entries differ from the queue"):
        propose_changed(ready, word, value)


@pytest.mark.parametrize("bit", [200, 201, 208, 253])
def test_every_queue_outcome_is_applied(ready, bit):
    value = ready.batch(withdrawals=[(3, ALICE, USDC)]).effects[10] ^ 1 << bit
    with fails("wrong queue outcome"):
        propose_changed(ready, 10, value)


def test_attack_06_queue_entries_cannot_be_skipped_repeated_swapped_or_invented(ready):
    def spoil(change):
        batch = ready.batch()
        effects = list(batch.effects)
        rows = [effects[10 + 3 * i : 13 + 3 * i] for i in range(4)]
        change(effects, rows)
        effects[10:22] = [word for row in rows for word in row]
        return replace(batch, effects=effects)

    def swap(effects, rows):
        rows[0], rows[1] = rows[1], rows[0]

    def repeat(effects, rows):
        rows[1] = rows[0]

    def skip(effects, rows):
        effects[9] = 3 << 64
        rows[:] = [*rows[1:], [0, 0, 0]]

    for change in (swap, repeat, skip):
        with fails("queue entries differ from the queue"):
            ready.propose(spoil(change))
    ready.propose(ready.batch())
    invented = ready.batch()
    effects = [*invented.effects[:9], 4 | 3 << 64, *invented.effects[10:16], *invented.effects[10:13], *invented.effects[19:]]
    with fails("queue entries differ from the queue"):
        ready.propose(replace(invented, effects=effects))


def test_unused_queue_rows_are_zero(ready):
    ready.propose(ready.batch())
    for word in range(16, 22):
        with fails("unused row is not zero"):
            propose_changed(ready, word, 1)


def test_fewer_entries_than_wait_may_be_answered(ready):
    for entries in (0, 1, 3, 2, 0):
        ready.propose(ready.batch(entries=entries))
    assert ready.queue_ends == [0, 0, 1, 4, 6, 6]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        (int(ALICE, 16) | 3 << 224, "withdrawal amount must be 1 to 2\\^63 - 1"),
        (int(ALICE, 16) | 1 << 223 | 3 << 224, "withdrawal amount must be 1 to 2\\^63 - 1"),
        (5 << 160 | 3 << 224, "withdrawal to nobody"),
        (int(ALICE, 16) | 5 << 160 | 256 << 224, "no such account"),
    ],
)
@pytest.mark.parametrize("row", [22, 23])
def test_malformed_withdrawals_are_refused(ready, row, word, reason):
    with fails(reason):
        propose_changed(ready, row, word)


def test_the_effects_have_exactly_the_presets_length(ready):
    batch = ready.batch()
    for effects in (b"", batch.effects_bytes[:-32], batch.effects_bytes[:-1], batch.effects_bytes + b"\0", batch.effects_bytes + b"\0" * 32):
        with fails("wrong effects length"):
            ready.send(ready.sequencer, "propose", effects, batch.body_bytes, batch.c)


def test_the_body_has_whole_cells_and_at_most_the_presets(ready):
    batch = ready.batch()
    for body in (b"\1", batch.body_bytes + b"\0", batch.body_bytes[:-1], b"\0" * 32 * 27):
        with fails("wrong body length"):
            ready.send(ready.sequencer, "propose", batch.effects_bytes, body, batch.c)


@pytest.mark.parametrize("value", [R, R + 5, 2**256 - 1])
def test_words_at_or_above_r_are_refused(ready, value):
    batch = ready.batch()
    for word in (3, 8):
        with fails("effects word is not a field element"):
            ready.propose(replace(batch, effects=[*batch.effects[:word], value, *batch.effects[word + 1 :]]))
    for cell in range(3):
        with fails("body cell is not a field element"):
            ready.propose(replace(batch, body=[*batch.body[:cell], value, *batch.body[cell + 1 :]]))
    with fails("data commitment is not a field element"):
        ready.propose(replace(batch, c=value))


def test_log_sequences_continue(ready):
    ready.propose(ready.batch())
    ready.propose(ready.batch())
    assert ready.last_sequences == [0, 5, 10]
    with fails("first sequence does not follow the parent's last"):
        propose_changed(ready, 7, 12 | 15 << 64)


# ---------------------------------------------------------------- epochs at proposal


def test_the_table_may_be_fifteen_minutes_old(ready):
    ready.chain.warp(900)
    ready.propose(ready.batch())
    ready.chain.warp(1)
    with fails("risk table is too old"):
        ready.propose(ready.batch())


def test_epochs_never_decrease(ready):
    old_time = ready.time_ms
    ready.chain.warp(10)
    ready.submit_epoch(epoch=3)
    ready.submit_epoch(epoch=2, time_ms=old_time)
    ready.epoch, ready.time_ms = 3, ready.chain.time_s * 1000
    ready.propose(ready.batch())
    ready.propose(ready.batch())
    ready.epoch, ready.time_ms = 2, old_time
    with fails("epoch decreases"):
        ready.propose(ready.batch())


def test_an_unrecorded_epoch_is_refused(exchange):
    for epoch in (0, 1):
        exchange.epoch, exchange.time_ms, exchange.risk_root = epoch, 0, 0
        with fails("epoch, time and risk root were not recorded"):
            exchange.propose(exchange.batch())
