"""Faults that can be switched on for a device or a whole line while the simulator runs.

The simulator process takes them as JSON lines on its standard input, one order a line:
    {"target": "QF5 Paint oven", "fault": "late", "delay_ms": 1500}
    {"target": "GW1", "fault": "exception", "exception_code": 6, "times": 3}
    {"target": "GW1", "clear": true}
    {"target": "QF5 Paint oven", "fault": "silent", "clear": true}
A target is the name of a device or of a gateway. `times` ends a fault by itself after that many requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from emdx_desktop.domain.errors import ConfigurationError, Problem


class InjectedFault(StrEnum):
    """What can go wrong on purpose."""

    SILENT = "silent"  # the device does not answer
    LATE = "late"  # it answers `delay_ms` later than it should
    EXCEPTION = "exception"  # it answers `exception_code`
    WRONG_UNIT = "wrong_unit"  # the reply carries another unit id
    NOISE_BYTE = "noise_byte"  # one wrong byte before the reply
    BAD_CRC = "bad_crc"  # the reply's check sum is wrong
    GARBAGE = "garbage"  # random bytes instead of the reply
    DROPPED_CONNECTION = "dropped_connection"  # the connection closes instead of a reply
    COUNTER_RESET = "counter_reset"  # once: all counters start again from 0
    ROLLOVER = "rollover"  # once: all counters jump to just below the end of their range


ONE_TIME_FAULTS = frozenset({InjectedFault.COUNTER_RESET, InjectedFault.ROLLOVER})


@dataclass(slots=True)
class ActiveFault:
    """A fault that is switched on.

    Attributes:
        kind: Which.
        delay_ms: How much later, for `late`.
        exception_code: For `exception`.
        times: Requests it still spoils, None for all until it is switched off.
    """

    kind: InjectedFault
    delay_ms: int = 0
    exception_code: int = 4
    times: int | None = None


class FaultSwitches:
    """Which faults are on, by device or line name."""

    def __init__(self) -> None:
        self._active: dict[str, dict[InjectedFault, ActiveFault]] = {}
        self._one_time: dict[str, list[Callable[[InjectedFault], None]]] = {}

    def register(self, names: Iterable[str], one_time: Callable[[InjectedFault], None]) -> None:
        """Make targets known; `one_time` carries out a counter reset or rollover for one device."""
        for name in names:
            self._one_time.setdefault(name, []).append(one_time)

    def switch_on(
        self,
        target: str,
        kind: InjectedFault,
        *,
        delay_ms: int = 0,
        exception_code: int = 4,
        times: int | None = None,
    ) -> None:
        """Switch a fault on; a one-time fault happens now."""
        if kind in ONE_TIME_FAULTS:
            for carry_out in self._one_time.get(target, ()):
                carry_out(kind)
            return
        self._active.setdefault(target, {})[kind] = ActiveFault(kind, delay_ms, exception_code, times)

    def switch_off(self, target: str, kind: InjectedFault | None = None) -> None:
        """Switch one fault of a target off, or all of them."""
        if kind is None:
            self._active.pop(target, None)
        else:
            self._active.get(target, {}).pop(kind, None)

    def take(self, *targets: str) -> dict[InjectedFault, ActiveFault]:
        """Faults that spoil the present request of these targets, counted down."""
        if not self._active:
            return {}
        found: dict[InjectedFault, ActiveFault] = {}
        for target in targets:
            switched = self._active.get(target)
            if not switched:
                continue
            for kind, fault in list(switched.items()):
                found[kind] = fault
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        del switched[kind]
        return found

    def obey(self, order: Mapping[str, object]) -> None:
        """Carry out one order of the control channel.

        Raises:
            ConfigurationError: The order names an unknown target, fault or number.
        """
        problems = []
        target = order.get("target")
        if not isinstance(target, str) or target not in self._one_time:
            known = ", ".join(sorted(self._one_time))
            problems.append(Problem("target", f"{target!r} is not known here. Known: {known}"))
        kind: InjectedFault | None = None
        if "fault" in order:
            try:
                kind = InjectedFault(str(order["fault"]))
            except ValueError:
                allowed = ", ".join(InjectedFault)
                problems.append(Problem("fault", f"{order['fault']!r} is not a fault. Allowed: {allowed}"))
        elif not order.get("clear"):
            problems.append(Problem("fault", "names no fault to switch on"))
        numbers: dict[str, int] = {}
        for key in ("delay_ms", "exception_code", "times"):
            number = order.get(key)
            if isinstance(number, int) and not isinstance(number, bool) and number >= 0:
                numbers[key] = number
            elif number is not None:
                problems.append(Problem(key, f"{number!r} is not a whole number of 0 or more"))
        if problems or not isinstance(target, str):
            raise ConfigurationError(problems)
        if order.get("clear"):
            self.switch_off(target, kind)
        elif kind is not None:
            self.switch_on(
                target,
                kind,
                delay_ms=numbers.get("delay_ms", 0),
                exception_code=numbers.get("exception_code", 4),
                times=numbers.get("times"),
            )
