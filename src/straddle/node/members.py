"""The operator's side of a data committee: certificates for its poster, and for development a committee of the node's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from eth_account.signers.local import LocalAccount

from straddle.committee.client import CommitteeClient, MemberClient, MemberUnreachable
from straddle.committee.offer import Offer
from straddle.committee.running import KEY_FILE, URL_FILE, open_key
from straddle.l1 import watchdog
from straddle.l1.certificates import offer_digest, sign_digest
from straddle.l1.deployment import Deployment
from straddle.node.config import ConfigError
from straddle.primitives.files import write_atomically
from straddle.sequencer.batch_file import StoredBatch

START_SECONDS = 120.0
LOOK_S = 0.1
LOG_FILE = "member.log"
LOG_TAIL = 2_000


@dataclass(frozen=True, slots=True)
class MembersCertifier:
    """`straddle.sequencer.placing.Certifier` over a committee's members: the sequencer signs what it offers them."""

    deployment: Deployment
    committee: CommitteeClient
    sequencer: LocalAccount

    def certify(self, number: int, data_of: Callable[[int], tuple[StoredBatch, bytes]]) -> tuple[bytes, ...]:
        """Certificates of a batch's header, ascending by member, as many as there are."""
        return self.committee.certify(number, data_of(number)[0].header_hash, lambda wanted: self._offer(*data_of(wanted)))

    def _offer(self, batch: StoredBatch, inputs: bytes) -> Offer:
        deployment = self.deployment
        digest = offer_digest(deployment.chain_id, deployment.rollup_number, batch.number, batch.header_hash)
        signature = sign_digest(self.sequencer, digest)
        return Offer(batch.number, batch.parent_header_hash, batch.place.data, batch.effects, batch.body, inputs, signature)


def connect(deployment: Deployment, urls: Mapping[str, str]) -> CommitteeClient:
    """A committee's members at their URLs. ConfigError: one that is not the deployment's."""
    for address in urls:
        if address not in deployment.config.members:
            raise ConfigError(f"committee.members: {address}, expected one of the deployment's, {', '.join(deployment.config.members)}")
    return CommitteeClient(deployment, {address: MemberClient(url) for address, url in urls.items()})


class DevCommittee:
    """Members as processes on this machine, each with a folder of its own. They end with this process, even if that is killed."""

    def __init__(self, folder: Path, count: int, keys: Sequence[LocalAccount] = ()) -> None:
        """`keys`: of the members; without any, each folder's own, which is made when there is none."""
        self._folders = [folder / f"member-{i + 1}" for i in range(count)]
        for place, account in zip(self._folders, keys, strict=False):
            write_atomically(place / KEY_FILE, ("0x" + bytes(account.key).hex()).encode() + b"\n", mode=0o600)
        self.accounts = [open_key(place) for place in self._folders]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    @property
    def addresses(self) -> list[str]:
        """Of the members."""
        return [account.address for account in self.accounts]

    def start(self, deployment_file: Path, layer1_url: str) -> dict[str, str]:
        """Starts all that do not run, and waits until they listen: address -> URL. MemberUnreachable: one does not."""
        for place, account in zip(self._folders, self.accounts, strict=True):
            if account.address not in self._processes:
                (place / URL_FILE).unlink(missing_ok=True)
                self._processes[account.address] = self._spawn(place, deployment_file, layer1_url)
        deadline = time.monotonic() + START_SECONDS
        return {account.address: self._await(place, account.address, deadline) for place, account in zip(self._folders, self.accounts, strict=True)}

    def stop(self, address: str) -> None:
        """Ends one member, as if its machine were lost; `start` brings it back."""
        process = self._processes.pop(address)
        os.killpg(process.pid, signal.SIGKILL)  # the watchdog and the member
        process.wait()

    def _spawn(self, place: Path, deployment_file: Path, layer1_url: str) -> subprocess.Popen[bytes]:
        log = self._stack.enter_context((place / LOG_FILE).open("ab"))
        command = [sys.executable, "-m", "straddle.cli.main", "member", "--folder", str(place), "--deployment", str(deployment_file), "--l1", layer1_url]
        # In a session of its own: Ctrl-C in a terminal is for this process, which still needs its members to end in order.
        process = subprocess.Popen(
            [sys.executable, "-I", watchdog.__file__, *command, "--port", "0"], stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
        )
        self._stack.callback(_end, process)
        return process

    def _await(self, place: Path, address: str, deadline: float) -> str:
        while not (place / URL_FILE).exists():
            ended = self._processes[address].poll() is not None
            if ended or time.monotonic() > deadline:
                said = (place / LOG_FILE).read_text(errors="replace")[-LOG_TAIL:].strip()
                why = "ended" if ended else f"does not listen after {START_SECONDS:.0f} s"
                raise MemberUnreachable(f"{place}: the member {why}; it wrote: {said or 'nothing'}")
            time.sleep(LOOK_S)
        return (place / URL_FILE).read_text().strip()


def _end(process: subprocess.Popen[bytes]) -> None:
    """The watchdog ends the member when its input closes."""
    assert process.stdin is not None
    process.stdin.close()
    process.wait()
