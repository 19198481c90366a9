"""Anvil: starts, keeps a simulated clock, ends with its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from straddle.l1.anvil import Anvil, AnvilError, find_anvil
from straddle.l1.rpc import ConnectionFailed, Rpc, RpcError

SOURCE = Path(__file__).parents[3] / "src"


def test_the_clock_is_simulated(anvil_binary):
    with Anvil(1_590_105_600, binary=anvil_binary) as anvil:
        assert anvil.time_s() == 1_590_105_600
        anvil.set_time(1_590_109_000)
        assert anvil.time_s() == 1_590_109_000
        anvil.rpc.call("evm_mine")
        assert anvil.time_s() == 1_590_109_001
        assert anvil.set_time_at_least(1_590_100_000) == 1_590_109_001
        assert anvil.set_time_at_least(1_590_109_500) == 1_590_109_500
        with pytest.raises(AnvilError, match=r"time 1590109500 is not after the newest block's, 1590109500"):
            anvil.set_time(1_590_109_500)


def test_without_a_genesis_time_the_clock_is_the_wall_clocks(anvil_binary):
    with Anvil(binary=anvil_binary) as anvil:
        assert abs(anvil.time_s() - time.time()) < 60


def test_chains_are_independent_and_end_with_their_context(anvil_binary):
    with Anvil(1000, binary=anvil_binary, chain_id=7) as first, Anvil(2000, binary=anvil_binary) as second:
        assert first.url != second.url
        assert (first.rpc.chain_id(), second.rpc.chain_id()) == (7, 31337)
        assert first.url.startswith("http://127.0.0.1:")
        url = first.url
    for chain in (first, second):
        with pytest.raises(AnvilError, match="anvil is not running"):
            _ = chain.rpc
    assert unreachable(url)
    first.stop()


def test_starting_twice_is_refused(anvil_binary):
    with Anvil(1000, binary=anvil_binary) as anvil, pytest.raises(AnvilError, match="already running"):
        anvil.start()


def test_an_anvil_dies_with_the_process_that_started_it(anvil_binary):
    """Even when that is killed and can clean nothing up."""
    script = (
        "import sys, time; from straddle.l1.anvil import Anvil; from pathlib import Path\n"
        "anvil = Anvil(1000, binary=Path(sys.argv[1])); anvil.start(); print(anvil.url, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", script, str(anvil_binary)], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(SOURCE)})
    assert owner.stdout is not None
    url = owner.stdout.readline().strip()
    assert not unreachable(url, patience_s=0)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    assert unreachable(url)


def unreachable(url: str, patience_s: float = 10) -> bool:
    """Whether nothing answers any more, within a while."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            # A transaction method is not tried again.
            with Rpc(url) as rpc:
                rpc.call("evm_unknown")
        except ConnectionFailed:
            return True
        except RpcError:
            pass
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)


def test_a_binary_that_fails_is_reported_with_its_output(tmp_path):
    broken = tmp_path / "anvil"
    broken.write_text("#!/bin/sh\necho no such option >&2\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(AnvilError, match="anvil ended with status 3: no such option"):
        Anvil(1000, binary=broken).start()


def test_a_missing_binary_is_reported_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("STRADDLE_ANVIL", str(tmp_path / "nowhere"))
    with pytest.raises(AnvilError, match=r"STRADDLE_ANVIL is .*nowhere, expected the path of a file"):
        find_anvil()
    monkeypatch.delenv("STRADDLE_ANVIL")
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AnvilError, match="run `npm ci`"):
        find_anvil()
