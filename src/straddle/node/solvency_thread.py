"""A running node publishes by itself that it is solvent, every so many hours of its market (`solvency.every_hours`)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from eth_account.signers.local import LocalAccount

from straddle.commitments.policy import Data
from straddle.l1.blobs import AnvilBlobs, BlobArchive, FirstOf
from straddle.l1.data import BodySource
from straddle.l1.growing import GrowingHistory
from straddle.l1.rollup import RollupClient
from straddle.l1.sender import Sender
from straddle.l1.solvency import SolvencyClient
from straddle.node.publishing import PASSING_ERRORS, Publisher
from straddle.node.statements import StatementProver
from straddle.primitives.errors import Actionable
from straddle.proving.prover import Prover
from straddle.proving.server import ProvingServer

HOUR_MS = 3_600_000
LOOK_S = 1.0
RETRY_MAX_S = 300.0
STOP_S = 5.0
"""A node that ends waits no longer for a count under way, which may take minutes on a long history and leaves nothing half done."""


class SolvencyThread:
    """Counts and publishes when it is due, beside everything else. What goes wrong is told and tried again; it never ends the node."""

    def __init__(
        self, client: SolvencyClient, rollup: RollupClient, server: ProvingServer, make: Callable[[], Publisher], publisher: str, stopping: threading.Event
    ) -> None:
        """`make` is called in the thread; `publisher` is the address that publishes; `stopping` is set by `stop`, and ends what is sent too."""
        self._client, self._rollup, self._server, self._make, self._address, self._stopping = client, rollup, server, make, publisher, stopping
        self._thread: threading.Thread | None = None
        self.problem = ""
        """Why the last try failed; empty when it did not."""
        self.published: tuple[int, int] | None = None
        """(batch, time_ms of its table) of the newest proof."""

    @classmethod
    def of(cls, rollup: RollupClient, preset: str, prover: Prover, wallet: LocalAccount, blobs: Path, members: BodySource | None) -> SolvencyThread:
        """For a rollup with the batch preset `preset`; `wallet` pays and publishes, `blobs` is the folder of the node's own."""
        rpc, deployment = rollup.rpc, rollup.deployment
        # Not alone: the operator's wallet is also its owner's, who may have something waiting there.
        client, stopping = SolvencyClient(rpc, deployment), threading.Event()
        sender = Sender(rpc, bytes(wallet.key), stopping=stopping)
        server = ProvingServer(prover, f"{preset}-solvency")

        def make() -> Publisher:
            made = StatementProver.of(prover, deployment, client.statement, preset, "solvency", rollup.domain(), sender.address)
            source = FirstOf(AnvilBlobs(rpc), archive=BlobArchive(blobs)) if deployment.config.data is Data.BLOB else None
            return Publisher(client, rollup, GrowingHistory(rpc, deployment, blobs=source, bodies=members), replace(made, prover=server), sender)

        return cls(client, rollup, server, make, sender.address, stopping)

    def start(
        self, every_ms: int, now_ms: Callable[[], int], keep: Callable[[], None], notice: Callable[[str], None], on_failure: Callable[[BaseException], None]
    ) -> None:
        """Begin. `now_ms` is the market's time, `keep` is called when layer 1 has taken a proof, `on_failure` hears of what nobody could have expected."""
        self._every_ms, self._now_ms, self._keep, self._notice, self._on_failure = every_ms, now_ms, keep, notice, on_failure
        self._thread = threading.Thread(target=self._run, name="solvency", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; a proof in the making is given up, and its run gone on with after the next start."""
        self._stopping.set()
        self._server.end()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def _run(self) -> None:
        pause, publisher, due_ms, passing = LOOK_S, None, 0, False
        try:
            while not self._stopping.wait(pause):
                try:
                    if publisher is None:
                        publisher, self.published = self._make(), self._client.newest(self._address)
                        due_ms = self._next_ms()
                    if self._now_ms() >= due_ms and self._rollup.final_batch() > (self.published or (0, 0))[0]:
                        self._publish(publisher)
                        due_ms = self._next_ms()
                    pause = LOOK_S
                    if passing:
                        self.problem, passing = "", False
                except PASSING_ERRORS as error:
                    passing, pause = True, min(max(2 * pause, LOOK_S), RETRY_MAX_S)
                    self._tell(str(error))
                except (Actionable, OSError) as error:  # the books do not hold, or do not fit: looked at again when the next one is due
                    passing, due_ms = False, self._now_ms() + self._every_ms
                    self._tell(str(error))
        except BaseException as error:
            if not self._stopping.is_set():  # what it reads from may be closed by then
                self._on_failure(error)
        finally:
            self._server.close()

    def _publish(self, publisher: Publisher) -> None:
        try:
            run = publisher.publish()
        finally:
            self._server.close()  # until the next time it would only hold memory
        self._keep()
        self.published, self.problem = (run.batch_number, run.time_ms), ""
        self._notice(f"solvency of batch {run.batch_number} proved and published")

    def _next_ms(self) -> int:
        return self.published[1] + self._every_ms if self.published else 0

    def _tell(self, problem: str) -> None:
        if problem != self.problem and not self._stopping.is_set():
            self.problem = problem
            self._notice(f"solvency: {problem}")
