"""The plot of page Trends: the only file that knows pyqtgraph. Import it beside the window: it takes 0.4 s.

Each unit has a pane of its own on one time axis. A curve is drawn from its pyramid: about as many points as
pixels, so that a year of minutes pans as fast as an hour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QColor, QFont, QImage, QKeyEvent, QPainter, QPaintEvent, QPen, QResizeEvent, QTransform
from PySide6.QtWidgets import QLabel, QStyleOptionGraphicsItem, QWidget

from emdx_desktop.domain.periods import Period
from emdx_desktop.ui.envelope import EnvelopeSlice
from emdx_desktop.ui.number_format import NumberFormat
from emdx_desktop.ui.theme import SERIES_TOKENS, Theme
from emdx_desktop.ui.time_ticks import step_decimals, time_ticks, value_step, value_ticks
from emdx_desktop.ui.trend_loading import TrendCurve

AXIS_WIDTH_PX = 56
TICK_PX = 11
TICK_ROOM_PX = 84
POINTS_PER_PX = 1.5
FRAME_MS = 16
SETTLE_MS = 150
MIN_VIEW_S = 300.0
MAX_VIEW_S = 12 * 366 * 86_400.0
BAND_ALPHA = 0.22
MIN_NAMED_GAP_PX = 8
GAP_NAME_PX = 20
MAX_BANDS = 2
TITLE_PX = 18
VALUE_TICK_ROOM_PX = 26


@dataclass(frozen=True, slots=True)
class PlottedCurve:
    """A curve with how it is drawn.

    Attributes:
        curve: Data.
        title: Quantity and device.
        position: Place in the order of series: colour, and dashed from the seventh on.
        axis_title: Name and unit of its pane.
        gap_texts: One text for each gap of the curve.
    """

    curve: TrendCurve
    title: str
    position: int
    axis_title: str
    gap_texts: tuple[str, ...]

    @property
    def token(self) -> str:
        """Colour."""
        return SERIES_TOKENS[self.position % len(SERIES_TOKENS)]

    @property
    def is_dashed(self) -> bool:
        """The seventh series repeats the first, dashed."""
        return self.position >= len(SERIES_TOKENS)


class _TimeAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no annotations
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


class _ValueAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no annotations
    """4 to 6 ticks at 1-2-5 steps, numbers as everywhere in the program."""

    def __init__(self, numbers: NumberFormat) -> None:
        super().__init__("left")
        self._numbers = numbers

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N803
        """Ticks of the shown range."""
        count = _tick_count(size)
        return [(value_step(max(maxVal - minVal, 1e-12), count), value_ticks(minVal, maxVal, count))]

    def tickStrings(self, values: Sequence[float], _scale: float, spacing: float) -> list[str]:
        """Labels with as many decimals as tell them apart."""
        return [self._numbers.fixed(value, step_decimals(spacing)) for value in values]


def _use_pixels(painter: QPainter, box: pg.ViewBox) -> None:
    """From the units of the axes back to pixels of the pane, as a pure shift.

    What rounding leaves of the scale would make Qt treat each rectangle as a path: 20 times slower (measured).
    """
    whole = box.childTransform().inverted()[0] * painter.transform()
    painter.setTransform(QTransform.fromTranslate(round(whole.dx()), round(whole.dy())))


def _tick_count(height_px: float) -> int:
    """As many labels as there is room for, 6 at most."""
    return min(6, max(2, int(height_px / VALUE_TICK_ROOM_PX)))


class _Ground(pg.GraphicsObject):  # type: ignore[misc]  # pyqtgraph has no annotations
    """Behind the curves: the hatch of gaps, grid lines, midnights."""

    def __init__(self, theme: Theme, time_axis: _TimeAxis, value_axis: _ValueAxis) -> None:
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
        _use_pixels(painter, box)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

        def px_of_x(x: float) -> float:
            return float(round((x - x0) / (x1 - x0) * width_px))

        self._paint_gaps(painter, px_of_x, width_px, height_px)
        painter.setPen(QPen(self._theme.color("grid"), 1))
        for value in value_ticks(y0, y1, _tick_count(height_px)):
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


class _GapNames(pg.GraphicsObject):  # type: ignore[misc]  # pyqtgraph has no annotations
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
        _use_pixels(painter, box)
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


class _Band(pg.GraphicsObject):  # type: ignore[misc]  # pyqtgraph has no annotations
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
        _use_pixels(painter, box)
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


@dataclass(slots=True)
class _Drawn:
    """One curve on its pane."""

    plotted: PlottedCurve
    line: pg.PlotCurveItem
    band: _Band
    point_count: int = 0


class _Pane:
    """One unit: title, value axis, ground, curves, cross-hair.

    Put together from view box and axes: the stock PlotItem makes a hidden settings menu for each, which
    costs 20 ms and outlives the window.
    """

    def __init__(self, plot: TrendPlot, title: str) -> None:
        self.title = title
        self.time_axis = _TimeAxis(plot.numbers, plot.zone)
        self.value_axis = _ValueAxis(plot.numbers)
        self.box = pg.ViewBox(enableMenu=False, defaultPadding=0)
        self.label = pg.LabelItem(justify="left")
        self.layout = pg.GraphicsLayout()
        self.layout.setContentsMargins(0, 0, 8, 0)
        self.layout.layout.setSpacing(0)
        self.layout.addItem(self.label, row=0, col=1)
        self.layout.addItem(self.value_axis, row=1, col=0)
        self.layout.addItem(self.box, row=1, col=1)
        self.layout.addItem(self.time_axis, row=2, col=1)
        self.layout.layout.setRowFixedHeight(0, TITLE_PX)
        self.layout.layout.setRowStretchFactor(1, 1)
        self.layout.layout.setColumnStretchFactor(1, 1)
        self.box.setMouseEnabled(x=True, y=False)
        self.box.disableAutoRange()
        self.box.setLimits(minXRange=MIN_VIEW_S, maxXRange=MAX_VIEW_S)
        self.value_axis.enableAutoSIPrefix(False)
        self.value_axis.setWidth(AXIS_WIDTH_PX)
        font = QFont(plot.font())
        font.setPixelSize(TICK_PX)
        for axis in (self.time_axis, self.value_axis):
            axis.linkToView(self.box)
            axis.setStyle(tickLength=0, tickTextOffset=6, tickFont=font)
        self.ground = _Ground(plot.theme, self.time_axis, self.value_axis)
        self.gap_names = _GapNames(plot.theme)
        self.box.addItem(self.ground, ignoreBounds=True)
        self.box.addItem(self.gap_names, ignoreBounds=True)
        self.cross = pg.InfiniteLine(angle=90, movable=False)
        self.cross.setZValue(30)
        self.cross.hide()
        self.box.addItem(self.cross, ignoreBounds=True)
        self.drawn: list[_Drawn] = []

    def set_last(self, is_last: bool) -> None:
        """Only the lowest pane has labels on its time axis."""
        self.time_axis.setStyle(showValues=is_last)
        self.time_axis.setHeight(22 if is_last else 4)

    def color(self, theme: Theme) -> None:
        """Take the colours of the theme."""
        for axis in (self.time_axis, self.value_axis):
            axis.setPen(pg.mkPen(theme.color("line")))
            axis.setTextPen(pg.mkPen(theme.color("ink3")))
        self.cross.setPen(pg.mkPen(theme.color("ink"), width=1))
        font = QFont(self.label.item.font())
        font.setPixelSize(TICK_PX)
        font.setWeight(QFont.Weight.DemiBold)
        self.label.item.setFont(font)
        self.label.setText(self.title, color=theme.color("ink2"), size=f"{TICK_PX}px")
        for drawn in self.drawn:
            drawn.line.setPen(curve_pen(theme, drawn.plotted))


def curve_pen(theme: Theme, plotted: PlottedCurve) -> QPen:
    """1 px: wider lines cost six times as much to draw."""
    pen = pg.mkPen(theme.color(plotted.token), width=1)
    if plotted.is_dashed:
        pen.setDashPattern([6, 3])
    return QPen(pen)


class TrendPlot(pg.GraphicsLayoutWidget):  # type: ignore[misc]  # pyqtgraph has no annotations
    """Panes under each other on one time axis.

    Signals:
        cursor_moved(float): The cross-hair stands at this moment (epoch seconds); NaN when it went away.
        view_settled(int, int): The range shown (UTC ms) did not change for a moment after a person moved it.
    """

    cursor_moved = Signal(float)
    view_settled = Signal("qlonglong", "qlonglong")  # type: ignore[arg-type]  # milliseconds do not fit an int

    def __init__(self, theme: Theme, numbers: NumberFormat, zone: tzinfo, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = theme
        self.numbers = numbers
        self.zone = zone
        self._panes: list[_Pane] = []
        self._home: Period | None = None
        self._is_setting_range = False
        self._is_moving = False
        self._cursor_s = float("nan")
        self._pointer: QPointF | None = None
        self.frame_count = 0
        self.ci.layout.setContentsMargins(0, 0, 0, 0)
        self.ci.layout.setSpacing(2)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Trend of the chosen quantities; its values are in the table below"))
        self._tag = QLabel(self)
        self._tag.setTextFormat(Qt.TextFormat.PlainText)
        self._tag.setProperty("role", "tag")
        self._tag.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._tag.hide()
        self._frame_timer = QTimer(self)
        self._frame_timer.setSingleShot(True)
        self._frame_timer.setInterval(FRAME_MS)
        self._frame_timer.timeout.connect(self._on_frame_timer_timeout)
        self._settle_timer = QTimer(self)
        self._settle_timer.setSingleShot(True)
        self._settle_timer.setInterval(SETTLE_MS)
        self._settle_timer.timeout.connect(self._on_settle_timer_timeout)
        self.scene().sigMouseMoved.connect(self._on_scene_mouse_moved)
        theme.changed.connect(self._on_theme_changed)
        self._on_theme_changed()

    # --- what is drawn -------------------------------------------------------------------------------

    def set_curves(self, curves: Sequence[PlottedCurve], view: Period, *, is_view_kept: bool) -> None:
        """Draw these curves.

        Args:
            curves: In the order chosen; curves of one axis title share a pane.
            view: Range of a fresh picture, and of "all" later.
            is_view_kept: Keep the range a person zoomed to.
        """
        self._home = view
        shown = self.view()
        titles = list(dict.fromkeys(plotted.axis_title for plotted in curves))
        if titles != [pane.title for pane in self._panes]:
            self._arrange_panes(titles)
        for pane in self._panes:
            self._fill_pane(pane, [plotted for plotted in curves if plotted.axis_title == pane.title])
        target = shown if is_view_kept and shown is not None else view
        self._set_range(target)
        # heights of new panes are known only then
        self.ci.layout.activate()
        self.fit_values()
        self._update_lines()

    def _arrange_panes(self, titles: list[str]) -> None:
        """As many panes as titles. Panes are kept and named anew: making one takes 10 ms."""
        while len(self._panes) > len(titles):
            self.ci.removeItem(self._panes.pop().layout)
        for number, title in enumerate(titles):
            if number == len(self._panes):
                pane = _Pane(self, title)
                self.ci.addItem(pane.layout, row=number, col=0)
                if self._panes:
                    pane.box.setXLink(self._panes[0].box)
                else:
                    pane.box.sigXRangeChanged.connect(self._on_view_box_x_range_changed)
                self._panes.append(pane)
            pane = self._panes[number]
            pane.title = title
            pane.set_last(number == len(titles) - 1)
            pane.color(self.theme)

    def _fill_pane(self, pane: _Pane, curves: list[PlottedCurve]) -> None:
        while len(pane.drawn) > len(curves):
            drawn = pane.drawn.pop()
            pane.box.removeItem(drawn.line)
            pane.box.removeItem(drawn.band)
        for number, plotted in enumerate(curves):
            if number == len(pane.drawn):
                band = _Band()
                line = pg.PlotCurveItem(antialias=True, connect="finite", skipFiniteCheck=False)
                pane.box.addItem(band, ignoreBounds=True)
                pane.box.addItem(line, ignoreBounds=True)
                line.setZValue(10)
                pane.drawn.append(_Drawn(plotted, line, band))
            drawn = pane.drawn[number]
            drawn.plotted = plotted
            drawn.line.setPen(curve_pen(self.theme, plotted))
        gaps = [
            (gap.start_ms / 1000, gap.end_ms / 1000, text)
            for plotted in curves
            for gap, text in zip(plotted.curve.gaps, plotted.gap_texts, strict=True)
        ]
        pane.ground.set_gaps(gaps)
        pane.gap_names.set_gaps(sorted(gaps))

    def view(self) -> Period | None:
        """The range shown."""
        if not self._panes:
            return None
        start_s, end_s = self._panes[0].box.viewRange()[0]
        return Period(round(start_s * 1000), round(end_s * 1000))

    def show_period(self, period: Period) -> None:
        """Show another range at once, with the data there is."""
        self._set_range(period)
        self.fit_values()
        self._update_lines()

    def _set_range(self, period: Period) -> None:
        if not self._panes:
            return
        self._is_setting_range = True
        self._panes[0].box.setXRange(period.start_ms / 1000, period.end_ms / 1000, padding=0)
        for pane in self._panes[1:]:
            pane.box.setXRange(period.start_ms / 1000, period.end_ms / 1000, padding=0)
        self._is_setting_range = False

    def fit_values(self) -> None:
        """Let each value axis hold what is in view; power, current and amounts start at 0."""
        view = self.view()
        if view is None:
            return
        for pane in self._panes:
            low, high = float("inf"), float("-inf")
            starts_at_zero = False
            for drawn in pane.drawn:
                curve = drawn.plotted.curve
                piece = curve.envelope.slice(view.start_ms / 1000, view.end_ms / 1000, self._max_points())
                if np.isfinite(piece.low).any():
                    low = min(low, float(np.nanmin(piece.low)))
                    high = max(high, float(np.nanmax(piece.high)))
                starts_at_zero |= curve.is_energy or curve.unit.symbol in ("kW", "kvar", "kVA", "A", "m³/h")
            if low > high:
                low, high = 0.0, 1.0
            if starts_at_zero:
                low, high = min(low, 0.0), max(high, 0.0)
            length = (high - low) or max(abs(high), 1.0) * 0.1
            step = value_step(length)
            bottom = np.floor(low / step) * step if low > 0 else low - 0.04 * length if low < 0 else 0.0
            # what is said about gaps stands above the curves, not on them
            head_px = GAP_NAME_PX if pane.gap_names.has_gaps else 0
            height_px = max(4 * GAP_NAME_PX, pane.box.height())
            top = high + max(0.06, head_px / (height_px - head_px)) * length
            pane.box.setYRange(bottom, max(top, bottom + step), padding=0)

    def _max_points(self) -> int:
        return max(64, int(self.width() * POINTS_PER_PX))

    def _update_lines(self) -> None:
        view = self.view()
        if view is None:
            return
        start_s, end_s, max_points = view.start_ms / 1000, view.end_ms / 1000, self._max_points()
        for pane in self._panes:
            # where many bands would lie over each other only the first is shown, and none while a person drags
            count = len(pane.drawn)
            band_count = count if count <= MAX_BANDS else 0 if self._is_moving else 1
            for number, drawn in enumerate(pane.drawn):
                curve = drawn.plotted.curve
                piece = curve.envelope.slice(start_s, end_s, max_points)
                is_whole = bool(np.isfinite(piece.mean).all())
                drawn.line.setData(piece.x, piece.mean, connect="all" if is_whole else "finite")
                drawn.point_count = len(piece.x)
                has_band = number < band_count and not (piece.is_raw and curve.low is curve.high)
                drawn.band.set_band(piece if has_band else None, self.theme.color(drawn.plotted.token, BAND_ALPHA))

    @property
    def drawn_point_counts(self) -> list[int]:
        """Points each curve draws now (for tests and measurements)."""
        return [drawn.point_count for pane in self._panes for drawn in pane.drawn]

    # --- cross-hair ----------------------------------------------------------------------------------

    def set_cursor(self, moment_s: float) -> None:
        """Put the cross-hair to a moment; NaN takes it away."""
        self._cursor_s = moment_s
        view = self.view()
        is_shown = view is not None and view.start_ms / 1000 <= moment_s <= view.end_ms / 1000
        for pane in self._panes:
            pane.cross.setVisible(is_shown)
            if is_shown:
                pane.cross.setValue(moment_s)
        self._tag.setVisible(is_shown)
        if is_shown:
            self._place_tag(moment_s)
        self.cursor_moved.emit(moment_s if is_shown else float("nan"))

    def _place_tag(self, moment_s: float) -> None:
        from emdx_desktop.domain.periods import local_time

        local = local_time(round(moment_s * 1000), self.zone)
        weekday = self.numbers.locale.dayName(local.isoweekday(), self.numbers.locale.FormatType.ShortFormat)
        self._tag.setText(f"{weekday} {local:%d.%m. %H:%M}")
        self._tag.adjustSize()
        box = self._panes[-1].box
        corner = self.mapFromScene(box.mapViewToScene(QPointF(moment_s, box.viewRange()[1][0])))
        left_px = min(max(0, corner.x() - self._tag.width() // 2), self.width() - self._tag.width())
        self._tag.move(left_px, min(corner.y() + 2, self.height() - self._tag.height()))

    def move_cursor(self, samples: int) -> None:
        """Move the cross-hair by samples of the first curve."""
        curves = [drawn.plotted.curve for pane in self._panes for drawn in pane.drawn]
        view = self.view()
        if not curves or view is None or len(curves[0].ts_s) == 0:
            return
        ts_s = curves[0].ts_s
        if not np.isfinite(self._cursor_s):
            target = int(np.searchsorted(ts_s, (view.start_ms + view.end_ms) / 2000))
        else:
            target = int(np.argmin(np.abs(ts_s - self._cursor_s))) + samples
        first = int(np.searchsorted(ts_s, view.start_ms / 1000))
        last = int(np.searchsorted(ts_s, view.end_ms / 1000)) - 1
        if first <= last:
            self.set_cursor(float(ts_s[min(max(target, first), last)]))

    # --- zoom and keys -------------------------------------------------------------------------------

    def zoom(self, factor: float) -> None:
        """Show `factor` times the length, around the cross-hair or the middle."""
        view = self.view()
        if view is None:
            return
        middle_s = self._cursor_s if np.isfinite(self._cursor_s) else (view.start_ms + view.end_ms) / 2000
        length_s = min(max(view.length_ms / 1000 * factor, MIN_VIEW_S), MAX_VIEW_S)
        share = (middle_s - view.start_ms / 1000) / (view.length_ms / 1000)
        start_s = middle_s - share * length_s
        self._panes[0].box.setXRange(start_s, start_s + length_s, padding=0)

    def pan(self, share: float) -> None:
        """Move by a share of the length shown."""
        view = self.view()
        if view is not None:
            by_s = share * view.length_ms / 1000
            start_s, end_s = view.start_ms / 1000 + by_s, view.end_ms / 1000 + by_s
            self._panes[0].box.setXRange(start_s, end_s, padding=0)

    def show_all(self) -> None:
        """Show the period chosen again."""
        if self._home is not None:
            self.show_period(self._home)
            self._settle_timer.start()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """←/→ cross-hair (Shift ten samples, Alt pans), + − 0 zoom."""
        key, modifiers = event.key(), event.modifiers()
        if key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            sign = -1 if key == Qt.Key.Key_Left else 1
            if modifiers & Qt.KeyboardModifier.ControlModifier:
                self.pan(sign * 0.1)
            else:
                self.move_cursor(sign * (10 if modifiers & Qt.KeyboardModifier.ShiftModifier else 1))
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.zoom(0.5)
        elif key == Qt.Key.Key_Minus:
            self.zoom(2.0)
        elif key == Qt.Key.Key_0:
            self.show_all()
        elif key == Qt.Key.Key_Space:
            event.ignore()  # the page's
        elif key == Qt.Key.Key_Escape and np.isfinite(self._cursor_s):
            self.set_cursor(float("nan"))
        else:
            super().keyPressEvent(event)

    # --- slots and events ----------------------------------------------------------------------------

    @Slot(object, object)
    def _on_view_box_x_range_changed(self, _box: object, _range: object) -> None:
        if self._is_setting_range:
            return
        self._is_moving = True
        self._update_lines()
        if np.isfinite(self._cursor_s):
            self.set_cursor(self._cursor_s)
        self._settle_timer.start()

    @Slot()
    def _on_settle_timer_timeout(self) -> None:
        view = self.view()
        self._is_moving = False
        if view is not None:
            self.fit_values()
            self._update_lines()
            self.view_settled.emit(view.start_ms, view.end_ms)

    @Slot(object)
    def _on_scene_mouse_moved(self, position: QPointF) -> None:
        self._pointer = position
        if not self._frame_timer.isActive():
            self._frame_timer.start()

    @Slot()
    def _on_frame_timer_timeout(self) -> None:
        for pane in self._panes:
            if self._pointer is not None and pane.box.sceneBoundingRect().contains(self._pointer):
                self.set_cursor(pane.box.mapSceneToView(self._pointer).x())
                return

    @Slot()
    def _on_theme_changed(self) -> None:
        self.setBackground(self.theme.color("surface"))
        for pane in self._panes:
            pane.color(self.theme)
        self._update_lines()

    def close(self) -> bool:
        """The base class takes its scene apart here: nothing of it may be touched afterwards."""
        self._frame_timer.stop()
        self._settle_timer.stop()
        self._panes = []
        return bool(super().close())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Counted for measurements."""
        self.frame_count += 1
        super().paintEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More or fewer pixels: more or fewer points."""
        super().resizeEvent(event)
        # the base class resizes while it is being made
        if getattr(self, "_panes", None):
            self.fit_values()
            self._update_lines()
