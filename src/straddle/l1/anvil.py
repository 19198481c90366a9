"""A development chain: an anvil process of one's own on a free loopback port."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from straddle.l1.rpc import Rpc
from straddle.primitives.errors import Actionable

START_SECONDS = 20.0
LISTENING = re.compile(r"Listening on (127\.0\.0\.1:\d+)")
CHAIN_ID = 31337

_SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
_MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class AnvilError(Actionable):
    """Anvil is missing, did not start, or refused a command."""


def find_anvil() -> Path:
    """The binary: $STRADDLE_ANVIL, else that of npm's package under the checkout or the working directory, else the one on PATH.

    The platform's binary is called directly: npm's `anvil` is a script that would need Node.
    """
    chosen = os.environ.get("STRADDLE_ANVIL")
    if chosen:
        if not Path(chosen).is_file():
            raise AnvilError(f"STRADDLE_ANVIL is {chosen}, expected the path of a file")
        return Path(chosen)
    system, machine = platform.system(), platform.machine()
    package = f"anvil-{_SYSTEMS.get(system, system)}-{_MACHINES.get(machine, machine)}"
    for root in (Path(__file__).resolve().parents[3], Path.cwd()):
        binary = root / "node_modules" / "@foundry-rs" / package / "bin" / "anvil"
        if binary.is_file():
            return binary
    found = shutil.which("anvil")
    if found:
        return Path(found)
    raise AnvilError(f"anvil not found: expected node_modules/@foundry-rs/{package}/bin/anvil (run `npm ci` in the checkout) or anvil on PATH")


class Anvil:
    """Context manager around an anvil process. Every transaction gets a block of its own.

    The clock is simulated: the genesis block has `genesis_time_s`, each further block adds one second, and `set_time` moves it forward. With `genesis_time_s`
    None it is the wall clock's. The process ends with the context, with `stop`, or with this process, even if that is killed.
    """

    def __init__(self, genesis_time_s: int | None = None, *, chain_id: int = CHAIN_ID, binary: Path | None = None, port: int = 0) -> None:
        """`port` 0: the system picks a free one, so two chains never race for it."""
        self.genesis_time_s = genesis_time_s
        self.chain_id = chain_id
        self.port = port
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None
        self._log: Any = None
        self._rpc: Rpc | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def rpc(self) -> Rpc:
        """Client of the running chain."""
        if self._rpc is None:
            raise AnvilError("anvil is not running: call start() or use it as a context manager")
        return self._rpc

    @property
    def url(self) -> str:
        """Address of the JSON-RPC server."""
        return self.rpc.url

    @property
    def has_ended(self) -> bool:
        """Whether the process was started and ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Starts the process and waits until it answers. AnvilError says what anvil wrote when it does not."""
        if self._process is not None:
            raise AnvilError("anvil is already running")
        # History is kept in memory only, for as long as the process lives.
        place = ["--host", "127.0.0.1", "--port", str(self.port), "--chain-id", str(self.chain_id)]
        command = [str(self._binary or find_anvil()), *place, "--no-request-size-limit"]
        if self.genesis_time_s is not None:
            command += ["--timestamp", str(self.genesis_time_s)]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        watchdog = [sys.executable, "-I", str(Path(__file__).with_name("watchdog.py"))]
        # In a session of its own: Ctrl-C in a terminal is for this process, which may still need the chain to end in order.
        self._process = subprocess.Popen([*watchdog, *command], stdin=subprocess.PIPE, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            self._rpc = Rpc(f"http://{self._address()}")
            if self._rpc.chain_id() != self.chain_id:
                raise AnvilError(f"{self._rpc.url} answers for chain {self._rpc.chain_id()}, expected {self.chain_id}")
            if self.genesis_time_s is not None:
                self._rpc.call("anvil_setBlockTimestampInterval", [1])
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the process; harmless when it is not running."""
        if self._rpc is not None:
            self._rpc.close()
            self._rpc = None
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None

    def time_s(self) -> int:
        """Timestamp of the newest block."""
        return int(self.rpc.block("latest")["timestamp"], 16)

    def set_time(self, time_s: int) -> None:
        """Mines an empty block with this timestamp, later than the newest block's. Later transactions follow at one second a block."""
        now = self.time_s()
        if time_s <= now:
            raise AnvilError(f"time {time_s} is not after the newest block's, {now}")
        self.rpc.call("evm_setNextBlockTimestamp", [time_s])
        self.rpc.call("evm_mine", [])

    def set_time_at_least(self, time_s: int) -> int:
        """`set_time`, unless the chain is there already; returns the time of the newest block."""
        if time_s > self.time_s():
            self.set_time(time_s)
        return self.time_s()

    def fund(self, address: str, wei: int = 10**21) -> None:
        """Sets an account's ether."""
        self.rpc.call("anvil_setBalance", [address, hex(wei)])

    def _address(self) -> str:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            found = LISTENING.search(self._output())
            if found:
                return found[1]
            if self._process.poll() is not None:
                raise AnvilError(f"anvil ended with status {self._process.returncode}: {self._output()[-2000:].strip() or 'no output'}")
            time.sleep(0.01)
        raise AnvilError(f"anvil did not start within {START_SECONDS:.0f} s; it wrote: {self._output()[-2000:].strip() or 'nothing'}")

    def _output(self) -> str:
        # pread leaves the offset that the child shares with us alone.
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")
