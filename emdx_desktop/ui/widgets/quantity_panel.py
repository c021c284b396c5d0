"""Left panel of page Trends: which quantities are drawn."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QSortFilterProxyModel, Qt, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from emdx_desktop.ui.models.quantity_choice import QuantityChoiceModel
from emdx_desktop.ui.theme import Theme
from emdx_desktop.ui.trend_loading import MAX_SERIES
from emdx_desktop.ui.widgets.cell_delegates import CellDelegate, ChoiceDelegate, NumberDelegate
from emdx_desktop.ui.widgets.labels import plain_label

UNIT_WIDTH_PX = 56


class QuantityPanel(QFrame):
    """Tree of series with ticks, and a filter."""

    def __init__(self, model: QuantityChoiceModel, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("bar", "side")
        self._model = model
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 12, 0, 0)
        column.setSpacing(8)
        head = QHBoxLayout()
        head.setContentsMargins(12, 0, 12, 0)
        head.addWidget(plain_label(self.tr("Quantities"), "card", self))
        head.addStretch(1)
        self._count = plain_label("", "second", self)
        head.addWidget(self._count)
        column.addLayout(head)
        self.filter = QLineEdit(self)
        self.filter.setPlaceholderText(self.tr("Name or symbol"))
        self.filter.setAccessibleName(self.tr("Filter the quantities"))
        self.filter.setClearButtonEnabled(True)
        self.filter.addAction(theme.icon("filter", "ink3", 16), QLineEdit.ActionPosition.LeadingPosition)
        holder = QVBoxLayout()
        holder.setContentsMargins(12, 0, 12, 0)
        holder.addWidget(self.filter)
        self._refusal = plain_label(
            self.tr("More than {0} are too many to tell apart. Take one out first.").format(MAX_SERIES),
            "warn",
            self,
            wraps=True,
        )
        self._refusal.hide()
        holder.addWidget(self._refusal)
        column.addLayout(holder)
        self.proxy = QSortFilterProxyModel(self)
        self.proxy.setSourceModel(model)
        # names change with a reset only: values need not be filtered again four times a second
        self.proxy.setDynamicSortFilter(False)
        self.proxy.setRecursiveFilteringEnabled(True)
        self.proxy.setAutoAcceptChildRows(True)
        self.proxy.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.tree = QTreeView(self)
        self.tree.setModel(self.proxy)
        self.tree.setAccessibleName(self.tr("Quantities with history"))
        self.tree.setHeaderHidden(True)
        self.tree.setUniformRowHeights(True)
        self.tree.setIndentation(14)
        self.tree.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._delegates: tuple[CellDelegate, ...] = (ChoiceDelegate(theme, self.tree), NumberDelegate(theme, self.tree))
        for number, delegate in enumerate(self._delegates):
            self.tree.setItemDelegateForColumn(number, delegate)
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.resizeSection(1, UNIT_WIDTH_PX)
        column.addWidget(self.tree, 1)
        self.filter.textChanged.connect(self._on_filter_text_changed)
        self.tree.clicked.connect(self._on_tree_clicked)
        model.modelReset.connect(self._on_model_choice_changed)
        model.choice_changed.connect(self._on_model_choice_changed)
        model.choice_refused.connect(self._on_model_choice_refused)
        QShortcut(QKeySequence("/"), self, self._on_filter_shortcut)
        self._on_model_choice_changed()

    def show_chosen(self) -> None:
        """Unfold the devices of what is chosen."""
        for key in self._model.chosen:
            index = self.proxy.mapFromSource(self._model.first_index_of(key))
            if index.isValid():
                self.tree.expand(index.parent())

    @Slot(str)
    def _on_filter_text_changed(self, text: str) -> None:
        self.proxy.setFilterFixedString(text)
        if text:
            self.tree.expandAll()
        else:
            self.tree.collapseAll()
            self.show_chosen()

    @Slot()
    def _on_filter_shortcut(self) -> None:
        self.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)

    @Slot(QModelIndex)
    def _on_tree_clicked(self, index: QModelIndex) -> None:
        """A click on the name of a device unfolds it; the delegate ticks series."""
        if not index.parent().isValid():
            index = index.siblingAtColumn(0)
            self.tree.setExpanded(index, not self.tree.isExpanded(index))

    @Slot()
    def _on_model_choice_changed(self) -> None:
        chosen, count = len(self._model.chosen), self._model.series_count
        self._count.setText(self.tr("{0} of {1} drawn").format(chosen, count))
        self._refusal.hide()

    @Slot()
    def _on_model_choice_refused(self) -> None:
        self._refusal.show()
