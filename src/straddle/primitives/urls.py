"""Addresses of HTTP services that users name."""

from __future__ import annotations

from urllib.parse import urlsplit

from straddle.primitives.errors import Actionable


class UrlError(Actionable):
    """What was given is no address of an HTTP service."""


def is_url(text: str) -> bool:
    """Whether it is meant as an address, not as a file's name."""
    return "://" in text or text.lower().startswith(("http:", "https:"))


def is_service(text: str) -> bool:
    """Whether it is the address of an HTTP service: scheme, host, and a port that there can be."""
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return whole and text.isprintable() and not set(text) & set(' <>"{}|\\^`')


def checked_url(name: str, text: str) -> str:
    """The address, without a slash at its end. UrlError begins with `name`, the option or key that it came from."""
    if not is_service(text):
        raise UrlError(f"{name}: {text[:200]!r}, expected an address such as http://127.0.0.1:8545")
    return text.rstrip("/")
