"""Polls become minutes: means, lows, highs and sums of instants, last counts of counters, changes of states.

A minute is stamped at its start and holds [start, end). Means are rounded half to even to the scaled integers of
their quantity: they are statistics, not money. Counters are never averaged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from emdx_desktop.domain.history import MINUTE_MS, DeviceMinute, MinuteLayout, SeriesColumn, StateChange
from emdx_desktop.domain.quantities import QuantityKind, quantity, read_offset_series
from emdx_desktop.domain.readings import DeviceId, GroupLayout, GroupReadings, Quality

Floats: TypeAlias = NDArray[np.float64]

_MAX_SCALED = 2.0**53
"""Beyond it a float is no exact integer any more; no quantity comes near."""

_LONGEST_CYCLE_S = 600.0
"""A line whose own cycle is longer than this is out of order, not slow (own design)."""


@dataclass(frozen=True, slots=True)
class FoldedMinute:
    """What a minute came to."""

    devices: tuple[DeviceMinute, ...]
    states: tuple[StateChange, ...]


class _GroupFold:
    """Running statistics of one read group of one device.

    The common reading, all columns good, costs a conversion and three additions over the whole row; columns that
    are no instants ride along and are ignored at the end.
    """

    def __init__(self, layout: GroupLayout) -> None:
        self.layout = layout
        definitions = [quantity(id_) for id_ in layout.quantities]
        self._instants = [i for i, definition in enumerate(definitions) if definition.kind is QuantityKind.INSTANT]
        self._counters = [i for i, definition in enumerate(definitions) if definition.kind is QuantityKind.COUNTER]
        self._states = [i for i, definition in enumerate(definitions) if definition.kind is QuantityKind.STATE]
        self.columns = [
            *(SeriesColumn(definitions[i].id, QuantityKind.INSTANT, definitions[i].exponent) for i in self._instants),
            *(SeriesColumn(definitions[i].id, QuantityKind.COUNTER, 0, layout.group) for i in self._counters),
        ]
        if self._counters:
            self.columns.append(SeriesColumn(read_offset_series(layout.group), QuantityKind.COUNTER, 0, layout.group))
        self._scales = np.array([10.0 ** -definitions[i].exponent for i in self._instants])
        n = len(layout.quantities)
        self._all_good = bytes(n)
        self._sums: Floats = np.zeros(n)
        self._lows: Floats = np.empty(n)
        self._highs: Floats = np.empty(n)
        self._partial_polls = np.zeros(n, np.int64)
        self._full_polls = 0
        self._has_partial = False
        self._counts: tuple[float | int | None, ...] = ()
        self._count_qualities = b""
        self._counts_good = 0
        self._count_ts_ms = 0
        self._codes: list[float | int | None] = [None] * n
        self._unknown_since_ms: list[int | None] = [None] * n
        self._is_state_good = [False] * n
        self._last_qualities = self._all_good
        self._last_ts_ms = 0
        self._spacing_s = 0.0
        self._has_reading = False
        self._clear()

    def _clear(self) -> None:
        self._sums.fill(0.0)
        self._lows.fill(np.inf)
        self._highs.fill(-np.inf)
        self._full_polls = 0
        if self._has_partial:
            self._partial_polls.fill(0)
            self._has_partial = False
        self._counts_good = 0
        self._has_reading = False
        for i in self._states:
            self._is_state_good[i] = False

    def fold(self, readings: GroupReadings, changes: list[StateChange]) -> None:
        """Add one poll."""
        ts_ms = readings.ts_ms
        if self._last_ts_ms:
            self._spacing_s = max(0.0, (ts_ms - self._last_ts_ms) / 1000)
        self._last_ts_ms = ts_ms
        self._last_qualities = readings.qualities
        self._has_reading = True
        is_all_good = readings.qualities == self._all_good
        if self._instants:
            row = np.array(readings.values, np.float64)
            if is_all_good:
                self._full_polls += 1
                self._sums += row
                np.minimum(self._lows, row, out=self._lows)
                np.maximum(self._highs, row, out=self._highs)
            else:
                self._fold_partly(readings, row)
        elif is_all_good:
            self._full_polls += 1
        else:
            self._fold_partly(readings, None)
        if self._counters:
            self._fold_counters(readings, is_all_good)
        if self._states:
            self._fold_states(readings, changes)

    def _fold_partly(self, readings: GroupReadings, row: Floats | None) -> None:
        is_good = np.frombuffer(readings.qualities, np.uint8) == Quality.GOOD
        self._has_partial = True
        self._partial_polls += is_good
        if row is not None:
            row[~is_good] = np.nan
            np.fmin(self._lows, row, out=self._lows)
            np.fmax(self._highs, row, out=self._highs)
            row[~is_good] = 0.0
            self._sums += row

    def _fold_counters(self, readings: GroupReadings, is_all_good: bool) -> None:
        # one moment times all counters of the group: the last poll that has no fewer good ones than another
        good = len(self._counters)
        if not is_all_good:
            qualities = readings.qualities
            good = sum(1 for i in self._counters if qualities[i] == Quality.GOOD)
        if good and good >= self._counts_good:
            self._counts = readings.values
            self._count_qualities = readings.qualities
            self._counts_good = good
            self._count_ts_ms = readings.ts_ms

    def _fold_states(self, readings: GroupReadings, changes: list[StateChange]) -> None:
        for i in self._states:
            if readings.qualities[i] == Quality.GOOD:
                code = readings.values[i]
                self._is_state_good[i] = True
                self._unknown_since_ms[i] = None
                if code != self._codes[i]:
                    self._codes[i] = code
                    changes.append(self._change(i, readings.ts_ms, code))
            elif self._unknown_since_ms[i] is None:
                self._unknown_since_ms[i] = readings.ts_ms

    def _change(self, i: int, ts_ms: int, code: float | int | None) -> StateChange:
        return StateChange(self.layout.device_id, self.layout.quantities[i], ts_ms, None if code is None else int(code))

    def forget_states(self, changes: list[StateChange], ts_ms: int) -> None:
        """From `ts_ms` on nothing is known (the program stops, the PC slept)."""
        for i in self._states:
            if self._codes[i] is not None:
                self._codes[i] = None
                changes.append(self._change(i, ts_ms, None))

    def shift(self, step_ms: int) -> None:
        """The wall clock was set."""
        self._last_ts_ms += step_ms

    def adopt_states(self, other: _GroupFold) -> None:
        """Go on from the codes of the group this one replaces (a line was restarted)."""
        known = dict(zip(other.layout.quantities, other._codes, strict=True))
        for i in self._states:
            self._codes[i] = known.get(self.layout.quantities[i])

    def close(self, minute_ms: int, minute: _MinuteColumns, changes: list[StateChange]) -> None:
        """Append the columns of this group and begin anew."""
        missing = self._missing_quality(minute_ms)
        self._close_instants(minute, missing)
        if self._counters:
            self._close_counters(minute_ms, minute, missing)
        for i in self._states:
            since_ms = self._unknown_since_ms[i]
            if since_ms is not None and not self._is_state_good[i] and self._codes[i] is not None:
                self._codes[i] = None
                changes.append(self._change(i, since_ms, None))
        self._clear()

    def _missing_quality(self, minute_ms: int) -> Quality | None:
        """Quality of every column when no poll came at all; None when one did."""
        if self._has_reading:
            return None
        period_s = min(max(self.layout.interval_s, self._spacing_s), _LONGEST_CYCLE_S)
        period_s = max(period_s, self.layout.interval_s)
        silence_ms = minute_ms + MINUTE_MS - self._last_ts_ms
        is_due_later = period_s * 1000 + MINUTE_MS >= silence_ms and period_s * 1000 >= MINUTE_MS * 0.9
        return Quality.NOT_DUE if is_due_later else Quality.STALE

    def _quality_without_good(self, i: int, missing: Quality | None) -> int:
        """Why a column has no good sample: the last attempt says it if it failed."""
        last = self._last_qualities[i]
        return missing if missing is not None and last == Quality.GOOD else last

    def _close_instants(self, minute: _MinuteColumns, missing: Quality | None) -> None:
        if not self._instants:
            return
        picked = self._instants
        polls = self._partial_polls[picked] + self._full_polls
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            sums = self._sums[picked] * self._scales
            scaled = np.rint(
                np.stack((sums / polls, self._lows[picked] * self._scales, self._highs[picked] * self._scales, sums))
            )
            is_sound = np.all(np.abs(scaled) < _MAX_SCALED, axis=0)  # False for NaN and infinity, too
        if is_sound.all():
            means, lows, highs, totals = scaled.astype(np.int64).tolist()
            minute.values += means
            minute.lows += lows
            minute.highs += highs
            minute.sums += totals
            minute.polls += polls.tolist()
            minute.qualities += bytes(len(picked))
            return
        scaled[:, ~is_sound] = 0.0
        means, lows, highs, totals = scaled.astype(np.int64).tolist()
        for column, i in enumerate(picked):
            if is_sound[column]:
                minute.append(means[column], lows[column], highs[column], totals[column], int(polls[column]))
            elif polls[column]:  # a number that is none was called good: never kept (invariant I1)
                minute.append_missing(Quality.IMPLAUSIBLE)
            else:
                minute.append_missing(self._quality_without_good(i, missing))

    def _close_counters(self, minute_ms: int, minute: _MinuteColumns, missing: Quality | None) -> None:
        if not self._counts_good:
            worst = 0
            for i in self._counters:
                worst = self._quality_without_good(i, missing)
                minute.append_missing(worst)
            minute.append_missing(worst)
            return
        for i in self._counters:
            count = self._counts[i]
            if self._count_qualities[i] == Quality.GOOD and isinstance(count, int):
                minute.append(count, None, None, 0, int(self._partial_polls[i]) + self._full_polls)
            else:
                minute.append_missing(self._count_qualities[i] or Quality.IMPLAUSIBLE)
        # a poll that straddles the end of the minute may be stamped a moment outside
        offset_ms = min(max(self._count_ts_ms - minute_ms, 0), MINUTE_MS - 1)
        minute.append(offset_ms, None, None, 0, 1)


class _MinuteColumns:
    """The columns of one device's minute while they are gathered."""

    __slots__ = ("highs", "lows", "polls", "qualities", "sums", "values")

    def __init__(self) -> None:
        self.values: list[int | None] = []
        self.qualities = bytearray()
        self.polls: list[int] = []
        self.lows: list[int | None] = []
        self.highs: list[int | None] = []
        self.sums: list[int] = []

    def append(self, value: int, low: int | None, high: int | None, total: int, polls: int) -> None:
        """A good column."""
        self.values.append(value)
        self.qualities.append(Quality.GOOD)
        self.polls.append(polls)
        self.lows.append(low)
        self.highs.append(high)
        self.sums.append(total)

    def append_missing(self, quality_code: int) -> None:
        """A column without a good sample."""
        self.values.append(None)
        self.qualities.append(quality_code)
        self.polls.append(0)
        self.lows.append(None)
        self.highs.append(None)
        self.sums.append(0)


