"""Contracts: Vyper sources compiled once per content, and their ABI: calls, results, constructor arguments, events."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import platformdirs
from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_abi.grammar import ABIType, TupleType, parse
from eth_utils.crypto import keccak

from straddle.primitives.errors import Actionable
from straddle.primitives.files import read_sealed, write_sealed

NAMES = ("Committee", "Exits", "Groth16Verifier", "Rollup", "Solvency", "TestUSDC", "Vault")
"""Contracts of the exchange. Tests compile others by path."""

_WORD_BYTES = 32
MAX_ARGUMENT_BYTES = 1 << 16
"""No contract here takes a longer dynamic argument."""


class ContractError(Actionable):
    """Sources are missing or do not compile, or a call does not fit the ABI."""


@dataclass(frozen=True)
class Log:
    """A decoded event: its name and its fields by name."""

    name: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Contract:
    """A compiled contract. Addresses are '0x' strings, integers are int, byte strings are bytes, structs are tuples in field order."""

    name: str
    abi: tuple[Mapping[str, Any], ...]
    bytecode: bytes
    runtime: bytes
    """The deployed code without its immutables, which follow it."""

    @cached_property
    def _functions(self) -> dict[str, Mapping[str, Any]]:
        return {item["name"]: item for item in self.abi if item["type"] == "function"}

    @cached_property
    def _by_selector(self) -> dict[bytes, str]:
        return {self.selector(name): name for name in self._functions}

    @cached_property
    def _events(self) -> dict[bytes, Mapping[str, Any]]:
        return {keccak(_signature(item).encode()): item for item in self.abi if item["type"] == "event"}

    def _function(self, name: str) -> Mapping[str, Any]:
        try:
            return self._functions[name]
        except KeyError:
            raise ContractError(f"{self.name} has no function {name!r}; it has {', '.join(sorted(self._functions))}") from None

    def selector(self, function: str) -> bytes:
        """First four bytes of a call's data."""
        return bytes(keccak(_signature(self._function(function)).encode())[:4])

    def encode_call(self, function: str, *args: Any) -> bytes:
        """Calldata of `function(*args)`."""
        return self.selector(function) + self._encode(function, self._function(function)["inputs"], args)

    def encode_deployment(self, *args: Any) -> bytes:
        """Data of the transaction that creates the contract."""
        inputs: Sequence[Mapping[str, Any]] = next((item["inputs"] for item in self.abi if item["type"] == "constructor"), [])
        return self.bytecode + self._encode("constructor", inputs, args)

    def decode_call(self, calldata: bytes) -> tuple[str, dict[str, Any]]:
        """Function name and arguments by name, as the contract reads them, of a call to it. Raises ContractError when it is none."""
        name = self._by_selector.get(calldata[:4])
        if name is None:
            raise ContractError(f"calldata with selector 0x{calldata[:4].hex()} calls no function of {self.name}")
        fields = self._functions[name]["inputs"]
        return name, self._decode(f"arguments of {name}", fields, _canonical_arguments([_type(field) for field in fields], calldata))

    def decode_result(self, function: str, data: bytes) -> Any:
        """Result of a call: None, the one value, or a tuple."""
        outputs = self._function(function)["outputs"]
        values = tuple(self._decode(f"result of {function}", outputs, data, by_position=True).values())
        return None if not values else values[0] if len(values) == 1 else values

    def decode_log(self, topics: Sequence[bytes], data: bytes) -> Log | None:
        """The event of this contract that a log records, or None for another contract's event."""
        item = self._events.get(topics[0]) if topics else None
        if item is None:
            return None
        indexed = [field for field in item["inputs"] if field["indexed"]]
        plain = [field for field in item["inputs"] if not field["indexed"]]
        if [len(topic) for topic in topics[1:]] != [_WORD_BYTES] * len(indexed):
            raise ContractError(f"{self.name}: cannot decode event {item['name']}: expected {len(indexed)} topics of {_WORD_BYTES} bytes behind the first")
        what = f"event {item['name']}"
        fields = self._decode(what, plain, data) | self._decode(what, indexed, b"".join(topics[1:]))
        return Log(item["name"], {field["name"]: fields[field["name"]] for field in item["inputs"]})

    def event_topic(self, name: str) -> bytes:
        """First topic of the event `name`."""
        for topic, item in self._events.items():
            if item["name"] == name:
                return topic
        raise ContractError(f"{self.name} has no event {name!r}")

    def _encode(self, what: str, inputs: Sequence[Mapping[str, Any]], args: Sequence[Any]) -> bytes:
        if len(args) != len(inputs):
            raise ContractError(f"{self.name}.{what} takes {len(inputs)} arguments ({', '.join(i['name'] for i in inputs)}), got {len(args)}")
        try:
            return bytes(encode([_type(field) for field in inputs], args))
        except (EncodingError, TypeError, ValueError) as error:
            raise ContractError(f"{self.name}.{what}: {error}") from error

    def _decode(self, what: str, fields: Sequence[Mapping[str, Any]], data: bytes, *, by_position: bool = False) -> dict[str, Any]:
        try:
            values = decode([_type(field) for field in fields], data)
        except (DecodingError, ValueError) as error:
            raise ContractError(f"{self.name}: cannot decode {what}: {error}") from error
        return {str(i) if by_position else field["name"]: value for i, (field, value) in enumerate(zip(fields, values, strict=True))}


