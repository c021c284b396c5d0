"""The plot of page Trends. Imports pyqtgraph, so it is imported beside the window: it takes 0.4 s.

Each unit has a pane of its own on one time axis. A curve is drawn from its pyramid: about as many points as
pixels, so that a year of minutes pans as fast as an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QFont, QKeyEvent, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QLabel, QWidget

from emdx_desktop.domain.periods import Period
from emdx_desktop.ui.number_format import NumberFormat
from emdx_desktop.ui.theme import SERIES_TOKENS, Theme
from emdx_desktop.ui.time_ticks import value_step
from emdx_desktop.ui.trend_loading import TrendCurve
from emdx_desktop.ui.widgets.trend_axes import TimeAxis, ValueAxis
from emdx_desktop.ui.widgets.trend_layers import TICK_PX, Band, GapNames, Ground

AXIS_WIDTH_PX = 56
POINTS_PER_PX = 1.5
FRAME_MS = 16
SETTLE_MS = 150
MIN_VIEW_S = 300.0
MAX_VIEW_S = 12 * 366 * 86_400.0
BAND_ALPHA = 0.22
GAP_NAME_PX = 20
MAX_BANDS = 2
TITLE_PX = 18


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


@dataclass(slots=True)
class _Drawn:
    """One curve on its pane."""

    plotted: PlottedCurve
    line: pg.PlotCurveItem
    band: Band
    point_count: int = 0


class _Pane:
    """One unit: title, value axis, ground, curves, cross-hair.

    Put together from view box and axes: the stock PlotItem makes a hidden settings menu for each, which
    costs 20 ms and outlives the window.
    """

    def __init__(self, plot: TrendPlot, title: str) -> None:
        self.title = title
        self.time_axis = TimeAxis(plot.numbers, plot.zone)
        self.value_axis = ValueAxis(plot.numbers)
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
        self.ground = Ground(plot.theme, self.time_axis, self.value_axis)
        self.gap_names = GapNames(plot.theme)
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
                band = Band()
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
