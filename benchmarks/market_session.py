"""The demo's market without layer 1: load, quote, trade, close; then the witnesses of its batches."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Results
from straddle.node.config import DemoConfig
from straddle.sequencer.codec import decode_command, encode_command
from straddle.sequencer.journal import Journal, JournalEntry

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.session import LOG, post, run_night

SUBJECT = "session"


def run(results: Results) -> None:
    """One session of the `demo` preset, signatures, journal, receipts and state trees included."""
    config = DemoConfig.recorded()
    with tempfile.TemporaryDirectory() as root:
        folders = [Path(root) / str(i) for i in range(3)]
        for folder in folders:
            folder.mkdir()
        rest, finished = iter(folders), []
        results.time_prepared(SUBJECT, "session", 1, lambda: next(rest), lambda folder: finished.append(run_night(config, folder)), repeat=2)
        session = finished[-1]
        results.fact(SUBJECT, "trades of the session", len(session.exchange.session.matches), "matches")
        results.fact(SUBJECT, "log entries of the session", session.exchange.sequencer.sequence, "commands")
        results.time(SUBJECT, "witness of a batch", len(session.exchange.closed), lambda: post(session))
        log = Journal(folders[len(finished) - 1] / "journal.sqlite", LOG)
        commands = [decode_command(item.command) for item in log.items() if isinstance(item, JournalEntry)]
        log.close()
    results.time(SUBJECT, "encode a command", len(commands), lambda: [encode_command(command) for command in commands])
