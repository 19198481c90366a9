"""Public keys and signatures as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class PublicKey(NamedTuple):
    """A point in affine coordinates; (0, 0) is the unset key."""

    x: int
    y: int


NO_KEY = PublicKey(0, 0)


@dataclass(frozen=True, slots=True)
class Signature:
    """A Schnorr signature: R's coordinates and s."""

    r_x: int
    r_y: int
    s: int

    @property
    def integers(self) -> tuple[int, int, int]:
        """R's coordinates and s, in the order of its encoding."""
        return self.r_x, self.r_y, self.s