def _type(field: Mapping[str, Any]) -> str:
    kind: str = field["type"]
    if kind.startswith("tuple"):
        return "(" + ",".join(_type(part) for part in field["components"]) + ")" + kind[len("tuple") :]
    return kind


def _canonical_arguments(types: Sequence[str], calldata: bytes) -> bytes:
    """Arguments re-encoded strictly, as the EVM reads calldata: zeros beyond its end, offsets modulo 2^256, padding ignored.

    A contract accepts such calldata, so a reader that refused it could be blinded by one transaction of anybody's.
    """
    return _canonical([parse(kind) for kind in types], calldata, 4)


def _canonical(kinds: Sequence[ABIType], calldata: bytes, base: int) -> bytes:
    """The values whose heads stand at `base`, to which the offsets among them refer."""
    heads, tails = bytearray(), bytearray()
    head_bytes = sum(32 * _head_words(kind) for kind in kinds)
    place = base
    for kind in kinds:
        size = 32 * _head_words(kind)
        if kind.is_dynamic:
            heads += (head_bytes + len(tails)).to_bytes(32, "big")
            tails += _canonical_tail(kind, calldata, (base + int.from_bytes(_read(calldata, place, 32), "big")) % 2**256)
        else:
            heads += _read(calldata, place, size)
        place += size
        if len(heads) + len(tails) > 4 * MAX_ARGUMENT_BYTES:
            raise ContractError(f"arguments of more than {4 * MAX_ARGUMENT_BYTES} bytes")
    return bytes(heads + tails)


def _canonical_tail(kind: ABIType, calldata: bytes, start: int) -> bytes:
    """A dynamic value that stands at `start`."""
    if isinstance(kind, TupleType) and not kind.is_array:
        return _canonical(kind.components, calldata, start)
    length = int.from_bytes(_read(calldata, start, 32), "big")
    size = 32 * _head_words(kind.item_type) * length if kind.is_array else length
    if size > MAX_ARGUMENT_BYTES:
        raise ContractError(f"a dynamic argument has {size} bytes, expected at most {MAX_ARGUMENT_BYTES}")
    head = length.to_bytes(32, "big")
    if kind.is_array:
        return head + _canonical([kind.item_type] * length, calldata, start + 32)
    return head + _read(calldata, start + 32, size) + bytes(-size % 32)


