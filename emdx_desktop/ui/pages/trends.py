"""Page Trends: chosen quantities over an hour, a day, a week, a month or a year."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from PySide6.QtCore import QLocale, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QAction, QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QHBoxLayout,
    QHeaderView,
    QProgressBar,
    QPushButton,
    QStackedWidget,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from emdx_desktop.domain.history import MINUTE_MS, SeriesInfo
from emdx_desktop.domain.installation import Installation
from emdx_desktop.domain.periods import Period, Span, calendar_period, local_time, trailing_period
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind
from emdx_desktop.domain.readings import DeviceId, SiteSnapshot
from emdx_desktop.ui.bridge import Cancellation
from emdx_desktop.ui.context import WindowContext
from emdx_desktop.ui.models.quantity_choice import QuantityChoiceModel
from emdx_desktop.ui.models.trend_legend import LegendColumn, LegendEntry, TrendLegendModel
from emdx_desktop.ui.theme import SERIES_TOKENS
from emdx_desktop.ui.trend_loading import SeriesKey, Trend, TrendCurve, energy_step_for, load_trend, step_for
from emdx_desktop.ui.trend_wording import axis_title, curve_quantity, gap_text, note_text, period_text
from emdx_desktop.ui.widgets.banner import Banner
from emdx_desktop.ui.widgets.cell_delegates import CellDelegate, NumberDelegate, SwatchDelegate, TextDelegate
from emdx_desktop.ui.widgets.empty_state import EmptyState
from emdx_desktop.ui.widgets.labels import Card, ElidedLabel, plain_label
from emdx_desktop.ui.wording import Mark, Shape, quantity_name

if TYPE_CHECKING:
    from emdx_desktop.ui.widgets.trend_plot import TrendPlot

LOADING_AFTER_MS = 300
LEGEND_ROW_PX = 26
MAX_LEGEND_ROWS = 5
FIRST_CHOICE = ("active_power", "volume_flow_water", "volume_flow_gas", "active_energy_import", "volume_water")


class TrendsPage(QWidget):
    """Trends of chosen quantities.

    Signals:
        content_shown: The chosen series of the present period are drawn.
    """

    content_shown = Signal()

    def __init__(self, context: WindowContext, choice: QuantityChoiceModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("canvas")
        self._context = context
        self.choice = choice
        self.legend = TrendLegendModel(context.numbers, self)
        self.plot: TrendPlot | None = None
        self._installation: Installation | None = None
        self._zone: tzinfo = UTC
        self._span = Span.DAY
        self._period: Period | None = None
        self._is_live = True
        self._is_frozen = False
        self._is_view_moved = False
        self._trend: Trend | None = None
        self._last_saved_ms = 0
        self._wanted_device: DeviceId | None = None
        self._remembered = _remembered_keys(context.settings.value("trends/series"))
        self._are_series_known = False
        self._build()
        self._loading_timer = QTimer(self)
        self._loading_timer.setSingleShot(True)
        self._loading_timer.setInterval(LOADING_AFTER_MS)
        self._loading_timer.timeout.connect(self._on_loading_timer_timeout)
        choice.choice_changed.connect(self._on_choice_changed)
        context.theme.changed.connect(self._on_theme_changed)
        self._on_theme_changed()
        span = context.settings.value("trends/span")
        if isinstance(span, str) and span in {known.value for known in Span}:
            self._span = Span(span)
        self._span_buttons[self._span].setChecked(True)

    # --- building ------------------------------------------------------------------------------------

    def _build(self) -> None:
        outer = QVBoxLayout(self)
        outer.setContentsMargins(16, 16, 16, 16)
        outer.setSpacing(12)
        outer.addLayout(self._build_toolbar())
        self._banner = Banner(self._context.theme, self)
        outer.addWidget(self._banner)
        self._card = Card(self, padding_px=12)
        note_row = QHBoxLayout()
        self._note = ElidedLabel("second", self._card)
        self._keys = plain_label(self.tr("← → cross-hair, + − zoom, 0 all"), "axis", self._card)
        note_row.addWidget(self._note, 1)
        note_row.addWidget(self._keys)
        self._card.body.addLayout(note_row)
        self._bar = QProgressBar(self._card)
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(4)
        policy = self._bar.sizePolicy()
        # its place is kept: nothing moves when loading takes long
        policy.setRetainSizeWhenHidden(True)
        self._bar.setSizePolicy(policy)
        self._bar.hide()
        self._card.body.addWidget(self._bar)
        self._stack = QStackedWidget(self._card)
        self._blank = QWidget(self._stack)
        self.empty = EmptyState(
            self._context.theme,
            "trends",
            self.tr("Nothing chosen yet"),
            self.tr("Tick one or more quantities at the left. What is ticked is remembered."),
            self._stack,
        )
        self._stack.addWidget(self._blank)
        self._stack.addWidget(self.empty)
        self._card.body.addWidget(self._stack, 1)
        outer.addWidget(self._card, 1)
        outer.addWidget(self._build_legend())

    def _build_toolbar(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(12)
        row.addWidget(plain_label(self.tr("Trends"), "title", self))
        segments = QHBoxLayout()
        segments.setSpacing(0)
        self._spans = QButtonGroup(self)
        self._span_buttons: dict[Span, QPushButton] = {}
        titles = {
            Span.HOUR: self.tr("Hour"),
            Span.DAY: self.tr("Day"),
            Span.WEEK: self.tr("Week"),
            Span.MONTH: self.tr("Month"),
            Span.YEAR: self.tr("Year"),
        }
        for number, span in enumerate(Span):
            button = QPushButton(titles[span], self)
            button.setCheckable(True)
            button.setProperty("segment", "first" if number == 0 else "last" if number == len(Span) - 1 else "middle")
            self._spans.addButton(button, number)
            self._span_buttons[span] = button
            segments.addWidget(button)
        self._spans.idClicked.connect(self._on_spans_id_clicked)
        row.addLayout(segments)
        self._before = self._tool(self.tr("Period before ( [ )"), "[")
        self._before.clicked.connect(self._on_before_clicked)
        self._after = self._tool(self.tr("Period after ( ] )"), "]")
        self._after.clicked.connect(self._on_after_clicked)
        row.addWidget(self._before)
        self._period_label = plain_label("", "strong", self)
        widest = self.tr("{0} to {1}").format("Wed 28 Nov 2026 23:59", "Wed 28 Nov 23:59")
        self._period_label.setMinimumWidth(self._period_label.fontMetrics().horizontalAdvance(widest) * 11 // 12)
        self._period_label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        row.addWidget(self._period_label)
        row.addWidget(self._after)
        self._live = QPushButton(self.tr("Live"), self)
        self._live.setProperty("kind", "toggle")
        self._live.setCheckable(True)
        self._live.setChecked(True)
        self._live.setToolTip(self.tr("Follow the newest minute (Space)"))
        self._live.clicked.connect(self._on_live_clicked)
        row.addWidget(self._live)
        row.addStretch(1)
        self._fit = self._tool(self.tr("Show the whole period again ( 0 )"), "")
        self._fit.clicked.connect(self._on_fit_clicked)
        row.addWidget(self._fit)
        return row

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space: live or stopped, unless a button that has the focus takes it."""
        if event.key() == Qt.Key.Key_Space:
            self._live.click()
        else:
            super().keyPressEvent(event)

    def _tool(self, tooltip: str, shortcut: str) -> QToolButton:
        button = QToolButton(self)
        button.setProperty("boxed", True)
        button.setIconSize(QSize(20, 20))
        button.setFixedSize(32, 32)
        button.setToolTip(tooltip)
        button.setAccessibleName(tooltip)
        if shortcut:
            button.setShortcut(QKeySequence(shortcut))
        return button

    def _build_legend(self) -> Card:
        card = Card(self, padding_px=1)
        table = QTableView(card)
        self.table = table
        table.setModel(self.legend)
        table.setAccessibleName(self.tr("Legend of the trend"))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(LEGEND_ROW_PX)
        theme = self._context.theme
        self._words = TextDelegate(theme, table)
        table.setItemDelegate(self._words)
        self._delegates: tuple[CellDelegate, ...] = (
            SwatchDelegate(theme, table),
            NumberDelegate(theme, table, is_strong=True),
            NumberDelegate(theme, table),
        )
        swatch, strong, number = self._delegates
        table.setItemDelegateForColumn(LegendColumn.SWATCH, swatch)
        table.setItemDelegateForColumn(LegendColumn.AT, strong)
        for column in (LegendColumn.LOWEST, LegendColumn.MEAN, LegendColumn.HIGHEST, LegendColumn.MEASURED):
            table.setItemDelegateForColumn(column, number)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setFixedHeight(LEGEND_ROW_PX)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(LegendColumn.QUANTITY, QHeaderView.ResizeMode.Stretch)
        for column, width_px in (
            (LegendColumn.SWATCH, 52),
            (LegendColumn.DEVICE, 148),
            (LegendColumn.AT, 96),
            (LegendColumn.UNIT, 56),
            (LegendColumn.LOWEST, 80),
            (LegendColumn.MEAN, 80),
            (LegendColumn.HIGHEST, 80),
            (LegendColumn.MEASURED, 88),
        ):
            header.resizeSection(column, width_px)
        copy = QAction(self.tr("Copy"), table)
        copy.setShortcut(QKeySequence(QKeySequence.StandardKey.Copy))
        copy.triggered.connect(self._on_copy_triggered)
        table.addAction(copy)
        card.body.addWidget(table)
        return card

    # --- data in -------------------------------------------------------------------------------------

    def set_installation(self, installation: Installation | None, zone: tzinfo) -> None:
        """Names and zone changed; what has history is asked again."""
        self._installation = installation
        if zone != self._zone and self.plot is not None:
            self._drop_plot()
        self._zone = zone
        self._period = None
        reader = self._context.reader

        def load(_cancellation: Cancellation) -> Sequence[SeriesInfo]:
            return reader.series()

        self._context.queries.ask("trends.series", load, self._on_series_loaded, self._on_fault)

    def _on_series_loaded(self, series: Sequence[SeriesInfo]) -> None:
        self._banner.clear()
        self.choice.set_series(self._installation, series)
        self._are_series_known = True
        if not self.choice.chosen:
            self.choice.choose(self._remembered or self._first_choice())
        if self._wanted_device is not None:
            self.show_device(self._wanted_device)
        self._on_choice_changed()

    def _first_choice(self) -> list[SeriesKey]:
        devices = self._installation.devices if self._installation is not None else ()
        for quantity in FIRST_CHOICE:
            for device in devices:
                key = SeriesKey(device.id, quantity)
                if self.choice.known(key):
                    return [key]
        return []

    def show_device(self, device_id: DeviceId) -> None:
        """Draw the power of a device, or its flow or energy where it has none, and nothing else."""
        if not self._are_series_known:
            self._wanted_device = device_id
            return
        self._wanted_device = None
        for quantity in FIRST_CHOICE:
            key = SeriesKey(device_id, quantity)
            if self.choice.known(key):
                self.choice.choose([key])
                return

    def set_snapshot(self, snapshot: SiteSnapshot) -> None:
        """A new minute was saved: a live picture moves on."""
        if snapshot.last_saved_minute_ms != self._last_saved_ms:
            self._last_saved_ms = snapshot.last_saved_minute_ms
            if self._is_live and self.isVisible() and not self._is_view_moved:
                self._period = None
                self.load()

    def save_state(self) -> None:
        """Remember what is chosen."""
        if self._are_series_known:
            self._context.settings.setValue("trends/series", ",".join(str(key) for key in self.choice.chosen))
        self._context.settings.setValue("trends/span", self._span.value)

    def activate(self) -> None:
        """The page came into view: bring the picture up to date."""
        if self._is_live:
            self._period = None
        self.load()

    # --- loading -------------------------------------------------------------------------------------

    @property
    def period(self) -> Period:
        """The period chosen."""
        if self._period is None:
            now_ms = self._context.now_ms()
            end_ms = now_ms - now_ms % MINUTE_MS + MINUTE_MS
            self._period = trailing_period(self._span, end_ms, self._zone)
        return self._period

    def load(self, view: Period | None = None) -> None:
        """Load what is chosen for a range (the period chosen, if none is given), beside the window."""
        self._show_period(view or self.period)
        if not self.isVisible() or not self._are_series_known:
            return
        keys = self.choice.chosen
        if not keys:
            self._context.queries.cancel("trends.load")
            self._show_trend(Trend(self.period, step_for(self.period.length_ms), ()), self.period, is_view_kept=False)
            return
        reader, zone, now_ms = self._context.reader, self._zone, self._context.now_ms()
        wanted = view or self.period

        def load(cancellation: Cancellation) -> tuple[Trend, Period, bool]:
            # 0.4 s at the first time: not in the window's thread
            import emdx_desktop.ui.widgets.trend_plot  # noqa: F401

            trend = load_trend(reader, keys, wanted, zone, now_ms, lambda: cancellation.is_cancelled)
            return trend, wanted, view is not None

        self._loading_timer.start()
        self._context.queries.ask("trends.load", load, self._on_trend_loaded, self._on_fault)

    def _on_trend_loaded(self, answer: tuple[Trend, Period, bool]) -> None:
        trend, view, is_view_kept = answer
        self._banner.clear()
        self._show_trend(trend, view, is_view_kept=is_view_kept)

    def _on_fault(self, sentence: str) -> None:
        self._loading_timer.stop()
        self._bar.hide()
        self._banner.show_text("alarm", Mark(Shape.OCTAGON, self.tr("not shown"), "alarm"), sentence)

    def _show_trend(self, trend: Trend, view: Period, *, is_view_kept: bool) -> None:
        self._loading_timer.stop()
        self._bar.hide()
        self._trend = trend
        entries = [self._entry(number, key) for number, key in enumerate(self.choice.chosen)]
        self.legend.set_entries(entries, view)
        rows = min(MAX_LEGEND_ROWS, max(1, len(entries)))
        self.table.setFixedHeight(LEGEND_ROW_PX * (rows + 1) + 2)
        self._note.set_whole_text(note_text(trend))
        if not trend.curves:
            self._stack.setCurrentWidget(self.empty)
            self.content_shown.emit()
            return
        from emdx_desktop.ui.widgets.trend_plot import PlottedCurve

        plot = self._ensure_plot()
        places = {key: number for number, key in enumerate(self.choice.chosen)}
        curves = [
            PlottedCurve(
                curve,
                f"{curve_quantity(curve)}, {self._device_name(curve.key.device_id)}",
                places[curve.key],
                axis_title(curve),
                self._gap_texts(curve),
            )
            for curve in trend.curves
            if curve.key in places
        ]
        plot.set_curves(curves, self.period, is_view_kept=is_view_kept)
        self._stack.setCurrentWidget(plot)
        self.content_shown.emit()

    def _ensure_plot(self) -> TrendPlot:
        from emdx_desktop.ui.widgets.trend_plot import TrendPlot

        if self.plot is None:
            self.plot = TrendPlot(self._context.theme, self._context.numbers, self._zone, self._stack)
            self.plot.cursor_moved.connect(self._on_plot_cursor_moved)
            self.plot.view_settled.connect(self._on_plot_view_settled)
            self._stack.addWidget(self.plot)
        return self.plot

    def _drop_plot(self) -> None:
        if self.plot is not None:
            self._stack.removeWidget(self.plot)
            self.plot.deleteLater()
            self.plot = None

    # --- words ---------------------------------------------------------------------------------------

    def _entry(self, number: int, key: SeriesKey) -> LegendEntry:
        curves = self._trend.curves if self._trend is not None else ()
        curve = next((candidate for candidate in curves if candidate.key == key), None)
        quantity = curve_quantity(curve) if curve is not None else quantity_name(QUANTITIES[key.quantity])
        token = SERIES_TOKENS[number % len(SERIES_TOKENS)]
        return LegendEntry(quantity, self._device_name(key.device_id), token, number >= len(SERIES_TOKENS), curve)

    def _gap_texts(self, curve: TrendCurve) -> tuple[str, ...]:
        device, numbers = self._device_name(curve.key.device_id), self._context.numbers
        return tuple(gap_text(device, numbers, gap.start_ms, gap.end_ms, gap.quality) for gap in curve.gaps)

    def _device_name(self, device_id: DeviceId) -> str:
        devices = self._installation.devices if self._installation is not None else ()
        return next((device.name for device in devices if device.id == device_id), "")

    def _show_period(self, period: Period) -> None:
        self._period_label.setText(period_text(period, self._zone, self._context.numbers.locale))
        self._live.setChecked(self._is_live)
        self._after.setEnabled(not self._is_live)

    # --- slots ---------------------------------------------------------------------------------------

    @Slot()
    def _on_choice_changed(self) -> None:
        if self._are_series_known:
            self.load()

    @Slot(int)
    def _on_spans_id_clicked(self, number: int) -> None:
        span = tuple(Span)[number]
        if span is self._span and not self._is_view_moved:
            return
        # a past period is kept in view: its middle decides which day of the week, which week of the month
        middle_ms = (self.period.start_ms + self.period.end_ms) // 2
        self._span = span
        if self._is_frozen:
            self._freeze(trailing_period(span, self.period.end_ms, self._zone))
        else:
            self._go_to(None if self._is_live else calendar_period(span, middle_ms, self._zone))

    def _go_to(self, period: Period | None) -> None:
        """Show a past period, None for the live one."""
        if period is not None and period.end_ms > self._context.now_ms():
            period = None
        self._is_live = period is None
        self._is_frozen = False
        self._show_range(period)

    def _freeze(self, period: Period) -> None:
        """Keep the live picture as it is: it does not move on."""
        self._is_live, self._is_frozen = False, True
        self._show_range(period)

    def _show_range(self, period: Period | None) -> None:
        self._is_view_moved = False
        self._period = period
        if self.plot is not None:
            self.plot.show_period(self.period)
        self.load()

    @Slot()
    def _on_before_clicked(self) -> None:
        reference_ms = self._context.now_ms() if self._is_live else self.period.start_ms
        if self._is_live:
            reference_ms = calendar_period(self._span, reference_ms, self._zone).start_ms
        self._go_to(calendar_period(self._span, reference_ms - 1, self._zone))

    @Slot()
    def _on_after_clicked(self) -> None:
        if not self._is_live:
            self._go_to(calendar_period(self._span, self.period.end_ms, self._zone))

    @Slot()
    def _on_live_clicked(self) -> None:
        if self._live.isChecked():
            self._go_to(None)
        else:
            self._freeze(self.period)

    @Slot()
    def _on_fit_clicked(self) -> None:
        self._is_view_moved = False
        if self.plot is not None:
            self.plot.show_all()
        self.load()

    @Slot("qlonglong", "qlonglong")  # milliseconds do not fit an int
    def _on_plot_view_settled(self, start_ms: int, end_ms: int) -> None:
        """A person moved the picture: load what is missing, or finer, and say what is shown."""
        view = Period(start_ms, end_ms)
        self._is_view_moved = (start_ms, end_ms) != (self.period.start_ms, self.period.end_ms)
        self._show_period(view)
        self.legend.set_entries([self._entry(number, key) for number, key in enumerate(self.choice.chosen)], view)
        trend = self._trend
        if trend is None:
            return
        is_outside = start_ms < trend.window.start_ms or min(end_ms, self._context.now_ms()) > trend.window.end_ms
        has_energy = any(curve.is_energy for curve in trend.curves)
        is_coarse = step_for(view.length_ms) is not trend.step or (
            has_energy and any(c.is_energy and c.step is not energy_step_for(view.length_ms) for c in trend.curves)
        )
        if is_outside or is_coarse:
            self.load(view)

    @Slot(float)
    def _on_plot_cursor_moved(self, moment_s: float) -> None:
        if moment_s != moment_s:  # NaN: the cross-hair went away
            self.legend.set_cursor(moment_s, "")
            return
        local = local_time(round(moment_s * 1000), self._zone)
        is_long = self.period.length_ms > 10 * 86_400_000
        text = (
            f"{local.day} {self._context.numbers.locale.monthName(local.month, QLocale.FormatType.ShortFormat)}"
            if is_long
            else ""
        )
        self.legend.set_cursor(moment_s, self.tr("at {0}").format(text or f"{local:%H:%M}"))

    @Slot()
    def _on_loading_timer_timeout(self) -> None:
        self._bar.show()
        self._note.set_whole_text(self.tr("Loading… ({0} chosen)").format(len(self.choice.chosen)))

    @Slot()
    def _on_copy_triggered(self) -> None:
        QGuiApplication.clipboard().setText(self.legend.copied_text())

    @Slot()
    def _on_theme_changed(self) -> None:
        theme = self._context.theme
        self._before.setIcon(theme.icon("chevron-left", "ink2", 20))
        self._after.setIcon(theme.icon("chevron-right", "ink2", 20))
        self._fit.setIcon(theme.icon("fit", "ink2", 20))


def _remembered_keys(text: object) -> list[SeriesKey]:
    if isinstance(text, str):
        parts = text.split(",")
    elif isinstance(text, list):
        parts = [str(part) for part in text]
    else:
        return []
    keys = [SeriesKey.parse(part) for part in parts]
    return [key for key in keys if key is not None and QUANTITIES[key.quantity].kind is not QuantityKind.STATE]
