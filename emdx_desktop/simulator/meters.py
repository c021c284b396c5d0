"""Meters: what a load measures at a moment, with counters that integrate from a known start.

A counter's total is kept as an integer of milli-unit seconds (mJ for energies) at a whole minute, for each quantity the
meter's profile counts. Going on from there is exact, however long it takes: nothing is rounded before the last count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Protocol

import numpy as np

from emdx_desktop.domain.profiles import DeviceProfile
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind
from emdx_desktop.simulator.load_patterns import Pattern
from emdx_desktop.simulator.loads import (
    MILLI,
    ElectricalState,
    Integers,
    LoadDef,
    PowerNodes,
    SupplyDef,
    compute_counter_rate,
    compute_frequency,
    compute_nodes,
    compute_voltages,
    integrate_minutes,
    integrate_part,
    ripple_at,
)
from emdx_desktop.simulator.local_time import LocalCalendar, LocalMinutes
from emdx_desktop.simulator.noise import Floats, white

MINUTE_MS = 60_000
VOLTAGE_FLICKER_V = 0.12
FREQUENCY_FLICKER_HZ = 0.004
"""How far U and f are off their minute's line in any one second; they do not enter energies."""
KEPT_NODES = 2
"""A live minute is asked for again and again; the rates of a whole history are not worth their memory."""
UNITS_PER_BASE = 3600 * MILLI
"""Milli-unit seconds in one base unit: an hour of a thousand."""


def list_counters(profile: DeviceProfile) -> tuple[str, ...]:
    """Quantities a profile counts and polls."""
    found = {
        point.quantity: None
        for point in profile.points
        if point.group and point.quantity and QUANTITIES[point.quantity].kind is QuantityKind.COUNTER
    }
    return tuple(found)


class Measured(Protocol):
    """Curves of one meter over whole minutes."""

    def instants(self, quantity: str) -> Floats | None:
        """Means of the minutes from each of the n nodes to the next, base unit, shape (n - 1,)."""

    def rates(self, quantity: str) -> Integers | None:
        """Milli-units an hour a counter gains at the n nodes, shape (n,)."""

    def at(self, tau: float) -> Measured:
        """One moment between the first two nodes, tau in [0, 1): instants then have shape (1,)."""


class Model(Protocol):
    """Makes the curves of one meter for any minutes."""

    def measure(self, time: LocalMinutes) -> Measured:
        """Curves at these minutes (consecutive, at least two)."""


@dataclass(frozen=True, slots=True)
class ElectricalModel:
    """A meter of one load, or of several and a supply of its own.

    Attributes:
        load: What it measures; with `branches` only what has no meter of its own.
        branches: Loads behind it that have their own meters.
        supply: Voltage of its panel.
    """

    load: LoadDef
    supply: SupplyDef
    branches: tuple[LoadDef, ...] = ()

    @property
    def voltage_gain(self) -> float:
        """Meters on one busbar do not agree to the last digit: within 0.1 % (class 0.2)."""
        return 1.0 + 0.001 * float(white(np.array([self.load.salt]), 77)[0])

    def compute_nodes(self, time: LocalMinutes) -> PowerNodes:
        """Powers at whole minutes, all branches together."""
        nodes = compute_nodes(self.load, time)
        for branch in self.branches:
            nodes = nodes.plus(compute_nodes(branch, time))
        return nodes

    def measure(self, time: LocalMinutes) -> Measured:
        """Curves at these minutes."""
        return ElectricalCurves(self, time, self.compute_nodes(time))


