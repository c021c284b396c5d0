"""Legend of a trend as a table: swatch, quantity, device, value at the cross-hair, lowest, mean, highest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from emdx_desktop.domain.periods import Period
from emdx_desktop.ui.models.site_tree import MARK_ROLE
from emdx_desktop.ui.number_format import MISSING, NumberFormat, live_decimals
from emdx_desktop.ui.trend_loading import TrendCurve

Index = QModelIndex | QPersistentModelIndex
NO_PARENT = QModelIndex()


class LegendColumn(IntEnum):
    """Columns."""

    SWATCH = 0
    QUANTITY = 1
    DEVICE = 2
    AT = 3
    UNIT = 4
    LOWEST = 5
    MEAN = 6
    HIGHEST = 7
    MEASURED = 8


_WORDS = (LegendColumn.QUANTITY, LegendColumn.DEVICE, LegendColumn.UNIT)


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """A curve in words.

    Attributes:
        quantity: Name and symbol, with the step of an energy.
        device: Its device.
        token: Colour.
        is_dashed: The seventh series and further.
        curve: Data; None while it is loaded.
    """

    quantity: str
    device: str
    token: str
    is_dashed: bool
    curve: TrendCurve | None


class TrendLegendModel(QAbstractTableModel):
    """The legend."""

    def __init__(self, numbers: NumberFormat, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._numbers = numbers
        self._entries: tuple[LegendEntry, ...] = ()
        self._texts: list[tuple[str, str, str, str]] = []
        self._at_texts: list[str] = []
        self._cursor_s = float("nan")
        self._at_head = ""

    def set_entries(self, entries: Sequence[LegendEntry], view: Period | None) -> None:
        """Show other curves, with statistics over `view`."""
        self.beginResetModel()
        self._entries = tuple(entries)
        self._texts = [self._statistics(entry.curve, view) for entry in self._entries]
        self._at_texts = [self._at(entry.curve) for entry in self._entries]
        self.endResetModel()

    def set_cursor(self, moment_s: float, head: str) -> None:
        """The cross-hair stands at a moment; `head` names it."""
        self._cursor_s = moment_s
        texts = [self._at(entry.curve) for entry in self._entries]
        if head != self._at_head:
            self._at_head = head
            self.headerDataChanged.emit(Qt.Orientation.Horizontal, LegendColumn.AT, LegendColumn.AT)
        if texts != self._at_texts:
            self._at_texts = texts
            self.dataChanged.emit(self.index(0, LegendColumn.AT), self.index(len(texts) - 1, LegendColumn.AT))

    def _statistics(self, curve: TrendCurve | None, view: Period | None) -> tuple[str, str, str, str]:
        if curve is None or view is None:
            return MISSING, MISSING, MISSING, MISSING
        in_view = (curve.ts_s >= view.start_ms / 1000) & (curve.ts_s < view.end_ms / 1000)
        mean = curve.mean[in_view]
        if not np.isfinite(mean).any():
            return MISSING, MISSING, MISSING, self._share(curve)
        return (
            self._number(float(np.nanmin(curve.low[in_view])), curve),
            self._number(float(np.nanmean(mean)), curve),
            self._number(float(np.nanmax(curve.high[in_view])), curve),
            self._share(curve),
        )

    def _share(self, curve: TrendCurve) -> str:
        if curve.measured_ratio is None:
            return MISSING
        # a share that is not quite all is never shown as 100.0
        shown = min(curve.measured_ratio * 100, 100.0 if curve.measured_ratio == 1 else 99.9)
        return self._numbers.with_unit(self._numbers.fixed(shown, 1), "%")

    def _at(self, curve: TrendCurve | None) -> str:
        if curve is None or not np.isfinite(self._cursor_s) or len(curve.ts_s) == 0:
            return MISSING
        ts_s = curve.ts_s
        place = int(np.searchsorted(ts_s, self._cursor_s))
        nearest = min(
            (candidate for candidate in (place - 1, place) if 0 <= candidate < len(ts_s)),
            key=lambda candidate: abs(ts_s[candidate] - self._cursor_s),
        )
        spacing_s = float(np.median(np.diff(ts_s[max(0, nearest - 3) : nearest + 4]))) if len(ts_s) > 1 else 60.0
        value = float(curve.mean[nearest])
        if not np.isfinite(value) or abs(ts_s[nearest] - self._cursor_s) > spacing_s:
            return MISSING
        return self._number(value, curve)

    def _number(self, value: float, curve: TrendCurve) -> str:
        return self._numbers.fixed(value, live_decimals(value, curve.unit.max_decimals))

    def copied_text(self) -> str:
        """The table for the clipboard, with heads and units."""
        columns = list(LegendColumn)[1:]
        lines = ["\t".join(str(self.headerData(c, Qt.Orientation.Horizontal) or "") for c in columns)]
        lines += [
            "\t".join(str(self.data(self.index(row, column)) or "") for column in columns)
            for row in range(len(self._entries))
        ]
        return "\n".join(lines)

    def rowCount(self, parent: Index = NO_PARENT) -> int:
        """One row a curve."""
        return 0 if parent.isValid() else len(self._entries)

    def columnCount(self, parent: Index = NO_PARENT) -> int:
        """Columns of `LegendColumn`."""
        return 0 if parent.isValid() else len(LegendColumn)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Heads."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return (
                "",
                self.tr("Quantity"),
                self.tr("Device"),
                self._at_head or self.tr("at cross-hair"),
                self.tr("unit"),
                self.tr("lowest"),
                self.tr("mean"),
                self.tr("highest"),
                self.tr("measured"),
            )[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Texts and swatches."""
        if not index.isValid():
            return None
        entry, column = self._entries[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            unit = entry.curve.unit.symbol if entry.curve is not None else ""
            return (
                "",
                entry.quantity,
                entry.device,
                self._at_texts[index.row()],
                unit,
                *self._texts[index.row()],
            )[column]
        if role == MARK_ROLE:
            return (entry.token, entry.is_dashed)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        return None


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column in _WORDS else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter
