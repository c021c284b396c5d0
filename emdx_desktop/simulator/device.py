"""A device that answers from its own profile."""

from __future__ import annotations

import math
import struct
import zlib
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

from emdx_desktop.domain.profiles import DeviceProfile, PointDef, ValueType
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind
from emdx_desktop.simulator import point_encoding
from emdx_desktop.simulator.faults import InjectedFault

ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
MAX_BITS = 2000
ROLLOVER_MARGIN_COUNTS = 3
"""A rollover on purpose leaves this many counts to go."""


class Moment(Protocol):
    """All values of a device at one moment."""

    def instant(self, quantity: str) -> float | None:
        """Base unit; None when the device does not measure it."""

    def counter(self, quantity: str) -> Fraction | None:
        """Base units counted so far, exact; None when the device does not count it."""

    def state(self, quantity: str) -> int | None:
        """Code of a state; None when the device has none."""


class ValueSource(Protocol):
    """What a device measures."""

    def at(self, ts_ms: int) -> Moment:
        """All values at a moment, UTC epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class FixedMoment:
    """The same values for ever; what is not named is not measured."""

    instants: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, Fraction] = field(default_factory=dict)
    states: Mapping[str, int] = field(default_factory=dict)

    def at(self, ts_ms: int) -> FixedMoment:
        """Itself at any time."""
        return self

    def instant(self, quantity: str) -> float | None:
        """Base unit."""
        return self.instants.get(quantity)

    def counter(self, quantity: str) -> Fraction | None:
        """Base units."""
        return self.counters.get(quantity)

    def state(self, quantity: str) -> int | None:
        """Code."""
        return self.states.get(quantity)


class _RegisterSpace:
    """Points of one function code and one of the device's unit ids, by address."""

    def __init__(self, profile: DeviceProfile, points: list[PointDef], function_code: int) -> None:
        # Where two points share an address the longer one is written last and wins, a polled one before one that
        # never is; a request for exactly one point gets that point (Carlo Gavazzi EM340: 000Bh alone is the
        # model, in a block it is a voltage).
        self.points = sorted(points, key=lambda point: point.address)
        self.addresses = [point.address for point in self.points]
        self.longest = max(point.words for point in points)
        self.readable: set[int] = set()
        for point in points:
            self.readable.update(range(point.address, point.address + point.words))
        for known in profile.readable:
            if known.function_code == function_code:
                self.readable.update(range(known.first, known.last + 1))

    def overlapping(self, first: int, count: int) -> list[PointDef]:
        """Points of which at least one word lies in the range, those to be written last at the end."""
        begin = bisect_left(self.addresses, first - self.longest + 1)
        end = bisect_left(self.addresses, first + count)
        found = [point for point in self.points[begin:end] if point.address + point.words > first]
        exact = [point for point in found if point.address == first and point.words == count]
        return sorted(exact or found, key=lambda point: (bool(point.group), point.words))


