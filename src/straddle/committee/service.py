"""A member over HTTP: the sequencer's offers come in, data go out to anybody (docs/reference/committee.md)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from straddle.committee.member import Behind, Member, Refused
from straddle.committee.offer import Offer, OfferError
from straddle.committee.store import Held, StoreError
from straddle.l1.rpc import ConnectionFailed, RpcError
from straddle.primitives.nesting import decode_json

BODY_BYTES_MAX = 2 << 20
BATCHES_MAX = 100

Answer = Callable[[Request], Awaitable[Any]]


class _BadRequest(ValueError):
    """What the caller has to change, with its HTTP status."""

    def __init__(self, message: str, status: int = 400, code: str = "bad_request") -> None:
        super().__init__(message)
        self.status, self.code = status, code


def member_app(member: Member) -> Starlette:
    """The ASGI application of a member."""
    service = _Service(member)
    reads: dict[str, Answer] = {
        "/status": service.status,
        "/batches": service.batches,
        "/batches/{number}": service.batch,
        "/headers/{header_hash}": service.by_header,
        "/snapshot": service.snapshot,
    }
    writes: dict[str, Answer] = {"/batches": service.take, "/certificates": service.certify}
    routes = [Route(path, _answered(answer), methods=["GET"]) for path, answer in reads.items()]
    routes += [Route(path, _answered(answer), methods=["POST"]) for path, answer in writes.items()]
    return Starlette(routes=routes, exception_handlers={HTTPException: _http_error})


class _Service:
    def __init__(self, member: Member) -> None:
        self._member = member
        self._copying = False

    async def status(self, request: Request) -> Any:
        """How far the member is."""

        def look() -> dict[str, Any]:
            member, deployment = self._member, self._member.deployment
            identity = {"member": member.account.address, "chain_id": deployment.chain_id, "rollup": deployment.rollup}
            return {**identity, "batch_number": member.tip, "state_root": f"{member.state_root:#066x}"}

        return await run_in_threadpool(look)

    async def certify(self, request: Request) -> Any:
        """Takes an offer and signs its header."""
        offer = await _offer(request)
        header, signature = await run_in_threadpool(self._member.certify, offer)
        return {"member": self._member.account.address, "header_hash": header.hex(), "signature": signature.hex()}

    async def take(self, request: Request) -> Any:
        """Takes an offer without signing."""
        await run_in_threadpool(self._member.take, await _offer(request))
        return {"batch_number": self._member.tip}

    async def batches(self, request: Request) -> Any:
        """Some batches of the chain."""
        first, limit = _integer(request, "first", 1, 2**63 - 1, 1), _integer(request, "limit", 1, BATCHES_MAX, 20)
        return _texts(await run_in_threadpool(self._member.batches, first, limit))

    async def batch(self, request: Request) -> Any:
        """One batch of the chain."""
        number = _number("number", request.path_params["number"], 1, 2**63 - 1)
        held = await run_in_threadpool(self._member.batch, number)
        if held is None:
            raise _BadRequest(f"number: {number}, expected a batch that this member has (1 to {self._member.tip})", 404)
        return _json(held.text)

    async def by_header(self, request: Request) -> Any:
        """A batch by its header."""
        text = request.path_params["header_hash"].removeprefix("0x")
        try:
            header = bytes.fromhex(text)
        except ValueError:
            header = b""
        if len(header) != 32:
            raise _BadRequest(f"header_hash: {text[:80]!r}, expected 32 bytes in hex")
        held = await run_in_threadpool(self._member.by_header, header)
        if held is None:
            raise _BadRequest(f"header_hash: {text}, expected the header of a batch that this member has", 404)
        return _json(held.text)

    async def snapshot(self, request: Request) -> Any:
        """The state after a batch. One at a time: it is rebuilt from the batches on disk."""
        number = _integer(request, "batch", 0, 2**63 - 1, -1)
        if self._copying:
            raise _BadRequest("snapshot: another one is being made, try again in a few seconds", 503, "busy")
        self._copying = True
        try:
            found = await run_in_threadpool(self._member.snapshot, None if number < 0 else number)
        finally:
            self._copying = False
        if found is None:
            raise _BadRequest(f"batch: {number}, expected one that this member has (0 to {self._member.tip})", 404)
        return {
            "batch_number": found.number,
            "header_hash": found.header_hash.hex(),
            "state_root": f"{found.state_root:#066x}",
            "copy": found.copy.hex(),
        }


def _answered(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    """The handler of a route: refusals become errors with a code that a program can read."""

    async def handle(request: Request) -> Response:
        try:
            found = await answer(request)
        except _BadRequest as error:
            return _error(error.status, error.code, str(error))
        except OfferError as error:
            return _error(400, "bad_offer", str(error))
        except Behind as error:
            return _error(409, "behind", str(error), next=error.next)
        except Refused as error:
            return _error(422, "refused", str(error))
        except (ConnectionFailed, RpcError) as error:
            return _error(503, "layer_1", str(error))
        except StoreError as error:
            return _error(503, "store", f"the member's disk: {error}")
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        return found if isinstance(found, Response) else JSONResponse(found)

    return handle


def _json(text: str) -> Response:
    """What lies on the disk as JSON, as it lies there: reading it anew would keep other requests waiting."""
    return Response(text, media_type="application/json")


def _texts(found: Sequence[Held]) -> Response:
    return _json(f"[{','.join(held.text for held in found)}]")


async def _offer(request: Request) -> Offer:
    """The body, refused as soon as it is too long, whatever it says of its length."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise _BadRequest(f"body: more than {BODY_BYTES_MAX} bytes", 413)
        parts.append(part)
    text = b"".join(parts)
    try:
        raw = decode_json(text)
    except ValueError as error:
        raise _BadRequest(f"body: not JSON ({error})") from error
    return Offer.from_plain(raw)


def _integer(request: Request, name: str, low: int, high: int, default: int) -> int:
    text = request.query_params.get(name)
    return default if text is None else _number(name, text, low, high)


def _number(name: str, text: str, low: int, high: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 20 or not low <= int(text) <= high:
        raise _BadRequest(f"{name}: {text[:40]!r}, expected an integer from {low} to {high}")
    return int(text)


def _error(status: int, code: str, message: str, **more: Any) -> Response:
    return JSONResponse({"error": {"code": code, "message": message, **more}}, status)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    expected = "expected GET /status, /batches, /batches/{number}, /headers/{header_hash}, /snapshot, or POST /batches, /certificates"
    return _error(error.status_code, "bad_request", f"{request.method} {request.url.path}: {expected}")
