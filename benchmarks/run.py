"""What things cost here. Each benchmark is a function that yields (what, operations, CPU seconds); the machine is shared, so wall time says little."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.session import OPERATOR, post, run_session

from straddle.core import messages
from straddle.core.orders import Order, OrderSet, Side, Signature
from straddle.node.config import DemoConfig
from straddle.primitives.keys import SecretKey, verify_many
from straddle.proving.prover import Prover, ProverError
from straddle.sequencer.codec import decode_command, encode_command
from straddle.sequencer.journal import BatchMark, Journal, JournalEntry, Pending
from straddle.sequencer.receipts import LogIdentity, LogPlace, ReceiptSigner

Measurement = tuple[str, int, float]


def timed(what: str, count: int, run: Callable[[], object]) -> Measurement:
    """One call of `run`, which does `count` operations."""
    begun = time.process_time()
    run()
    return what, count, time.process_time() - begun


def signatures(folder: Path) -> Iterator[Measurement]:
    """Trading signatures, and the sequencer's receipts."""
    key, words = SecretKey.from_seed(b"bench"), (1, 2, 3, 4, 5, 6)
    yield timed("sign an order set", 500, lambda: [key.sign(words) for _ in range(500)])
    signature = key.sign(words)
    yield timed("verify signatures, 500 at once", 500, lambda: verify_many([(key.public, words, signature)] * 500))
    place = LogPlace(LogIdentity(1, 2), 1, 1, bytes(32), bytes(32), 1)
    signer = ReceiptSigner(OPERATOR)
    yield timed("sign a receipt", 1_000, lambda: [signer.sign(place) for _ in range(1_000)])
    orders = tuple(Order(i, 0, 10**12, 100, 100, 1, Side.BUY, 10) for i in range(1, 65))
    unsigned = OrderSet(3, 1, orders, Signature(0, 0, 0))
    yield timed("root of a set of 64 orders", 50, lambda: [messages.order_set_words(1, unsigned) for _ in range(50)])


def journal(folder: Path) -> Iterator[Measurement]:
    """Durable appends, one by one and in groups."""
    log = Journal(folder / "bench.sqlite", LogIdentity(1, 2))
    pending = Pending(1, 1, bytes(2_000))
    yield timed("journal: append, one sync each", 200, lambda: [log.append([pending]) for _ in range(200)])
    yield timed("journal: append, groups of 64", 6_400, lambda: [log.append([pending] * 64) for _ in range(100)])
    yield timed("journal: read and check", 6_600, lambda: list(log.items()))
    log.close()


def session(folder: Path) -> Iterator[Measurement]:
    """The demo's market without layer 1: load, trade, replay, witness."""
    config = DemoConfig.recorded()
    begun = time.process_time()
    run = run_session(config, folder / "session")
    yield "market session: load, quote, trade, close", run.session.sequencer.sequence, time.process_time() - begun
    yield timed("witness of a batch", len(run.closed), lambda: post(run))
    log = Journal(folder / "session" / "journal.sqlite", LogIdentity(31337, 0x1234))
    commands = [decode_command(item.command) for item in log.items() if isinstance(item, JournalEntry)]
    assert any(isinstance(item, BatchMark) for item in log.items())
    log.close()
    yield timed("encode a command", len(commands), lambda: [encode_command(command) for command in commands])


def proving(folder: Path) -> Iterator[Measurement]:
    """One proof with the small circuit."""
    try:
        prover = Prover()
    except ProverError as error:
        print(f"proving left out: {error}", file=sys.stderr)
        return
    prover.setup("nano")
    batch = post(run_session(DemoConfig.recorded(preset="nano", trades=4, takers=2, epochs=1), folder / "nano"))[-1]
    result = prover.prove(batch.witness)
    yield "prove a nano batch", 1, result.cpu_seconds


def main() -> None:
    """Run all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the measurements to this file")
    arguments = parser.parse_args()
    measured: list[Measurement] = []
    with tempfile.TemporaryDirectory() as folder:
        for benchmark in (signatures, journal, session, proving):
            measured += benchmark(Path(folder))
    table = Table("what", "operations", "CPU seconds", "each, ms", "a second")
    for what, count, seconds in measured:
        table.add_row(what, f"{count:,}", f"{seconds:.3f}", f"{1e3 * seconds / count:.3f}", f"{count / seconds:,.0f}")
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps([{"what": w, "operations": n, "cpu_seconds": s} for w, n, s in measured], indent=2) + "\n")


if __name__ == "__main__":
    main()