class ElectricalCurves:
    """Curves of an electrical meter; U and f are worked out when first asked for."""

    def __init__(
        self, model: ElectricalModel, time: LocalMinutes, nodes: PowerNodes, grid: tuple[Floats, Floats] | None = None
    ) -> None:
        """Take the powers at the nodes; `grid` only where another meter of the panel worked it out already."""
        self.model = model
        self.nodes = nodes
        self._time = time
        self._grid = grid
        self._rates: dict[str, Integers | None] = {}

    @property
    def start_minute(self) -> int:
        """UTC minutes since the epoch of the first node."""
        return int(self._time.minutes[0])

    @cached_property
    def grid(self) -> tuple[Floats, Floats]:
        """Voltages and frequency at the nodes."""
        return self._grid or (compute_voltages(self.model.supply, self._time), compute_frequency(self._time))

    @cached_property
    def _means(self) -> ElectricalState:
        voltage, frequency = self.grid
        active, reactive = self.nodes.active / 1000.0, self.nodes.reactive / 1000.0
        return ElectricalState(
            compute_means(active),
            compute_means(reactive),
            compute_means(voltage) * self.model.voltage_gain,
            compute_means(frequency),
            self.model.load,
        )

    def instants(self, quantity: str) -> Floats | None:
        """Base unit, shape (n - 1,)."""
        return self._means.read(quantity)

    def rates(self, quantity: str) -> Integers | None:
        """Milli-units an hour, shape (n,)."""
        if quantity in self._rates:
            return self._rates[quantity]
        rates = compute_counter_rate(quantity, self.nodes, self._time)
        if len(self._time.minutes) <= KEPT_NODES:
            self._rates[quantity] = rates
        return rates

    def at(self, tau: float) -> Measured:
        """One moment between the first two nodes."""
        return ElectricalMoment(self, tau)


class ElectricalMoment:
    """One moment between the first two nodes of a curve."""

    def __init__(self, curves: ElectricalCurves, tau: float) -> None:
        voltage, frequency = curves.grid
        power = ripple_at(tau) / 1000.0
        second = np.array([curves.start_minute * 60 + int(tau * 60)])
        flicker = VOLTAGE_FLICKER_V * white(second, curves.model.supply.salt)
        self._curves = curves
        self._state = ElectricalState(
            interpolate(curves.nodes.active, tau) * power,
            interpolate(curves.nodes.reactive, tau) * power,
            (interpolate(voltage, tau) + flicker) * curves.model.voltage_gain,
            interpolate(frequency, tau) + FREQUENCY_FLICKER_HZ * white(second, 602),
            curves.model.load,
        )

    def instants(self, quantity: str) -> Floats | None:
        """Base unit, shape (1,)."""
        return self._state.read(quantity)

    def rates(self, quantity: str) -> Integers | None:
        """Milli-units an hour at the nodes."""
        return self._curves.rates(quantity)

    def at(self, tau: float) -> Measured:
        """Another moment of the same minute."""
        return ElectricalMoment(self._curves, tau)


def compute_means(nodes: Floats) -> Floats:
    """Mean of each minute of a curve that runs straight between its nodes."""
    return (nodes[..., :-1] + nodes[..., 1:]) / 2


def interpolate(nodes: Floats | Integers, tau: float) -> Floats:
    """The curve between its first two nodes, shape (…, 1)."""
    return np.asarray(nodes[..., :1] * (1 - tau) + nodes[..., 1:2] * tau, np.float64)


@dataclass(frozen=True, slots=True)
class FlowModel:
    """A water or gas meter.

    Attributes:
        medium: `water` or `gas`.
        pattern: Flow, m³/h.
        salt: Makes its chances its own.
    """

    medium: str
    pattern: Pattern
    salt: int

    def measure(self, time: LocalMinutes) -> Measured:
        """Curves at these minutes."""
        return FlowCurves(self.medium, self._nodes(time))

    def _nodes(self, time: LocalMinutes) -> Integers:
        return np.rint(self.pattern(time, self.salt) * MILLI).astype(np.int64)


class FlowCurves:
    """Curves of a water or gas meter."""

    def __init__(self, medium: str, nodes: Integers, tau: float | None = None) -> None:
        """Take flows at whole minutes in litres an hour."""
        self._medium = medium
        self._nodes = nodes
        self._tau = tau

    def instants(self, quantity: str) -> Floats | None:
        """m³/h, shape (n - 1,)."""
        if quantity != f"volume_flow_{self._medium}":
            return None
        if self._tau is None:
            return compute_means(self._nodes / MILLI)
        return interpolate(self._nodes, self._tau) * ripple_at(self._tau) / MILLI

    def rates(self, quantity: str) -> Integers | None:
        """Litres an hour (pulses of a litre: a thousandth of it), shape (n,)."""
        if quantity == f"volume_{self._medium}":
            return self._nodes
        if quantity == "pulse_count":
            return self._nodes * MILLI
        if quantity == "operating_time":
            return np.full(len(self._nodes), MILLI, np.int64)
        return None

    def at(self, tau: float) -> Measured:
        """One moment between the first two nodes."""
        return FlowCurves(self._medium, self._nodes, tau)


