# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Committee
@license Apache-2.0
@notice Those who keep the bodies of a validium's batches and sign that they do, and what stands in for them when too many are away: snapshots of the state.
        docs/protocol/policies.md specifies both.
@dev Nothing here can be changed after deployment. One committee may serve several rollups: what its members sign names chain and rollup.
"""

from interfaces import ICommittee
from modules import signers

implements: ICommittee

event SnapshotPosted:
    state_root: indexed(uint256)
    poster: indexed(address)
    part: uint256
    parts: uint256

struct Snapshot:
    state_root: uint256
    parts: uint256
    posted: uint256

MAX_MEMBERS: constant(uint256) = 16
MAX_PARTS: constant(uint256) = 2**16
MAX_PART_BYTES: constant(uint256) = 2**16

THRESHOLD: public(immutable(uint256))
MEMBER_COUNT: public(immutable(uint256))

is_member: public(HashMap[address, bool])
# poster -> the snapshot that he began last
snapshots: HashMap[address, Snapshot]


@deploy
def __init__(members: DynArray[address, MAX_MEMBERS], threshold: uint256):
    """
    @param members Ascending strictly.
    @param threshold More than two thirds of them, so that an honest third can refuse a certificate.
    """
    assert threshold <= len(members) and 3 * threshold > 2 * len(members), "Committee: threshold must be above two thirds of the members, and at most all"
    THRESHOLD = threshold
    MEMBER_COUNT = len(members)
    last: address = empty(address)
    for member: address in members:
        assert convert(member, uint160) > convert(last, uint160), "Committee: members must ascend strictly and not be zero"
        self.is_member[member] = True
        last = member


@external
@view
def check(digest: bytes32, certificates: DynArray[signers.Signature, MAX_MEMBERS]) -> bool:
    """
    @notice True when enough members signed the digest; reverts otherwise.
    @param certificates At least `THRESHOLD`, ascending by signer.
    """
    assert len(certificates) >= THRESHOLD, "Committee: too few certificates"
    last: address = empty(address)
    for certificate: signers.Signature in certificates:
        last = signers._next_signer(digest, certificate, last)
        assert self.is_member[last], "Committee: signer is not a member"
    return True


@external
def post_snapshot(state_root: uint256, part: uint256, parts: uint256, data: Bytes[MAX_PART_BYTES]):
    """
    @notice Puts a part of a state on layer 1, for the poster's own proposals. Must be called directly, so that `data` are found in the transaction's calldata.
    @param part 0 begins anew; the others follow in order.
    @dev Anyone may post anything: it costs the poster alone, and nobody can disturb another's. Layer 1 cannot check what it says, readers must.
    """
    assert msg.sender == tx.origin and not msg.sender.is_contract, "Committee: call directly, the data must lie in the transaction"
    assert len(data) > 0, "Committee: the part is empty"
    assert part < parts and parts <= MAX_PARTS, "Committee: part must be below parts, and parts at most 65536"
    snapshot: Snapshot = Snapshot(state_root=state_root, parts=parts, posted=0)
    if part > 0:
        snapshot = self.snapshots[msg.sender]
        expected: bool = snapshot.state_root == state_root and snapshot.parts == parts and snapshot.posted == part
        assert expected, "Committee: not the next part of the poster's snapshot"
    snapshot.posted = part + 1
    self.snapshots[msg.sender] = snapshot
    log SnapshotPosted(state_root=state_root, poster=msg.sender, part=part, parts=parts)


@external
@view
def has_snapshot(poster: address, state_root: uint256) -> bool:
    """
    @notice Whether all parts of a snapshot of this state lie on layer 1, and the poster has begun no other since.
    """
    snapshot: Snapshot = self.snapshots[poster]
    return snapshot.posted > 0 and snapshot.posted == snapshot.parts and snapshot.state_root == state_root
