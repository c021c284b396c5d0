"""Register words become readings, by the device's profile.

Every value gets a quality of its own; a number is given only where the quality is GOOD. All words of a
value, and a magnitude with its sign, come from one block: values are never put together from two replies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from emdx_desktop.domain.fast_decoding import MAX_COUNT, FastPlan, Layout
from emdx_desktop.domain.group_columns import Column, ColumnKind, build_columns
from emdx_desktop.domain.installation import Device
from emdx_desktop.domain.profile_points import FLOAT_TYPES
from emdx_desktop.domain.profiles import READ_INTERVALS_S, DeviceProfile, PointDef, ScaleRule, ValueType
from emdx_desktop.domain.readings import GroupLayout, GroupReadings, Quality
from emdx_desktop.domain.words import is_measurable, typed_number, unsigned_value

MAX_PLANS = 16
"""Compiled block layouts kept per scale of a group; a planner splits a group in few ways only."""


@dataclass(frozen=True, slots=True)
class RegisterBlock:
    """The answer to one read, checked against its request.

    Attributes:
        unit_offset: Added to the device's unit id.
        function_code: 1..4.
        address: First register (wire address).
        words: Words read (for function codes 1 and 2 one 0/1 per bit), None when the read failed.
        quality: GOOD, or why there are no words.
        detail: The fault in words, empty when good.
    """

    unit_offset: int
    function_code: int
    address: int
    words: tuple[int, ...] | None
    quality: Quality = Quality.GOOD
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Sample:
    """What the words of one point say, before its scale.

    Attributes:
        quality: GOOD when `number` can be used.
        number: Raw number, signed as its type says.
        block: Index of the block it came from, -1 for none.
        detail: Why it is not good.
    """

    quality: Quality
    number: int | float = 0
    block: int = -1
    detail: str = ""


@dataclass(slots=True)
class _Scales:
    """Scales of a group's columns for one state of the selectors.

    Attributes:
        of_columns: Base units per count, None while unknown.
        factors: For counters, as `GroupReadings.factors`; one object as long as nothing changes.
        plans: Compiled block layouts.
    """

    of_columns: tuple[Fraction | None, ...]
    factors: tuple[Fraction | None, ...]
    plans: dict[Layout, FastPlan]


class _Samples:
    """Samples of the points of a group, each made when it is first asked for."""

    def __init__(self, profile: DeviceProfile, blocks: Sequence[RegisterBlock]) -> None:
        self._profile = profile
        self._blocks = blocks
        self._found: dict[str, _Sample] = {}

    def of(self, point: PointDef) -> _Sample:
        """The sample of a point."""
        if point.key not in self._found:
            self._found[point.key] = read_sample(self._profile, point, self._blocks)
        return self._found[point.key]


class GroupDecoder:
    """Decodes one read group of one device.

    Attributes:
        layout: Quantities of the group in column order, derived `reactive_kind` included.
        points: Every point the group reads, signs and auxiliary points included.
    """

    def __init__(self, profile: DeviceProfile, group: str, device: Device) -> None:
        self._profile = profile
        self.points: tuple[PointDef, ...] = tuple(point for point in profile.points if point.group == group)
        priority = next(definition.priority for definition in profile.groups if definition.name == group)
        self._columns = build_columns(self.points, device.supply)
        self._entered_scales = device.scales
        self.layout = GroupLayout(
            device_id=device.id,
            group=group,
            quantities=tuple(column.quantity for column in self._columns),
            interval_s=READ_INTERVALS_S[priority],
        )
        rule_names = {column.point.scale_rule for column in self._columns} - {""}
        self._rules: tuple[ScaleRule, ...] = tuple(profile.scale_rules[name] for name in sorted(rule_names))
        self._selectors = tuple(dict.fromkeys(key for rule in self._rules for key in rule.points))
        self._all_good = bytes(len(self._columns))
        self._scales_key: tuple[Fraction | None, ...] | None = None
        self._scales = self._resolve_scales({})

    def decode(self, blocks: Sequence[RegisterBlock], ts_ms: int, auxiliary: Mapping[str, Fraction]) -> GroupReadings:
        """Readings of the group from the blocks that were read for it.

        Args:
            blocks: One per request, failed ones included.
            ts_ms: UTC moment of the reply, epoch milliseconds.
            auxiliary: Newest values of the scale selectors (`auxiliary_values`), by point key.
        Returns:
            All columns of `layout`; a value only where the quality is GOOD. Never raises for any words.
        """
        scales = self._scales
        if self._selectors:
            key = tuple(auxiliary.get(selector) for selector in self._selectors)
            if key != self._scales_key:
                self._scales_key = key
                scales = self._scales = self._resolve_scales(auxiliary)
        layout = []
        good_words = []
        for block in blocks:
            words = block.words
            if words is not None and block.quality is Quality.GOOD:
                layout.append((block.unit_offset, block.function_code, block.address, len(words)))
                good_words.append(words)
        plan = self._plan(scales, tuple(layout))
        values, bad = plan.decode(good_words)
        if bad or plan.others:
            return self._decode_others(blocks, ts_ms, scales, values, sorted(bad.union(plan.others)))
        return GroupReadings(self.layout, ts_ms, tuple(values), self._all_good, scales.factors)

    # --- scales ---

    def _resolve_scales(self, auxiliary: Mapping[str, Fraction]) -> _Scales:
        chosen = {rule.name: choose_scale(rule, auxiliary) for rule in self._rules}
        of_columns: list[Fraction | None] = []
        factors: list[Fraction | None] = []
        for column in self._columns:
            point = column.point
            if column.kind in (ColumnKind.STATE, ColumnKind.REACTIVE_KIND):
                scale: Fraction | None = Fraction(1)
            elif point.scale_rule:
                scale = chosen[point.scale_rule]
            elif point.scale is None:
                scale = self._entered_scales.get(point.key)
            else:
                scale = point.scale
            of_columns.append(scale)
            is_counter = column.kind is ColumnKind.COUNTER
            factors.append((point.resolution or scale) if is_counter and scale is not None else None)
        return _Scales(tuple(of_columns), tuple(factors), {})

    def _plan(self, scales: _Scales, layout: Layout) -> FastPlan:
        plan = scales.plans.get(layout)
        if plan is None:
            if len(scales.plans) >= MAX_PLANS:
                scales.plans.clear()
            plan = scales.plans[layout] = FastPlan(self._profile, self._columns, scales.of_columns, layout)
        return plan

    def _decode_others(
        self,
        blocks: Sequence[RegisterBlock],
        ts_ms: int,
        scales: _Scales,
        values: list[float | int | None],
        others: Iterable[int],
    ) -> GroupReadings:
        """The columns that are not plainly good, one by one."""
        samples = _Samples(self._profile, blocks)
        qualities = bytearray(self._all_good)
        detail = ""
        for number in others:
            quality, value, reason = _evaluate(self._columns[number], scales.of_columns[number], samples)
            values[number] = value if quality is Quality.GOOD else None
            qualities[number] = quality
            detail = detail or reason
        return GroupReadings(self.layout, ts_ms, tuple(values), bytes(qualities), scales.factors, detail)


def choose_scale(rule: ScaleRule, auxiliary: Mapping[str, Fraction]) -> Fraction | None:
    """Base units per count by the rule; None as long as a selector was not read."""
    selector = Fraction(1)
    for key in rule.points:
        if key not in auxiliary:
            return None
        selector *= auxiliary[key]
    for step in rule.steps:
        if step.below is None or selector < step.below:
            return step.scale
    return None  # pragma: no cover - parsing makes the last step take all the rest


def auxiliary_values(profile: DeviceProfile, blocks: Sequence[RegisterBlock]) -> dict[str, Fraction]:
    """Scaled values of the auxiliary points and scale selectors found good in the blocks, by point key.

    A selector outside its limits or "not available" is left out: what depends on it stays PENDING.
    """
    selectors = {key for rule in profile.scale_rules.values() for key in rule.points}
    found: dict[str, Fraction] = {}
    for point in profile.points:
        if not point.group or point.scale is None or not _is_number(point):
            continue
        if point.quantity is not None and point.key not in selectors:
            continue
        sample = read_sample(profile, point, blocks)
        if sample.quality is Quality.GOOD:
            value = Fraction(sample.number) * point.scale
            if _in_limits(value, point):
                found[point.key] = value
    return found


def identity_words(profile: DeviceProfile, blocks: Sequence[RegisterBlock]) -> dict[str, tuple[int, ...]]:
    """Words of the identification points found in the blocks, as on the wire, by point key."""
    found: dict[str, tuple[int, ...]] = {}
    for entry in profile.identity:
        words = _words_of(profile.point(entry.point), blocks)[1]
        if words is not None:
            found[entry.point] = words
    return found


def read_sample(profile: DeviceProfile, point: PointDef, blocks: Sequence[RegisterBlock]) -> _Sample:
    """Quality and raw number of one point."""
    index, words, failure = _words_of(point, blocks)
    if words is None:
        return failure
    unsigned = unsigned_value(words, profile.word_order, profile.is_byte_swapped)
    if unsigned in point.sentinels:
        return _Sample(Quality.SENTINEL, detail=f"{_place(point)}: the device says the value is not available.")
    number = typed_number(unsigned, point.value_type, point.words)
    if number is None:
        return _Sample(Quality.IMPLAUSIBLE, detail=f"{_place(point)}: 0x{unsigned:X} is no decimal number.")
    if point.value_type in FLOAT_TYPES and not is_measurable(number, point.value_type):
        return _Sample(Quality.SENTINEL, detail=f"{_place(point)}: the device sends no number.")
    if point.bit_mask:
        number = (unsigned & point.bit_mask) >> point.bit_shift
    return _Sample(Quality.GOOD, number, index)


def _words_of(point: PointDef, blocks: Sequence[RegisterBlock]) -> tuple[int, tuple[int, ...] | None, _Sample]:
    """Block index and words of a point; without words, the sample that says why.

    The extent of a failed block is not known: the nearest one below the point is held to be its own.
    """
    failed: RegisterBlock | None = None
    is_torn = False
    for index, block in enumerate(blocks):
        if (block.unit_offset, block.function_code) != (point.unit_offset, point.function_code):
            continue
        start = point.address - block.address
        if block.words is None or block.quality is not Quality.GOOD:
            if start >= 0 and (failed is None or failed.address < block.address):
                failed = block
        elif start >= 0 and start + point.words <= len(block.words):
            return index, block.words[start : start + point.words], _Sample(Quality.GOOD)
        elif start < len(block.words) and start + point.words > 0:
            is_torn = True
    if is_torn:
        return -1, None, _Sample(Quality.PROTOCOL, detail=f"{_place(point)}: the value was split over two reads.")
    if failed is None:
        return -1, None, _Sample(Quality.PROTOCOL, detail=f"{_place(point)}: the register was not read.")
    quality = Quality.PROTOCOL if failed.quality is Quality.GOOD else failed.quality
    return -1, None, _Sample(quality, detail=failed.detail or f"{_place(point)}: the read failed.")


def _evaluate(column: Column, scale: Fraction | None, samples: _Samples) -> tuple[Quality, float | int, str]:
    """Quality, value and reason of one column."""
    point = column.point
    sample = samples.of(point)
    if sample.quality is not Quality.GOOD:
        return sample.quality, 0, sample.detail
    if column.kind is ColumnKind.STATE:
        return _evaluate_state(point, sample)
    if column.kind is ColumnKind.REACTIVE_KIND:
        return _evaluate_reactive_kind(point, sample)
    if scale is None:
        what = "is read from another register first" if point.scale_rule else "is not known: enter it for this device"
        return Quality.PENDING, 0, f"{_place(point)}: the scale {what}."
    value = Fraction(sample.number) * scale
    if column.sign_source is not None:
        is_negative, bad = _is_negative(sample, samples.of(column.sign_source), column.sign_source)
        if bad is not None:
            return bad.quality, 0, bad.detail
        value = -value if is_negative else value
    if not _in_limits(value, point):
        return Quality.IMPLAUSIBLE, 0, f"{_place(point)}: {float(value):g} is outside what is plausible."
    if column.kind is ColumnKind.COUNTER:
        count = int(sample.number) if point.resolution is None else round(value / point.resolution)
        if abs(count) > MAX_COUNT:
            return Quality.IMPLAUSIBLE, 0, f"{_place(point)}: the count is too large to be one."
        return Quality.GOOD, count * column.sign, ""
    if column.power is not None:
        return _with_direction(column, column.power, abs(value), sample, samples)
    return Quality.GOOD, float(value * column.sign), ""


def _with_direction(
    column: Column, power: PointDef, magnitude: Fraction, sample: _Sample, samples: _Samples
) -> tuple[Quality, float, str]:
    """A power factor takes the sign of the active power read in the same request."""
    power_sample = samples.of(power)
    if power_sample.quality is not Quality.GOOD:
        return power_sample.quality, 0, power_sample.detail
    if power_sample.block != sample.block:
        return Quality.PROTOCOL, 0, f"{_place(column.point)}: its active power came from another read."
    direction = power_sample.number * column.sign
    if column.power_sign_source is not None:
        is_negative, bad = _is_negative(power_sample, samples.of(column.power_sign_source), column.power_sign_source)
        if bad is not None:
            return bad.quality, 0, bad.detail
        direction = -direction if is_negative else direction
    return Quality.GOOD, float(-magnitude if direction < 0 else magnitude), ""


def _is_negative(magnitude: _Sample, sign: _Sample, sign_point: PointDef) -> tuple[bool, _Sample | None]:
    """Whether the sign register says minus; the sample that forbids using it, if any."""
    if sign.quality is not Quality.GOOD:
        return False, sign
    if sign.block != magnitude.block:
        return False, _Sample(Quality.PROTOCOL, detail=f"{_place(sign_point)}: read apart from its magnitude.")
    if not _in_limits(Fraction(sign.number), sign_point):
        return False, _Sample(Quality.IMPLAUSIBLE, detail=f"{_place(sign_point)}: {sign.number} is no sign.")
    return sign.number != 0, None


def _evaluate_state(point: PointDef, sample: _Sample) -> tuple[Quality, int, str]:
    raw = int(sample.number)
    if point.states is None:
        return Quality.GOOD, raw, ""
    if raw not in point.states:
        return Quality.IMPLAUSIBLE, 0, f"{_place(point)}: {raw} is no state the document lists."
    return Quality.GOOD, point.states[raw], ""


def _evaluate_reactive_kind(point: PointDef, sample: _Sample) -> tuple[Quality, int, str]:
    """0 for PF = 1 (or 0: no load), 1 inductive, 2 capacitive, from the sign of the power factor."""
    if point.scale is None:
        return Quality.PENDING, 0, f"{_place(point)}: the scale is not known: enter it for this device."
    factor = Fraction(sample.number) * point.scale
    if not _in_limits(factor, point):
        return Quality.IMPLAUSIBLE, 0, f"{_place(point)}: {float(factor):g} is outside what is plausible."
    if factor == 0 or abs(factor) >= 1:
        return Quality.GOOD, 0, ""
    return Quality.GOOD, 1 if factor > 0 else 2, ""


def _in_limits(value: Fraction, point: PointDef) -> bool:
    return (point.valid_min is None or value >= point.valid_min) and (
        point.valid_max is None or value <= point.valid_max
    )


def _is_number(point: PointDef) -> bool:
    return point.value_type is not ValueType.ASCII


def _place(point: PointDef) -> str:
    """A point as the person finds it in the maker's document."""
    return f"{point.label} (register {point.document_register})"
