"""Another watcher, asked over HTTP: what it gives is checked against layer 1 by whoever uses it, so it need not be trusted."""

from __future__ import annotations

from typing import Any

import httpx

from straddle.l1.deployment import Deployment
from straddle.primitives.errors import Actionable
from straddle.primitives.nesting import decode_json
from straddle.primitives.urls import checked_url
from straddle.watcher.store import Store

TIMEOUT_S = 30.0
PAGES_MAX = 1_000_000


class PeerError(Actionable):
    """Nothing that is a watcher of this rollup answers."""


class Peer:
    """One watcher. A source of blobs and bodies (straddle.l1.history)."""

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        """UrlError: no address."""
        self.url = checked_url("--peer", url)
        self._client = httpx.Client(base_url=self.url, timeout=TIMEOUT_S, transport=transport, trust_env=False)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def check(self, deployment: Deployment) -> None:
        """PeerError unless it watches this rollup."""
        found, expected = self._call("/status"), (deployment.chain_id, deployment.rollup)
        if not isinstance(found, dict) or (found.get("chain_id"), found.get("rollup")) != expected or "final_batch" not in found:
            raise PeerError(f"--peer {self.url}: answered {str(found)[:200]}, expected a watcher of rollup {deployment.rollup} on chain {deployment.chain_id}")

    def fill(self, store: Store) -> int:
        """Copy its transactions and its newest state into a store; the number of transactions. Readers of the store check both. PeerError."""
        after = count = 0
        for _ in range(PAGES_MAX):
            page = self._call(f"/transactions?after={after}")
            try:
                found, following = [_transaction(item) for item in page["transactions"]], int(page["next"])
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise PeerError(f"--peer {self.url}: answered {str(page)[:200]}, expected a page of transactions") from error
            store.save_transactions(found, own=False)
            count, before, after = count + len(found), after, following
            if after <= before:
                break
        snapshot = self._call("/snapshot", missing=True)
        if snapshot is not None:
            try:
                number, header, copy = int(snapshot["batch_number"]), bytes.fromhex(snapshot["header_hash"]), bytes.fromhex(snapshot["copy"])
                if not 1 <= number < 1 << 63:
                    raise ValueError(f"batch_number: {number}")
            except (KeyError, TypeError, ValueError) as error:
                raise PeerError(f"--peer {self.url}: answered {str(snapshot)[:200]}, expected a snapshot") from error
            store.save_state(number, header, copy)
        return count

    def blob(self, versioned_hash: bytes, block_number: int) -> bytes:
        """As straddle.l1.blobs.BlobSource."""
        from straddle.l1.blobs import BlobMissing, checked  # with the ceremony's points: nobody else needs them

        try:
            found = bytes.fromhex(self._call(f"/blobs/{versioned_hash.hex()}")["blob"])
        except (PeerError, KeyError, TypeError, ValueError) as error:
            raise BlobMissing(f"blob 0x{versioned_hash.hex()}: {error}") from error
        return checked(found, versioned_hash)

    def body(self, batch_number: int, header_hash: bytes) -> tuple[int, ...] | None:
        """As straddle.l1.history.BodySource."""
        try:
            found = self._call(f"/bodies/{header_hash.hex()}", missing=True)
            return None if found is None else tuple(int(cell, 16) for cell in found["body"])
        except (PeerError, KeyError, TypeError, ValueError):
            return None

    def _call(self, path: str, *, missing: bool = False) -> Any:
        try:
            response = self._client.get(path)
            found = decode_json(response.content)
        except httpx.HTTPError as error:
            raise PeerError(f"--peer {self.url}: no watcher answers: {type(error).__name__} {error}. Start one with `straddle watch --serve PORT`") from error
        except ValueError as error:
            raise PeerError(f"--peer {self.url}: status {response.status_code} and no JSON") from error
        if response.status_code == 404 and missing:
            return None
        if response.status_code != 200:
            raise PeerError(f"--peer {self.url}: {path}: {str(found)[:200]}")
        return found


def _transaction(raw: Any) -> dict[str, Any]:
    """A transaction with fields of the right form. KeyError, TypeError, ValueError, AttributeError: it is none."""
    hashes = [f"0x{bytes.fromhex(text[2:]).hex()}" for text in raw.get("blobVersionedHashes") or []]
    fixed = {name: f"0x{bytes.fromhex(raw[name][2:]).hex()}" for name in ("hash", "to", "input")}
    return {**fixed, "blobVersionedHashes": hashes}
