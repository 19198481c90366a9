"""A watcher's own copy over HTTP: for other watchers to start from, and for anybody who lacks data. What it gives is checked by whoever takes it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from straddle.l1.data import DataReader, HistoryError
from straddle.l1.deployment import Deployment
from straddle.watcher.follow import KeptBlobs, KeptBodies
from straddle.watcher.store import Store, StoreError
from straddle.watcher.watcher import Watcher

TRANSACTIONS_MAX = 100
CONNECTIONS_MAX = 200
START_SECONDS = 10.0


class _Missing(ValueError):
    """What was asked for is not here, or is malformed."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def watcher_app(watcher: Watcher) -> Starlette:
    """The ASGI application. It reads the store, and of the watcher only what its last step left."""
    service = _Service(watcher)
    answers: dict[str, Callable[[Request], Any]] = {
        "/status": service.status,
        "/verdicts": service.verdicts,
        "/snapshot": service.snapshot,
        "/transactions": service.transactions,
        "/blobs/{name}": service.blob,
        "/bodies/{name}": service.body,
    }
    routes = [Route(path, _answered(answer), methods=["GET"]) for path, answer in answers.items()]
    return Starlette(routes=routes, exception_handlers={HTTPException: _http_error})


class Served:
    """The server in a thread of its own, until `stop`."""

    def __init__(self, watcher: Watcher, listener: socket.socket) -> None:
        config = uvicorn.Config(watcher_app(watcher), log_level="warning", lifespan="off", ws="none", limit_concurrency=CONNECTIONS_MAX, server_header=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, name="serve", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends when requests under way are answered."""
        self._server.should_exit = True
        self._thread.join(START_SECONDS)


class _Service:
    """Handlers run in threads of the server."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._store: Store = watcher.store
        # What others ask for comes from the store alone: nobody else is asked on their behalf.
        self._data = DataReader(_Stored(watcher.store), watcher.deployment, blobs=KeptBlobs(watcher.store, None), bodies=KeptBodies(watcher.store, None))

    @property
    def _deployment(self) -> Deployment:
        return self._watcher.deployment

    def status(self, request: Request) -> Any:
        """Which rollup, and how far."""
        deployment, history = self._deployment, self._watcher.history
        return {
            "chain_id": deployment.chain_id,
            "rollup": deployment.rollup,
            "block": history.to_block,
            "final_batch": len(history.final),
            "proposed_batch": len(history.batches),
            "frozen": history.frozen,
        }

    def verdicts(self, request: Request) -> Any:
        """Of the proposals that stand."""
        return [
            {
                "batch_number": judged.batch_number,
                "header_hash": judged.header_hash.hex(),
                "verdict": str(judged.verdict),
                "reason": judged.reason,
                "notes": list(judged.notes),
            }
            for _, judged in self._watcher.standing()
        ]

    def snapshot(self, request: Request) -> Any:
        """The newest kept state of a final batch (straddle.commitments.state_copy)."""
        for number, header, copy in self._store.states():
            return {"batch_number": number, "header_hash": header.hex(), "copy": copy.hex()}
        raise _Missing("snapshot: none kept yet, batches are not final", 404)

    def transactions(self, request: Request) -> Any:
        """Transactions with data that were read, in pages: `after` is the `next` of the page before, 0 at first."""
        text = request.query_params.get("after", "0")
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise _Missing(f"after: {text[:40]!r}, expected an integer from 0", 400)
        following, found = self._store.transactions(int(text), TRANSACTIONS_MAX)
        return {"next": following, "transactions": found}

    def blob(self, request: Request) -> Any:
        """A blob by its versioned hash."""
        found = self._store.blob(_hash(request))
        if found is None:
            raise _Missing("blobs: not kept here", 404)
        return {"blob": found.hex()}

    def body(self, request: Request) -> Any:
        """The body of a batch by its header hash."""
        wanted = _hash(request)
        header = next((header for header in reversed(self._watcher.history.batches) if header.header_hash == wanted), None)
        found = self._data.batch(header).body if header is not None else None
        if found is not None:
            return {"body": [f"{cell:x}" for cell in found]}
        raise _Missing("bodies: not kept here", 404)


class _Stored:
    """Transactions that were kept."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def transaction(self, transaction_hash: str) -> dict[str, Any]:
        """As straddle.l1.data.TransactionSource."""
        found = self._store.transaction(transaction_hash)
        if found is None:
            raise _Missing("bodies: not kept here", 404)
        return found


def _hash(request: Request) -> bytes:
    text = request.path_params["name"].removeprefix("0x")
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise _Missing(f"{text[:80]!r}: expected 32 bytes in hex", 400)
    return found


def _answered(answer: Callable[[Request], Any]) -> Callable[[Request], Response]:
    def handle(request: Request) -> Response:
        try:
            return JSONResponse(answer(request))
        except _Missing as error:
            return JSONResponse({"error": str(error)}, error.status)
        except (StoreError, HistoryError) as error:  # what is kept cannot be read, or is not what layer 1 announced: whoever watches reads it again
            return JSONResponse({"error": str(error)}, 503)

    return handle


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    expected = "expected GET /status, /verdicts, /snapshot, /transactions, /blobs/{versioned hash} or /bodies/{header hash}"
    return JSONResponse({"error": f"{request.method} {request.url.path}: {expected}"}, error.status_code)
