"""The HTTP side: routes, size limits, and errors as JSON that name the field."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from straddle.api import views
from straddle.api.hub import Hub
from straddle.api.requests import BODY_BYTES_MAX, BadRequest, check_names, integer, parse_commands, parse_integer, shown
from straddle.api.service import Receipted, Service, Unavailable
from straddle.api.socket import SocketEndpoint
from straddle.api.tape import Tape
from straddle.core.rejections import Rejection
from straddle.core.risk_table import RiskTable
from straddle.primitives.plain import to_plain

TRADES_MAX = 1_000
BATCHES_MAX = 1_000
ACCOUNT_MAX = 2**32 - 1
INSTRUMENT_MAX = 2**32 - 1
SEQUENCE_MAX = 2**63 - 1
DEPTH_DEFAULT = 20

Answer = Callable[[Request], Awaitable[Any]]


class Json(Response):
    """JSON with integers of any size; trades of 2^53 and more need a client that keeps them."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return json.dumps(content, separators=(",", ":")).encode()


class Api:
    """The routes over one node."""

    def __init__(self, service: Service, hub: Hub, tape: Tape) -> None:
        self._service = service
        self._table_shown: tuple[RiskTable | None, Mapping[str, Any] | None] = (None, None)
        """The newest table that was asked for, and as JSON: it takes as long as hundreds of orders, and is the same for a whole epoch."""
        self._socket = SocketEndpoint(service, hub, tape)

    def app(self) -> Starlette:
        """The ASGI application."""
        reads: dict[str, Answer] = {
            "/status": self._status,
            "/instruments": self._instruments,
            "/books/{instrument}": self._book,
            "/combinations": self._combinations,
            "/auctions": self._auctions,
            "/accounts/{account}": self._account,
            "/accounts/{account}/saved": self._saved,
            "/trades": self._trades,
            "/batches": self._batches,
            "/receipts/{sequence}": self._receipt,
            "/table": self._table,
            "/parameters": self._parameters,
        }
        routes = [Route(path, _answered(answer), methods=["GET"]) for path, answer in reads.items()]
        return Starlette(
            routes=[*routes, Route("/commands", _answered(self._commands), methods=["POST"]), WebSocketRoute("/ws", self._socket.serve)],
            exception_handlers={HTTPException: _http_error},
        )

    async def _commands(self, request: Request) -> Response:
        check_names(request.query_params)
        body = await _body(request)
        commands, listed = parse_commands(body, request.headers.get("content-type", ""), self._service.command)
        answers = await self._service.submit(commands)
        results = [_result(answer) for answer in answers]
        refused = not listed and isinstance(answers[0], Rejection)
        return Json(results if listed else results[0], 422 if refused else 200)

    async def _status(self, request: Request) -> Any:
        check_names(request.query_params)
        return await self._service.status()

    async def _instruments(self, request: Request) -> Any:
        check_names(request.query_params)
        return await self._service.read(views.instruments)

    async def _book(self, request: Request) -> Any:
        check_names(request.query_params, "depth")
        number = parse_integer("instrument", request.path_params["instrument"], 1, INSTRUMENT_MAX)
        depth = integer(request.query_params, "depth", DEPTH_DEFAULT, 1, views.DEPTH_MAX)
        return _found("instrument", number, await self._service.read(lambda exchange: views.book(exchange, number, depth)))

    async def _combinations(self, request: Request) -> Any:
        check_names(request.query_params, "depth")
        depth = integer(request.query_params, "depth", DEPTH_DEFAULT, 1, views.DEPTH_MAX)
        return await self._service.read(lambda exchange: views.combinations(exchange, depth))

    async def _auctions(self, request: Request) -> Any:
        check_names(request.query_params)
        return await self._service.read(views.auctions)

    async def _account(self, request: Request) -> Any:
        check_names(request.query_params)
        number = parse_integer("account", request.path_params["account"], 1, ACCOUNT_MAX)
        return _found("account", number, await self._service.read(lambda exchange: views.account(exchange, number)))

    async def _saved(self, request: Request) -> Any:
        check_names(request.query_params)
        number = parse_integer("account", request.path_params["account"], 1, ACCOUNT_MAX)
        return _found("account", number, await self._service.saved(number))

    async def _trades(self, request: Request) -> Any:
        check_names(request.query_params, "instrument", "limit")
        instrument = integer(request.query_params, "instrument", 0, 1, INSTRUMENT_MAX) or None
        return self._service.trades(instrument, integer(request.query_params, "limit", 100, 1, TRADES_MAX))

    async def _batches(self, request: Request) -> Any:
        check_names(request.query_params, "first", "limit")
        query = request.query_params
        return self._service.batches(integer(query, "first", 1, 1, SEQUENCE_MAX), integer(query, "limit", 100, 1, BATCHES_MAX))

    async def _receipt(self, request: Request) -> Any:
        check_names(request.query_params)
        sequence = parse_integer("sequence", request.path_params["sequence"], 1, SEQUENCE_MAX)
        return _found("sequence", sequence, await self._service.receipt(sequence))

    async def _parameters(self, request: Request) -> Any:
        check_names(request.query_params)
        return self._service.parameters()

    async def _table(self, request: Request) -> Any:
        check_names(request.query_params)
        table = await self._service.read(lambda exchange: exchange.table)
        if table is not self._table_shown[0]:
            self._table_shown = (table, views.table(table))
        return _found("table", None, self._table_shown[1])


def rejection_json(rejection: Rejection) -> dict[str, Any]:
    """A refusal of the engine."""
    value = to_plain(rejection.value)
    return {"code": rejection.code.value, "field": rejection.field, "value": value, "expected": rejection.expected}


def _result(answer: Receipted | Rejection) -> dict[str, Any]:
    if isinstance(answer, Rejection):
        return {"error": rejection_json(answer)}
    return {"receipt": answer.receipt, "events": [views.event_json(event) for event in answer.events]}


def _answered(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    """The handler of a route: values become JSON, refusals become errors that name the field."""

    async def handle(request: Request) -> Response:
        try:
            found = await answer(request)
        except BadRequest as error:
            return _error(error.status, "bad_request", error.field, shown(error.value), error.expected)
        except Unavailable as error:
            response = _error(503, "unavailable", "node", str(error), "a node that has room")
            response.headers["retry-after"] = "1"
            return response
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        return found if isinstance(found, Response) else Json(found)

    return handle


async def _body(request: Request) -> bytes:
    """The body, refused as soon as it is too long, whatever it says of its length."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise BadRequest(413, "body", f"more than {BODY_BYTES_MAX} bytes", f"at most {BODY_BYTES_MAX} bytes")
        parts.append(part)
    return b"".join(parts)


def _found(field: str, value: object, found: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if found is None:
        raise BadRequest(404, field, value, f"an existing {field}" if value is not None else f"a {field}, which the first epoch brings")
    return found


def _error(status: int, code: str, field: str, value: object, expected: str) -> Response:
    return Json({"error": {"code": code, "field": field, "value": value, "expected": expected}}, status)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        expected = (
            "/status, /instruments, /books/{instrument}, /combinations, /auctions, /accounts/{account}, /accounts/{account}/saved, /trades, /batches, "
            "/receipts/{sequence}, /table, /commands or /ws"
        )
        return _error(404, "bad_request", "path", request.url.path, expected)
    response = _error(error.status_code, "bad_request", "method", request.method, "GET, or POST for /commands")
    response.headers.update(error.headers or {})
    return response
