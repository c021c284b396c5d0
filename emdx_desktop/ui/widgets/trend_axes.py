"""Axes of a trend: local time with midnights, and values at 1-2-5 steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

import pyqtgraph as pg

from emdx_desktop.ui.number_format import NumberFormat
from emdx_desktop.ui.time_ticks import step_decimals, time_ticks, value_step, value_ticks

TICK_ROOM_PX = 84
VALUE_TICK_ROOM_PX = 26


class TimeAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no annotations
    """Local time with dates at midnight; the stock axis knows a single offset."""

    def __init__(self, numbers: NumberFormat, zone: tzinfo) -> None:
        super().__init__("bottom")
        self._numbers = numbers
        self.zone = zone
        self._texts: dict[float, str] = {}
        self.midnights: list[float] = []
        self.ticks_s: list[float] = []

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N803
        """Ticks of the shown range, with their labels remembered."""
        max_ticks = max(2, int(size / TICK_ROOM_PX))
        ticks = time_ticks(round(minVal * 1000), round(maxVal * 1000), max_ticks, self.zone, self._numbers.locale)
        self._texts = {tick.ts_ms / 1000: tick.text for tick in ticks}
        self.midnights = [tick.ts_ms / 1000 for tick in ticks if tick.is_midnight]
        self.ticks_s = list(self._texts)
        return [(1.0, self.ticks_s)]

    def tickStrings(self, values: Sequence[float], _scale: float, _spacing: float) -> list[str]:
        """Labels."""
        return [self._texts.get(value, "") for value in values]


class ValueAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no annotations
    """4 to 6 ticks at 1-2-5 steps, numbers as everywhere in the program."""

    def __init__(self, numbers: NumberFormat) -> None:
        super().__init__("left")
        self._numbers = numbers

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N803
        """Ticks of the shown range."""
        count = tick_count(size)
        return [(value_step(max(maxVal - minVal, 1e-12), count), value_ticks(minVal, maxVal, count))]

    def tickStrings(self, values: Sequence[float], _scale: float, spacing: float) -> list[str]:
        """Labels with as many decimals as tell them apart."""
        return [self._numbers.fixed(value, step_decimals(spacing)) for value in values]


def tick_count(height_px: float) -> int:
    """As many labels as there is room for, 6 at most."""
    return min(6, max(2, int(height_px / VALUE_TICK_ROOM_PX)))
