"""Table of one device's live values: quantity, value, unit, age, quality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from emdx_desktop.domain.profiles import READ_INTERVALS_S, DeviceProfile, Priority
from emdx_desktop.domain.quantities import QUANTITIES, QuantityDef, QuantityKind
from emdx_desktop.domain.readings import DeviceSnapshot, LiveValue, Quality
from emdx_desktop.ui.models.site_tree import MARK_ROLE
from emdx_desktop.ui.number_format import (
    MISSING,
    DisplayUnit,
    NumberFormat,
    counter_decimals,
    display_unit,
    format_age,
)
from emdx_desktop.ui.wording import Mark, Shape, quality_mark, quantity_name, state_word

Index = QModelIndex | QPersistentModelIndex

NO_PARENT = QModelIndex()
_UNREAD = Mark(Shape.BARRED_RING, "", "ink3")

IS_OLD_ROLE = Qt.ItemDataRole.UserRole + 10
"""True where the value is the last good one but not a present one."""
STALE_AFTER_PERIODS = 3
UNMEASURED_PERIOD_S = 10.0
"""Until a device was read twice (own design): the first cycle reads all groups and takes longer than those after it."""
_ORDER: Mapping[str, int] = {id_: order for order, id_ in enumerate(QUANTITIES)}


class LiveColumn(IntEnum):
    """Columns."""

    SYMBOL = 0
    QUANTITY = 1
    VALUE = 2
    UNIT = 3
    AGE = 4
    QUALITY = 5


@dataclass(slots=True)
class _Row:
    definition: QuantityDef
    unit: DisplayUnit
    decimals: int | None  # of a counter
    interval_s: float  # 0: as fast as the line allows
    live: LiveValue | None = None
    value_text: str = MISSING
    age_text: str = MISSING
    mark: Mark = _UNREAD
    is_old: bool = False

    def shown(self) -> tuple[str, str, Mark, bool]:
        return self.value_text, self.age_text, self.mark, self.is_old


class LiveValuesModel(QAbstractTableModel):
    """All quantities a device's profile knows, and what else the device sent."""

    def __init__(self, numbers: NumberFormat, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._numbers = numbers
        self._rows: list[_Row] = []
        self._profile: DeviceProfile | None = None
        self._snapshot: DeviceSnapshot | None = None

    def set_device(self, profile: DeviceProfile | None, snapshot: DeviceSnapshot | None, now_ms: int) -> None:
        """Show another device."""
        self._profile = profile
        self._rebuild(snapshot, now_ms)

    def set_snapshot(self, snapshot: DeviceSnapshot | None, now_ms: int) -> None:
        """Take newer values of the same device. The same object again changes ages only."""
        if snapshot is not None and any(id_ in QUANTITIES for id_ in snapshot.values.keys() - self._ids()):
            self._rebuild(snapshot, now_ms)
            return
        self._snapshot = snapshot
        self._refresh(now_ms)

    def tick(self, now_ms: int) -> None:
        """Let ages go on."""
        self._refresh(now_ms)

    def _ids(self) -> set[str]:
        return {row.definition.id for row in self._rows}

    def _rebuild(self, snapshot: DeviceSnapshot | None, now_ms: int) -> None:
        self.beginResetModel()
        self._snapshot = snapshot
        scales: dict[str, Fraction | None] = {}
        intervals_s: dict[str, float] = {}
        if self._profile is not None:
            priorities = {group.name: group.priority for group in self._profile.groups}
            for point in self._profile.points:
                if point.quantity in QUANTITIES and point.quantity is not None:
                    scales[point.quantity] = point.resolution or point.scale
                    priority = priorities.get(point.group, Priority.LIVE)
                    intervals_s[point.quantity] = READ_INTERVALS_S[priority]
        ids = set(scales) | {id_ for id_ in (snapshot.values if snapshot else ()) if id_ in QUANTITIES}
        self._rows = []
        for id_ in sorted(ids, key=_ORDER.__getitem__):
            definition = QUANTITIES[id_]
            unit = display_unit(definition.unit)
            is_counter = definition.kind is QuantityKind.COUNTER
            decimals = counter_decimals(scales.get(id_), unit) if is_counter else None
            row = _Row(definition, unit, decimals, intervals_s.get(id_, 0.0))
            self._show(row, now_ms)
            self._rows.append(row)
        self.endResetModel()

    def _refresh(self, now_ms: int) -> None:
        first, last = -1, -1
        for number, row in enumerate(self._rows):
            before = row.shown()
            self._show(row, now_ms)
            if row.shown() != before:
                first, last = (number if first < 0 else first), number
        if first >= 0:
            self.dataChanged.emit(self.index(first, LiveColumn.VALUE), self.index(last, LiveColumn.QUALITY))

    def _show(self, row: _Row, now_ms: int) -> None:
        live = self._snapshot.values.get(row.definition.id) if self._snapshot is not None else None
        row.live = live
        if live is None:
            row.value_text, row.age_text, row.is_old = MISSING, MISSING, False
            row.mark = Mark(Shape.BARRED_RING, self.tr("not read yet"), "ink3")
            return
        age_s = (now_ms - live.ts_ms) / 1000 if live.ts_ms else None
        row.age_text = format_age(age_s, self._numbers) if age_s is not None else MISSING
        is_late = age_s is not None and age_s > STALE_AFTER_PERIODS * self._period_s(row)
        row.mark = quality_mark(live.quality, is_late=is_late)
        row.is_old = live.quality is not Quality.GOOD or is_late
        row.value_text = self._value_text(row, live)

    def _period_s(self, row: _Row) -> float:
        measured_s = self._snapshot.period_s if self._snapshot and self._snapshot.period_s else UNMEASURED_PERIOD_S
        # one second is the least: a clock and a cycle never agree to the millisecond
        return max(row.interval_s, measured_s, 1.0)

    def _value_text(self, row: _Row, live: LiveValue) -> str:
        if live.value is None:
            return MISSING
        if row.definition.kind is QuantityKind.STATE:
            return state_word(row.definition.id, live)
        shown = live.value / row.unit.divisor
        if row.decimals is not None:
            return self._numbers.fixed(shown, row.decimals)
        return self._numbers.live(shown, row.unit.max_decimals)

    def copied_text(self) -> str:
        """The table for the clipboard, with heads and units, columns separated by tabs."""
        lines = ["\t".join(str(self.headerData(c, Qt.Orientation.Horizontal)) for c in LiveColumn)]
        lines += [
            "\t".join(str(self.data(self.index(number, column)) or "") for column in LiveColumn)
            for number in range(len(self._rows))
        ]
        return "\n".join(lines)

    # --- the model ---------------------------------------------------------------------------------

    def rowCount(self, parent: Index = NO_PARENT) -> int:
        """One row a quantity."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = NO_PARENT) -> int:
        """Columns of `LiveColumn`."""
        return 0 if parent.isValid() else len(LiveColumn)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Heads."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return ("", self.tr("Quantity"), self.tr("value"), self.tr("unit"), self.tr("age"), self.tr("quality"))[
                section
            ]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Texts and marks of a row."""
        if not index.isValid():
            return None
        row, column = self._rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return (
                row.definition.symbol,
                quantity_name(row.definition),
                row.value_text,
                row.unit.symbol,
                row.age_text,
                row.mark.word,
            )[column]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        if role == MARK_ROLE:
            return row.mark
        if role == IS_OLD_ROLE:
            return row.is_old
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.live.detail if row.live is not None and row.live.detail else None
        if role == Qt.ItemDataRole.AccessibleTextRole and column == LiveColumn.VALUE:
            value = self._numbers.with_unit(row.value_text, row.unit.symbol)
            return f"{quantity_name(row.definition)} {value}, {row.mark.word}"
        return None


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column in (LiveColumn.VALUE, LiveColumn.AGE) else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
