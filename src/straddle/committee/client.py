"""Members, asked over HTTP: by the operator for certificates, by other members and by anybody for data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import httpx

from straddle.committee.member import Behind, Refused
from straddle.committee.offer import Offer, OfferError
from straddle.l1.certificates import certificate_digest, signer_of
from straddle.l1.deployment import Deployment
from straddle.primitives.errors import Actionable
from straddle.primitives.nesting import decode_json
from straddle.primitives.urls import checked_url

TIMEOUT_S = 10.0
STEPS_MAX = 10_000
"""Batches that a member is brought forward at a time."""


class MemberUnreachable(Actionable):
    """Nothing that is a member answers."""


class MemberClient:
    """One member."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S, transport: httpx.BaseTransport | None = None) -> None:
        """UrlError: no address."""
        self.url = checked_url("member", url)
        # trust_env off: a proxy from the environment has no business between operator and members.
        self._client = httpx.Client(base_url=self.url, timeout=timeout_s, transport=transport, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def status(self) -> dict[str, Any]:
        """Address, rollup, newest batch, state root. MemberUnreachable."""
        found = self._call("GET", "/status")
        if not isinstance(found, dict) or not {"member", "rollup", "batch_number", "state_root"} <= found.keys():
            raise MemberUnreachable(f"{self.url}: answered {str(found)[:200]}, expected the status of a member")
        return found

    def certify(self, offer: Offer) -> bytes:
        """The member's signature of the offer's header. Behind, Refused, OfferError, MemberUnreachable."""
        found = self._call("POST", "/certificates", offer)
        try:
            return bytes.fromhex(found["signature"])
        except (KeyError, TypeError, ValueError) as error:
            raise MemberUnreachable(f"{self.url}: answered {str(found)[:200]}, expected a certificate") from error

    def take(self, offer: Offer) -> None:
        """Gives the member a batch. Behind, Refused, OfferError, MemberUnreachable."""
        self._call("POST", "/batches", offer)

    def batches(self, first: int, limit: int) -> list[Offer]:
        """Batches of the member's chain. OfferError, MemberUnreachable."""
        found = self._call("GET", f"/batches?first={first}&limit={limit}")
        if not isinstance(found, list):
            raise MemberUnreachable(f"{self.url}: answered {str(found)[:200]}, expected a list of batches")
        return [Offer.from_plain(raw) for raw in found]

    def by_header(self, header_hash: bytes) -> Offer | None:
        """Any batch that the member has, by its header; None when it has none. OfferError, MemberUnreachable."""
        found = self._call("GET", f"/headers/{header_hash.hex()}", missing=True)
        return None if found is None else Offer.from_plain(found)

    def snapshot(self, number: int | None = None) -> bytes:
        """Copy of the state after a batch (the newest when None): straddle.commitments.state_copy reads it. MemberUnreachable."""
        found = self._call("GET", "/snapshot" if number is None else f"/snapshot?batch={number}")
        try:
            return bytes.fromhex(found["copy"])
        except (KeyError, TypeError, ValueError) as error:
            raise MemberUnreachable(f"{self.url}: answered {str(found)[:200]}, expected a snapshot") from error

    def _call(self, method: str, path: str, offer: Offer | None = None, *, missing: bool = False) -> Any:
        try:
            response = self._client.request(method, path, json=None if offer is None else offer.plain)
            found = decode_json(response.content)
        except httpx.HTTPError as error:
            raise MemberUnreachable(f"{self.url}: no member answers: {type(error).__name__} {error}") from error
        except ValueError as error:
            raise MemberUnreachable(f"{self.url}: status {response.status_code} and no JSON") from error
        if response.status_code == 200:
            return found
        if response.status_code == 404 and missing:
            return None
        said = found.get("error") if isinstance(found, dict) else None
        said = said if isinstance(said, dict) else {}
        message = f"{self.url}: {said.get('message', str(found)[:200])}"
        match said.get("code"):
            case "behind" if type(said.get("next")) is int:
                raise Behind(said["next"])
            case "refused":
                raise Refused(message)
            case "bad_offer":
                raise OfferError(message)
        raise MemberUnreachable(message)


class CommitteeClient:
    """All members, asked at once."""

    def __init__(self, deployment: Deployment, members: Mapping[str, MemberClient]) -> None:
        """`members`: address -> client, some or all of the deployment's."""
        self._deployment = deployment
        self._members = dict(sorted(members.items(), key=lambda item: int(item[0], 16)))
        self._executor = ThreadPoolExecutor(max(1, len(members)), thread_name_prefix="member")
        self.problems: dict[str, str] = {}
        """Member -> why it did not certify the newest batch."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._executor.shutdown(cancel_futures=True)
        for client in self._members.values():
            client.close()

    def certify(self, number: int, header_hash: bytes, offer_of: Callable[[int], Offer]) -> tuple[bytes, ...]:
        """Certificates of a batch, ascending by member, as many as there are. `offer_of` gives any batch up to it: members that lack some are given them."""
        digest = certificate_digest(self._deployment.chain_id, self._deployment.rollup_number, number, header_hash)
        futures = {address: self._executor.submit(self._certify, client, number, offer_of) for address, client in self._members.items()}
        found, problems = [], {}
        for address, future in futures.items():
            try:
                signature = future.result()
            except (Behind, Refused, OfferError, MemberUnreachable) as error:
                problems[address] = str(error)
                continue
            if signer_of(digest, signature) != address:
                problems[address] = f"signed another header than {header_hash.hex()}, or with another key"
                continue
            found.append(signature)
        self.problems = problems
        return tuple(found)

    def body(self, batch_number: int, header_hash: bytes) -> tuple[int, ...] | None:
        """The body of a batch from the first member that has it (straddle.l1.history.BodySource)."""
        return body_of(list(self._members.values()), header_hash)

    def _certify(self, client: MemberClient, number: int, offer_of: Callable[[int], Offer]) -> bytes:
        place = number
        for _ in range(STEPS_MAX):
            try:
                if place == number:
                    return client.certify(offer_of(number))
                client.take(offer_of(place))
                place += 1
            except Behind as error:
                if not 1 <= error.next < place:
                    raise
                place = error.next
        raise MemberUnreachable(f"{client.url}: is too far behind to catch up at once; it goes on with the next batch")


class MemberBodies:
    """`straddle.l1.history.BodySource` over any members."""

    def __init__(self, clients: Sequence[MemberClient]) -> None:
        self._clients = clients

    def body(self, batch_number: int, header_hash: bytes) -> tuple[int, ...] | None:
        """The body of the batch with that header from the first member that has it."""
        return body_of(self._clients, header_hash)


def body_of(clients: Sequence[MemberClient], header_hash: bytes) -> tuple[int, ...] | None:
    """The body of a batch from the first member that answers with one. The caller checks it."""
    for client in clients:
        try:
            offer = client.by_header(header_hash)
        except (MemberUnreachable, OfferError, Refused, Behind):
            continue
        if offer is not None:
            return offer.body
    return None
