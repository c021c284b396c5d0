"""What lies behind and between the curves of a trend: grid, gaps and their names, lowest-to-highest bands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter, QPen, QTransform
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from emdx_desktop.ui.envelope import EnvelopeSlice
from emdx_desktop.ui.theme import Theme
from emdx_desktop.ui.time_ticks import value_ticks
from emdx_desktop.ui.widgets.trend_axes import TimeAxis, ValueAxis, tick_count

TICK_PX = 11
MIN_NAMED_GAP_PX = 8


def use_pixels(painter: QPainter, box: pg.ViewBox) -> None:
    """From the units of the axes back to pixels of the pane, as a pure shift.

    What rounding leaves of the scale would make Qt treat each rectangle as a path: 20 times slower (measured).
    """
    whole = box.childTransform().inverted()[0] * painter.transform()
    painter.setTransform(QTransform.fromTranslate(round(whole.dx()), round(whole.dy())))


class Ground(pg.GraphicsObject):  # type: ignore[misc]  # pyqtgraph has no annotations
    """Behind the curves: the hatch of gaps, grid lines, midnights."""

    def __init__(self, theme: Theme, time_axis: TimeAxis, value_axis: ValueAxis) -> None:
        super().__init__()
        self._theme = theme
        self._time_axis = time_axis
        self._value_axis = value_axis
        self._gaps: list[tuple[float, float, str]] = []
        self.setZValue(-20)

    def set_gaps(self, gaps: list[tuple[float, float, str]]) -> None:
        """Start, end (epoch seconds) and reason of each gap."""
        self._gaps = gaps
        self.update()

    def boundingRect(self) -> QRectF:
        """All of the pane."""
        return QRectF(self.viewRect())

    def viewRangeChanged(self) -> None:
        """The pane shows another range."""
        self.prepareGeometryChange()
        self.update()

    def paint(self, painter: QPainter, _option: QStyleOptionGraphicsItem, _widget: QWidget | None = None) -> None:
        """In pixels of the pane: lines of 1 px on whole pixels."""
        box = self.getViewBox()
        (x0, x1), (y0, y1) = box.viewRange()
        width_px, height_px = box.width(), box.height()
        if x1 <= x0 or y1 <= y0 or width_px <= 0:
            return
        painter.save()
        use_pixels(painter, box)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

        def px_of_x(x: float) -> float:
            return float(round((x - x0) / (x1 - x0) * width_px))

        self._paint_gaps(painter, px_of_x, width_px, height_px)
        painter.setPen(QPen(self._theme.color("grid"), 1))
        for value in value_ticks(y0, y1, tick_count(height_px)):
            y_px = round((y1 - value) / (y1 - y0) * height_px)
            painter.drawLine(QPointF(0, y_px), QPointF(width_px, y_px))
        midnights = set(self._time_axis.midnights)
        for x in self._time_axis.ticks_s:
            painter.setPen(QPen(self._theme.color("line2" if x in midnights else "grid"), 1))
            painter.drawLine(QPointF(px_of_x(x), 0), QPointF(px_of_x(x), height_px))
        painter.restore()

    def _paint_gaps(
        self, painter: QPainter, px_of_x: Callable[[float], float], width_px: float, height_px: float
    ) -> None:
        for start, end, _text in self._gaps:
            left_px, right_px = max(0.0, px_of_x(start)), min(width_px, px_of_x(end))
            if right_px > 0 and left_px < width_px:
                painter.fillRect(QRectF(left_px, 0, max(right_px - left_px, 1.0), height_px), self._theme.hatch())


class GapNames(pg.GraphicsObject):  # type: ignore[misc]  # pyqtgraph has no annotations
    """Before the curves: why there are gaps, as far as there is room for words."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._gaps: list[tuple[float, float, str]] = []
        self.setZValue(20)

    def set_gaps(self, gaps: list[tuple[float, float, str]]) -> None:
        """Start, end (epoch seconds) and reason of each gap, ascending."""
        self._gaps = gaps
        self.update()

    @property
    def has_gaps(self) -> bool:
        """Whether there is anything to say."""
        return bool(self._gaps)

    def boundingRect(self) -> QRectF:
        """All of the pane."""
        return QRectF(self.viewRect())

    def viewRangeChanged(self) -> None:
        """The pane shows another range."""
        self.prepareGeometryChange()

    def paint(self, painter: QPainter, _option: QStyleOptionGraphicsItem, _widget: QWidget | None = None) -> None:
        """One text a gap, none over another."""
        box = self.getViewBox()
        (x0, x1), _ = box.viewRange()
        width_px = box.width()
        if x1 <= x0:
            return
        painter.save()
        use_pixels(painter, box)
        font = QFont(painter.font())
        font.setPixelSize(TICK_PX)
        painter.setFont(font)
        last_text_px = -1.0
        for start, end, text in self._gaps:
            left_px = max(0.0, (start - x0) / (x1 - x0) * width_px)
            right_px = min(width_px, (end - x0) / (x1 - x0) * width_px)
            text_px = painter.fontMetrics().horizontalAdvance(text)
            at_px = min(max(0.0, (left_px + right_px - text_px) / 2), max(0.0, width_px - text_px))
            if right_px - left_px < MIN_NAMED_GAP_PX or at_px <= last_text_px:
                continue
            room = QRectF(at_px - 4, 2, text_px + 8, 16)
            painter.fillRect(room, self._theme.color("surface"))
            painter.setPen(self._theme.color("ink3"))
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter, text)
            last_text_px = at_px + text_px + 8
        painter.restore()


