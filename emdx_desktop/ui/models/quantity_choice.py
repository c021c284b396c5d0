"""Tree of quantities that have history, by device, each with a tick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from emdx_desktop.domain.history import SeriesInfo
from emdx_desktop.domain.installation import Installation
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind
from emdx_desktop.ui.models.site_tree import MARK_ROLE
from emdx_desktop.ui.number_format import display_unit
from emdx_desktop.ui.theme import SERIES_TOKENS
from emdx_desktop.ui.trend_loading import MAX_SERIES, SeriesKey
from emdx_desktop.ui.wording import quantity_name

Index = QModelIndex | QPersistentModelIndex
NO_PARENT = QModelIndex()
_ORDER = {id_: number for number, id_ in enumerate(QUANTITIES)}


@dataclass(slots=True)
class _DeviceNode:
    name: str
    keys: list[SeriesKey] = field(default_factory=list)


class QuantityChoiceModel(QAbstractItemModel):
    """Which series can be drawn and which are.

    Signals:
        choice_changed: Another set of series is chosen.
        choice_refused: A ninth series was ticked.
    """

    choice_changed = Signal()
    choice_refused = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._devices: list[_DeviceNode] = []
        self._chosen: list[SeriesKey] = []

    @property
    def chosen(self) -> tuple[SeriesKey, ...]:
        """In the order they were chosen: it gives the colours."""
        return tuple(self._chosen)

    @property
    def series_count(self) -> int:
        """Series that could be drawn."""
        return sum(len(device.keys) for device in self._devices)

    def known(self, key: SeriesKey) -> bool:
        """Whether a series has history."""
        return any(key in device.keys for device in self._devices)

    def set_series(self, installation: Installation | None, series: Sequence[SeriesInfo]) -> None:
        """Show what has history; a choice of what has gone is given up."""
        self.beginResetModel()
        self._devices = []
        by_device: dict[int, list[SeriesKey]] = {}
        for info in series:
            definition = QUANTITIES.get(info.column.quantity)
            if definition is not None and definition.kind is not QuantityKind.STATE:
                by_device.setdefault(info.device_id, []).append(SeriesKey(info.device_id, definition.id))
        # archived devices come last: their history stays
        devices = sorted(installation.devices, key=lambda device: device.is_archived) if installation else ()
        for device in devices:
            keys = sorted(set(by_device.get(device.id, ())), key=lambda key: _ORDER[key.quantity])
            if keys:
                name = self.tr("{0} (archived)").format(device.name) if device.is_archived else device.name
                self._devices.append(_DeviceNode(name, keys))
        kept = [key for key in self._chosen if self.known(key)]
        is_changed = kept != self._chosen
        self._chosen = kept
        self.endResetModel()
        if is_changed:
            self.choice_changed.emit()

    def choose(self, keys: Sequence[SeriesKey]) -> None:
        """Choose exactly these, as far as they have history."""
        chosen = [key for key in dict.fromkeys(keys) if self.known(key)][:MAX_SERIES]
        if chosen != self._chosen:
            self._chosen = chosen
            for number in range(len(self._devices)):
                self._announce(self.index(number, 0))
            self.choice_changed.emit()

    def _announce(self, device: QModelIndex) -> None:
        rows = self.rowCount(device)
        self.dataChanged.emit(self.index(0, 0, device), self.index(rows - 1, 1, device))
        self.dataChanged.emit(device, device.siblingAtColumn(1))

    def first_index_of(self, key: SeriesKey) -> QModelIndex:
        """Row of a series, invalid when there is none."""
        for number, device in enumerate(self._devices):
            if key in device.keys:
                return self.index(device.keys.index(key), 0, self.index(number, 0))
        return QModelIndex()

    # --- the model: internal id 0 is a device, n + 1 a series of device n ---------------------------

    def key(self, index: Index) -> SeriesKey | None:
        """The series of a row, None for a device."""
        if not index.isValid() or index.internalId() == 0:
            return None
        device = index.internalId() - 1
        if device >= len(self._devices) or index.row() >= len(self._devices[device].keys):
            return None
        return self._devices[device].keys[index.row()]

    def index(self, row: int, column: int, parent: Index = NO_PARENT) -> QModelIndex:
        """Index of a child."""
        if not (0 <= row < self.rowCount(parent) and 0 <= column < 2):
            return QModelIndex()
        return self.createIndex(row, column, parent.row() + 1 if parent.isValid() else 0)

    def parent(self, index: Index = NO_PARENT) -> QModelIndex:  # type: ignore[override]  # Qt overloads QObject.parent()
        """Index of the parent."""
        if not index.isValid() or index.internalId() == 0:
            return QModelIndex()
        return self.createIndex(index.internalId() - 1, 0, 0)

    def rowCount(self, parent: Index = NO_PARENT) -> int:
        """Devices, or the series of one."""
        if not parent.isValid():
            return len(self._devices)
        if parent.internalId() != 0 or parent.column() != 0 or parent.row() >= len(self._devices):
            return 0
        return len(self._devices[parent.row()].keys)

    def columnCount(self, _parent: Index = NO_PARENT) -> int:
        """Name, unit."""
        return 2

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Series can be ticked."""
        flags = super().flags(index)
        if self.key(index) is not None and index.column() == 0:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        return flags

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Names, units, ticks."""
        if not index.isValid():
            return None
        key = self.key(index)
        if key is None:
            if role == Qt.ItemDataRole.DisplayRole and index.internalId() == 0 and index.row() < len(self._devices):
                device = self._devices[index.row()]
                count = sum(1 for chosen in self._chosen if chosen in device.keys)
                return (str(count) if count else "") if index.column() else device.name
            return _right(index, role)
        definition = QUANTITIES[key.quantity]
        if role == Qt.ItemDataRole.DisplayRole:
            if index.column() == 1:
                return display_unit(definition.unit).symbol
            return f"{quantity_name(definition)} {definition.symbol}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{quantity_name(definition)} {definition.symbol}"
        if role == Qt.ItemDataRole.CheckStateRole and index.column() == 0:
            return Qt.CheckState.Checked if key in self._chosen else Qt.CheckState.Unchecked
        if role == MARK_ROLE and key in self._chosen:
            return SERIES_TOKENS[self._chosen.index(key) % len(SERIES_TOKENS)]
        return _right(index, role)

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Tick or untick a series."""
        key = self.key(index)
        if key is None or role != Qt.ItemDataRole.CheckStateRole:
            return False
        is_wanted = Qt.CheckState(value) == Qt.CheckState.Checked
        if is_wanted and key not in self._chosen:
            if len(self._chosen) >= MAX_SERIES:
                self.choice_refused.emit()
                return False
            self._chosen.append(key)
        elif not is_wanted and key in self._chosen:
            self._chosen.remove(key)
        # the colours of the others may have moved up
        for number in range(len(self._devices)):
            self._announce(self.index(number, 0))
        self.choice_changed.emit()
        return True


def _right(index: Index, role: int) -> Any:
    if role == Qt.ItemDataRole.TextAlignmentRole and index.column() == 1:
        return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
    return None
