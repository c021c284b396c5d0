"""One guard per counter of the site: takes back what must not be believed yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from emdx_desktop.domain.counters import CounterFindings, CounterGuard, CounterSeed
from emdx_desktop.domain.installation import SupplyDirection
from emdx_desktop.domain.ports import EquippedDevice
from emdx_desktop.domain.quantities import QuantityKind, quantity
from emdx_desktop.domain.readings import DeviceId, GroupLayout, GroupReadings, Quality
from emdx_desktop.domain.supply import reverse_quantity

SeriesKey = tuple[DeviceId, str]

_POWER_QUANTITIES = ("active_power", "apparent_power")


class _GuardedLayout(NamedTuple):
    """Which columns of a read group are counters, and which measures power."""

    layout: GroupLayout
    guards: tuple[tuple[int, CounterGuard], ...]
    power_column: int | None


class CounterBook:
    """Checks the counters of every poll."""

    def __init__(self, seeds: Mapping[SeriesKey, CounterSeed] | None = None) -> None:
        """Begin with what history knows.

        Args:
            seeds: Last reading of each counter, so that a restart neither starts a new epoch nor
                believes a counter that was reset meanwhile.
        """
        self._seeds = dict(seeds or {})
        self._moduli: dict[SeriesKey, int | None] = {}
        self._guards: dict[SeriesKey, CounterGuard] = {}
        self._layouts: dict[int, _GuardedLayout] = {}
        self._newest_layouts: dict[tuple[DeviceId, str], int] = {}
        self._peak_power_w: dict[DeviceId, float] = {}
        self._findings = CounterFindings()

    def equip(self, devices: Iterable[EquippedDevice]) -> None:
        """Learn at which count the counters of these devices roll over."""
        for equipped in devices:
            device = equipped.device
            is_reversed = device.supply is SupplyDirection.DOWNSTREAM
            for point in equipped.profile.points:
                if point.quantity is not None:
                    series = reverse_quantity(point.quantity)[0] if is_reversed else point.quantity
                    key = (device.id, series)
                    self._moduli[key] = point.modulus
                    if key in self._guards:
                        self._guards[key].modulus = point.modulus

    def check(self, readings: GroupReadings) -> GroupReadings:
        """The same readings; counts that are not believed yet become PENDING in a copy."""
        guarded = self._layouts.get(id(readings.layout))
        if guarded is None or guarded.layout is not readings.layout:
            guarded = self._adopt(readings.layout)
        if guarded.power_column is not None and readings.qualities[guarded.power_column] == Quality.GOOD:
            self._observe_power(readings.layout.device_id, readings.values[guarded.power_column])
        doubted: list[tuple[int, Quality]] = []
        for column, guard in guarded.guards:
            count = readings.values[column]
            if readings.qualities[column] == Quality.GOOD and isinstance(count, int):
                quality = guard.check(readings.ts_ms, count, readings.factors[column])
                if quality is not Quality.GOOD:
                    doubted.append((column, quality))
        if not doubted:
            return readings
        values, qualities = list(readings.values), bytearray(readings.qualities)
        for column, quality in doubted:
            values[column] = None
            qualities[column] = quality
        detail = readings.detail or (
            "The counter fell or jumped - its count is not used yet - it is taken once three readings confirm it."
        )
        return replace(readings, values=tuple(values), qualities=bytes(qualities), detail=detail)

    def _adopt(self, layout: GroupLayout) -> _GuardedLayout:
        guards = tuple(
            (column, self._guard(layout.device_id, id_))
            for column, id_ in enumerate(layout.quantities)
            if quantity(id_).kind is QuantityKind.COUNTER
        )
        power = next((layout.quantities.index(id_) for id_ in _POWER_QUANTITIES if id_ in layout.quantities), None)
        place = (layout.device_id, layout.group)
        self._layouts.pop(self._newest_layouts.get(place, 0), None)  # a line was restarted
        self._newest_layouts[place] = id(layout)
        guarded = self._layouts[id(layout)] = _GuardedLayout(layout, guards, power)
        return guarded

    def _guard(self, device_id: DeviceId, series: str) -> CounterGuard:
        key = (device_id, series)
        guard = self._guards.get(key)
        if guard is None:
            guard = CounterGuard(device_id, series, self._findings, self._moduli.get(key), self._seeds.pop(key, None))
            guard.allow_power(self._peak_power_w.get(device_id, 0.0))
            self._guards[key] = guard
        return guard

    def _observe_power(self, device_id: DeviceId, power_w: float | None) -> None:
        if power_w is not None and abs(power_w) > self._peak_power_w.get(device_id, 0.0):
            self._peak_power_w[device_id] = abs(power_w)
            for (owner, series), guard in self._guards.items():
                if owner == device_id and "energy" in series:
                    guard.allow_power(abs(power_w))

    def expect_new_meter(self, device_id: DeviceId, reason: str) -> None:
        """The device was exchanged: its counters start epochs of their own."""
        for (owner, _), guard in self._guards.items():
            if owner == device_id:
                guard.expect_new_meter(reason)

    def shift(self, step_ms: int) -> None:
        """The wall clock was set."""
        for guard in self._guards.values():
            guard.shift(step_ms)

    def take_findings(self) -> CounterFindings:
        """Events and epochs since the last call."""
        taken = CounterFindings(list(self._findings.events), list(self._findings.epochs))
        self._findings.events.clear()
        self._findings.epochs.clear()
        return taken
