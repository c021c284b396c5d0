"""Tree of the installation: panel > gateway > device, with live power and state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from emdx_desktop.domain.feeders import counted_once
from emdx_desktop.domain.installation import Device, Gateway, Installation
from emdx_desktop.domain.readings import (
    BusSnapshot,
    DeviceId,
    DeviceSnapshot,
    DeviceState,
    GatewayId,
    Quality,
    SiteSnapshot,
)
from emdx_desktop.ui.number_format import MISSING, NumberFormat
from emdx_desktop.ui.wording import Mark, Shape, breaker_mark, device_mark

Index = QModelIndex | QPersistentModelIndex

NODE_ROLE = Qt.ItemDataRole.UserRole + 1
"""`NodeKey` of a row."""
MARK_ROLE = Qt.ItemDataRole.UserRole + 2
"""`Mark` of a row's state, or None."""
UNIT_ROLE = Qt.ItemDataRole.UserRole + 3
"""Unit where it is not kW."""

NO_PARENT = QModelIndex()

FLOWS = ("volume_flow_water", "volume_flow_gas")
VOLUMES = ("volume_water", "volume_gas", "volume_oil")
_ANSWERING = (DeviceState.ANSWERING, DeviceState.PARTIAL)
_MUTE = (DeviceState.SILENT, DeviceState.GATEWAY_DOWN)


class NodeKind(Enum):
    """What a row stands for."""

    PANEL = auto()
    GATEWAY = auto()
    DEVICE = auto()


class TreeColumn(IntEnum):
    """Columns."""

    NAME = 0
    POWER = 1
    STATE = 2


@dataclass(frozen=True, slots=True)
class NodeKey:
    """Stable identity of a row over changes of the installation."""

    kind: NodeKind
    id: str


def device_key(device_id: DeviceId) -> NodeKey:
    """Key of a device's row."""
    return NodeKey(NodeKind.DEVICE, str(device_id))


@dataclass(slots=True, eq=False)
class _Node:
    key: NodeKey
    name: str
    hint: str
    parent: _Node | None = None
    children: list[_Node] = field(default_factory=list)
    row: int = 0
    number: int = 0  # never used again: an index of before a reset finds nothing instead of freed memory
    device: Device | None = None
    gateway: Gateway | None = None
    snapshot: DeviceSnapshot | None = None
    bus: BusSnapshot | None = None
    power_w: float | None = None
    power_text: str = ""
    unit: str = ""
    mark: Mark | None = None

    def add(self, child: _Node) -> _Node:
        child.parent, child.row = self, len(self.children)
        self.children.append(child)
        return child

    def walk(self) -> Iterator[_Node]:
        for child in self.children:
            yield child
            yield from child.walk()


def _line_state(bus: BusSnapshot | None) -> tuple[bool, str] | None:
    return (bus.is_connected, bus.detail) if bus is not None else None


