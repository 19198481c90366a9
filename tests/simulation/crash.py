"""Processes that trade until they are killed, and what they had acknowledged by then. They are forked from a server that has imported the exchange."""

from __future__ import annotations

import multiprocessing
import resource
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from straddle.sequencer.journal import JournalError
from straddle.sequencer.sequencer import Accepted

from .layer1 import CheckingProver, ReorgingLayer1
from .node import PRESET, Node
from .traffic import ACCOUNTS, Traffic
from .world import open_accounts

NEVER = 10**9
PRELOADED = ["straddle.proving.checker", "straddle.sequencer.poster", "straddle.sequencer.snapshots"]
"""Not the simulation's own modules: the server does not find them (and does not say so), and they call the Go library, after which nobody may fork."""


def open_node(folder: Path, *, snapshots: bool = False) -> tuple[Node, ReorgingLayer1]:
    """The node of a folder with a layer 1 of its own."""
    layer1 = ReorgingLayer1()
    open_accounts(layer1)
    return Node(folder, layer1, CheckingProver(PRESET, NEVER), snapshots=snapshots), layer1


def trade_until_killed(folder: Path, seed: str, first_nonce: int, answers: Connection, file_bytes_max: int | None = None, snapshots: bool = False) -> None:
    """Submits groups without end; tells of each acknowledged receipt, and of the last closed batch's root, after the answer. The last word is an error.

    With `snapshots` it starts from one and writes one after every few groups.
    """
    if file_bytes_max is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max))
    try:
        node, layer1 = open_node(folder, snapshots=snapshots)
        sequencer, rng = node.sequencer, Random(seed)
        traffic = Traffic(rng)
        traffic.nonces = dict.fromkeys(ACCOUNTS, first_nonce)
        answers.send(("open", sequencer.sequence, node.journal.head, node.journal.batches, sequencer.state_root))
        while True:
            commands = [traffic.next(sequencer.exchange, layer1.queue) for _ in range(rng.choice((1, 1, 2, 8)))]
            receipts = [answer.receipt for answer in sequencer.submit_many(commands) if isinstance(answer, Accepted)]
            answers.send(("acknowledged", [(receipt.place.sequence, receipt.place.hash) for receipt in receipts], node.journal.batches, sequencer.state_root))
            if snapshots and rng.random() < 0.5:
                node.snapshot()
    except JournalError as error:
        answers.send(("failed", str(error)))


class Victim:
    """A process on a folder, and all that it has said."""

    def __init__(self, folder: Path, seed: str, first_nonce: int = 0, file_bytes_max: int | None = None, *, snapshots: bool = False) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self._answers, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=trade_until_killed, args=(folder, seed, first_nonce, theirs, file_bytes_max, snapshots))
        self.process.start()
        theirs.close()

    def hear(self, timeout_s: float = 60.0) -> Any:
        """The next message."""
        if not self._answers.poll(timeout_s):
            raise AssertionError("the process says nothing")
        return self._answers.recv()

    def kill(self) -> list[Any]:
        """kill -9; what it had said and was not heard yet."""
        self.process.kill()
        self.process.join()
        messages = []
        try:
            while self._answers.poll():
                messages.append(self._answers.recv())
        except (EOFError, OSError):  # the pipe ends, perhaps within a message
            pass
        self._answers.close()
        return messages


def stop_server() -> None:
    """Ends the server that the processes were forked from."""
    server = sys.modules.get("multiprocessing.forkserver")
    if server is not None:
        server._forkserver._stop()
