"""Left panel of page Live: filter and tree of the installation."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QSize, QSortFilterProxyModel, Qt, Signal, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QAbstractItemView, QFrame, QHeaderView, QLineEdit, QTreeView, QVBoxLayout, QWidget

from emdx_desktop.domain.readings import DeviceId
from emdx_desktop.ui.models.site_tree import NODE_ROLE, NodeKey, NodeKind, SiteTreeModel, TreeColumn, device_key
from emdx_desktop.ui.theme import Theme
from emdx_desktop.ui.widgets.cell_delegates import CellDelegate, MarkDelegate, NodeDelegate, NumberDelegate

POWER_WIDTH_PX = 72
STATE_WIDTH_PX = 64


class SiteTreePanel(QFrame):
    """The tree. Selection, expansion and scroll survive a new installation.

    Signals:
        device_chosen(int): Another device was chosen, by a person or after a change of the installation.
    """

    device_chosen = Signal(int)

    def __init__(self, model: SiteTreeModel, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("bar", "side")
        self._model = model
        self._chosen: NodeKey | None = None
        self._collapsed: set[NodeKey] = set()
        self._is_resetting = False
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 12, 0, 0)
        column.setSpacing(8)
        self.filter = QLineEdit(self)
        self.filter.setPlaceholderText(self.tr("Filter names"))
        self.filter.setAccessibleName(self.tr("Filter the tree by name"))
        self.filter.setClearButtonEnabled(True)
        self.filter.setToolTip(self.tr("Show rows with these letters ( / )"))
        self._filter_action = self.filter.addAction(
            theme.icon("filter", "ink3", 16), QLineEdit.ActionPosition.LeadingPosition
        )
        holder = QVBoxLayout()
        holder.setContentsMargins(12, 0, 12, 0)
        holder.addWidget(self.filter)
        column.addLayout(holder)
        self.proxy = QSortFilterProxyModel(self)
        self.proxy.setSourceModel(model)
        # names change with a reset only: values need not be filtered again four times a second
        self.proxy.setDynamicSortFilter(False)
        self.proxy.setRecursiveFilteringEnabled(True)
        self.proxy.setAutoAcceptChildRows(True)
        self.proxy.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.proxy.setFilterKeyColumn(TreeColumn.NAME)
        self.tree = QTreeView(self)
        self.tree.setModel(self.proxy)
        self.tree.setAccessibleName(self.tr("Devices by panel"))
        self.tree.setUniformRowHeights(True)
        self.tree.setIndentation(10)
        self.tree.setIconSize(QSize(16, 16))
        self.tree.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._delegates: tuple[CellDelegate, ...] = (
            NodeDelegate(theme, self.tree),
            NumberDelegate(theme, self.tree),
            MarkDelegate(theme, self.tree, hides_quiet_words=True, reach_px=POWER_WIDTH_PX - 30),
        )
        for number, delegate in enumerate(self._delegates):
            self.tree.setItemDelegateForColumn(number, delegate)
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionsMovable(False)
        header.setFixedHeight(26)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(TreeColumn.NAME, QHeaderView.ResizeMode.Stretch)
        header.resizeSection(TreeColumn.POWER, POWER_WIDTH_PX)
        header.resizeSection(TreeColumn.STATE, STATE_WIDTH_PX)
        column.addWidget(self.tree, 1)
        self.filter.textChanged.connect(self._on_filter_text_changed)
        self.tree.selectionModel().currentChanged.connect(self._on_tree_current_changed)
        self.tree.collapsed.connect(self._on_tree_collapsed)
        self.tree.expanded.connect(self._on_tree_expanded)
        model.modelAboutToBeReset.connect(self._on_model_about_to_be_reset)
        model.modelReset.connect(self._on_model_reset)
        QShortcut(QKeySequence("/"), self, self._on_filter_shortcut)

    @property
    def chosen_device_id(self) -> DeviceId | None:
        """The device chosen, None when there is none."""
        if self._chosen is None or self._chosen.kind is not NodeKind.DEVICE:
            return None
        return DeviceId(int(self._chosen.id))

    def choose_device(self, device_id: DeviceId) -> None:
        """Choose a device by its id; also before the installation is known."""
        self._chosen = device_key(device_id)
        index = self.proxy.mapFromSource(self._model.index_of(self._chosen))
        if index.isValid():
            self.tree.setCurrentIndex(index)

    def choose_first_device(self) -> None:
        """Choose the first device if none is chosen."""
        for key in self._model.node_keys():
            if key.kind is NodeKind.DEVICE:
                self.choose_device(DeviceId(int(key.id)))
                return

    @Slot(str)
    def _on_filter_text_changed(self, text: str) -> None:
        self.proxy.setFilterFixedString(text)
        if text:
            self.tree.expandAll()
        else:
            self._restore_expansion()

    @Slot()
    def _on_filter_shortcut(self) -> None:
        self.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.filter.selectAll()

    @Slot(QModelIndex, QModelIndex)
    def _on_tree_current_changed(self, current: QModelIndex, _previous: QModelIndex) -> None:
        key: NodeKey | None = current.siblingAtColumn(0).data(NODE_ROLE)
        if key is None or key.kind is not NodeKind.DEVICE or self._is_resetting:
            return
        self._chosen = key
        self.device_chosen.emit(int(key.id))

    @Slot(QModelIndex)
    def _on_tree_collapsed(self, index: QModelIndex) -> None:
        if not self.filter.text():
            self._collapsed.add(index.data(NODE_ROLE))

    @Slot(QModelIndex)
    def _on_tree_expanded(self, index: QModelIndex) -> None:
        if not self.filter.text():
            self._collapsed.discard(index.data(NODE_ROLE))

    @Slot()
    def _on_model_about_to_be_reset(self) -> None:
        self._is_resetting = True
        self._scroll = self.tree.verticalScrollBar().value()

    @Slot()
    def _on_model_reset(self) -> None:
        self._restore_expansion()
        index = self.proxy.mapFromSource(self._model.index_of(self._chosen)) if self._chosen else QModelIndex()
        if index.isValid():
            self.tree.setCurrentIndex(index)
            self.tree.verticalScrollBar().setValue(self._scroll)
        self._is_resetting = False
        if not index.isValid():
            # the device shown has gone, or nothing was chosen yet
            self._chosen = None
            self.choose_first_device()

    def _restore_expansion(self) -> None:
        collapsed = set(self._collapsed)
        self.tree.expandAll()
        for key in collapsed:
            index = self.proxy.mapFromSource(self._model.index_of(key))
            if index.isValid():
                self.tree.collapse(index)
