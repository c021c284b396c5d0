"""The usual case in one go: all blocks good, all values good.

A plan is compiled once for the block layout a planner chose. It unpacks every block with one `struct`
call and checks all numbers against bounds that hold only good ones; anything outside makes it step aside
for the careful way (`registers.GroupDecoder`), which gives the same numbers and says what is wrong.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import ge, itemgetter, le, mul, truediv
from typing import Any

from emdx_desktop.domain.group_columns import Column, ColumnKind
from emdx_desktop.domain.profiles import DeviceProfile, PointDef, ValueType, WordOrder
from emdx_desktop.domain.words import SMALLEST_NORMAL_FLOAT32, SMALLEST_NORMAL_FLOAT64, typed_number

Number = float | int
Layout = tuple[tuple[int, int, int, int], ...]
"""Of each block: unit offset, function code, address, count."""

_FORMATS = {
    ValueType.U16: "H",
    ValueType.S16: "h",
    ValueType.U32: "I",
    ValueType.S32: "i",
    ValueType.U64: "Q",
    ValueType.S64: "q",
    ValueType.FLOAT32: "f",
    ValueType.FLOAT64: "d",
}
_HIGHEST = {
    ValueType.U16: 0xFFFF,
    ValueType.S16: 0x7FFF,
    ValueType.U32: 0xFFFF_FFFF,
    ValueType.S32: 0x7FFF_FFFF,
    ValueType.U64: 0xFFFF_FFFF_FFFF_FFFF,
    ValueType.S64: 0x7FFF_FFFF_FFFF_FFFF,
    ValueType.FLOAT32: (2.0 - 2.0**-23) * 2.0**127,
    ValueType.FLOAT64: sys.float_info.max,
}
_UNSIGNED = frozenset({ValueType.U16, ValueType.U32, ValueType.U64})
_FLOATS = frozenset({ValueType.FLOAT32, ValueType.FLOAT64})


@dataclass(frozen=True, slots=True)
class _Field:
    """Words of one block that make one raw number."""

    block: int
    start: int
    words: int
    value_type: ValueType


class FastPlan:
    """Decodes blocks of one layout; None from `decode` means: look at every value."""

    __slots__ = (
        "_counts",
        "_dividers",
        "_floats",
        "_highs",
        "_instants",
        "_kinds",
        "_lows",
        "_multipliers",
        "_power_factors",
        "_readers",
        "_round",
        "_sentinels",
        "_signs",
        "_states",
    )

    def __init__(self, compiler: _Compiler) -> None:
        self._readers = compiler.readers
        self._lows = tuple(compiler.lows)
        self._highs = tuple(compiler.highs)
        self._sentinels = tuple((index, values) for index, values in enumerate(compiler.sentinels) if values)
        self._floats = tuple(compiler.floats)
        self._instants = _picker(compiler.instants)
        self._multipliers = tuple(compiler.multipliers) if set(compiler.multipliers) != {1} else None
        self._dividers = tuple(compiler.dividers)
        self._signs = tuple(compiler.signs)
        self._power_factors = tuple(compiler.power_factors)
        self._counts = _picker(compiler.counts)
        self._round = tuple(compiler.count_multipliers) if any(compiler.count_multipliers) else None
        self._states = tuple(compiler.states)
        self._kinds = tuple(compiler.kinds)

    @staticmethod
    def compile(
        profile: DeviceProfile, columns: Sequence[Column], scales: Sequence[Fraction | None], layout: Layout
    ) -> FastPlan | None:
        """The plan for a layout, None when a value needs the careful way.

        Args:
            profile: Gives word order and byte order.
            columns: Of the group.
            scales: Base units per count of each column.
            layout: Of the blocks.
        """
        compiler = _Compiler(profile, layout)
        if not all(compiler.add(column, scale) for column, scale in zip(columns, scales, strict=True)):
            return None
        return FastPlan(compiler) if compiler.finish() else None

    def decode(self, block_words: Sequence[tuple[int, ...]]) -> tuple[Number | None, ...] | None:
        """Values of all columns, None when any of them is not plainly good."""
        raws: tuple[Any, ...] = ()
        for (pack, order, unpack), words in zip(self._readers, block_words, strict=True):
            raws += unpack(pack(*(words if order is None else order(words))))
        if not (all(map(le, self._lows, raws)) and all(map(ge, self._highs, raws))):
            return None
        for index, sentinels in self._sentinels:
            if raws[index] in sentinels:
                return None
        for index, smallest in self._floats:
            if -smallest < raws[index] < smallest and raws[index]:
                return None
        instants: Any = self._instants(raws)
        if self._multipliers is not None:
            instants = map(mul, instants, self._multipliers)
        values = list(map(truediv, instants, self._dividers))
        for column, index in self._signs:
            if raws[index] and values[column]:
                values[column] = -values[column]
        for column, power in self._power_factors:
            magnitude = abs(values[column])
            values[column] = -magnitude if values[power] < 0 else magnitude
        values += self._counts(raws)
        if self._round is not None:
            first = len(self._dividers)
            for offset, multiplier in enumerate(self._round):
                if multiplier:
                    values[first + offset] = round(values[first + offset] * multiplier)
        for index, mask, shift, codes in self._states:
            raw = (raws[index] & mask) >> shift if mask else raws[index]
            if codes is not None:
                if raw not in codes:
                    return None
                raw = codes[raw]
            values.append(raw)
        for index, one, positive in self._kinds:
            raw = raws[index]
            values.append(0 if raw == 0 or abs(raw) >= one else 1 if (raw > 0) is positive else 2)
        return tuple(values)


class _Compiler:
    """Collects fields and columns, then lays the fields out."""

    def __init__(self, profile: DeviceProfile, layout: Layout) -> None:
        self._profile = profile
        self._layout = layout
        self._fields: list[_Field] = []
        self.lows: list[Number] = []
        self.highs: list[Number] = []
        self.sentinels: list[set[Number]] = []
        self.floats: list[tuple[int, float]] = []
        self.instants: list[int] = []
        self.multipliers: list[int] = []
        self.dividers: list[int] = []
        self.signs: list[tuple[int, int]] = []
        self.power_factors: list[tuple[int, int]] = []
        self.counts: list[int] = []
        self.count_multipliers: list[int] = []
        self.states: list[tuple[int, int, int, dict[int, int] | None]] = []
        self.kinds: list[tuple[int, Number, bool]] = []
        self.readers: tuple[tuple[Callable[..., bytes], Any, Callable[[bytes], tuple[Any, ...]]], ...] = ()
        self._column_of_point: dict[str, int] = {}
        self._pending_power_factors: list[tuple[int, str, int]] = []

    def add(self, column: Column, scale: Fraction | None) -> bool:
        """Take a column in; False when it needs the careful way."""
        point = column.point
        index = self._field_of(point)
        if index is None or scale is None or (point.bit_mask and column.kind is not ColumnKind.STATE):
            return False
        if column.kind is ColumnKind.STATE:
            codes = None if point.states is None else dict(point.states)
            self.states.append((index, point.bit_mask, point.bit_shift, codes))
            return point.value_type not in _FLOATS
        if column.kind is ColumnKind.REACTIVE_KIND:
            return self._add_kind(point, index)
        if column.kind is ColumnKind.COUNTER:
            return self._add_counter(column, scale, index)
        return self._add_instant(column, scale, index)

    def _add_instant(self, column: Column, scale: Fraction, index: int) -> bool:
        point = column.point
        position = len(self.instants)
        signed_scale = scale * column.sign
        if point.value_type in _FLOATS and signed_scale.numerator not in (1, -1) and signed_scale.denominator != 1:
            return False  # two roundings could differ from the careful way by one bit
        self._column_of_point[point.key] = position
        self.instants.append(index)
        self.multipliers.append(signed_scale.numerator)
        self.dividers.append(signed_scale.denominator)
        self._limit(index, point, scale, is_magnitude=column.sign_source is not None)
        if column.sign_source is not None:
            sign_index = self._field_of(column.sign_source)
            if sign_index is None or self._fields[sign_index].block != self._fields[index].block:
                return False
            self._limit(sign_index, column.sign_source, Fraction(1))
            self.signs.append((position, sign_index))
        if column.power is not None:
            self._pending_power_factors.append((position, column.power.key, self._fields[index].block))
        return True

    def _add_counter(self, column: Column, scale: Fraction, index: int) -> bool:
        point = column.point
        multiplier = 0
        if point.resolution is not None:
            ratio = scale / point.resolution
            if point.value_type is not ValueType.FLOAT32 or ratio.denominator != 1 or ratio > 1 << 20:
                return False  # the product must be exact, or rounding could differ from the careful way
            multiplier = ratio.numerator
        if column.sign < 0:
            return False
        self.counts.append(index)
        self.count_multipliers.append(multiplier)
        self._limit(index, point, scale)
        return True

    def _add_kind(self, point: PointDef, index: int) -> bool:
        if point.scale is None:
            return False
        one = abs(1 / point.scale)
        self.kinds.append((index, float(one) if point.value_type in _FLOATS else math.ceil(one), point.scale > 0))
        return True

    def _field_of(self, point: PointDef) -> int | None:
        """Index of the point's field among all, None when no block holds all of its words."""
        if point.value_type not in _FORMATS:
            return None
        for number, (unit_offset, function_code, address, count) in enumerate(self._layout):
            start = point.address - address
            is_inside = start >= 0 and start + point.words <= count
            if is_inside and (unit_offset, function_code) == (point.unit_offset, point.function_code):
                field = _Field(number, start, point.words, point.value_type)
                index = self._fields.index(field) if field in self._fields else self._append(field)
                self._exclude(index, point)
                return index
        return None

    def _append(self, field: _Field) -> int:
        index = len(self._fields)
        self._fields.append(field)
        highest = _HIGHEST[field.value_type]
        is_float = field.value_type in _FLOATS
        self.highs.append(highest)
        self.lows.append(0 if field.value_type in _UNSIGNED else -highest if is_float else -highest - 1)
        self.sentinels.append(set())
        if is_float:
            is_single = field.value_type is ValueType.FLOAT32
            self.floats.append((index, SMALLEST_NORMAL_FLOAT32 if is_single else SMALLEST_NORMAL_FLOAT64))
        return index

    def _exclude(self, index: int, point: PointDef) -> None:
        """Sentinels at an end of the type's range narrow the bounds; the others are looked up."""
        for unsigned in point.sentinels:
            number = typed_number(unsigned, point.value_type, point.words)
            if number is None or not self.lows[index] <= number <= self.highs[index]:
                continue  # cannot pass the bounds anyway (NaN included)
            if point.value_type not in _FLOATS and number == self.highs[index]:
                self.highs[index] = number - 1
            elif point.value_type not in _FLOATS and number == self.lows[index]:
                self.lows[index] = number + 1
            else:
                self.sentinels[index].add(number)

    def _limit(self, index: int, point: PointDef, scale: Fraction, *, is_magnitude: bool = False) -> None:
        """Narrow the raw bounds to plausible values; narrower than the truth is safe."""
        lowest = None if point.valid_min is None else Fraction(point.valid_min) / scale
        highest = None if point.valid_max is None else Fraction(point.valid_max) / scale
        if scale < 0:
            lowest, highest = highest, lowest
        if is_magnitude:
            both = [limit for limit in (highest, None if lowest is None else -lowest) if limit is not None]
            highest = min(both, default=None)
            lowest = None if highest is None else -highest
        is_float = point.value_type in _FLOATS
        if lowest is not None:
            limit = float(lowest + abs(lowest) / 10**9) if is_float else math.ceil(lowest)
            self.lows[index] = max(self.lows[index], limit)
        if highest is not None:
            limit = float(highest - abs(highest) / 10**9) if is_float else math.floor(highest)
            self.highs[index] = min(self.highs[index], limit)

    def finish(self) -> bool:
        """Lay the fields out as they come from the wire; False when they overlap."""
        for position, key, block in self._pending_power_factors:
            power = self._column_of_point.get(key)
            if power is None or self._fields[self.instants[power]].block != block:
                return False
            self.power_factors.append((position, power))
        order = sorted(range(len(self._fields)), key=lambda i: (self._fields[i].block, self._fields[i].start))
        readers = []
        for number, (_, _, _, count) in enumerate(self._layout):
            reader = self._reader([self._fields[i] for i in order if self._fields[i].block == number], count)
            if reader is None:
                return False
            readers.append(reader)
        self.readers = tuple(readers)
        self._renumber({old: new for new, old in enumerate(order)}, order)
        return True

    def _reader(
        self, fields: Sequence[_Field], count: int
    ) -> tuple[Callable[..., bytes], Any, Callable[[bytes], tuple[Any, ...]]] | None:
        parts = []
        places = list(range(count))
        position = 0
        for field in fields:
            if field.start < position:
                return None
            parts.append(f"{2 * (field.start - position)}x{_FORMATS[field.value_type]}")
            position = field.start + field.words
            if self._profile.word_order is WordOrder.LOW_FIRST:
                places[field.start : position] = reversed(places[field.start : position])
        parts.append(f"{2 * (count - position)}x")
        pack = struct.Struct(f"{'<' if self._profile.is_byte_swapped else '>'}{count}H").pack
        unpack = struct.Struct(">" + "".join(parts)).unpack
        is_in_order = places == list(range(count))
        return pack, None if is_in_order else itemgetter(*places), unpack

    def _renumber(self, new: dict[int, int], order: Sequence[int]) -> None:
        """Indices count fields in wire order from here on."""
        self.lows = [self.lows[old] for old in order]
        self.highs = [self.highs[old] for old in order]
        self.sentinels = [self.sentinels[old] for old in order]
        self.floats = [(new[index], smallest) for index, smallest in self.floats]
        self.instants = [new[index] for index in self.instants]
        self.signs = [(column, new[index]) for column, index in self.signs]
        self.counts = [new[index] for index in self.counts]
        self.states = [(new[index], mask, shift, codes) for index, mask, shift, codes in self.states]
        self.kinds = [(new[index], one, positive) for index, one, positive in self.kinds]


def _picker(indices: Sequence[int]) -> Callable[[tuple[Any, ...]], Sequence[Any]]:
    """A function that takes these items out of a tuple."""
    if not indices:
        return itemgetter(slice(0, 0))
    if list(indices) == list(range(indices[0], indices[0] + len(indices))):
        return itemgetter(slice(indices[0], indices[0] + len(indices)))
    return itemgetter(*indices)
