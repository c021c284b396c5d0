"""Finding which register a device refuses, while the rest goes on being read (rule C9 of the fault list).

A read that the device refuses twice in a row is cut in halves, the refused half again, until one item is
left; refused three times it is named and not asked for any more. If both halves of a refused read are
answered, the device does not read across the joint, and the planner is told so. One step a visit: the other
devices of the line do not wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from emdx_desktop.domain.profiles import DeviceProfile
from emdx_desktop.modbus.planner import DevicePlan, PlanItem, ReadBlock, Refusals, bare_block, plan_device
from emdx_desktop.modbus.requests import exception_name

REFUSALS_TO_SEARCH = 2
REFUSALS_TO_GIVE_UP = 3
ILLEGAL_FUNCTION = 1


@dataclass(eq=False)
class _Trial:
    """A read on trial, or what it was replaced by."""

    block: ReadBlock
    parts: list[_Trial] = field(default_factory=list)
    refusals: int = 0
    is_good: bool = False
    is_given_up: bool = False

    def leaves(self) -> Iterable[_Trial]:
        """Reads that stand for this one now."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()

    @property
    def is_settled(self) -> bool:
        return all(leaf.is_good or leaf.is_given_up for leaf in self.leaves())


class DeviceReads:
    """The reads of one device as they are now, learning what it refuses.

    Attributes:
        plan: Newest plan.
        blocks: Reads to be done now, the plan's or those on trial in their place.
    """

    def __init__(self, profile: DeviceProfile, *, is_padded: bool, plan: DevicePlan | None = None) -> None:
        """Start with nothing refused.

        Args:
            profile: The device's registers.
            is_padded: The link cannot tell a late reply by a transaction id.
            plan: Its plan, where it was made already.
        """
        self._profile = profile
        self._is_padded = is_padded
        self._refusals = Refusals()
        self._codes: dict[tuple[int, int, int], int] = {}
        self._trials: list[_Trial] = []
        self.plan: DevicePlan = plan or plan_device(profile, is_padded=is_padded)
        self.blocks: tuple[ReadBlock, ...] = self.plan.blocks

    @property
    def refused(self) -> tuple[PlanItem, ...]:
        """Items the device refuses."""
        return self.plan.refused

    def refused_texts(self) -> tuple[str, ...]:
        """What is refused, in words with quantity and register, and what no allowed read can hold."""
        texts = []
        for item in self.plan.refused:
            for key in item.points:
                point = self._profile.point(key)
                code = self._codes[item.unit_offset, item.function_code, item.first]
                texts.append(f"{point.label or key} (register {point.document_register}): {exception_name(code)}")
        return (*texts, *(str(problem) for problem in self.plan.problems))

    def note_good(self, block: ReadBlock) -> bool:
        """A read was answered.

        Returns:
            True when the reads changed.
        """
        trial = self._find(block)
        if trial is None:
            return False
        trial.refusals = 0
        if all(trial is not root for root in self._trials):
            trial.is_good = True
            return self._conclude()
        self._trials.remove(trial)  # refused once, then answered: nothing to search
        return False

    def note_refusal(self, block: ReadBlock, code: int) -> bool:
        """A read was refused with exception 1, 2 or 3.

        Returns:
            True when the reads changed.
        """
        trial = self._find(block)
        if trial is None:
            trial = _Trial(block)
            self._trials.append(trial)
        trial.refusals += 1
        is_whole = code == ILLEGAL_FUNCTION or len(block.items) == 1
        bare = bare_block(self._profile, block.items, self._refusals)
        is_bare = bare.count == block.count
        if is_whole and (is_bare or code == ILLEGAL_FUNCTION):
            if trial.refusals < REFUSALS_TO_GIVE_UP:
                return False
            trial.is_given_up = True
            for item in block.items:
                self._codes[item.unit_offset, item.function_code, item.first] = code
            return self._conclude()
        if trial.refusals < REFUSALS_TO_SEARCH and trial in self._trials:
            return False
        if not is_bare:
            trial.parts = [_Trial(bare)]
        else:
            middle = len(block.items) // 2
            trial.parts = [_Trial(self._bare(block.items[:middle])), _Trial(self._bare(block.items[middle:]))]
        self._refresh()
        return True

    def probe_blocks(self) -> tuple[ReadBlock, ...]:
        """One read for each refused item, to see whether the device has learned it (once a day)."""
        return tuple(self._bare([item]) for item in self.plan.refused)

    def forget_refusals(self) -> None:
        """Ask for everything again."""
        self._refusals = Refusals()
        self._codes.clear()
        self._trials.clear()
        self._replan()

    def _bare(self, items: Sequence[PlanItem]) -> ReadBlock:
        return bare_block(self._profile, items, self._refusals)

    def _find(self, block: ReadBlock) -> _Trial | None:
        return next((leaf for root in self._trials for leaf in root.leaves() if leaf.block == block), None)

    def _conclude(self) -> bool:
        """Tell the planner what settled trials have shown."""
        settled = [root for root in self._trials if root.is_settled]
        if not settled:
            return False
        items, barriers = set(self._refusals.items), set(self._refusals.barriers)
        is_padding_refused = self._refusals.is_padding_refused
        for root in settled:
            self._trials.remove(root)
            for leaf in root.leaves():
                if leaf.is_given_up:
                    items |= {(item.unit_offset, item.function_code, item.first) for item in leaf.block.items}
            for node in _nodes(root):
                # only parts that were answered whole prove that it was their joint, or their padding
                if not node.parts or not all(part.is_good for part in node.parts):
                    continue
                if len(node.parts) == 1:
                    is_padding_refused = True
                else:
                    right = node.parts[1].block
                    barriers.add((right.function_code, right.items[0].first))
        self._refusals = Refusals(frozenset(items), frozenset(barriers), is_padding_refused)
        self._replan()
        return True

    def _replan(self) -> None:
        self.plan = plan_device(self._profile, is_padded=self._is_padded, refusals=self._refusals)
        self._trials = [root for root in self._trials if root.block in self.plan.blocks]
        self._refresh()

    def _refresh(self) -> None:
        stand_ins = {root.block: [leaf.block for leaf in root.leaves()] for root in self._trials}
        self.blocks = tuple(part for block in self.plan.blocks for part in stand_ins.get(block, [block]))


def _nodes(trial: _Trial) -> Iterable[_Trial]:
    yield trial
    for part in trial.parts:
        yield from _nodes(part)
