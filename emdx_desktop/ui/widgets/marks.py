"""State and quality marks, painted: shape first, the word stands beside it."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from emdx_desktop.ui.theme import Theme
from emdx_desktop.ui.wording import Mark, Shape

STROKE_PX = 1.4


def paint_mark(painter: QPainter, center: QPointF, shape: Shape, color: QColor, size_px: float, ground: QColor) -> None:
    """Draw a shape of `size_px` around `center`; `ground` is the colour of what is cut out of it."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(center)
    scale = size_px / 16
    painter.scale(scale, scale)
    pen = QPen(color, STROKE_PX / min(1.0, scale))
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    _DRAW[shape](painter, color, ground)
    painter.restore()


def _none(_painter: QPainter, _color: QColor, _ground: QColor) -> None:
    return


def _dot(painter: QPainter, color: QColor, _ground: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawEllipse(QPointF(0, 0), 4, 4)


def _tick(painter: QPainter, _color: QColor, _ground: QColor) -> None:
    painter.drawPolyline(QPolygonF([QPointF(-5, 0.5), QPointF(-1.5, 4), QPointF(5.5, -4)]))


def _square(painter: QPainter, color: QColor, ground: QColor) -> None:
    painter.setBrush(color)
    painter.drawRoundedRect(QRectF(-6, -6, 12, 12), 2, 2)
    painter.setPen(QPen(ground, 1.6))
    painter.drawLine(QPointF(0, -0.5), QPointF(0, 3.5))
    painter.drawPoint(QPointF(0, -3.2))


def _triangle(painter: QPainter, color: QColor, ground: QColor) -> None:
    painter.setBrush(color)
    painter.drawPolygon(QPolygonF([QPointF(0, -5.5), QPointF(6.2, 5.2), QPointF(-6.2, 5.2)]))
    painter.setPen(QPen(ground, 1.5))
    painter.drawLine(QPointF(0, -2), QPointF(0, 1.6))
    painter.drawPoint(QPointF(0, 3.7))


def _octagon(painter: QPainter, color: QColor, ground: QColor) -> None:
    painter.setBrush(color)
    corners = ((-2.7, -6.5), (2.7, -6.5), (6.5, -2.7), (6.5, 2.7), (2.7, 6.5), (-2.7, 6.5), (-6.5, 2.7), (-6.5, -2.7))
    painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in corners]))
    painter.setPen(QPen(ground, 1.6))
    painter.drawLine(QPointF(-2.4, -2.4), QPointF(2.4, 2.4))
    painter.drawLine(QPointF(2.4, -2.4), QPointF(-2.4, 2.4))


def _broken_ring(painter: QPainter, _color: QColor, _ground: QColor) -> None:
    ring = QRectF(-6, -6, 12, 12)
    for start_deg in (15, 105, 195, 285):
        painter.drawArc(ring, start_deg * 16, 60 * 16)
    painter.drawLine(QPointF(-3.4, 3.4), QPointF(3.4, -3.4))


def _half_disc(painter: QPainter, color: QColor, _ground: QColor) -> None:
    painter.drawEllipse(QPointF(0, 0), 5.5, 5.5)
    painter.setBrush(color)
    painter.drawPie(QRectF(-5.5, -5.5, 11, 11), 90 * 16, 180 * 16)


def _barred_ring(painter: QPainter, _color: QColor, _ground: QColor) -> None:
    painter.drawEllipse(QPointF(0, 0), 5.5, 5.5)
    painter.drawLine(QPointF(-2.5, 0), QPointF(2.5, 0))


def _clock(painter: QPainter, _color: QColor, _ground: QColor) -> None:
    painter.drawEllipse(QPointF(0, 0), 5.7, 5.7)
    painter.drawPolyline(QPolygonF([QPointF(0, -3.2), QPointF(0, 0), QPointF(2.4, 1.4)]))


def _cross(painter: QPainter, at: QPointF) -> None:
    for dx, dy in ((2.2, 2.2), (2.2, -2.2)):
        painter.drawLine(at + QPointF(-dx, -dy), at + QPointF(dx, dy))


def _breaker_closed(painter: QPainter, color: QColor, _ground: QColor) -> None:
    """IEC 60617 contact with cross, closed."""
    painter.drawLine(QPointF(0, -7), QPointF(0, 7))
    _cross(painter, QPointF(0, -3.5))
    painter.setPen(QPen(color, STROKE_PX * 2))
    painter.drawLine(QPointF(0, -0.5), QPointF(0, 6))


def _breaker_open(painter: QPainter, _color: QColor, _ground: QColor) -> None:
    painter.drawLine(QPointF(0, -7), QPointF(0, -3.5))
    _cross(painter, QPointF(0, -3.5))
    painter.drawLine(QPointF(-3.6, -1), QPointF(0, 4.5))
    painter.drawLine(QPointF(0, 4.5), QPointF(0, 7))


def _breaker_fault(painter: QPainter, color: QColor, ground: QColor) -> None:
    _breaker_open(painter, color, ground)
    painter.drawPolyline(QPolygonF([QPointF(5, -3), QPointF(3, 0.5), QPointF(6, 0.5), QPointF(4, 4.5)]))


_DRAW = {
    Shape.NONE: _none,
    Shape.DOT: _dot,
    Shape.TICK: _tick,
    Shape.SQUARE: _square,
    Shape.TRIANGLE: _triangle,
    Shape.OCTAGON: _octagon,
    Shape.BROKEN_RING: _broken_ring,
    Shape.HALF_DISC: _half_disc,
    Shape.BARRED_RING: _barred_ring,
    Shape.CLOCK: _clock,
    Shape.BREAKER_CLOSED: _breaker_closed,
    Shape.BREAKER_OPEN: _breaker_open,
    Shape.BREAKER_FAULT: _breaker_fault,
}


class MarkLabel(QWidget):
    """A mark and its word, of fixed height."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._mark = Mark(Shape.NONE, "", "ink3")
        self.setFixedHeight(24)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def set_mark(self, mark: Mark) -> None:
        """Show another mark; repaints only if it differs."""
        if mark != self._mark:
            self._mark = mark
            self.setAccessibleName(mark.word)
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        """Mark, gap and word."""
        width_px = 24 + self.fontMetrics().horizontalAdvance(self._mark.word) + 4
        return QSize(width_px if self._mark.word else 20, 24)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Shape, then word."""
        painter = QPainter(self)
        color = self._theme.color(self._mark.token)
        middle_px = self.height() / 2
        paint_mark(painter, QPointF(9, middle_px), self._mark.shape, color, 16, self._theme.color("surface"))
        painter.setPen(color)
        painter.drawText(
            self.rect().adjusted(22, 0, 0, 0),
            Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft,
            self._mark.word,
        )
        painter.end()
