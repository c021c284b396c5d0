"""The usual case in one go: numbers that are plainly good.

A plan is compiled once for the block layout a planner chose. It unpacks every block with one `struct`
call and checks all numbers against bounds that hold only good ones. Columns it cannot take (a type without
a struct code, a scale not known yet, words not in one good block) and columns with a number outside the
bounds are named; `registers.GroupDecoder` looks at those one by one and says what is wrong.
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
"""Of each good block: unit offset, function code, address, count."""

MAX_COUNT = (1 << 63) - 1
"""Highest count of a counter: history keeps 64-bit signed integers."""

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
_HIGHEST: dict[ValueType, Number] = {
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


@dataclass(slots=True)
class _Field:
    """Words of one block that make one raw number, with the bounds of plainly good ones.

    Attributes:
        columns: Columns that cannot be trusted when this number is outside.
    """

    block: int
    start: int
    words: int
    value_type: ValueType
    low: Number
    high: Number
    sentinels: set[Number]
    columns: set[int]
    place: int = 0  # among all fields, in wire order


@dataclass(frozen=True, slots=True)
class _Reader:
    """Takes the fields of one block out of its words."""

    block: int
    pack: Callable[..., bytes]
    order: Callable[[tuple[int, ...]], tuple[int, ...]] | None
    unpack: Callable[[bytes], tuple[Any, ...]]


class FastPlan:
    """Decodes blocks of one layout.

    Attributes:
        others: Columns this plan never decodes, ascending.
    """

    __slots__ = (
        "_columns_of_field",
        "_counts",
        "_dividers",
        "_floats",
        "_highs",
        "_instants",
        "_kinds",
        "_lows",
        "_multipliers",
        "_places",
        "_power_factors",
        "_readers",
        "_rounded",
        "_safe",
        "_sentinels",
        "_signs",
        "_states",
        "_width",
        "others",
    )

    def __init__(
        self, profile: DeviceProfile, columns: Sequence[Column], scales: Sequence[Fraction | None], layout: Layout
    ) -> None:
        """Compile the plan for a layout.

        Args:
            profile: Gives word order and byte order.
            columns: Of the group.
            scales: Base units per count of each column, None while unknown.
            layout: Of the good blocks.
        """
        compiler = _Compiler(columns, scales, layout)
        fields = compiler.fields_in_wire_order()
        self._readers = tuple(
            _reader(profile, [field for field in fields if field.block == block], block, layout[block][3])
            for block in sorted({field.block for field in fields})
        )
        self._lows = tuple(field.low for field in fields)
        self._highs = tuple(field.high for field in fields)
        self._safe = tuple(0 if field.low <= 0 <= field.high else field.low for field in fields)
        self._sentinels = tuple((field.place, field.sentinels) for field in fields if field.sentinels)
        self._floats = tuple(
            (field.place, SMALLEST_NORMAL_FLOAT32 if field.value_type is ValueType.FLOAT32 else SMALLEST_NORMAL_FLOAT64)
            for field in fields
            if field.value_type in _FLOATS
        )
        self._columns_of_field = tuple(frozenset(field.columns) for field in fields)
        self._places = tuple(compiler.places)
        self._width = len(columns)
        self.others = tuple(sorted(set(range(self._width)) - set(self._places)))
        # instants: columns 0 .. n-1 of the fast ones
        self._instants = _picker([field.place for field, _ in compiler.instants])
        numerators = [scale.numerator for _, scale in compiler.instants]
        self._multipliers = tuple(numerators) if set(numerators) != {1} else None
        self._dividers = tuple(scale.denominator for _, scale in compiler.instants)
        self._signs = tuple((column, field.place) for column, field in compiler.signs)
        self._power_factors = tuple(compiler.power_factors)
        # counters
        self._counts = _picker([field.place for field, _ in compiler.counts])
        first = len(self._dividers)
        self._rounded = tuple((first + i, ratio) for i, (_, ratio) in enumerate(compiler.counts) if ratio)
        # states
        self._states = tuple(
            (field.place, point.bit_mask, point.bit_shift, point.states, column)
            for field, point, column in compiler.states
        )
        self._kinds = tuple((field.place, one, is_direct) for field, one, is_direct in compiler.kinds)

    def decode(self, block_words: Sequence[tuple[int, ...]]) -> tuple[list[Number | None], frozenset[int]]:
        """Values of all columns, and which of the fast ones must be looked at again.

        Args:
            block_words: Words of the good blocks, as in the layout.
        Returns:
            Values (None in `others`, not to be used in the columns named), and those columns.
        """
        raws: tuple[Any, ...] = ()
        for reader in self._readers:
            words = block_words[reader.block]
            raws += reader.unpack(reader.pack(*(words if reader.order is None else reader.order(words))))
        bad: frozenset[int] = frozenset()
        if not self._is_plainly_good(raws):
            raws, bad = self._replace_bad(raws)
        instants: Any = self._instants(raws)
        if self._multipliers is not None:
            instants = map(mul, instants, self._multipliers)
        values: list[Number | None] = list(map(truediv, instants, self._dividers))
        for column, place in self._signs:
            if raws[place] and values[column]:
                values[column] = -values[column]  # type: ignore[operator] # instants are numbers
        for column, power in self._power_factors:
            magnitude = abs(values[column])  # type: ignore[arg-type] # instants are numbers
            values[column] = -magnitude if values[power] < 0 else magnitude  # type: ignore[operator] # as above
        values += self._counts(raws)
        for column, ratio in self._rounded:
            values[column] = round(values[column] * ratio)  # type: ignore[operator] # a float counter
        for place, mask, shift, states, column in self._states:
            raw = (raws[place] & mask) >> shift if mask else raws[place]
            if states is not None:
                if raw not in states:
                    bad |= {column}
                    raw = None
                else:
                    raw = states[raw]
            values.append(raw)
        for place, one, is_direct in self._kinds:
            raw = raws[place]
            values.append(0 if raw == 0 or abs(raw) >= one else 1 if (raw > 0) is is_direct else 2)
        if self.others:
            spread: list[Number | None] = [None] * self._width
            for place, value in zip(self._places, values, strict=True):
                spread[place] = value
            return spread, bad
        return values, bad

    def _is_plainly_good(self, raws: tuple[Any, ...]) -> bool:
        # NaN fails both comparisons
        if not (all(map(le, self._lows, raws)) and all(map(ge, self._highs, raws))):
            return False
        for place, smallest in self._floats:
            if -smallest < raws[place] < smallest and raws[place]:
                return False
        return not any(raws[place] in sentinels for place, sentinels in self._sentinels)

    def _replace_bad(self, raws: tuple[Any, ...]) -> tuple[tuple[Any, ...], frozenset[int]]:
        """Raw numbers that can be computed with, and the columns they must not be used for."""
        bad_fields = {
            place
            for place, (low, raw, high) in enumerate(zip(self._lows, raws, self._highs, strict=True))
            if not low <= raw <= high
        }
        bad_fields |= {place for place, smallest in self._floats if raws[place] and abs(raws[place]) < smallest}
        bad_fields |= {place for place, sentinels in self._sentinels if raws[place] in sentinels}
        replaced = tuple(self._safe[i] if i in bad_fields else raw for i, raw in enumerate(raws))
        return replaced, frozenset().union(*(self._columns_of_field[place] for place in bad_fields))


class _Compiler:
    """Finds the columns a plan can take and the fields they need."""

    def __init__(self, columns: Sequence[Column], scales: Sequence[Fraction | None], layout: Layout) -> None:
        self._layout = layout
        self._fields: dict[tuple[int, int, ValueType], _Field] = {}
        self.places: list[int] = []
        self.instants: list[tuple[_Field, Fraction]] = []
        self.signs: list[tuple[int, _Field]] = []
        self.power_factors: list[tuple[int, int]] = []
        self.counts: list[tuple[_Field, int]] = []
        self.states: list[tuple[_Field, PointDef, int]] = []
        self.kinds: list[tuple[_Field, Number, bool]] = []
        powers = {column.point.key: number for number, column in enumerate(columns)}
        can_take = [self._can_take(column, scale) for column, scale in zip(columns, scales, strict=True)]
        for number, column in enumerate(columns):
            if can_take[number] and column.power is not None:
                can_take[number] = can_take[powers[column.power.key]] and self._are_together(column.point, column.power)
        position: dict[str, int] = {}
        for number, (column, scale) in enumerate(zip(columns, scales, strict=True)):
            if not can_take[number] or scale is None:
                continue
            self.places.append(number)
            if column.kind is ColumnKind.INSTANT:
                position[column.point.key] = len(self.instants)
                self._take_instant(column, scale, number)
            elif column.kind is ColumnKind.COUNTER:
                self._take_counter(column.point, scale, number)
            elif column.kind is ColumnKind.STATE:
                self.states.append((self._field(column.point, number), column.point, number))
            else:
                self._take_kind(column.point, number)
        for number, column in enumerate(columns):
            if can_take[number] and column.power is not None:
                self.power_factors.append((position[column.point.key], position[column.power.key]))
                for point in (column.power, column.power_sign_source):
                    if point is not None:
                        self._field(point, number)

    def fields_in_wire_order(self) -> list[_Field]:
        """All fields, each knowing its place."""
        ordered = sorted(self._fields.values(), key=lambda field: (field.block, field.start))
        for place, field in enumerate(ordered):
            field.place = place
        return ordered

    def _can_take(self, column: Column, scale: Fraction | None) -> bool:
        point = column.point
        if scale is None or self._block_of(point) is None:
            return False
        if point.bit_mask and column.kind is not ColumnKind.STATE:
            return False
        if column.sign_source is not None and not self._are_together(point, column.sign_source):
            return False
        is_float = point.value_type in _FLOATS
        if column.kind is ColumnKind.INSTANT:
            # with both, a float would be rounded twice and could differ from the exact way by one bit
            return not is_float or 1 in (scale.numerator, scale.denominator)
        if column.kind is ColumnKind.COUNTER and point.resolution is not None:
            # the product must be exact, or rounding could differ from the exact way
            ratio = scale / point.resolution
            return point.value_type is ValueType.FLOAT32 and ratio.denominator == 1 and ratio <= 1 << 20
        if column.kind is ColumnKind.REACTIVE_KIND:
            return point.scale is not None
        return column.sign > 0 and not is_float

    def _are_together(self, first: PointDef, second: PointDef) -> bool:
        block = self._block_of(first)
        return block is not None and block == self._block_of(second)

    def _block_of(self, point: PointDef) -> int | None:
        """The block that holds all words of a point. (Parsing made sure that points do not overlap.)"""
        if point.value_type not in _FORMATS:
            return None
        for number, (unit_offset, function_code, address, count) in enumerate(self._layout):
            start = point.address - address
            if (unit_offset, function_code) == (point.unit_offset, point.function_code) and (
                0 <= start <= count - point.words
            ):
                return number
        return None

    def _field(self, point: PointDef, column: int) -> _Field:
        """The field of a point; `column` depends on it."""
        block = self._block_of(point)
        assert block is not None
        start = point.address - self._layout[block][2]
        key = (block, start, point.value_type)
        field = self._fields.get(key)
        if field is None:
            highest = _HIGHEST[point.value_type]
            is_float = point.value_type in _FLOATS
            lowest = 0 if point.value_type in _UNSIGNED else -highest if is_float else -highest - 1
            field = _Field(block, start, point.words, point.value_type, lowest, highest, set(), set())
            self._fields[key] = field
        field.columns.add(column)
        for unsigned in point.sentinels:
            _exclude(field, typed_number(unsigned, point.value_type, point.words))
        return field

    def _take_instant(self, column: Column, scale: Fraction, number: int) -> None:
        field = self._field(column.point, number)
        _limit(field, column.point, scale, is_magnitude=column.sign_source is not None)
        if column.sign_source is not None:
            sign = self._field(column.sign_source, number)
            _limit(sign, column.sign_source, Fraction(1))
            self.signs.append((len(self.instants), sign))
        self.instants.append((field, scale * column.sign))

    def _take_counter(self, point: PointDef, scale: Fraction, number: int) -> None:
        field = self._field(point, number)
        ratio = 0 if point.resolution is None else int(scale / point.resolution)
        _limit(field, point, scale)
        field.high = min(field.high, MAX_COUNT // 2 // ratio if ratio else MAX_COUNT)
        self.counts.append((field, ratio))

    def _take_kind(self, point: PointDef, number: int) -> None:
        assert point.scale is not None
        field = self._field(point, number)
        _limit(field, point, point.scale)
        one = abs(1 / point.scale)
        self.kinds.append((field, float(one) if point.value_type in _FLOATS else math.ceil(one), point.scale > 0))


def _exclude(field: _Field, sentinel: Number | None) -> None:
    """A sentinel at an end of the type's range narrows the bounds; the others are looked up."""
    if sentinel is None or not field.low <= sentinel <= field.high:
        return  # cannot pass the bounds anyway (NaN included)
    if field.value_type not in _FLOATS and sentinel == field.high:
        field.high = sentinel - 1
    elif field.value_type not in _FLOATS and sentinel == field.low:
        field.low = sentinel + 1
    else:
        field.sentinels.add(sentinel)