def _read(data: bytes, start: int, size: int) -> bytes:
    """A slice, with zeros beyond the end."""
    return data[start : start + size].ljust(size, b"\0") if start < len(data) else bytes(size)


def _head_words(kind: ABIType) -> int:
    """Words that a type takes in the head: 1 for a dynamic one, which leaves its offset there."""
    if kind.is_dynamic:
        return 1
    one = sum(_head_words(part) for part in kind.components) if isinstance(kind, TupleType) else 1
    return one * math.prod(int(dimension[0]) for dimension in kind.arrlist or ())


def _signature(item: Mapping[str, Any]) -> str:
    return f"{item['name']}({','.join(_type(field) for field in item['inputs'])})"


def contracts_directory() -> Path:
    """Where the Vyper sources are: inside the installed package, or `contracts/` of the source checkout."""
    here = Path(__file__).resolve()
    for candidate in (here.parents[1] / "contracts", here.parents[3] / "contracts"):
        if (candidate / "Rollup.vy").is_file():
            return candidate
    raise ContractError(f"contract sources not found: expected Rollup.vy in {here.parents[1] / 'contracts'} or {here.parents[3] / 'contracts'}")


def load(name: str, cache_directory: Path | None = None) -> Contract:
    """One of `NAMES`, compiled, or read from the cache when its sources have not changed."""
    if name not in NAMES:
        raise ContractError(f"no contract {name!r}; expected one of {', '.join(NAMES)}")
    return load_path(contracts_directory() / f"{name}.vy", cache_directory)


@cache
def load_path(path: Path, cache_directory: Path | None = None) -> Contract:
    """The contract in the file `path`. Its imports are looked up beside it and in `contracts_directory()`."""
    if not path.is_file():
        raise ContractError(f"no contract source {path}")
    directory = cache_directory or platformdirs.user_cache_path("straddle") / "contracts"
    cached = directory / f"{path.stem}-{_digest(path)}.json"
    kept = read_sealed(cached)
    if kept is not None:
        return _decoded(kept)
    compiled = _compile(path)
    record = {"name": compiled.name, "abi": compiled.abi, "bytecode": compiled.bytecode.hex(), "runtime": compiled.runtime.hex()}
    write_sealed(cached, json.dumps(record).encode())
    return compiled


def _decoded(text: bytes) -> Contract:
    record = json.loads(text)  # as it was written: its seal held
    return Contract(record["name"], tuple(record["abi"]), bytes.fromhex(record["bytecode"]), bytes.fromhex(record["runtime"]))


def _digest(path: Path) -> str:
    """Digest of everything that the bytecode may depend on: the file, all sources that it may import, the compiler."""
    hasher = hashlib.sha256(f"vyper {version('vyper')}\0".encode())
    root = contracts_directory()
    for source in [path, *sorted(root.rglob("*.vy")), *sorted(root.rglob("*.vyi"))]:
        label = source.relative_to(root).as_posix() if source.is_relative_to(root) else source.name
        text = source.read_bytes()
        hasher.update(f"{label}\0{len(text)}\0".encode() + text)
    return hasher.hexdigest()[:32]


def _compile(path: Path) -> Contract:
    # Imported here: the compiler takes most of a second to load, and a warm cache never needs it.
    from vyper.compiler import compile_from_file_input
    from vyper.compiler.input_bundle import FilesystemInputBundle
    from vyper.exceptions import VyperException

    bundle = FilesystemInputBundle([path.parent, contracts_directory()])
    try:
        output = compile_from_file_input(bundle.load_file(path.name), input_bundle=bundle, output_formats=["abi", "bytecode", "bytecode_runtime"])
    except VyperException as error:
        raise ContractError(f"{path} does not compile: {error}") from error
    code, runtime = (bytes.fromhex(output[name].removeprefix("0x")) for name in ("bytecode", "bytecode_runtime"))
    return Contract(path.stem, tuple(output["abi"]), code, runtime)
