"""The demo's night without layer 1: list, quote, trade, settle; then the witnesses of its batches."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Results
from straddle.node.config import DemoConfig
from straddle.sequencer.codec import decode_command, encode_command
from straddle.sequencer.journal import Journal, JournalEntry

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.session import LOG, Run, post, run_night

SUBJECT = "session"


def run(results: Results) -> None:
    """One night of the `demo` preset, signatures, journal, receipts and state trees included."""
    config, nights = DemoConfig.recorded(), list[Run]()
    with tempfile.TemporaryDirectory() as root:
        folders = [Path(root) / str(i) for i in range(3)]
        for folder in folders:
            folder.mkdir()
        rest = iter(folders)
        results.time_prepared(SUBJECT, "night", 1, lambda: next(rest), lambda folder: nights.append(run_night(config, folder)), repeat=2)
        exchange = nights[-1].exchange
        results.fact(SUBJECT, "matches of the night", len(exchange.session.matches), "trades")
        results.fact(SUBJECT, "log entries of the night", exchange.sequencer.sequence, "commands")
        results.time(SUBJECT, "witness of a batch", len(exchange.closed), lambda: post(nights[-1]))
        exchange.sequencer.close()
        log = Journal(exchange.journal_path, LOG)
        commands = [decode_command(item.command) for item in log.items() if isinstance(item, JournalEntry)]
        log.close()
    results.time(SUBJECT, "encode a command", len(commands), lambda: [encode_command(command) for command in commands])
