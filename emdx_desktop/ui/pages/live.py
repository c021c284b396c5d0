"""Page Live: everything known now about the selected device, each number with age and quality."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal, Slot
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QSizePolicy,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from emdx_desktop.domain.installation import Device, Gateway, Installation
from emdx_desktop.domain.ports import ReadNow
from emdx_desktop.domain.profiles import DeviceProfile
from emdx_desktop.domain.readings import (
    LATENCY_BOUNDS_MS,
    DeviceId,
    DeviceSnapshot,
    DeviceState,
    Quality,
    RequestStatistics,
    SiteSnapshot,
)
from emdx_desktop.ui.bridge import Cancellation
from emdx_desktop.ui.context import WindowContext
from emdx_desktop.ui.models.live_values import LiveColumn, LiveValuesModel
from emdx_desktop.ui.number_format import MISSING, format_age
from emdx_desktop.ui.widgets.banner import Banner
from emdx_desktop.ui.widgets.cell_delegates import (
    CellDelegate,
    MarkDelegate,
    NumberDelegate,
    SymbolDelegate,
    TextDelegate,
)
from emdx_desktop.ui.widgets.labels import Card, ElidedLabel, plain_label
from emdx_desktop.ui.widgets.marks import MarkLabel
from emdx_desktop.ui.wording import breaker_mark, device_mark, fault_word

TICK_MS = 1000
SIDE_WIDTH_PX = 300
SIDE_NARROW_PX = 256
NARROW_PAGE_PX = 1000
QUANTITY_MIN_PX = 168
QUANTITY_MAX_PX = 340
QUALITY_MIN_PX = 132


def latency_bound_ms(statistics: RequestStatistics, share: float) -> int | None:
    """Upper edge of the histogram class below which `share` of the answers lie.

    Returns:
        Milliseconds; None without answers or when the share reaches into the open last class.
    """
    total = sum(statistics.latency_histogram)
    seen = 0
    for bound_ms, count in zip(LATENCY_BOUNDS_MS, statistics.latency_histogram, strict=False):
        seen += count
        if total and seen >= share * total:
            return bound_ms
    return None


class LivePage(QWidget):
    """Live values of one device.

    Signals:
        trend_requested(int): Show this device in a trend.
        content_shown: The values of the selected device are on the screen.
    """

    trend_requested = Signal(int)
    content_shown = Signal()

    def __init__(self, context: WindowContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("canvas")
        self._context = context
        self._installation: Installation | None = None
        self._device: Device | None = None
        self._gateway: Gateway | None = None
        self._site: SiteSnapshot | None = None
        self._snapshot: DeviceSnapshot | None = None
        self.model = LiveValuesModel(context.numbers, self)
        self._build()
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._on_timer_timeout)
        self._timer.start()
        context.theme.changed.connect(self._on_theme_changed)
        self._on_theme_changed()
        self._show_header()

    # --- building ------------------------------------------------------------------------------------

    def _build(self) -> None:
        outer = QVBoxLayout(self)
        self._outer = outer
        outer.setSpacing(12)
        outer.addLayout(self._build_header())
        self._banner = Banner(self._context.theme, self)
        outer.addWidget(self._banner)
        columns = QHBoxLayout()
        columns.setSpacing(16)
        columns.addWidget(self._build_table(), 1)
        columns.addWidget(self._build_side())
        outer.addLayout(columns, 1)

    def _build_header(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(2)
        self._title = ElidedLabel("title", self)
        self._state = MarkLabel(self._context.theme, self)
        self._where = ElidedLabel("second", self)
        self._read = plain_label("", "second", self)
        # "read 59 min ago, every 3.8 s": the place is kept so that the buttons never move
        self._read.setMinimumWidth(self.fontMetrics().horizontalAdvance("read 59 min ago, every 888.8 s"))
        self._read_now = QPushButton(self.tr("Read now"), self)
        self._read_now.setToolTip(self.tr("Ask the device at once (F5)"))
        self._read_now.setShortcut(QKeySequence(QKeySequence.StandardKey.Refresh))
        self._read_now.clicked.connect(self._on_read_now_clicked)
        self._trend = QPushButton(self.tr("Trend"), self)
        self._trend.setToolTip(self.tr("Draw the power of this device over time"))
        self._trend.clicked.connect(self._on_trend_clicked)
        title_row = QHBoxLayout()
        title_row.setSpacing(12)
        title_row.addWidget(self._title)
        title_row.addWidget(self._state)
        title_row.addStretch(1)
        grid.addLayout(title_row, 0, 0)
        grid.addWidget(self._where, 1, 0)
        grid.addWidget(self._read, 0, 1)
        grid.addWidget(self._read_now, 0, 2)
        grid.addWidget(self._trend, 0, 3)
        grid.setColumnStretch(0, 1)
        return grid

    def _build_table(self) -> Card:
        card = Card(self, padding_px=1)
        head = QHBoxLayout()
        head.setContentsMargins(15, 11, 7, 3)
        head.addWidget(plain_label(self.tr("All quantities"), "card", card))
        self._count = plain_label("", "second", card)
        head.addWidget(self._count)
        head.addStretch(1)
        self._copy = QPushButton(self.tr("Copy"), card)
        self._copy.setProperty("kind", "link")
        self._copy.setToolTip(self.tr("Copy the table with heads and units (Ctrl+C)"))
        self._copy.clicked.connect(self._on_copy_triggered)
        head.addWidget(self._copy)
        card.body.addLayout(head)
        table = QTableView(card)
        self.table = table
        table.setModel(self.model)
        table.setAccessibleName(self.tr("Live values of the device"))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(CellDelegate.row_px)
        table.setTabKeyNavigation(False)
        theme = self._context.theme
        # a view does not own its delegates
        self._words = TextDelegate(theme, table)
        table.setItemDelegate(self._words)
        self._delegates = (
            SymbolDelegate(theme, table),
            NumberDelegate(theme, table, is_strong=True),
            NumberDelegate(theme, table),
            MarkDelegate(theme, table, size_px=13),
        )
        for column, delegate in zip(
            (LiveColumn.SYMBOL, LiveColumn.VALUE, LiveColumn.AGE, LiveColumn.QUALITY), self._delegates, strict=True
        ):
            table.setItemDelegateForColumn(column, delegate)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setFixedHeight(28)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setStretchLastSection(True)
        for column, width_px in (
            (LiveColumn.SYMBOL, 84),
            (LiveColumn.QUANTITY, QUANTITY_MIN_PX),
            (LiveColumn.VALUE, 116),
            (LiveColumn.UNIT, 60),
            (LiveColumn.AGE, 68),
        ):
            header.resizeSection(column, width_px)
        copy = QAction(self.tr("Copy"), table)
        copy.setShortcut(QKeySequence(QKeySequence.StandardKey.Copy))
        copy.triggered.connect(self._on_copy_triggered)
        table.addAction(copy)
        card.body.addWidget(table, 1)
        return card

    def _build_side(self) -> QWidget:
        side = QWidget(self)
        self._side = side
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(16)
        card = Card(side)
        card.body.addWidget(plain_label(self.tr("Conversation with the device"), "card", card))
        self._form = QFormLayout()
        self._form.setHorizontalSpacing(16)
        self._form.setVerticalSpacing(6)
        self._facts = {}
        for key, text in (
            ("requests", self.tr("Requests since start")),
            ("good", self.tr("answered well")),
            ("median", self.tr("Response, half within")),
            ("slow", self.tr("Response, 95 % within")),
            ("period", self.tr("Read every")),
        ):
            value = plain_label(MISSING, "strong", card)
            self._form.addRow(plain_label(text, "second", card), value)
            self._facts[key] = value
        card.body.addLayout(self._form)
        self._errors = plain_label("", "second", card, wraps=True)
        card.body.addWidget(self._errors)
        column.addWidget(card)
        self._refused_card = Card(side)
        self._refused_card.body.addWidget(plain_label(self.tr("Not in this device"), "card", self._refused_card))
        self._refused = plain_label("", "second", self._refused_card, wraps=True)
        self._refused_card.body.addWidget(self._refused)
        self._refused_card.hide()
        column.addWidget(self._refused_card)
        column.addStretch(1)
        side.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        return side

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Margins and the side column by the width of the page; spare width to the names, up to a limit."""
        super().resizeEvent(event)
        is_narrow = self.width() < NARROW_PAGE_PX
        margin_px = 16 if is_narrow else 24
        self._outer.setContentsMargins(margin_px, 16, margin_px, 16)
        side_px = SIDE_NARROW_PX if is_narrow else SIDE_WIDTH_PX
        self._side.setFixedWidth(side_px)
        header = self.table.horizontalHeader()
        fixed = (LiveColumn.SYMBOL, LiveColumn.VALUE, LiveColumn.UNIT, LiveColumn.AGE)
        fixed_px = sum(header.sectionSize(column) for column in fixed)
        room_px = self.width() - 2 * margin_px - side_px - 32 - fixed_px - QUALITY_MIN_PX
        header.resizeSection(LiveColumn.QUANTITY, min(QUANTITY_MAX_PX, max(QUANTITY_MIN_PX, room_px)))

    # --- data ----------------------------------------------------------------------------------------

    @property
    def device_id(self) -> DeviceId | None:
        """The device on the screen."""
        return self._device.id if self._device is not None else None

    def set_installation(self, installation: Installation | None) -> None:
        """The installation changed; the device may have gone."""
        self._installation = installation
        self.show_device(self.device_id)

    def show_device(self, device_id: DeviceId | None) -> None:
        """Show another device, None for none."""
        self._device, self._gateway = None, None
        if self._installation is not None:
            for device in self._installation.devices:
                if device.id == device_id and not device.is_archived:
                    self._device, self._gateway = device, self._installation.gateway_of(device)
        self._snapshot = self._device_snapshot()
        profile = self._profile()
        self.model.set_device(profile, self._snapshot, self._context.now_ms())
        self._show_all()

    def set_snapshot(self, snapshot: SiteSnapshot) -> None:
        """Take the newest snapshot; work is done only for the device on the screen."""
        self._site = snapshot
        device = self._device_snapshot()
        if device is not self._snapshot:
            self._snapshot = device
            self.model.set_snapshot(device, self._context.now_ms())
            self._show_all()

    def _device_snapshot(self) -> DeviceSnapshot | None:
        if self._site is None or self._device is None:
            return None
        return self._site.devices.get(self._device.id)

    def _profile(self) -> DeviceProfile | None:
        return self._context.catalogue.profiles.get(self._device.profile_id) if self._device is not None else None

    # --- showing -------------------------------------------------------------------------------------

    def _show_all(self) -> None:
        self._show_header()
        self._show_read_age()
        self._show_statistics()
        if self._snapshot is not None and self._snapshot.values:
            self.content_shown.emit()

    def _show_header(self) -> None:
        device, gateway, snapshot = self._device, self._gateway, self._snapshot
        self._read_now.setEnabled(device is not None)
        self._trend.setEnabled(device is not None)
        if device is None or gateway is None:
            self._title.set_whole_text(self.tr("No device chosen"))
            self._where.set_whole_text(self.tr("Choose a device in the tree at the left."))
            self._state.hide()
            self._banner.clear()
            self._count.setText("")
            return
        self._title.set_whole_text(device.name)
        profile = self._profile()
        model = f"{profile.maker} {profile.model}" if profile is not None else ""
        self._where.set_whole_text(
            ", ".join(
                part
                for part in (
                    gateway.panel,
                    gateway.name,
                    self.tr("address {0}").format(self._address(device)),
                    self.tr("model {0}").format(device.model),
                    model,
                    device.description,
                )
                if part
            )
        )
        self._state.setVisible(True)
        state = snapshot.state if snapshot is not None else DeviceState.WAITING
        mark = device_mark(state)
        breaker = snapshot.values.get("breaker_position") if snapshot is not None else None
        if state is DeviceState.ANSWERING and breaker and breaker.quality is Quality.GOOD and snapshot is not None:
            fault = snapshot.values.get("breaker_fault")
            is_fault_known = fault is not None and fault.quality is Quality.GOOD and fault.value is not None
            mark = breaker_mark(
                int(breaker.value) if breaker.value is not None else None,
                int(fault.value or 0) if fault is not None and is_fault_known else None,
            )
        self._state.set_mark(mark)
        detail = snapshot.detail if snapshot is not None else ""
        if detail:
            level = "silent" if state in (DeviceState.SILENT, DeviceState.GATEWAY_DOWN) else "warning"
            self._banner.show_text(level, device_mark(state), detail)
        else:
            self._banner.clear()
        rows = self.model.rowCount()
        good = sum(1 for live in snapshot.values.values() if live.quality is Quality.GOOD) if snapshot else 0
        self._count.setText(self.tr("{0} quantities, {1} read well").format(rows, good))

    def _address(self, device: Device) -> str:
        address = str(device.unit_id)
        if device.sub_address is not None:
            address += f"-{device.sub_address}"
        if device.position is not None:
            address += self.tr(", input {0}").format(device.position)
        return address

    def _show_read_age(self) -> None:
        snapshot, numbers = self._snapshot, self._context.numbers
        if snapshot is None or not snapshot.last_good_ts_ms:
            self._read.setText(self.tr("not read yet") if self._device is not None else "")
            return
        age = format_age((self._context.now_ms() - snapshot.last_good_ts_ms) / 1000, numbers)
        if snapshot.period_s:
            period = numbers.with_unit(numbers.fixed(snapshot.period_s, 1), "s")
            self._read.setText(self.tr("read {0} ago, every {1}").format(age, period))
        else:
            self._read.setText(self.tr("read {0} ago").format(age))

    def _show_statistics(self) -> None:
        numbers = self._context.numbers
        snapshot = self._snapshot
        statistics = snapshot.statistics if snapshot is not None else RequestStatistics()
        self._facts["requests"].setText(numbers.fixed(statistics.requests, 0))
        if statistics.requests:
            share = numbers.fixed(100 * statistics.good / statistics.requests, 1)
            self._facts["good"].setText(numbers.with_unit(share, "%"))
        else:
            self._facts["good"].setText(MISSING)
        for key, fraction in (("median", 0.5), ("slow", 0.95)):
            bound_ms = latency_bound_ms(statistics, fraction)
            if bound_ms is not None:
                text = numbers.with_unit(numbers.fixed(bound_ms, 0), "ms")
            else:
                longest = numbers.with_unit(numbers.fixed(LATENCY_BOUNDS_MS[-1], 0), "ms")
                text = self.tr("over {0}").format(longest) if sum(statistics.latency_histogram) else MISSING
            self._facts[key].setText(text)
        period_s = snapshot.period_s if snapshot is not None else None
        self._facts["period"].setText(
            numbers.with_unit(numbers.fixed(period_s, 1), "s") if period_s is not None else MISSING
        )
        lines = [f"{fault_word(kind)}: {count}" for kind, count in statistics.errors.items() if count]
        if statistics.last_error:
            lines.append(self.tr("Last: {0}").format(statistics.last_error))
        self._errors.setText("\n".join(lines) or self.tr("No request went wrong."))
        unsupported = snapshot.unsupported if snapshot is not None else ()
        self._refused.setText("\n".join(unsupported))
        self._refused_card.setVisible(bool(unsupported))

    # --- slots ---------------------------------------------------------------------------------------

    @Slot()
    def _on_timer_timeout(self) -> None:
        if self.isVisible():
            self.model.tick(self._context.now_ms())
            self._show_read_age()

    @Slot()
    def _on_copy_triggered(self) -> None:
        QGuiApplication.clipboard().setText(self.model.copied_text())

    @Slot()
    def _on_trend_clicked(self) -> None:
        if self._device is not None:
            self.trend_requested.emit(int(self._device.id))

    @Slot()
    def _on_read_now_clicked(self) -> None:
        if self._device is None:
            return
        command = ReadNow(self._device.id)

        def send(_cancellation: Cancellation) -> None:
            self._context.port.send(command)

        self._context.queries.ask("live.read_now", send, self._on_command_sent, self._on_command_refused)

    def _on_command_sent(self, _nothing: object) -> None:
        """The effect shows in the next snapshot."""

    def _on_command_refused(self, sentence: str) -> None:
        self._banner.show_text("warning", device_mark(DeviceState.PARTIAL), sentence)

    @Slot()
    def _on_theme_changed(self) -> None:
        self._read_now.setIcon(self._context.theme.icon("refresh", "ink2", 16))
        self._trend.setIcon(self._context.theme.icon("trends", "ink2", 16))
        self._copy.setIcon(self._context.theme.icon("copy", "accent", 16))