class SiteTreeModel(QAbstractItemModel):
    """The tree. Shape changes with the installation, text with each snapshot, by identity of what changed.

    A parent shows Σ of the meters below it that answer, without those that another of them feeds: every
    watt once. A device that does not answer shows that instead of a number.
    """

    def __init__(self, numbers: NumberFormat, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._numbers = numbers
        self._root = _Node(NodeKey(NodeKind.PANEL, ""), "", "")
        self._nodes: dict[NodeKey, _Node] = {}
        self._by_number: dict[int, _Node] = {}
        self._last_number = 0
        self._snapshot: SiteSnapshot | None = None
        self._feeders: dict[DeviceId, DeviceId] = {}

    def set_installation(self, installation: Installation | None) -> None:
        """Show another installation; values of devices that stay are kept."""
        self.beginResetModel()
        self._root = _Node(NodeKey(NodeKind.PANEL, ""), "", "")
        if installation is not None:
            self._build(installation)
        self._nodes = {node.key: node for node in self._root.walk()}
        self._by_number = {}
        for node in self._nodes.values():
            self._last_number += 1
            node.number = self._last_number
            self._by_number[node.number] = node
        if self._snapshot is not None:
            for node in self._nodes.values():
                self._take(node, self._snapshot)
        self._sum(self._root)
        self.endResetModel()

    def _build(self, installation: Installation) -> None:
        ids = {device.name: device.id for device in installation.devices if not device.is_archived}
        self._feeders = {
            device.id: ids[device.fed_by]
            for device in installation.devices
            if device.fed_by in ids and not device.is_archived
        }
        panels = {
            panel.name: self._root.add(_Node(NodeKey(NodeKind.PANEL, panel.name), panel.name, panel.description))
            for panel in installation.panels
        }
        for gateway in installation.gateways:
            hint = " ".join(part for part in (str(gateway.link), gateway.description) if part)
            node = _Node(NodeKey(NodeKind.GATEWAY, str(gateway.id)), gateway.name, hint, gateway=gateway)
            line = panels.get(gateway.panel, self._root).add(node)
            for device in installation.devices:
                if device.gateway == gateway.name and not device.is_archived:
                    line.add(_Node(device_key(device.id), device.name, device.description, device=device))

    def set_snapshot(self, snapshot: SiteSnapshot) -> None:
        """Take the newest snapshot; one `dataChanged` for each block of rows under one parent."""
        self._snapshot = snapshot
        changed = [node for node in self._nodes.values() if self._take(node, snapshot)]
        if not changed:
            return
        changed += self._sum(self._root)
        blocks: dict[int, tuple[_Node, int, int]] = {}
        for node in changed:
            parent = node.parent or self._root
            _, first, last = blocks.get(id(parent), (parent, node.row, node.row))
            blocks[id(parent)] = (parent, min(first, node.row), max(last, node.row))
        for parent, first, last in blocks.values():
            self.dataChanged.emit(
                self.createIndex(first, TreeColumn.POWER, parent.children[first].number),
                self.createIndex(last, TreeColumn.STATE, parent.children[last].number),
            )

    def _take(self, node: _Node, snapshot: SiteSnapshot) -> bool:
        """Bring one row up to date; returns whether anything may have changed."""
        if node.device is not None:
            device = snapshot.devices.get(node.device.id)
            if device is node.snapshot and device is not None:
                return False
            node.snapshot = device
            self._show_device(node, device)
            return True
        if node.gateway is not None:
            bus = snapshot.buses.get(GatewayId(node.gateway.id))
            before, node.bus = node.bus, bus
            # only these two are shown; statistics of a line differ in each snapshot
            return _line_state(before) != _line_state(bus)
        return False

    def _show_device(self, node: _Node, device: DeviceSnapshot | None) -> None:
        node.power_w, node.power_text, node.unit = None, "", ""
        state = device.state if device is not None else DeviceState.WAITING
        node.mark = device_mark(state)
        if device is None or state in _MUTE or state is DeviceState.WAITING:
            return
        values = device.values
        power = values.get("active_power")
        if power is not None:
            if power.quality is Quality.GOOD and power.value is not None:
                node.power_w = power.value
                node.power_text = self._numbers.fixed(power.value / 1000, 1)
            else:
                node.power_text = MISSING
        else:
            for id_, unit in (*((flow, "m³/h") for flow in FLOWS), *((volume, "m³") for volume in VOLUMES)):
                live = values.get(id_)
                if live is not None and live.quality is Quality.GOOD and live.value is not None:
                    node.power_text = self._numbers.fixed(live.value, 1)
                    node.unit = unit
                    break
        position, fault = values.get("breaker_position"), values.get("breaker_fault")
        known = [live for live in (position, fault) if live is not None and live.quality is Quality.GOOD]
        if state is DeviceState.ANSWERING and known:
            node.mark = breaker_mark(
                int(position.value) if position in known and position and position.value is not None else None,
                int(fault.value) if fault in known and fault and fault.value is not None else None,
            )

    def _sum(self, node: _Node) -> list[_Node]:
        """Sums of parents, bottom up; returns parents whose text changed."""
        changed: list[_Node] = []
        for child in node.children:
            changed += self._sum(child)
        if node.device is not None or node is self._root:
            return changed
        before = (node.power_text, node.mark)
        devices = [below for below in node.walk() if below.device is not None]
        powers = {
            below.device.id: below.power_w
            for below in devices
            if below.device is not None and below.power_w is not None
        }
        counted = counted_once(powers.keys(), self._feeders, powers)
        node.power_w = sum(powers[id_] for id_ in counted) if powers else None
        node.power_text = f"Σ {self._numbers.fixed(node.power_w / 1000, 1)}" if node.power_w is not None else ""
        node.mark = self._parent_mark(node, devices)
        if before != (node.power_text, node.mark):
            changed.append(node)
        return changed

    def _parent_mark(self, node: _Node, devices: list[_Node]) -> Mark | None:
        if node.bus is not None and not node.bus.is_connected:
            return Mark(Shape.BROKEN_RING, self.tr("line down"), "silent")
        polled = [below for below in devices if below.snapshot and below.snapshot.state is not DeviceState.DISABLED]
        answering = sum(1 for below in polled if below.snapshot and below.snapshot.state in _ANSWERING)
        if polled and answering < len(polled):
            word = self.tr("{0} of {1}").format(answering, len(polled))
            return Mark(Shape.BROKEN_RING, word, "silent")
        return Mark(Shape.DOT, self.tr("answers"), "ink2", is_quiet=True) if node.gateway and answering else None

    # --- the model ---------------------------------------------------------------------------------

    def index_of(self, key: NodeKey) -> QModelIndex:
        """The row of a key, invalid when there is none."""
        node = self._nodes.get(key)
        return self.createIndex(node.row, 0, node.number) if node is not None else QModelIndex()

    def node_keys(self) -> tuple[NodeKey, ...]:
        """All rows, top to bottom."""
        return tuple(self._nodes)

    def _node(self, index: Index) -> _Node:
        if not index.isValid():
            return self._root
        return self._by_number.get(index.internalId(), self._root)

    def index(self, row: int, column: int, parent: Index = NO_PARENT) -> QModelIndex:
        """Index of a child."""
        children = self._node(parent).children
        if not (0 <= row < len(children) and 0 <= column < len(TreeColumn)) or (
            parent.isValid() and parent.column() != 0
        ):
            return QModelIndex()
        return self.createIndex(row, column, children[row].number)

    def parent(self, index: Index = NO_PARENT) -> QModelIndex:  # type: ignore[override]  # Qt overloads QObject.parent()
        """Index of the parent."""
        node = self._node(index).parent
        if node is None or node is self._root:
            return QModelIndex()
        return self.createIndex(node.row, 0, node.number)

    def rowCount(self, parent: Index = NO_PARENT) -> int:
        """Children below a row."""
        return 0 if parent.isValid() and parent.column() != 0 else len(self._node(parent).children)

    def columnCount(self, _parent: Index = NO_PARENT) -> int:
        """Name, power, state."""
        return len(TreeColumn)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Heads."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return (self.tr("Name"), self.tr("kW"), self.tr("State"))[section]
        if role == Qt.ItemDataRole.TextAlignmentRole and section == TreeColumn.POWER:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ToolTipRole and section == TreeColumn.POWER:
            return self.tr("Active power now. Σ: sum of the meters below that answer, each load counted once")
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Texts and marks of a row."""
        if not index.isValid():
            return None
        node = self._node(index)
        column = index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            if column == TreeColumn.STATE:
                return node.mark.word if node.mark is not None else ""
            return node.power_text if column == TreeColumn.POWER else node.name
        if role == NODE_ROLE:
            return node.key
        if role == MARK_ROLE:
            return node.mark
        if role == UNIT_ROLE:
            return node.unit
        if role == Qt.ItemDataRole.TextAlignmentRole and column == TreeColumn.POWER:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._sentence(node) if role == Qt.ItemDataRole.AccessibleTextRole else self._tooltip(node)
        return None

    def _sentence(self, node: _Node) -> str:
        unit = node.unit or ("kW" if node.power_text else "")
        power = self._numbers.with_unit(node.power_text, unit)
        return ", ".join(part for part in (node.name, power, node.mark.word if node.mark else "") if part)

    def _tooltip(self, node: _Node) -> str:
        detail = node.snapshot.detail if node.snapshot else node.bus.detail if node.bus else ""
        caution = (
            self.tr("Σ: sum of the meters below that answer; what “fed_by” in the site file names counts once.")
            if node.device is None and node.power_text
            else ""
        )
        return "\n".join(part for part in (self._sentence(node), node.hint, detail, caution) if part)