@dataclass(frozen=True, slots=True)
class CounterTotals:
    """Exact totals of a meter at a whole minute, milli-unit seconds by quantity."""

    minute: int
    totals: Mapping[str, int]


def estimate_totals(model: Model, calendar: LocalCalendar, quantities: Sequence[str], minute: int) -> CounterTotals:
    """Totals of a meter that has counted for two years like in the week before `minute`."""
    week = 7 * 1440
    curves = model.measure(calendar.read(np.arange(minute - week, minute + 1, dtype=np.int64)))
    totals = {}
    for quantity in quantities:
        rates = curves.rates(quantity)
        if rates is not None:
            totals[quantity] = int(integrate_minutes(rates)[-1]) * 104
    return CounterTotals(minute, totals)


class MeterMoment:
    """One moment of a meter, as a device asks for it."""

    def __init__(self, curves: Measured, totals: Mapping[str, int], part: float) -> None:
        """Take the curves of the present minute and the totals at its start."""
        self._curves = curves
        self._totals = totals
        self._part = part

    def instant(self, quantity: str) -> float | None:
        """Base unit."""
        values = self._curves.instants(quantity)
        return None if values is None else float(values[0])

    def counter(self, quantity: str) -> Fraction | None:
        """Base units, exact."""
        total = self._totals.get(quantity)
        rates = self._curves.rates(quantity)
        if total is None or rates is None:
            return None
        return Fraction(total + int(integrate_part(rates[:1], rates[1:2], self._part)[0]), UNITS_PER_BASE)

    def state(self, quantity: str) -> int | None:
        """0 no reactive power, 1 inductive, 2 capacitive; phases turn right; other states are not known."""
        if quantity == "phase_sequence":
            return 0
        if not quantity.startswith("reactive_kind"):
            return None
        reactive = self.instant(quantity.replace("reactive_kind", "reactive_power"))
        if reactive is None:
            return None
        return 0 if reactive == 0 else 1 if reactive > 0 else 2


class MeterSource:
    """A live meter: its totals go along with the clock."""

    def __init__(self, model: Model, calendar: LocalCalendar, start: CounterTotals) -> None:
        """Start from known totals; it is at work from that minute on."""
        self._model = model
        self._calendar = calendar
        self._at = start
        self._curves: tuple[int, Measured] | None = None

    def at(self, ts_ms: int) -> MeterMoment:
        """All values at a moment. The clock may be set back: what was counted since is taken off again."""
        minute, rest_ms = divmod(ts_ms, MINUTE_MS)
        if minute != self._at.minute:
            self._at = self.advance(minute)
        if self._curves is None or self._curves[0] != minute:
            self._curves = (minute, self._model.measure(self._read(minute, minute + 1)))
        tau = rest_ms / MINUTE_MS
        return MeterMoment(self._curves[1].at(tau), self._at.totals, tau)

    def advance(self, minute: int) -> CounterTotals:
        """Totals at another whole minute."""
        first, last = sorted((self._at.minute, minute))
        if first == last:
            return self._at
        curves = self._model.measure(self._read(first, last))
        sign = 1 if minute > self._at.minute else -1
        totals = dict(self._at.totals)
        for quantity in totals:
            rates = curves.rates(quantity)
            if rates is not None:
                totals[quantity] += sign * int(integrate_minutes(rates)[-1])
        return CounterTotals(minute, totals)

    def _read(self, first: int, last: int) -> LocalMinutes:
        return self._calendar.read(np.arange(first, last + 1, dtype=np.int64))


def write_totals(meters: Mapping[str, CounterTotals]) -> dict[str, object]:
    """Totals of all meters as JSON-able data; integers stay exact."""
    return {name: {"minute": at.minute, "totals": dict(at.totals)} for name, at in meters.items()}


def read_totals(data: object) -> dict[str, CounterTotals]:
    """Totals as `write_totals` wrote them.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(data, dict):
        raise ValueError("no meters")
    meters = {}
    for name, entry in data.items():
        minute, totals = (entry.get("minute"), entry.get("totals")) if isinstance(entry, dict) else (None, None)
        if not isinstance(minute, int) or not isinstance(totals, dict) or not _are_integers(totals.values()):
            raise ValueError(f"{name}: no minute or no totals")
        meters[str(name)] = CounterTotals(minute, totals)
    return meters


def _are_integers(values: Iterable[object]) -> bool:
    return all(isinstance(value, int) for value in values)
