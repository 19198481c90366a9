"""A journal against layer 1, before anybody may send an order."""

from __future__ import annotations

from straddle.l1.rollup import RollupClient
from straddle.sequencer.foreign import beginning_gone, other_state, unknown_batch
from straddle.sequencer.journal import Journal


def check_agreement(client: RollupClient, journal: Journal, genesis_root: int) -> None:
    """Every batch on layer 1, final or proposed, is the journal's. ForeignBatch names the first that is not.

    Roots bind those before them, so the newest that both have speaks for all; headers are the poster's to compare.
    """
    final, proposed, own, begins = client.final_batch(), client.proposed_batch(), journal.batches, journal.beginning.batches
    if proposed < begins:
        raise beginning_gone(begins, proposed)
    newest = min(proposed, own)
    if newest >= final and client.batch(newest).state_root != _root(journal, newest, genesis_root):
        for number in range(max(final, begins), newest + 1):
            found, root = client.batch(number), _root(journal, number, genesis_root)
            if found.state_root != root:
                raise other_state(number, found.header_hash, found.state_root, root)
    if proposed > own:
        first = max(own + 1, final)
        raise unknown_batch(first, client.header_hash(first), own, final=first <= final)


def _root(journal: Journal, number: int, genesis_root: int) -> int:
    return journal.batch_root(number) if number else genesis_root
