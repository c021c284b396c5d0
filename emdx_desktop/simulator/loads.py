"""Physically consistent loads: P, Q, S, U, I and PF agree in each phase and in total, and counters integrate power.

Powers are whole milliwatts at whole minutes and run straight from one to the next, with one common ripple of 20 s that
cancels out over each minute. So energies are exact integers (mJ), sums over meters hold at every moment, and a history
made of minutes goes over into live values without a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emdx_desktop.simulator.load_patterns import Pattern
from emdx_desktop.simulator.local_time import LocalMinutes
from emdx_desktop.simulator.noise import Floats, smooth, white

Integers = NDArray[np.int64]

RIPPLE = 0.006
RIPPLE_TURNS = 3
"""Ripples a minute; a whole number, or it would not cancel out."""
MILLI = 1000
_OMEGA = 2 * np.pi * RIPPLE_TURNS
_PHASES = ("l1", "l2", "l3")
_PAIRS = {"l12": (0, 1), "l23": (1, 2), "l31": (2, 0)}
_ANGLE = np.radians((0.0, -120.0, 120.0))


def ripple_at(tau: float) -> float:
    """Common factor of all powers at a moment of the minute, tau in [0, 1]."""
    return float(1.0 + RIPPLE * np.cos(_OMEGA * tau))


def integrate_part(start: Integers, end: Integers, tau: float) -> Integers:
    """Milli-unit seconds from the start of the minute to tau, for rates that run from `start` to `end`.

    At tau = 1 this is exactly the trapezium: the ripple and its product with the slope cancel out.
    """
    level = tau + RIPPLE * np.sin(_OMEGA * tau) / _OMEGA
    slope = tau * tau / 2 + RIPPLE * (tau * np.sin(_OMEGA * tau) / _OMEGA + (np.cos(_OMEGA * tau) - 1) / _OMEGA**2)
    part: Integers = np.floor(60.0 * (start * level + (end - start) * slope)).astype(np.int64)
    return part


def integrate_minutes(rates: Integers) -> Integers:
    """Milli-unit seconds counted at each of the minutes since the first: shape (n,) for n rates, exact."""
    total = np.zeros(len(rates), np.int64)
    np.cumsum((rates[:-1] + rates[1:]) * 30, out=total[1:])
    return total


@dataclass(frozen=True, slots=True)
class LoadDef:
    """One user of electricity.

    Attributes:
        name: Name of its circuit.
        pattern: Power over time, kW.
        salt: Makes its chances its own.
        shares: Of the three phases, together 1.
        tan_phi: Reactive over active power; negative is capacitive.
        idle_kvar: Reactive power that is always there.
        rated_kw: Full load.
        thd_current_pct: Distortion of its current at full load.
        is_feeding: Power goes out to the supply (negative).
    """

    name: str
    pattern: Pattern
    salt: int
    shares: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    tan_phi: float = 0.3
    idle_kvar: float = 0.0
    rated_kw: float = 10.0
    thd_current_pct: float = 12.0
    is_feeding: bool = False


@dataclass(frozen=True, slots=True)
class PowerNodes:
    """Powers at whole minutes.

    Attributes:
        active: Milliwatts by phase, shape (3, n); + is consumption from the supply.
        reactive: Millivars by phase, shape (3, n); + is inductive.
    """

    active: Integers
    reactive: Integers

    def plus(self, other: PowerNodes) -> PowerNodes:
        """Both together."""
        return PowerNodes(self.active + other.active, self.reactive + other.reactive)


def compute_nodes(load: LoadDef, time: LocalMinutes) -> PowerNodes:
    """Powers of a load at whole minutes."""
    power = load.pattern(time, load.salt) * 1e6 * (-1.0 if load.is_feeding else 1.0)
    is_three_phase = max(load.shares) < 1
    sway = 0.03 if is_three_phase else 0.0
    first = load.shares[0] + sway * smooth(time.minutes, 37, load.salt + 31) if sway else load.shares[0]
    second = load.shares[1] + sway * smooth(time.minutes, 53, load.salt + 32) if sway else load.shares[1]
    active = np.empty((3, len(time.minutes)), np.int64)
    active[0] = np.rint(power * first)
    active[1] = np.rint(power * second)
    active[2] = np.rint(power * (1.0 - first - second))
    tan_phi = load.tan_phi * (1.0 + 0.06 * smooth(time.minutes, 71, load.salt + 33))
    idle = np.array(load.shares)[:, None] * load.idle_kvar * 1e6
    return PowerNodes(active, np.rint(active * tan_phi + idle).astype(np.int64))


@dataclass(frozen=True, slots=True)
class SupplyDef:
    """The voltage a panel gets.

    Attributes:
        panel: Name of the panel.
        salt: Makes its line its own.
        drop_v: Voltage lost on the way to it in working hours.
    """

    panel: str
    salt: int
    drop_v: float


def compute_voltages(supply: SupplyDef, time: LocalMinutes) -> Floats:
    """Phase voltages at whole minutes, V, shape (3, n): one grid for the site, a drop for each panel."""
    minutes = time.minutes
    busy = np.clip(1.0 - np.abs(time.of_day - 720.0) / 480.0, 0.0, 1.0) * np.where(time.is_workday, 1.0, 0.3)
    grid = 232.4 + 1.6 * smooth(minutes, 240, 501) + 0.7 * smooth(minutes, 29, 502)
    voltages = np.empty((3, len(minutes)))
    for i in range(3):
        own = (0.5, -0.4, 0.1)[i] + 0.35 * smooth(minutes, 83, 510 + i) + 0.12 * white(minutes, 520 + i)
        voltages[i] = grid + own - supply.drop_v * busy * (1.0 + 0.1 * smooth(minutes, 61, supply.salt + i))
    return voltages


def compute_frequency(time: LocalMinutes) -> Floats:
    """Grid frequency at whole minutes, Hz."""
    return 50.0 + 0.022 * smooth(time.minutes, 13, 600) + 0.012 * smooth(time.minutes, 3, 601)


class ElectricalState:
    """All electrical quantities of one meter at n moments, worked out from P, Q, U and f when they are asked for."""

    def __init__(
        self, active_w: Floats, reactive_var: Floats, voltage_v: Floats, frequency_hz: Floats, load: LoadDef
    ) -> None:
        """Take the independent quantities.

        Args:
            active_w: Shape (3, n).
            reactive_var: Shape (3, n).
            voltage_v: Phase to neutral, shape (3, n).
            frequency_hz: Shape (n,).
            load: For its distortion and the phases it has.
        """
        self._active = active_w
        self._reactive = reactive_var
        self._voltage = voltage_v
        self._frequency = frequency_hz
        self._load = load

    @cached_property
    def _apparent(self) -> Floats:
        return np.hypot(self._active, self._reactive)

    @cached_property
    def _current(self) -> Floats:
        return self._apparent / self._voltage

    @cached_property
    def _total(self) -> tuple[Floats, Floats, Floats]:
        active, reactive = self._active.sum(axis=0), self._reactive.sum(axis=0)
        return active, reactive, np.hypot(active, reactive)

    @cached_property
    def _neutral(self) -> Floats:
        """Vector sum of the phase currents, and the third harmonics, which add up in the neutral."""
        angle = _ANGLE[:, None] - np.arctan2(self._reactive, self._active)
        fundamental = np.hypot((self._current * np.cos(angle)).sum(axis=0), (self._current * np.sin(angle)).sum(axis=0))
        third = 0.35 * self._load.thd_current_pct / 100 * self._current.sum(axis=0)
        return np.asarray(np.hypot(fundamental, third), np.float64)

    @cached_property
    def _line_voltage(self) -> Floats:
        v = self._voltage
        pairs = [np.sqrt(v[a] ** 2 + v[b] ** 2 + v[a] * v[b]) for a, b in _PAIRS.values()]
        return np.stack(pairs)

    @cached_property
    def _thd_voltage(self) -> Floats:
        """2 to 3 %, more when the grid is high at night (own design)."""
        return 1.6 + 0.25 * np.abs(self._voltage - 228.0)

    @cached_property
    def _thd_current(self) -> Floats:
        """Rises as the load falls: the distorted part stays."""
        relative = self._apparent / (self._load.rated_kw * 1000 * np.array(self._load.shares)[:, None] + 1.0)
        return np.asarray(np.clip(self._load.thd_current_pct * (0.7 + 0.3 / (0.15 + relative)), 0.0, 150.0), np.float64)

    def read(self, quantity: str) -> Floats | None:
        """Values in base units, shape (n,); None for what such a meter does not measure."""
        if quantity in _SYSTEM:
            return _SYSTEM[quantity](self)
        base, _, end = quantity.rpartition("_")
        if end in ("demand", "average", "predicted"):
            return self._one_way(base.removesuffix("_demand"))
        if end in ("max", "min"):
            return self._extreme(base, end == "max")
        if base.startswith("harmonic_"):
            return self._harmonic(base, int(end[1:]))
        if end in _PHASES and (by_phase := _BY_PHASE.get(base)) is not None:
            return np.asarray(by_phase(self)[_PHASES.index(end)], np.float64)
        if base in ("voltage", "thd_voltage") and end in _PAIRS:
            voltages = self._line_voltage if base == "voltage" else self._thd_voltage * 0.93
            return np.asarray(voltages[list(_PAIRS).index(end)], np.float64)
        return None

    def _one_way(self, quantity: str) -> Floats | None:
        """Demands are kept apart by direction: what goes the other way counts 0."""
        values = self.read(quantity.removesuffix("_export"))
        if values is None:
            return None
        return np.maximum(-values if quantity.endswith("_export") else values, 0.0)

    def _extreme(self, quantity: str, is_highest: bool) -> Floats | None:
        """A plausible lowest or highest so far: constant for voltages, otherwise of the order of the rated load."""
        plain = quantity.removesuffix("_demand").removesuffix("_export")
        values = self.read(plain)
        if values is None:
            return None
        if plain.startswith("voltage"):
            return np.full_like(values, 238.9 if is_highest else 224.3)
        rated = 1150.0 * self._load.rated_kw / (232.0 * 3 if plain.startswith("current") else 1.0)
        rated *= _SHARE_OF_HIGHEST.get(plain.partition("_power")[0], 1.0)
        is_other_way = quantity.removesuffix("_demand").endswith("_export") != self._load.is_feeding
        return np.full_like(values, rated if is_highest and not is_other_way else 0.0)

    def _harmonic(self, base: str, order: int) -> Floats | None:
        """Odd orders carry the distortion and fall with their order; triple ones only in the current."""
        kind, _, where = base.removeprefix("harmonic_").partition("_")
        distortion = self.read(f"thd_{kind}_{where}")
        if distortion is None:
            return None
        weight = (
            0.02 if order % 2 == 0 else {3: 0.45, 5: 0.62, 7: 0.45, 9: 0.15, 11: 0.25, 13: 0.18}.get(order, 1 / order)
        )
        return np.asarray(distortion * weight, np.float64)


def _power_factor(active: Floats, apparent: Floats) -> Floats:
    return np.asarray(np.divide(active, apparent, out=np.ones_like(apparent), where=apparent > 0), np.float64)


def _unbalance(values: Floats) -> Floats:
    """Largest deviation from the mean, over the mean, %."""
    mean = values.mean(axis=0)
    deviation = 100 * np.abs(values - mean).max(axis=0)
    return np.asarray(np.divide(deviation, mean, out=np.zeros_like(mean), where=mean > 0), np.float64)


# What ElectricalState keeps to itself is read here only.
_SHARE_OF_HIGHEST: Mapping[str, float] = {"reactive": 0.4, "apparent": 1.08}
"""Highest Q and S beside the highest P, so that S² is not below P² + Q² (own design)."""

_SYSTEM: Mapping[str, Callable[[ElectricalState], Floats]] = {
    "active_power": lambda state: state._total[0],
    "reactive_power": lambda state: state._total[1],
    "apparent_power": lambda state: state._total[2],
    "power_factor": lambda state: _power_factor(state._total[0], state._total[2]),
    "frequency": lambda state: state._frequency,
    "current_n": lambda state: state._neutral,
    "residual_current": lambda state: 0.004 + 0.0002 * state._current.sum(axis=0),
    "temperature": lambda state: 31.0 + 0.02 * state._current.sum(axis=0),
    "voltage_l1_n": lambda state: state._voltage[0],
    "voltage_l2_n": lambda state: state._voltage[1],
    "voltage_l3_n": lambda state: state._voltage[2],
    "voltage_average": lambda state: state._voltage.mean(axis=0),
    "voltage_average_line": lambda state: state._line_voltage.mean(axis=0),
    "current_average": lambda state: state._current.mean(axis=0),
    "thd_current_n": lambda state: state._thd_current.mean(axis=0) * 1.4,
    "unbalance_voltage": lambda state: _unbalance(state._line_voltage),
    "unbalance_current": lambda state: _unbalance(state._current),
}
_BY_PHASE: Mapping[str, Callable[[ElectricalState], Floats]] = {
    "active_power": lambda state: state._active,
    "reactive_power": lambda state: state._reactive,
    "apparent_power": lambda state: state._apparent,
    "power_factor": lambda state: _power_factor(state._active, state._apparent),
    "current": lambda state: state._current,
    "thd_voltage": lambda state: state._thd_voltage,
    "thd_current": lambda state: state._thd_current,
}


def compute_counter_rate(quantity: str, nodes: PowerNodes, time: LocalMinutes) -> Integers | None:
    """Milli-units an hour a counter gains at whole minutes (mW for Wh …), shape (n,); None when it is no energy.

    Tariff 1 counts from 06:00 to 22:00 local, tariff 2 at night, 3 and 4 never (own design).
    """
    base, suffixes = _split_counter(quantity)
    if base == "operating_time":
        return np.full(len(time.minutes), MILLI, np.int64)
    pick = next((_PHASES.index(suffix) for suffix in suffixes if suffix in _PHASES), None)
    active = nodes.active.sum(axis=0) if pick is None else nodes.active[pick]
    reactive = nodes.reactive.sum(axis=0) if pick is None else nodes.reactive[pick]
    kind, _, direction = base.rpartition("_")
    if base == "apparent_energy":
        rate: Integers = np.rint(np.hypot(active.astype(np.float64), reactive.astype(np.float64))).astype(np.int64)
    elif base == "energy_balance":
        rate = active
    elif kind in ("active_energy", "reactive_energy"):
        signed = active if kind == "active_energy" else reactive
        rate = {"import": np.maximum(signed, 0), "export": np.maximum(-signed, 0), "total": np.abs(signed)}[direction]
    else:
        return None
    if "inductive" in suffixes or "capacitive" in suffixes:
        is_inductive = (active >= 0) == (reactive >= 0)
        rate = np.where(is_inductive == ("inductive" in suffixes), rate, 0)
    for suffix in suffixes:
        if suffix[0] == "t":
            is_day = plateau_mask(time.of_day)
            rate = rate * {"t1": is_day, "t2": 1 - is_day}.get(suffix, 0)
    return np.asarray(rate, np.int64)


def plateau_mask(of_day: Floats) -> Integers:
    """1 from 06:00 to 22:00 local, else 0."""
    return ((of_day >= 360) & (of_day < 1320)).astype(np.int64)


def _split_counter(quantity: str) -> tuple[str, Sequence[str]]:
    """`active_energy_import_l1_partial` -> (`active_energy_import`, [`l1`, `partial`])."""
    words = quantity.split("_")
    suffixes = []
    while words[-1] in ("l1", "l2", "l3", "t1", "t2", "t3", "t4", "partial", "inductive", "capacitive"):
        suffixes.append(words.pop())
    return "_".join(words), suffixes
