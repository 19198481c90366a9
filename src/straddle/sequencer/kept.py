"""The batches that may have to go to layer 1 (again): those that are not final, and the last ones that are.

A challenge window holds thousands of them. So only a few stay in memory whole; of each other one its header does, and the rest is read back from the poster's
file when it is needed: to be proposed again after a reorg, to answer a challenge, to become final.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from straddle.commitments.policy import Data
from straddle.proving.vector import PostedBatch
from straddle.proving.witness import Witness
from straddle.sequencer.batch_file import BatchFile, PosterError

IN_MEMORY = 4
"""Batches that are in memory whole, besides those that are being proved."""

Bind = Callable[[Witness, bytes, Data], PostedBatch]
"""A witness as it is posted after a parent's header, with its body in a place."""


@dataclass(slots=True)
class Kept:
    """A batch that may have to go to layer 1 (again)."""

    number: int
    header_hash: bytes
    parent_header_hash: bytes
    epoch: int
    parent_epoch: int
    """Epoch of the batch before: all epochs up to it went to layer 1 with that one, in transactions of the same sender."""
    data: Data
    """Where its body lies."""
    read: Callable[[Kept], PostedBatch]

    @property
    def posted(self) -> PostedBatch:
        """As it goes to layer 1. PosterError: the file no longer has it."""
        return self.read(self)


class KeptBatches:
    """They follow each other without a gap, up to the newest batch that was added."""

    def __init__(self, file: BatchFile, bind: Bind, genesis_header_hash: bytes, after_batch: int) -> None:
        """Those up to `after_batch` are taken from the file, as far back as it has them. PosterError: the file does not know `after_batch`."""
        self._file, self._bind = file, bind
        self._whole: OrderedDict[int, PostedBatch] = OrderedDict()
        self._kept: list[Kept] = []
        self.newest, self.header_hash, self.epoch = 0, genesis_header_hash, 0
        """Number, header and risk epoch of the newest batch."""
        if after_batch:
            file.known(after_batch)
            first, witnessed = after_batch, set(file.witnessed())
            while first in witnessed:
                first -= 1
            for record in file.records(max(first, 1), after_batch + 1 - max(first, 1)):
                if record.number > first:
                    self._kept.append(self._entry(record.number, record.header_hash, record.epoch, Data[record.data.upper()]))
                self.newest, self.header_hash, self.epoch = record.number, bytes.fromhex(record.header_hash), record.epoch

    @property
    def numbers(self) -> range:
        """Of the kept ones."""
        return range(self._kept[0].number if self._kept else self.newest + 1, self.newest + 1)

    def find(self, number: int) -> Kept:
        """One of them. PosterError: it is not kept any more, or not yet."""
        if number not in self.numbers:
            raise PosterError(f"batch {number}: not kept, expected one of {self.numbers.start} to {self.newest}")
        return self._kept[number - self.numbers.start]

    def after(self, number: int, count: int) -> list[Kept]:
        """At most `count` of them after a number, in order."""
        start = number + 1 - self.numbers.start
        return self._kept[start : start + count]

    def add(self, posted: PostedBatch, *, keep: bool) -> None:
        """The next batch, whose record is in the file. Without `keep` it is only the parent of what follows."""
        effects = posted.effects
        if keep:
            self._kept.append(self._entry(effects.batch_number, posted.header_hash.hex(), effects.epoch, posted.place.data))
            self._remember(posted)
        self.newest, self.header_hash, self.epoch = effects.batch_number, posted.header_hash, effects.epoch

    def rebind(self, first: Kept, data: Data) -> Iterator[tuple[Kept, PostedBatch]]:
        """`first` lies elsewhere: it has another header, and so have all after it. One after the other; each is changed when it comes."""
        self._whole.clear()
        parent = first.parent_header_hash
        for item in self._kept[first.number - self.numbers.start :]:
            item.data, item.parent_header_hash = data if item is first else item.data, parent
            posted = self._bind(self._file.witness(item.number), parent, item.data)
            item.header_hash = parent = self.header_hash = posted.header_hash
            yield item, posted

    def forget(self, last: int) -> None:
        """Those up to `last` are not needed any more."""
        count = last + 1 - self.numbers.start
        if count > 0:
            del self._kept[:count]
            self._file.drop_witnesses(self.numbers.start)

    def _entry(self, number: int, header_hash: str, epoch: int, data: Data) -> Kept:
        return Kept(number, bytes.fromhex(header_hash), self.header_hash, epoch, self.epoch, data, self._read)

    def _read(self, kept: Kept) -> PostedBatch:
        posted = self._whole.pop(kept.number, None) or self._bind(self._file.witness(kept.number), kept.parent_header_hash, kept.data)
        if posted.header_hash != kept.header_hash:
            raise PosterError(f"batch {kept.number}: header hash {posted.header_hash.hex()} of its kept witness, expected {kept.header_hash.hex()} as posted")
        self._remember(posted)
        return posted

    def _remember(self, posted: PostedBatch) -> None:
        self._whole[posted.effects.batch_number] = posted
        while len(self._whole) > IN_MEMORY:
            self._whole.popitem(last=False)
