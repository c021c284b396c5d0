"""The one table of quantities: ids used in profiles, files and output; symbols people see.

Source: names and symbols follow IEC 61557-12; the ids are our own design (docs/adr).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from emdx_desktop.domain.errors import UnknownQuantityError


class QuantityKind(StrEnum):
    """How samples of a quantity are condensed into a minute."""

    INSTANT = "instant"  # mean of the good samples
    COUNTER = "counter"  # the last good raw count
    STATE = "state"  # the last; history keeps changes


@dataclass(frozen=True, slots=True)
class QuantityDef:
    """One quantity.

    Attributes:
        id: Stable id, e.g. `active_power_l1`.
        symbol: IEC symbol shown to people, e.g. `P1`.
        unit: Unit stored (base unit); for a counter the unit that count * factor has.
        kind: Instant, counter or state.
        name: English name.
        exponent: Decimal exponent of the integers kept in history for an instant
            (value = integer * 10 ** exponent); 0 for counters and states.
    """

    id: str
    symbol: str
    unit: str
    kind: QuantityKind
    name: str
    exponent: int = 0


HARMONIC_ORDERS = range(2, 64)
PHASES = ("l1", "l2", "l3")
PAIRS = ("l12", "l23", "l31")


def _instants() -> Iterator[QuantityDef]:
    def instant(id_: str, symbol: str, unit: str, name: str, exponent: int) -> QuantityDef:
        return QuantityDef(id_, symbol, unit, QuantityKind.INSTANT, name, exponent)

    for i, phase in enumerate(PHASES, 1):
        yield instant(f"voltage_{phase}_n", f"V{i}", "V", f"Voltage L{i} to neutral", -2)
    for pair in PAIRS:
        yield instant(f"voltage_{pair}", f"U{pair[1:]}", "V", f"Voltage L{pair[1]} to L{pair[2]}", -2)
    for i, phase in enumerate(PHASES, 1):
        yield instant(f"current_{phase}", f"I{i}", "A", f"Current L{i}", -3)
    yield instant("current_n", "IN", "A", "Neutral current", -3)
    yield instant("residual_current", "IΔn", "A", "Residual current", -4)
    for base, symbol, unit, name in (
        ("active_power", "P", "W", "Active power"),
        ("reactive_power", "Q", "var", "Reactive power"),
        ("apparent_power", "S", "VA", "Apparent power"),
    ):
        yield instant(base, symbol, unit, name, 0)
        for i, phase in enumerate(PHASES, 1):
            yield instant(f"{base}_{phase}", f"{symbol}{i}", unit, f"{name} L{i}", 0)
        for suffix, mark, word in (
            ("demand", "md", "demand"),
            ("demand_max", "max", "highest demand"),
            ("demand_predicted", "pred", "predicted demand"),
            ("export_demand", "md−", "export demand"),
            ("export_demand_max", "max−", "highest export demand"),
            ("export_demand_predicted", "pred−", "predicted export demand"),
            ("average", "avg", "average"),
            ("min", "min", "lowest"),
            ("max", "max", "highest"),
        ):
            yield instant(f"{base}_{suffix}", f"{symbol}{mark}", unit, f"{name}, {word}", 0)
    yield instant("power_factor", "PF", "1", "Power factor", -3)
    for i, phase in enumerate(PHASES, 1):
        yield instant(f"power_factor_{phase}", f"PF{i}", "1", f"Power factor L{i}", -3)
    yield instant("frequency", "F", "Hz", "Frequency", -3)
    yield instant("temperature", "T", "°C", "Temperature", -1)
    for n in (1, 2):
        yield instant(f"temperature_{n}", f"T{n}", "°C", f"Temperature {n}", -1)
    yield instant("unbalance_voltage", "u2", "%", "Voltage unbalance", -2)
    yield instant("unbalance_current", "i2", "%", "Current unbalance", -2)
    yield instant("voltage_average", "Vavg", "V", "Voltage, mean of phases", -2)
    yield instant("voltage_average_line", "Uavg", "V", "Voltage between phases, mean", -2)
    yield instant("current_average", "Iavg", "A", "Current, mean of phases", -3)
    for i, phase in enumerate((*PHASES, "n"), 1):
        mark = f"I{i}" if phase != "n" else "IN"
        for suffix, symbol, word in (
            ("demand", "md", "demand"),
            ("demand_max", "max", "highest demand"),
            ("min", "min", "lowest"),
            ("max", "max", "highest"),
        ):
            where = f"L{i}" if phase != "n" else "neutral"
            yield instant(f"current_{phase}_{suffix}", f"{mark}{symbol}", "A", f"Current {where}, {word}", -3)
    for i, phase in enumerate(PHASES, 1):
        for suffix, word in (("min", "lowest"), ("max", "highest")):
            yield instant(f"voltage_{phase}_n_{suffix}", f"V{i}{suffix}", "V", f"Voltage L{i} to neutral, {word}", -2)
    for where in (*PHASES, *PAIRS):
        symbol = f"V{where[1]}" if where in PHASES else f"U{where[1:]}"
        yield instant(f"thd_voltage_{where}", f"THD {symbol}", "%", f"Distortion of {symbol}", -2)
    for i, phase in enumerate((*PHASES, "n"), 1):
        symbol = f"I{i}" if phase != "n" else "IN"
        yield instant(f"thd_current_{phase}", f"THD {symbol}", "%", f"Distortion of {symbol}", -2)
    for order in HARMONIC_ORDERS:
        for where in (*PHASES, *PAIRS):
            symbol = f"V{where[1]}" if where in PHASES else f"U{where[1:]}"
            yield instant(
                f"harmonic_voltage_{where}_h{order}", f"{symbol} h{order}", "%", f"Harmonic {order} of {symbol}", -2
            )
        for i, phase in enumerate((*PHASES, "n"), 1):
            symbol = f"I{i}" if phase != "n" else "IN"
            yield instant(
                f"harmonic_current_{phase}_h{order}", f"{symbol} h{order}", "%", f"Harmonic {order} of {symbol}", -2
            )
    for n in range(1, 5):
        yield instant(f"analog_input_{n}", f"AI{n}", "mA", f"Analogue input {n}", -2)
    yield instant("trip_value", "trip", "–", "Value at trip", 0)
    yield instant("volume_flow_water", "qw", "m³/h", "Water flow", -3)
    yield instant("volume_flow_gas", "qg", "m³/h", "Gas flow", -3)


def _counters() -> Iterator[QuantityDef]:
    def counter(id_: str, symbol: str, unit: str, name: str) -> QuantityDef:
        return QuantityDef(id_, symbol, unit, QuantityKind.COUNTER, name)

    suffixes: list[tuple[str, str, str]] = [("", "", "")]
    suffixes += [(f"_{phase}", f" L{i}", f", L{i}") for i, phase in enumerate(PHASES, 1)]
    suffixes += [(f"_t{n}", f" T{n}", f", tariff {n}") for n in range(1, 5)]
    suffixes += [("_partial", " part", ", partial")]
    for base, symbol, unit, name in (
        ("active_energy_import", "Ea+", "Wh", "Active energy in"),
        ("active_energy_export", "Ea−", "Wh", "Active energy out"),
        ("active_energy_total", "ΣEa", "Wh", "Active energy, in plus out"),
        ("reactive_energy_import", "Er+", "varh", "Reactive energy in"),
        ("reactive_energy_export", "Er−", "varh", "Reactive energy out"),
        ("reactive_energy_total", "ΣEr", "varh", "Reactive energy, in plus out"),
        ("apparent_energy", "Eap", "VAh", "Apparent energy"),
    ):
        for suffix, mark, word in suffixes:
            yield counter(f"{base}{suffix}", f"{symbol}{mark}", unit, f"{name}{word}")
            if base.startswith("reactive"):
                for sector, sign in (("inductive", "ind"), ("capacitive", "cap")):
                    yield counter(f"{base}{suffix}_{sector}", f"{symbol}{mark} {sign}", unit, f"{name}{word}, {sector}")
    yield counter("energy_balance", "Ebal", "Wh", "Energy balance")
    yield counter("volume_water", "Vw", "m³", "Water")
    yield counter("volume_gas", "Vg", "m³", "Gas")
    yield counter("volume_oil", "Vo", "m³", "Oil")
    yield counter("pulse_count", "n", "1", "Pulses")
    yield counter("operating_time", "t", "h", "Operating time")


def _states() -> Iterator[QuantityDef]:
    def state(id_: str, symbol: str, name: str) -> QuantityDef:
        return QuantityDef(id_, symbol, "", QuantityKind.STATE, name)

    yield state("breaker_position", "Q", "Breaker position")
    yield state("breaker_fault", "Qf", "Breaker fault")
    yield state("trip_time", "tt", "Time of trip")
    yield state("current_direction", "dir", "Direction of current")
    yield state("reactive_kind", "ind/cap", "Inductive or capacitive")
    for i, phase in enumerate(PHASES, 1):
        yield state(f"reactive_kind_{phase}", f"ind/cap {i}", f"Inductive or capacitive L{i}")
    yield state("trip_cause", "cause", "Cause of trip")
    for n in range(1, 13):
        yield state(f"input_{n}", f"IN{n}", f"Input {n}")
        yield state(f"output_{n}", f"OUT{n}", f"Output {n}")
    yield state("phase_sequence", "seq", "Phase sequence")
    yield state("tariff_in_use", "T", "Tariff in use")
    yield state("charge_state", "chg", "Charging")


QUANTITIES: Mapping[str, QuantityDef] = MappingProxyType(
    {definition.id: definition for part in (_instants(), _counters(), _states()) for definition in part}
)

READ_OFFSET_PREFIX = "read_offset_ms."
"""History keeps one series per device and read group that holds counters: milliseconds from the
start of the minute to the last good reading of the group, so that an index at a boundary can be
interpolated to the true second. Its id is this prefix and the group's name."""


def quantity(id_: str) -> QuantityDef:
    """The definition of a quantity id.

    Raises:
        UnknownQuantityError: The table does not list it.
    """
    try:
        return QUANTITIES[id_]
    except KeyError:
        raise UnknownQuantityError(f'"{id_}" is not a known quantity.') from None


def read_offset_series(group: str) -> str:
    """Series id of the read offsets of a read group."""
    return READ_OFFSET_PREFIX + group


EXPORT_IMPORT_PAIRS: Mapping[str, str] = MappingProxyType(
    {id_: id_.replace("_import", "_export") for id_ in QUANTITIES if "_import" in id_}
    | {id_: id_.replace("_export", "_import") for id_ in QUANTITIES if "_energy_export" in id_}
)
"""Which series takes the place of which when a supply direction is turned round."""