class Band(pg.GraphicsObject):  # type: ignore[misc]  # pyqtgraph has no annotations
    """Lowest to highest, as a tint behind the line, painted into a picture of the pane.

    For 1,000 noisy points a filled outline took 180 ms and upright rectangles 20 ms (Qt blends a column
    pixel by pixel); the picture takes 3 ms however tall the band is (measured, 1200×600).
    """

    def __init__(self) -> None:
        super().__init__()
        self._piece: EnvelopeSlice | None = None
        self._color = QColor()
        self._image = QImage()
        self._pixels: NDArray[np.uint8] | None = None  # memory of the picture
        self._top_px = 0
        self._painted: tuple[object, ...] = ()
        self.setZValue(-10)

    def set_band(self, piece: EnvelopeSlice | None, color: QColor) -> None:
        """Show another band, None for none."""
        self._piece = piece
        self._color = color
        self._painted = ()
        self.update()

    def boundingRect(self) -> QRectF:
        """All of the pane."""
        return QRectF(self.viewRect())

    def viewRangeChanged(self) -> None:
        """The pane shows another range."""
        self.prepareGeometryChange()

    def paint(self, painter: QPainter, _option: QStyleOptionGraphicsItem, _widget: QWidget | None = None) -> None:
        """The picture, made again when range or size changed."""
        box = self.getViewBox()
        (x0, x1), (y0, y1) = box.viewRange()
        width_px, height_px = int(box.width()), int(box.height())
        if self._piece is None or len(self._piece.x) < 2 or x1 <= x0 or y1 <= y0 or min(width_px, height_px) < 1:
            return
        wanted = (x0, x1, y0, y1, width_px, height_px)
        if wanted != self._painted:
            self._painted = wanted
            self._make_image(self._piece, (x0, x1), (y0, y1), width_px, height_px)
        painter.save()
        use_pixels(painter, box)
        painter.drawImage(0, self._top_px, self._image)
        painter.restore()

    def _make_image(
        self,
        piece: EnvelopeSlice,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        width_px: int,
        height_px: int,
    ) -> None:
        x = piece.x
        edges = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
        columns = x_range[0] + np.arange(width_px + 1) * (x_range[1] - x_range[0]) / width_px
        # points of each column of pixels: at least the one it lies in
        first = np.clip(np.searchsorted(edges, columns, side="right") - 1, 0, len(x) - 1)
        low = np.fmin.reduceat(piece.low, first)[:width_px]
        high = np.fmax.reduceat(piece.high, first)[:width_px]
        is_inside = (columns[:-1] >= edges[0]) & (columns[:-1] <= edges[-1]) & np.isfinite(low)
        scale = height_px / (y_range[1] - y_range[0])
        stride_px = -(-width_px // 4) * 4  # lines of a picture are aligned to 32 bits
        top_px = np.full(stride_px, height_px, dtype=np.int16)
        bottom_px = np.zeros(stride_px, dtype=np.int16)
        # clipped before it is cast: what lies outside the pane must not wrap round
        tops = np.clip(np.floor((y_range[1] - high[is_inside]) * scale), 0, height_px)
        bottoms = np.clip(np.ceil((y_range[1] - low[is_inside]) * scale), 0, height_px)
        top_px[:width_px][is_inside] = tops
        bottom_px[:width_px][is_inside] = bottoms
        first_row = int(tops.min()) if len(tops) else 0
        last_row = max(first_row + 1, int(bottoms.max()) if len(bottoms) else 0)
        rows = np.arange(first_row, last_row, dtype=np.int16)[:, np.newaxis]
        self._top_px = first_row
        # one byte a pixel, 0 or 1, and a table of two colours: a quarter of the memory of full colours
        self._pixels = ((rows >= top_px) & (rows < bottom_px)).view(np.uint8)
        self._image = QImage(self._pixels.data, width_px, len(rows), stride_px, QImage.Format.Format_Indexed8)
        self._image.setColorTable([0, self._color.rgba()])