class SimulatedDevice:
    """One device on a line.

    Attributes:
        name: Name, as a target of faults.
        profile: What it answers from.
        unit_id: First unit id.
        latency_s: From request to reply; the profile's unless told otherwise.
    """

    def __init__(
        self,
        name: str,
        profile: DeviceProfile,
        unit_id: int,
        source: ValueSource,
        *,
        settings: Mapping[str, int] | None = None,
        texts: Mapping[str, str] | None = None,
        assumed_scales: Mapping[str, Fraction] | None = None,
        latency_ms: float | None = None,
    ) -> None:
        """Build a device.

        Args:
            name: Name.
            profile: Its registers.
            unit_id: Its first address on the line; it takes `profile.units` of them.
            source: What it measures.
            settings: Raw values of auxiliary points (CT ratio, network type …) by point key.
            texts: Content of ASCII points by point key.
            assumed_scales: Base units a count for points whose document gives no scale.
            latency_ms: Instead of the profile's.
        """
        self.name = name
        self.profile = profile
        self.unit_id = unit_id
        self.latency_s = (profile.response_ms if latency_ms is None else latency_ms) / 1000
        self._source = source
        self._settings = dict(settings or {})
        self._texts = dict(texts or {})
        self._assumed_scales = dict(assumed_scales or {})
        self._offsets: dict[str, int] = {}
        self._pending_jump: InjectedFault | None = None
        self._identity = {identity.point: identity.expected for identity in profile.identity}
        self._signed = {point.sign_point: point for point in profile.points if point.sign_point}
        self._scales = {
            point.key: point_encoding.resolve_scale(point, profile, self._settings, self._assumed_scales)
            for point in profile.points
        }
        grouped: dict[tuple[int, int], list[PointDef]] = {}
        for point in profile.points:
            grouped.setdefault((point.function_code, point.unit_offset), []).append(point)
        self._spaces = {key: _RegisterSpace(profile, points, key[0]) for key, points in grouped.items()}
        self._function_codes = {function_code for function_code, _ in grouped}

    @property
    def unit_ids(self) -> range:
        """Addresses it answers to."""
        return range(self.unit_id, self.unit_id + max(self.profile.units, 1))

    def carry_out(self, fault: InjectedFault) -> None:
        """A counter reset or rollover, effective from the next request."""
        self._pending_jump = fault

    def answer(self, unit_id: int, pdu: bytes, ts_ms: int) -> bytes:
        """The reply's PDU; all its values are of one moment.

        Source: Modbus Application Protocol V1.1b3, sections 6.1 to 6.4 and 7.
        """
        function_code = pdu[0]
        if function_code not in self._function_codes or len(pdu) != 5:
            return bytes((function_code | 0x80, ILLEGAL_FUNCTION))
        first, count = struct.unpack(">HH", pdu[1:])
        is_bits = function_code <= 2
        most = MAX_BITS if is_bits else self.profile.max_registers
        if not 1 <= count <= most or (self.profile.needs_even_count and not is_bits and count % 2):
            return bytes((function_code | 0x80, ILLEGAL_VALUE))
        space = self._spaces.get((function_code, unit_id - self.unit_id))
        if space is None or not space.readable.issuperset(range(first, first + count)):
            return bytes((function_code | 0x80, ILLEGAL_ADDRESS))
        words = self._read(space, first, count, ts_ms)
        if is_bits:
            packed = sum(1 << i for i, bit in enumerate(words) if bit)
            return struct.pack(">BB", function_code, (count + 7) // 8) + packed.to_bytes((count + 7) // 8, "little")
        return struct.pack(f">BB{count}H", function_code, 2 * count, *words)

    def count(self, point: PointDef, total: Fraction) -> int:
        """Counts a counter shows for a total in base units: whole counts only, the rest stays inside."""
        step = point.resolution if point_encoding.is_float(point) and point.resolution else self._scales[point.key]
        return int(total // step) - self._offsets.get(point.key, 0)

    def _read(self, space: _RegisterSpace, first: int, count: int, ts_ms: int) -> list[int]:
        moment = self._source.at(ts_ms)
        if self._pending_jump is not None:
            self._jump(self._pending_jump, moment)
            self._pending_jump = None
        words = [0] * count
        shared: dict[int, int] = {}
        for point in space.overlapping(first, count):
            content = self._content(point, moment)
            if point.bit_mask:  # several values in one register
                content |= shared.get(point.address, 0)
                shared[point.address] = content
            for i, word in enumerate(point_encoding.split_words(point, content, self.profile), point.address - first):
                if 0 <= i < count:
                    words[i] = word
        return words

    def _content(self, point: PointDef, moment: Moment) -> int:
        if point.quantity is None:
            return self._auxiliary_content(point, moment)
        kind = QUANTITIES[point.quantity].kind
        if kind is QuantityKind.COUNTER:
            total = moment.counter(point.quantity)
            if total is not None:
                return point_encoding.encode_count(point, self.count(point, total), self._scales[point.key])
        elif kind is QuantityKind.STATE:
            code = moment.state(point.quantity)
            if code is not None:
                return point_encoding.encode_raw(point, self._raw_of_state(point, code))
        else:
            value = moment.instant(point.quantity)
            if value is not None:
                if point.pf_sign:
                    value = self._signed_by_reactive_kind(point, value, moment)
                return point_encoding.encode_instant(point, value, self._scales[point.key])
        return point_encoding.encode_unavailable(point)

    def _auxiliary_content(self, point: PointDef, moment: Moment) -> int:
        magnitude = self._signed.get(point.key)
        if magnitude is not None and magnitude.quantity is not None:
            value = moment.instant(magnitude.quantity)
            return point_encoding.encode_raw(point, int(value is not None and value < 0))
        if point.key in self._settings:
            return point_encoding.encode_raw(point, self._settings[point.key])
        expected = self._identity.get(point.key)
        if expected:
            return int.from_bytes(b"".join(word.to_bytes(2, "big") for word in expected), "big")
        # what is only remembered and compared, like a serial number, is this device's own
        own = zlib.crc32(f"{self.name} {point.key}".encode()) if expected is not None else 0
        if point.value_type is ValueType.ASCII:
            return point_encoding.encode_text(point, self._texts.get(point.key, f"{own:08X}" if own else ""))
        lowest = max(0, math.ceil((point.valid_min or 0) / float(self._scales[point.key])))
        return point_encoding.encode_raw(point, own or lowest)

    @staticmethod
    def _raw_of_state(point: PointDef, code: int) -> int:
        for raw, kept in (point.states or {}).items():
            if kept == code:
                return raw
        return code

    @staticmethod
    def _signed_by_reactive_kind(point: PointDef, value: float, moment: Moment) -> float:
        """PF as these makers print it: minus is leading (capacitive), plus is lagging (inductive)."""
        quantity = (point.quantity or "").replace("power_factor", "reactive_power")
        reactive = moment.instant(quantity)
        return -abs(value) if reactive is not None and reactive < 0 else abs(value)

    def _jump(self, fault: InjectedFault, moment: Moment) -> None:
        for point in self.profile.points:
            if point.quantity is None or QUANTITIES[point.quantity].kind is not QuantityKind.COUNTER:
                continue
            total = moment.counter(point.quantity)
            if total is None:
                continue
            target = 0
            if fault is InjectedFault.ROLLOVER:
                if point_encoding.is_float(point):
                    continue
                target = point_encoding.compute_modulus(point) - ROLLOVER_MARGIN_COUNTS
            self._offsets[point.key] = self._offsets.get(point.key, 0) + self.count(point, total) - target