def _limit(field: _Field, point: PointDef, scale: Fraction, *, is_magnitude: bool = False) -> None:
    """Narrow the raw bounds to plausible values; narrower than the truth is safe."""
    lowest = None if point.valid_min is None else Fraction(point.valid_min) / scale
    highest = None if point.valid_max is None else Fraction(point.valid_max) / scale
    if scale < 0:
        lowest, highest = highest, lowest
    if is_magnitude:
        both = [limit for limit in (highest, None if lowest is None else -lowest) if limit is not None]
        highest = min(both, default=None)
        lowest = None if highest is None else -highest
    is_float = field.value_type in _FLOATS
    if lowest is not None:
        field.low = max(field.low, float(lowest + abs(lowest) / 10**9) if is_float else math.ceil(lowest))
    if highest is not None:
        field.high = min(field.high, float(highest - abs(highest) / 10**9) if is_float else math.floor(highest))


def _reader(profile: DeviceProfile, fields: Sequence[_Field], block: int, count: int) -> _Reader:
    parts = []
    places = list(range(count))
    position = 0
    for field in fields:
        parts.append(f"{2 * (field.start - position)}x{_FORMATS[field.value_type]}")
        position = field.start + field.words
        if profile.word_order is WordOrder.LOW_FIRST:
            places[field.start : position] = reversed(places[field.start : position])
    parts.append(f"{2 * (count - position)}x")
    pack = struct.Struct(f"{'<' if profile.is_byte_swapped else '>'}{count}H").pack
    unpack = struct.Struct(">" + "".join(parts)).unpack
    return _Reader(block, pack, None if places == list(range(count)) else itemgetter(*places), unpack)


def _picker(indices: Sequence[int]) -> Callable[[tuple[Any, ...]], Sequence[Any]]:
    """A function that takes these items out of a tuple."""
    if not indices:
        return itemgetter(slice(0, 0))
    if list(indices) == list(range(indices[0], indices[0] + len(indices))):
        return itemgetter(slice(indices[0], indices[0] + len(indices)))
    return itemgetter(*indices)
