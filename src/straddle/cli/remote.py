"""A running node, asked over its interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from rich.errors import MarkupError

from straddle import __version__
from straddle.primitives.errors import Actionable
from straddle.primitives.nesting import decode_json
from straddle.primitives.urls import checked_url

TIMEOUT_S = 10.0


class NodeUnreachable(Actionable):
    """Nothing that is a node answers."""


def fetch_status(url: str) -> dict[str, Any]:
    """GET /status. NodeUnreachable says what came instead."""
    try:
        response = httpx.get(checked_url("--url", url) + "/status", timeout=TIMEOUT_S, trust_env=False)
        found = decode_json(response.content)
    except httpx.HTTPError as error:
        raise NodeUnreachable(f"--url {url}: no node answers: {type(error).__name__} {error}. Start one with `straddle up`") from error
    except ValueError as error:
        raise NodeUnreachable(f"--url {url}: status {response.status_code} and no JSON, expected a node of `straddle up`") from error
    if not isinstance(found, dict) or not {"sequence", "batches", "money", "problems"} <= found.keys():
        raise NodeUnreachable(f"--url {url}: answered {str(found)[:200]}, expected the status of a node of `straddle up`")
    return found


@contextmanager
def as_documented(url: str) -> Iterator[None]:
    """What is done with a status in here may find that it is none: NodeUnreachable then, since whoever answers is no node of this version."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MarkupError) as error:
        expected = f"expected that of a node of version {__version__}"
        raise NodeUnreachable(f"--url {url}: a status that cannot be shown ({type(error).__name__}: {str(error)[:100]}), {expected}") from error


def fetch_saved(url: str, account: int) -> str:
    """GET /accounts/{account}/saved. NodeUnreachable says what came instead."""
    try:
        response = httpx.get(f"{checked_url('--node', url)}/accounts/{account}/saved", timeout=TIMEOUT_S, trust_env=False)
    except httpx.HTTPError as error:
        raise NodeUnreachable(f"--node {url}: no node answers: {type(error).__name__} {error}") from error
    if response.status_code != 200:
        raise NodeUnreachable(f"--node {url}: status {response.status_code}: {response.text[:200]}, expected account {account} as its newest batch has it")
    return response.text