class _DeviceFold:
    """All groups of one device."""

    def __init__(self) -> None:
        self.groups: dict[str, _GroupFold] = {}
        self.layout: MinuteLayout | None = None

    def build(self, minute_ms: int, device_id: DeviceId, changes: list[StateChange]) -> DeviceMinute | None:
        """The finished minute; None for a device of states only."""
        if self.layout is None:
            columns = tuple(column for group in self.groups.values() for column in group.columns)
            self.layout = MinuteLayout(device_id, columns)
        minute = _MinuteColumns()
        for group in self.groups.values():
            group.close(minute_ms, minute, changes)
        if not self.layout.columns:
            return None
        return DeviceMinute(
            self.layout,
            tuple(minute.values),
            bytes(minute.qualities),
            tuple(minute.polls),
            tuple(minute.lows),
            tuple(minute.highs),
            tuple(minute.sums),
        )


class MinuteFolder:
    """Folds the polls of all devices into minutes.

    The caller closes the minute when its time is over and before it hands over a reading of the next one.
    """

    def __init__(self) -> None:
        self._devices: dict[DeviceId, _DeviceFold] = {}
        self._groups: dict[int, _GroupFold] = {}  # by identity of the shared layout: no hashing of long tuples
        self._changes: list[StateChange] = []

    def fold(self, readings: GroupReadings) -> None:
        """Add one poll of one group."""
        group = self._groups.get(id(readings.layout))
        if group is None or group.layout is not readings.layout:
            group = self._adopt(readings.layout)
        group.fold(readings, self._changes)

    def _adopt(self, layout: GroupLayout) -> _GroupFold:
        device = self._devices.setdefault(layout.device_id, _DeviceFold())
        replaced = device.groups.get(layout.group)
        group = _GroupFold(layout)
        if replaced is not None:
            self._groups.pop(id(replaced.layout), None)
            group.adopt_states(replaced)
        device.groups[layout.group] = group
        device.layout = None
        self._groups[id(layout)] = group
        return group

    def forget(self, device_ids: Iterable[DeviceId], ts_ms: int) -> None:
        """These devices are not polled any more; their states are unknown from `ts_ms` on."""
        for device_id in device_ids:
            device = self._devices.pop(device_id, None)
            for group in device.groups.values() if device else ():
                group.forget_states(self._changes, ts_ms)
                self._groups.pop(id(group.layout), None)

    def forget_states(self, ts_ms: int) -> None:
        """Nothing is known from `ts_ms` on (the program stops, the PC slept)."""
        for device in self._devices.values():
            for group in device.groups.values():
                group.forget_states(self._changes, ts_ms)

    def shift(self, step_ms: int) -> None:
        """The wall clock was set: moments remembered move along, so that what is due stays so."""
        for group in self._groups.values():
            group.shift(step_ms)

    def close(self, minute_ms: int) -> FoldedMinute:
        """Finish the minute that starts at `minute_ms` and begin the next."""
        built = [device.build(minute_ms, id_, self._changes) for id_, device in self._devices.items()]
        changes, self._changes = self._changes, []
        return FoldedMinute(tuple(minute for minute in built if minute is not None), tuple(changes))
