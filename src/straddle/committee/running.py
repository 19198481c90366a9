"""A member as a process: its key, its files, the server, and a thread that fetches from other members what this one missed."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn
from eth_account import Account
from eth_account.signers.local import LocalAccount

from straddle.committee.client import MemberClient, MemberUnreachable
from straddle.committee.member import Behind, Member, Refused
from straddle.committee.offer import OfferError
from straddle.committee.service import BATCHES_MAX, member_app
from straddle.committee.store import StoreError
from straddle.l1.deployment import Deployment
from straddle.l1.rpc import ConnectionFailed, RpcError
from straddle.primitives.files import read_text, write_atomically

KEY_FILE = "member.key"
STORE_FILE = "member.sqlite"
URL_FILE = "member.url"
"""Where a running member listens, for who started it."""
CONNECTIONS_MAX = 200
WAIT_S = 0.5
GRACE_S = 3


def open_key(folder: Path) -> LocalAccount:
    """The member's key, made when there is none, for its owner's eyes only. StoreError: the file holds none."""
    path = folder / KEY_FILE
    if not path.exists():
        write_atomically(path, f"0x{secrets.token_hex(32)}\n".encode(), mode=0o600)
    try:
        account: LocalAccount = Account.from_key(path.read_text().strip())
    except Exception as error:  # eth-account raises several unrelated classes; the key itself must not be shown
        raise StoreError(f"{path}: no private key, expected 32 bytes in hex") from error
    return account


def await_deployment(path: Path, waiting: Callable[[], None]) -> Deployment:
    """The deployment's record, as soon as the file is there: members exist before the rollup that names them. DeploymentError: malformed."""
    if not path.exists():
        waiting()
    while not path.exists():
        time.sleep(WAIT_S)
    return Deployment.from_json(read_text("deployment", path))


class CatchUp:
    """Fetches from peers, now and then, the batches that follow the member's own. They pass the same checks as the sequencer's offers."""

    def __init__(self, member: Member, peers: Sequence[MemberClient], every_s: float, report: Callable[[str], None] = lambda problem: None) -> None:
        """`report` hears of a problem with the member's own disk when it comes, and of its end with an empty text."""
        self._member, self._peers, self._every_s, self._report = member, peers, every_s, report
        self._problem = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="catch up", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch under way."""
        self._stopping.set()
        self._thread.join()

    def step(self) -> int:
        """One round; the number of batches taken. StoreError: the member's disk."""
        taken = 0
        for peer in self._peers:
            try:
                while not self._stopping.is_set():
                    before = self._member.tip
                    for offer in peer.batches(before + 1, BATCHES_MAX):
                        self._member.take(offer)
                    taken += self._member.tip - before
                    if self._member.tip <= before:
                        break
            except (MemberUnreachable, OfferError, Refused, Behind, ConnectionFailed, RpcError):
                continue  # the next one may know better, and the sequencer offers what is missing in any case
        return taken

    def _run(self) -> None:
        while True:
            problem = ""
            try:
                self.step()
            except StoreError as error:  # a full disk is made room on, and the next round goes on
                problem = str(error)
            if problem != self._problem:
                self._problem = problem
                self._report(problem)
            if self._stopping.wait(self._every_s):
                return


def serve_member(member: Member, listener: socket.socket) -> None:
    """Until a signal (SIGINT, SIGTERM)."""
    config = uvicorn.Config(
        member_app(member),
        log_level="warning",
        lifespan="off",
        ws="none",
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[listener])
