"""Believable history of the demo plant: the very curves the live simulator goes on with.

Eight quantities a device for thirteen months, everything else for eight days, with the gaps a real plant has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from emdx_desktop.domain.history import SeriesColumn
from emdx_desktop.domain.profiles import DeviceProfile, PointDef, ValueType
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind, read_offset_series
from emdx_desktop.simulator import point_encoding
from emdx_desktop.simulator.building import DemoBuilding, DemoDevice
from emdx_desktop.simulator.loads import Integers, PowerNodes, integrate_minutes, integrate_part
from emdx_desktop.simulator.local_time import LocalMinutes
from emdx_desktop.simulator.meters import (
    MINUTE_MS,
    UNITS_PER_BASE,
    CounterTotals,
    ElectricalCurves,
    ElectricalModel,
    Measured,
    estimate_totals,
    list_counters,
    write_totals,
)
from emdx_desktop.simulator.noise import Floats, hash_unit

Mask = NDArray[np.bool_]

LONG_DAYS = 396
"""Thirteen months."""
DETAIL_DAYS = 8
LONG_QUANTITIES = 8
DAY_MIN = 1440

# What is kept for thirteen months, most wanted first; the first eight a device has are taken.
_WANTED = (
    "active_power",
    "active_energy_import",
    "active_energy_import_partial",
    "active_energy_export",
    "reactive_energy_import",
    "reactive_energy_import_partial",
    "power_factor",
    "voltage_l1_n",
    "reactive_power",
    "current_l1",
    "current_l2",
    "current_l3",
    "frequency",
    "voltage_l2_n",
    "voltage_l3_n",
    "volume_water",
    "volume_flow_water",
    "volume_gas",
    "volume_flow_gas",
    "operating_time",
)


@dataclass(frozen=True, slots=True)
class HistoryPart:
    """One series of one device.

    Attributes:
        device: Name of the device.
        column: Its series.
        start_ms: UTC start of the first minute.
        values: Scaled integers (instants), raw counts (counters) or milliseconds (read offsets), shape (n,).
        is_good: Shape (n,); False where nothing was recorded.
        factor: Base units a count, exact, for counters; None otherwise.
        modulus: Counts at which the counter rolls over, None when its document does not say.
    """

    device: str
    column: SeriesColumn
    start_ms: int
    values: Integers
    is_good: Mask
    factor: Fraction | None = None
    modulus: int | None = None


@dataclass(frozen=True, slots=True)
class _Window:
    """Consecutive minutes of a history: n values between n + 1 nodes."""

    time: LocalMinutes
    is_good: Mask

    @property
    def start_ms(self) -> int:
        return int(self.time.minutes[0]) * MINUTE_MS


class DemoHistory:
    """History of all devices up to a moment.

    Attributes:
        end_ms: First minute that is no longer part of it.
        device_names: In the order they are generated.
    """

    def __init__(
        self,
        building: DemoBuilding,
        end_ms: int,
        *,
        long_days: int = LONG_DAYS,
        detail_days: int = DETAIL_DAYS,
        seed: int = 0,
    ) -> None:
        """Describe a history.

        Args:
            building: The plant.
            end_ms: UTC, epoch milliseconds; rounded down to the minute.
            long_days: How far the chosen quantities go back.
            detail_days: How far all others go back.
            seed: Changes where the gaps are.
        """
        self.end_ms = end_ms // MINUTE_MS * MINUTE_MS
        self._building = building
        self._detail_minutes = detail_days * DAY_MIN
        self._seed = seed
        end = self.end_ms // MINUTE_MS
        self._time = building.calendar.read(np.arange(end - long_days * DAY_MIN, end + 1, dtype=np.int64))
        self._grids: dict[str, tuple[Floats, Floats]] = {}
        self._totals: dict[str, CounterTotals] = {}
        # the incomer adds up what the others have shown, so it comes last
        self.device_names = tuple(sorted(building.devices, key=lambda name: bool(self._branches(name))))

    def generate(self) -> Iterator[HistoryPart]:
        """All series, device by device in the order of `device_names`."""
        sums: dict[str, PowerNodes] = {}
        for name in self.device_names:
            device = self._building.devices[name]
            curves = self._measure(device, sums)
            yield from self._generate_device(device, curves)

    def start_state(self) -> dict[str, object]:
        """Exact totals of all counters at `end_ms`, for the live simulator to go on from (JSON-able).

        Raises:
            RuntimeError: The history has not been generated to its end.
        """
        if len(self._totals) != len(self.device_names):
            raise RuntimeError("generate the history first: its totals are what the live simulator starts from")
        return write_totals(self._totals)

    def _branches(self, name: str) -> Sequence[object]:
        model = self._building.devices[name].model
        return model.branches if isinstance(model, ElectricalModel) else ()

    def _measure(self, device: DemoDevice, sums: dict[str, PowerNodes]) -> Measured:
        model = device.model
        if not isinstance(model, ElectricalModel):
            return model.measure(self._time)
        own = ElectricalModel(model.load, model.supply)
        nodes = own.compute_nodes(self._time)
        if model.branches:
            nodes = nodes.plus(sums["branches"])
        else:
            sums["branches"] = sums["branches"].plus(nodes) if sums else nodes
        panel = model.supply.panel
        curves = ElectricalCurves(model, self._time, nodes, self._grids.get(panel))
        self._grids.setdefault(panel, curves.grid)
        return curves

    def _generate_device(self, device: DemoDevice, curves: Measured) -> Iterator[HistoryPart]:
        profile = self._building.profiles[device.name]
        points = _list_points(profile)
        kept = {quantity: points[quantity] for quantity in _WANTED if quantity in points}
        kept = dict(list(kept.items())[:LONG_QUANTITIES])
        cut = max(0, len(self._time.minutes) - 1 - self._detail_minutes)
        totals, recent_totals = self._count(device, curves, kept, cut)
        long = _Window(self._time, self._mask_of(device))
        yield from self._generate_window(device, profile, kept, curves, totals, long, set())
        done = {point.group for quantity, point in kept.items() if quantity in totals}
        rest = {quantity: point for quantity, point in points.items() if quantity not in kept}
        nearer = LocalMinutes(self._time.minutes[cut:], self._time.local[cut:])
        detail = _Window(nearer, long.is_good[cut:])
        recent = self._cut_curves(device, curves, cut, nearer)
        yield from self._generate_window(device, profile, rest, recent, recent_totals, detail, done)

    def _count(
        self, device: DemoDevice, curves: Measured, kept: Mapping[str, PointDef], cut: int
    ) -> tuple[dict[str, Integers], dict[str, Integers]]:
        """Totals of the kept counters at all minutes, and of the others from node `cut` on."""
        profile = self._building.profiles[device.name]
        start = int(self._time.minutes[0])
        first = estimate_totals(device.model, self._building.calendar, list_counters(profile), start)
        totals, recent, last = {}, {}, {}
        for quantity, before in first.totals.items():
            rates = curves.rates(quantity)
            assert rates is not None  # it had one a moment ago
            reached = before + integrate_minutes(rates)
            last[quantity] = int(reached[-1])
            if quantity in kept:
                totals[quantity] = reached
            else:
                recent[quantity] = reached[cut:].copy()
        self._totals[device.name] = CounterTotals(int(self._time.minutes[-1]), last)
        return totals, recent

    @staticmethod
    def _cut_curves(device: DemoDevice, curves: Measured, cut: int, time: LocalMinutes) -> Measured:
        if not isinstance(curves, ElectricalCurves):
            return device.model.measure(time)
        nodes = PowerNodes(curves.nodes.active[:, cut:], curves.nodes.reactive[:, cut:])
        voltages, frequency = curves.grid
        return ElectricalCurves(curves.model, time, nodes, (voltages[:, cut:], frequency[cut:]))

    def _generate_window(
        self,
        device: DemoDevice,
        profile: DeviceProfile,
        points: Mapping[str, PointDef],
        curves: Measured,
        totals: Mapping[str, Integers],
        window: _Window,
        offsets_done: set[str],
    ) -> Iterator[HistoryPart]:
        offset_ms = self._offset_of(device)
        for quantity, point in points.items():
            definition = QUANTITIES[quantity]
            if definition.kind is QuantityKind.INSTANT:
                means = curves.instants(quantity)
                if means is not None:
                    values = np.rint(means * 10.0**-definition.exponent).astype(np.int64)
                    column = SeriesColumn(quantity, QuantityKind.INSTANT, definition.exponent)
                    yield HistoryPart(device.name, column, window.start_ms, values, window.is_good)
            elif quantity in totals:
                rates = curves.rates(quantity)
                assert rates is not None
                reached = totals[quantity][:-1] + integrate_part(rates[:-1], rates[1:], offset_ms / MINUTE_MS)
                scale = point_encoding.resolve_scale(point, profile, device.settings, device.scales)
                column = SeriesColumn(quantity, QuantityKind.COUNTER, 0, point.group)
                yield HistoryPart(
                    device.name,
                    column,
                    window.start_ms,
                    compute_counts(point, scale, reached),
                    window.is_good,
                    point.resolution or scale,
                    point.modulus,
                )
                if point.group not in offsets_done:
                    offsets_done.add(point.group)
                    column = SeriesColumn(read_offset_series(point.group), QuantityKind.COUNTER, 0, point.group)
                    offsets = np.full(len(window.is_good), offset_ms, np.int64)
                    yield HistoryPart(device.name, column, window.start_ms, offsets, window.is_good)

    def _offset_of(self, device: DemoDevice) -> int:
        """Millisecond of the minute at which a device was read: its place in the cycle of its line."""
        return 1_500 + 3_370 * list(self._building.devices).index(device.name) % 57_000

    def _mask_of(self, device: DemoDevice) -> Mask:
        """Minutes that were recorded: not while the computer was updated, its line was down or it did not answer."""
        minutes = self._time.minutes[:-1]
        lines = list(self._building.lines)
        names = list(self._building.devices)
        is_good = ~_outages(minutes, self._seed + 8001, 1 / 45, 5, 20)
        is_good &= ~_outages(minutes, self._seed + 8100 + lines.index(device.line), 1 / 60, 3, 95)
        is_good &= ~_outages(minutes, self._seed + 8200 + names.index(device.name), 1 / 70, 1, 25)
        lost: Mask = hash_unit(minutes, self._seed + 8300 + names.index(device.name)) < 2e-5
        return is_good & ~lost


def _list_points(profile: DeviceProfile) -> dict[str, PointDef]:
    """Polled points by quantity."""
    return {point.quantity: point for point in reversed(profile.points) if point.group and point.quantity}


def _outages(minutes: Integers, salt: int, chance_a_day: float, shortest_min: int, longest_min: int) -> Mask:
    """On a few days one outage of some length; True where it was."""
    days = minutes // DAY_MIN
    first = int(days[0])
    every = np.arange(first, int(days[-1]) + 1, dtype=np.int64)
    happens = hash_unit(every, salt) < chance_a_day
    start = every * DAY_MIN + (hash_unit(every, salt + 1) * (DAY_MIN - longest_min)).astype(np.int64)
    length = shortest_min + (hash_unit(every, salt + 2) ** 2 * (longest_min - shortest_min)).astype(np.int64)
    is_out = np.zeros(len(minutes), np.bool_)
    for day in np.flatnonzero(happens):
        begin = int(start[day]) - int(minutes[0])
        is_out[max(begin, 0) : max(begin + int(length[day]), 0)] = True
    return is_out


def compute_counts(point: PointDef, scale: Fraction, totals: Integers) -> Integers:
    """What a client reads as raw count when a meter has counted these totals (milli-unit seconds), shape (n,).

    A float register rounds: its count is the rounded number again in steps of its resolution.
    """
    is_coarse_float = point.value_type is ValueType.FLOAT32 and point.resolution is not None
    step = point.resolution if point.resolution is not None and point_encoding.is_float(point) else scale
    units = step * UNITS_PER_BASE
    counts: Integers = totals // units.numerator if units.denominator == 1 else _divide(totals, units)
    if is_coarse_float:
        shown = (counts * float(step) / float(scale)).astype(np.float32).astype(np.float64)
        counts = np.rint(shown * float(scale) / float(step)).astype(np.int64)
    elif not point_encoding.is_float(point):
        modulus = point_encoding.compute_modulus(point)
        is_balance = point_encoding.compute_raw_range(point)[0] < 0 and bool((counts < 0).any())
        if not is_balance and int(counts.max(initial=0)) >= modulus:
            counts = counts % modulus
    return counts


def _divide(totals: Integers, units: Fraction) -> Integers:
    """Whole counts where one count is no whole number of units: exact, in parts that cannot overflow."""
    whole, rest = np.divmod(totals, units.numerator)
    return np.asarray(whole * units.denominator + rest * units.denominator // units.numerator, np.int64)
