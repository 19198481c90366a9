"""Types of the C extension (native/kernel); what its functions do stands in kernel_reference.py and cap_reference.py."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, final

from straddle.core.kernel_reference import Legs, Prices, RowTuple, State, Valuation

SOURCE_DIGEST: str

@final
class Table:
    def __new__(cls, rows: Sequence[RowTuple]) -> Table: ...
    def __len__(self) -> int: ...
    def largest(self, instrument: int) -> int: ...

@final
class Exposure:
    def __new__(cls, table: Table, k_im_bps: int) -> Exposure: ...
    def copy(self) -> Exposure: ...
    def move(self, instrument: int, lots: int, /) -> None: ...
    def reserve(self, legs: Legs, sign: int, limit_ticks: int, fee: int, units: int, /) -> None: ...
    def surplus_scaled(self, cash: int, /) -> int: ...
    def reserved_surplus_scaled(self, cash: int, /) -> int: ...
    def capped_bound_scaled(self, cash: int, lots: int, /) -> int | None: ...
    def prices(self) -> Prices | None: ...
    @property
    def instruments(self) -> int: ...
    def lots(self, instrument: int, /) -> tuple[int, int, int]: ...
    def state(self) -> State: ...
    __hash__: None  # type: ignore[assignment]

@final
class Cap:
    def __new__(cls, order: type, resting: type) -> Cap: ...
    def surplus(self, exposure: Exposure, cash: int, most: int, orders: Iterable[Any], taking: Any, /) -> int: ...

@final
class OrderCodec:
    def __new__(cls, order: type) -> OrderCodec: ...
    def words(self, orders: object, /) -> bytes | None: ...
    def json(self, orders: object, /) -> bytes | None: ...

@final
class Quotes:
    def __new__(
        cls,
        order: type,
        resting: type,
        unit: type,
        book: type,
        side: type,
        placed: type,
        cancelled: type,
        amended: object,
        replaced: object,
        take_back: Callable[[Any, Any, Any, Any], object],
    ) -> Quotes: ...
    def enter(
        self,
        orders: tuple[object, ...],
        start: int,
        account: int,
        order_set: object,
        root: int,
        turn: int,
        exposure: Exposure,
        cash: int,
        lots: int,
        least_nonce: int,
        slot_count: int,
        filled: dict[int, Any],
        open_orders: dict[int, Any],
        books: dict[int, Any],
        units: dict[Any, Any],
        time_ms: int,
        positions_max: int,
        orders_max: int,
        events: list[Any],
        steps: list[Any],
        exchange: object,
        /,
    ) -> int: ...

def requirement(table: Table, cash: int, positions: Mapping[int, int], k_im_bps: int, k_mm_bps: int, /) -> Valuation: ...
def sweep(table: Table, accounts: Sequence[tuple[int, Mapping[int, int]]], k_im_bps: int, k_mm_bps: int, /) -> list[Valuation]: ...
