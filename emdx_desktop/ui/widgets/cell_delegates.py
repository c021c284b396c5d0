"""Cells of trees and tables that are painted: numbers, states, qualities, series swatches."""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QFont, QKeyEvent, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QTableView, QWidget

from emdx_desktop.ui.models.live_values import IS_OLD_ROLE
from emdx_desktop.ui.models.site_tree import MARK_ROLE, NODE_ROLE, UNIT_ROLE, NodeKey, NodeKind
from emdx_desktop.ui.theme import Theme
from emdx_desktop.ui.widgets.marks import paint_mark
from emdx_desktop.ui.wording import Mark, Shape

Index = QModelIndex | QPersistentModelIndex
PADDING_PX = 8


class CellDelegate(QStyledItemDelegate):
    """Draws the row first, then the content over it; all delegates of the program derive from it."""

    row_px = 28

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Rows of one height."""
        return QSize(super().sizeHint(option, index).width(), self.row_px)

    def _draw_ground(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> QStyleOptionViewItem:
        """The row without its text; returns the option with the text.

        Painted here and not by the style: a style sheet's item took three quarters of the time of a table that
        changes four times a second (measured with 255 devices).
        """
        full = QStyleOptionViewItem(option)
        full.text = index.data() or ""
        rect = full.rect
        if full.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, self._theme.color("select"))
        elif full.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, self._theme.color("hover"))
        if isinstance(full.widget, QTableView):
            painter.fillRect(QRect(rect.left(), rect.bottom(), rect.width(), 1), self._theme.color("grid"))
        return full


class TextDelegate(CellDelegate):
    """Words at the left."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Ground, words."""
        full = self._draw_ground(painter, option, index)
        painter.save()
        painter.setFont(full.font)
        painter.setPen(self._theme.color("ink"))
        rect = full.rect.adjusted(PADDING_PX, 0, -2, 0)
        text = painter.fontMetrics().elidedText(full.text, Qt.TextElideMode.ElideRight, rect.width())
        painter.drawText(rect, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
        painter.restore()


class NumberDelegate(CellDelegate):
    """A number at the right; ink when present, ink2 when old, with a small unit where it differs."""

    def __init__(self, theme: Theme, parent: QWidget | None = None, *, is_strong: bool = False) -> None:
        super().__init__(theme, parent)
        self._is_strong = is_strong

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Ground, unit, number."""
        full = self._draw_ground(painter, option, index)
        rect = full.rect.adjusted(2, 0, -PADDING_PX, 0)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.save()
        unit = index.data(UNIT_ROLE)
        if unit:
            small = QFont(full.font)
            small.setPixelSize(11)
            painter.setFont(small)
            painter.setPen(self._theme.color("ink3"))
            painter.drawText(rect, right, unit)
            rect.setRight(rect.right() - painter.fontMetrics().horizontalAdvance(unit) - 4)
        font = QFont(full.font)
        is_old = bool(index.data(IS_OLD_ROLE))
        if self._is_strong and not is_old:
            font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(self._theme.color("ink2" if is_old else "ink"))
        # a number is never cut at its first digit without a sign that it was
        text = painter.fontMetrics().elidedText(full.text, Qt.TextElideMode.ElideRight, rect.width())
        painter.drawText(rect, right, text)
        painter.restore()


class MarkDelegate(CellDelegate):
    """A state or quality: shape and word. A quiet state in a tree row is its shape alone.

    `reach_px`: how far a word too long for its cell may reach into the cell at its left, which is
    empty when a device does not answer: the state takes the place of the number, nothing moves.
    """

    def __init__(
        self,
        theme: Theme,
        parent: QWidget | None = None,
        *,
        hides_quiet_words: bool = False,
        size_px: float = 12,
        reach_px: int = 0,
    ) -> None:
        super().__init__(theme, parent)
        self._hides_quiet_words = hides_quiet_words
        self._size_px = size_px
        self._reach_px = reach_px

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Ground, shape, word."""
        full = self._draw_ground(painter, option, index)
        mark: Mark | None = index.data(MARK_ROLE)
        if mark is None:
            return
        painter.save()
        rect = QRect(full.rect)
        color = self._theme.color(mark.token)
        font = QFont(full.font)
        font.setPixelSize(12)
        if not mark.is_quiet and mark.token in ("warn", "alarm", "silent"):
            font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        is_left_empty = not index.model().index(index.row(), index.column() - 1, index.parent()).data()
        if self._reach_px and is_left_empty and not mark.is_quiet:
            missing_px = painter.fontMetrics().horizontalAdvance(mark.word) + 28 - rect.width()
            rect.setLeft(rect.left() - min(self._reach_px, max(0, missing_px)))
        is_selected = bool(full.state & QStyle.StateFlag.State_Selected)
        ground = self._theme.color("select" if is_selected else "surface")
        center = QPointF(rect.left() + 12, rect.top() + rect.height() / 2)
        paint_mark(painter, center, mark.shape, color, self._size_px, ground)
        if not (mark.is_quiet and self._hides_quiet_words):
            painter.setPen(color)
            room = rect.adjusted(24, 0, -2, 0)
            text = painter.fontMetrics().elidedText(mark.word, Qt.TextElideMode.ElideRight, room.width())
            painter.drawText(room, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
        painter.restore()


class NodeDelegate(CellDelegate):
    """Name of a tree row: parents with their icon, panels in strong letters."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Ground, icon, name."""
        full = self._draw_ground(painter, option, index)
        key: NodeKey | None = index.data(NODE_ROLE)
        rect = full.rect.adjusted(8, 0, -2, 0)
        painter.save()
        font = QFont(full.font)
        is_selected = bool(full.state & QStyle.StateFlag.State_Selected)
        if is_selected and full.widget is not None and full.widget.hasFocus():
            painter.fillRect(
                QRect(full.rect.left(), full.rect.top(), 3, full.rect.height()), self._theme.color("accent")
            )
        if key is not None and key.kind is not NodeKind.DEVICE:
            name = "panel" if key.kind is NodeKind.PANEL else "gateway"
            icon = self._theme.icon(name, "ink2", 16)
            icon.paint(painter, QRect(rect.left(), rect.top() + (rect.height() - 16) // 2, 16, 16))
            rect.setLeft(rect.left() + 22)
        if is_selected or (key is not None and key.kind is NodeKind.PANEL):
            font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(self._theme.color("ink"))
        text = painter.fontMetrics().elidedText(full.text, Qt.TextElideMode.ElideRight, rect.width())
        painter.drawText(rect, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
        painter.restore()


class SymbolDelegate(CellDelegate):
    """The symbol of a quantity, in strong letters."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Ground, symbol."""
        full = self._draw_ground(painter, option, index)
        painter.save()
        font = QFont(full.font)
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(self._theme.color("ink"))
        rect = full.rect.adjusted(16, 0, -2, 0)
        text = painter.fontMetrics().elidedText(full.text, Qt.TextElideMode.ElideRight, rect.width())
        painter.drawText(rect, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
        painter.restore()


class ChoiceDelegate(CellDelegate):
    """A tick box and a name; ticked in the colour of its series (`MARK_ROLE`: token). The whole row ticks."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Ground, box, name."""
        state = index.data(Qt.ItemDataRole.CheckStateRole)
        full = self._draw_ground(painter, option, index)
        rect = full.rect.adjusted(4, 0, -2, 0)
        painter.save()
        font = QFont(full.font)
        if state is not None:
            is_chosen = Qt.CheckState(state) == Qt.CheckState.Checked
            box = QRectF(rect.left() + 0.5, rect.top() + (rect.height() - 15) / 2, 15, 15)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            token = index.data(MARK_ROLE)
            color = self._theme.color(token if is_chosen and token else "line2")
            painter.setPen(QPen(color, 1))
            painter.setBrush(color if is_chosen else self._theme.color("surface"))
            painter.drawRoundedRect(box, 3, 3)
            if is_chosen:
                paint_mark(painter, box.center(), Shape.TICK, self._theme.color("surface"), 13, color)
                font.setWeight(QFont.Weight.DemiBold)
            rect.setLeft(rect.left() + 24)
        painter.setFont(font)
        painter.setPen(self._theme.color("ink"))
        text = painter.fontMetrics().elidedText(full.text, Qt.TextElideMode.ElideRight, rect.width())
        painter.drawText(rect, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
        painter.restore()

    def editorEvent(self, event: QEvent, model: QAbstractItemModel, option: QStyleOptionViewItem, index: Index) -> bool:
        """A click anywhere in the row, or Space, ticks."""
        state = index.data(Qt.ItemDataRole.CheckStateRole)
        is_click = (
            event.type() is QEvent.Type.MouseButtonRelease
            and isinstance(event, QMouseEvent)
            and event.button() is Qt.MouseButton.LeftButton
        )
        is_key = (
            event.type() is QEvent.Type.KeyPress
            and isinstance(event, QKeyEvent)
            and event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Select)
        )
        if state is None or not (is_click or is_key):
            return False
        is_chosen = Qt.CheckState(state) == Qt.CheckState.Checked
        wanted = Qt.CheckState.Unchecked if is_chosen else Qt.CheckState.Checked
        return model.setData(index, wanted, Qt.ItemDataRole.CheckStateRole)


class SwatchDelegate(CellDelegate):
    """The line of a series as it is drawn: colour token and whether dashed, from `MARK_ROLE`."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Ground, a piece of the line."""
        full = self._draw_ground(painter, option, index)
        swatch: tuple[str, bool] | None = index.data(MARK_ROLE)
        if swatch is None:
            return
        token, is_dashed = swatch
        painter.save()
        pen = QPen(self._theme.color(token), 2.5)
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        if is_dashed:
            pen.setDashPattern([2.4, 1.2])
        painter.setPen(pen)
        middle_px = full.rect.top() + full.rect.height() / 2
        painter.drawLine(QPointF(full.rect.left() + 16, middle_px), QPointF(full.rect.left() + 40, middle_px))
        painter.restore()
