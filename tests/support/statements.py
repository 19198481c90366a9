"""Statements of the solvency circuit as words, for tests of the contracts that check them; a mock verifier stands for the proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from straddle.commitments.challenge import evaluate
from straddle.commitments.holdings import challenge
from straddle.l1.contracts import load, load_path
from straddle.l1.deploying import created_address

MOCKS = Path(__file__).parents[1] / "contracts" / "mocks"
BENEFICIARY = "0x" + f"{0xBE4EF:040x}"
DEPLOYER = "0x" + f"{0xDE9107:040x}"
ACCOUNT_DEPTH = 8
BODY_CELLS = 2


def words_bytes(words: Sequence[int]) -> bytes:
    return b"".join(word.to_bytes(32, "big") for word in words)


@dataclass(frozen=True)
class Statement:
    """About one chunk; `lines` maps accounts to (owner, equity) and `nets` are those of the instrument rows."""

    state_root: int
    risk_root: int
    chunk: int
    lines: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    nets: Sequence[int] = (0, 0, 0)
    k: int = 0
    domain: int = 1234567
    below: int = 0
    lacking_e4: int = 0
    fund: int | None = None
    c: int = 31337
    words: Mapping[int, int] = field(default_factory=dict)
    """Effects words to put in place of the right ones."""

    @property
    def effects(self) -> list[int]:
        equities = [equity for _, equity in self.lines.values()]
        claims, deficits = sum(max(equity, 0) for equity in equities), sum(max(-equity, 0) for equity in equities)
        made = [
            self.domain, self.state_root, self.risk_root, self.chunk | self.k << 24, (sum(equities) + 2**95) | claims << 96,
            deficits | self.below << 96 | self.lacking_e4 << 128, 0 if self.fund is None else self.fund + 2**95,
        ]  # fmt: skip
        for account in range(self.chunk << self.k, (self.chunk + 1) << self.k):
            owner, equity = self.lines.get(account, ("0x0", 0))
            made.append(int(owner, 16) | max(equity, 0) << 160 | account << 224 if int(owner, 16) else 0)
        return [self.words.get(i, word) for i, word in enumerate(made)]

    @property
    def body(self) -> list[int]:
        cells = [0] * BODY_CELLS
        for i, net in enumerate(self.nets):
            cells[i // 4] |= net + 2**55 << 56 * (i % 4)
        return cells

    def arguments(self, stage: Stage, verifier: Any, **changes: Any) -> tuple[Any, ...]:
        """What follows in a call: effects, body, commitment, proof, beneficiary; `changes` are made after the proof."""
        effects, body = self.effects, self.body
        z = challenge(stage.chain.chain_id, int(stage.rollup.address, 16), stage.chain.call(verifier, "vk_id"), effects, body, self.c)
        public = [self.c, z, evaluate(effects, z), evaluate(body, z), int(BENEFICIARY, 16)]
        proof = [int.from_bytes(keccak(encode(["uint256[5]"], [public])), "big")] + [0] * 11
        made = {"effects": words_bytes(effects), "body": words_bytes(body), "c": self.c, "proof": proof, "beneficiary": BENEFICIARY}
        return tuple((made | changes).values())

    def but(self, **changes: Any) -> Statement:
        return replace(self, **changes)


@dataclass
class Stage:
    """A rollup that is told its state, with a row in a real vault; its exits and its solvency contract."""

    chain: Any
    chunk_exponent: int = 2
    entries: list[tuple[int, int, str, int, int]] = field(default_factory=list)
    """The queue."""

    def __post_init__(self) -> None:
        chain = self.chain
        chain.fund(DEPLOYER)
        self.token = chain.deploy(load("TestUSDC"))
        self.vault = chain.deploy(load("Vault"), self.token.address)
        self.verifier = chain.deploy(load_path(MOCKS / "MockVerifier.vy"))
        nonce = chain.evm.basic(DEPLOYER).nonce
        exits = created_address(DEPLOYER, nonce + 1)
        self.rollup = chain.deploy(load_path(MOCKS / "StateRollup.vy"), self.vault.address, exits, 1 << ACCOUNT_DEPTH, sender=DEPLOYER)
        self.exits = chain.deploy(contract("Exits"), self.rollup.address, self.verifier.address, BODY_CELLS, sender=DEPLOYER)
        self.solvency = chain.deploy(contract("Solvency"), self.rollup.address, self.verifier.address, self.chunk_exponent, BODY_CELLS, sender=DEPLOYER)

    def tell(self, function: str, *args: Any) -> None:
        """Changes the rollup's state."""
        self.chain.send(DEPLOYER, self.rollup, function, *args)

    def deposit(self, who: str, amount: int, account: int = 0) -> None:
        self.chain.fund(who)
        self.chain.send(who, self.token, "mint", who, amount)
        self.chain.send(who, self.token, "approve", self.vault.address, amount)
        target = account or self.chain.call(self.rollup, "next_account")
        self.chain.send(who, self.vault, "deposit", self.rollup.address, account, who, amount)
        self.entries.append((1, target, who, amount, 0))

    def enqueue(self, kind: int, account: int, owner: str, word_1: int = 1, word_2: int = 0) -> None:
        self.tell("enqueue", kind, account, owner, word_1, word_2)
        self.entries.append((kind, account, owner, word_1, word_2))

    def row(self) -> int:
        return self.chain.call(self.vault, "rows", self.rollup.address)

    def claimable(self, who: str) -> int:
        return self.chain.call(self.vault, "claimable", who)


def contract(name: str) -> Any:
    return load_path(MOCKS.parents[2] / "contracts" / f"{name}.vy")
