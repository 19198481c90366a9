"""The part of a random life on layer 1 in which the token misbehaves: it turns from kind to kind, and calls back into every function of the contracts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from support.layer1_life import FEE_WEI, STAKE, USDC, USERS, Pending, Proposals, is_refused
from support.odd_token import KINDS, Kind, planned

ACCOUNT = 3
"""The token's own: the first that is opened."""


@dataclass(frozen=True)
class Call:
    """A function of a contract, with arguments for it."""

    target: Any
    function: str
    args: tuple[Any, ...]
    value_wei: int = 0


class OddTokens(Proposals):
    """On an OddToken, which owns an account, claims and ether like anybody else. `adopt` comes first. Needs the rule `deposit(who, amount, pick)`."""

    def adopt(self) -> None:
        """The exchange begins, with a batch that pays the token and a user."""
        x, token = self.x, self.x.token.address
        self.parties = [*USERS, token]
        self.model.claimable[token] = 0
        x.chain.fund(token)
        for who in self.parties:  # what a token charges on top
            x.chain.send(USERS[0], x.token, "mint", who, 100 * USDC)
        self.pay_in(USERS[0], 50 * USDC, owner=token)
        batch = x.batch(withdrawals=[(ACCOUNT, token, 3 * USDC), (ACCOUNT, USERS[3], 2 * USDC)])
        x.propose_and_prove(batch)
        self.model.pending.append(Pending(batch, x.sequencer, self.now_s))
        self.model.prove(self.model.pending[0], token)

    @rule(name=st.sampled_from(list(KINDS)), who=st.sampled_from(USERS), amount=st.integers(USDC, 9 * USDC), stays=st.booleans())
    def turn(self, name, who, amount, stays):
        """The token becomes another, and is at once paid in and out, if anybody has a claim."""
        self._become(KINDS[name])
        self.deposit(who, amount, 1)
        for pick, party in enumerate(self.parties):
            if self.model.claimable[party]:
                self.pull(pick)
                break
        self.tokens_are_conserved()
        if not stays:
            self._become(KINDS["as it should be"])

    def _become(self, kind: Kind) -> None:
        self.kind = kind
        self.x.chain.send(USERS[0], self.x.token, "configure", *kind.as_tuples())

    @rule(amount=st.integers(1, USDC))
    def give(self, amount):
        """Tokens that no deposit brings are nobody's."""
        self.x.chain.send(USERS[0], self.x.token, "mint", self.x.vault.address, amount)
        self.model.given += amount

    @rule(pick=st.integers(0, 10**6), is_leaving=st.booleans(), is_patient=st.booleans(), who=st.integers(0, 4), amount=st.integers(USDC - 1, 9 * USDC))
    def call_back(self, pick, is_leaving, is_patient, who, amount):
        """A call from inside a transfer is refused, and all else is as without it, or it does what it would have done just before. Into the vault there is
        none. Nothing of this stays."""
        call = self._call(pick)
        waiting = [user for user in USERS if self.model.claimable[user]]
        if is_leaving and waiting:
            move = lambda: self.x.chain.send(waiting[who % len(waiting)], self.x.vault, "pull")  # noqa: E731
        else:
            user = USERS[who % len(USERS)]
            self.x.chain.send(user, self.x.token, "mint", user, amount)
            move = lambda: self.x.chain.send(user, self.x.vault, "deposit", self.x.rollup.address, 0, user, amount)  # noqa: E731
        data = call.target.contract.encode_call(call.function, *call.args)
        act = lambda: self.x.chain.send(USERS[0], self.x.token, "act", call.target.address, data, call.value_wei)  # noqa: E731
        both = [planned(call.target, call.function, call.args, call.value_wei, is_patient)] * 2
        plan = lambda: self.x.chain.send(USERS[0], self.x.token, "call_back", *both)  # noqa: E731

        before = self._picture()
        found = self._after(plan, move) or before
        allowed = [(self._after(move) or before) if is_patient else before]
        if call.target is not self.x.vault and self._after(act):
            allowed.append(self._after(act, move) or before)
        assert found in allowed, call.function
        assert self._picture() == before

    def _after(self, *actions: Callable[[], Any]) -> Mapping[str, Any] | None:
        """What is once the actions are done, None when one is refused; then they are undone."""
        evm = self.x.chain.evm
        mark = evm.snapshot()
        try:
            return None if any(is_refused(action) for action in actions) else self._picture()
        finally:
            evm.revert(mark)

    def _picture(self) -> Mapping[str, Any]:
        """All that the contracts say of themselves and hold."""
        x, chain = self.x, self.x.chain
        vault, rollup = x.vault.address, x.rollup.address
        picture = {"row": chain.call(x.vault, "rows", rollup)}
        for who in (*self.parties, vault, x.sequencer):
            picture[f"{who} wei"] = chain.evm.get_balance(who)
            picture[f"{who} claims"] = chain.call(x.vault, "claimable", who)
            picture[f"{who} is owed"] = x.read("wei_owed", who)
            picture[f"{who} tokens"] = chain.call(x.token, "balanceOf", who)
        claims = sum(picture[f"{who} claims"] for who in self.parties)
        assert picture[f"{vault} tokens"] == picture["row"] + claims + self.model.given
        for contract in self.called():
            for item in _functions(contract):
                if item["stateMutability"] in ("view", "pure") and not item["inputs"]:
                    picture[f"{contract.address} {item['name']}"] = chain.call(contract, item["name"])
        picture["queue"] = x.read("queue_hashes", x.read("queue_length"))
        picture["batch"] = x.read("batch", x.read("proposed_batch"))
        return picture

    # ---- calls

    def called(self) -> tuple[Any, ...]:
        """The contracts that the token calls."""
        return (self.x.vault, self.x.rollup)

    def _call(self, pick: int) -> Call:
        """Any function that writes, and the vault's books: whoever read them there would see half of a transfer."""
        found = [(target, item) for target in self.called() for item in _functions(target) if item["stateMutability"] != "view"]
        found += [(self.x.vault, item) for item in _functions(self.x.vault) if item["name"] in ("rows", "claimable")]
        target, item = found[pick % len(found)]
        name = item["name"]
        args = self.arguments(name)
        value_wei = {"challenge": STAKE, "propose": self.x.config.proposer_bond_wei}.get(name, FEE_WEI) if item["stateMutability"] == "payable" else 0
        return Call(target, name, tuple(self._filler(field) for field in item["inputs"]) if args is None else args, value_wei)

    def arguments(self, function: str) -> tuple[Any, ...] | None:
        """Such as it might go through with; None: whatever fits its types."""
        x, model, token = self.x, self.model, self.x.token.address
        oldest = model.pending[0].batch if model.pending else None
        match function:
            case "rows":
                return (x.rollup.address,)
            case "deposit":
                return (x.rollup.address, ACCOUNT, token, USDC)
            case "credit" | "pay_exit":
                return (token, 1)
            case "on_deposit":
                return (ACCOUNT, token, USDC)
            case "set_key":
                return (ACCOUNT, (0, 0), (0, 0))
            case "submit_epoch":
                epoch = (x.epoch + 1, x.chain.time_s * 1000, 77, b"feeds")
                return (*epoch, x.sign(x.epoch_digest(*epoch)))
            case "propose":
                return tuple(x.proposal(x.batch())[1])
            case "propose_and_prove":
                batch = x.batch()
                return (*x.proposal(batch)[1], x.mock_proof(batch, token), token)
            case "prove" if oldest:
                return (oldest.effects_bytes, x.header(oldest), x.mock_proof(oldest, token), token)
            case "finalise" if oldest:
                return (oldest.effects_bytes, x.header(oldest))
            case "challenge" if oldest:
                return (oldest.number, x.headers[oldest.number])
            case "void" if oldest:
                return (oldest.number,)
        return None

    def _filler(self, field: Mapping[str, Any]) -> Any:
        kind = field["type"]
        if kind.endswith("[]"):
            return []
        if kind.endswith("]"):
            return [0] * int(kind[kind.index("[") + 1 : -1])
        if kind == "tuple":
            return tuple(self._filler(part) for part in field["components"])
        return {"address": self.x.token.address, "bytes": b"", "bytes32": bytes(32), "bool": False}.get(kind, ACCOUNT)


def _functions(deployed: Any) -> list[Mapping[str, Any]]:
    return [item for item in deployed.contract.abi if item["type"] == "function"]
