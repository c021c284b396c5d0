"""Top bar: the site, how many devices answer, lines, cycle, what is saved."""

from __future__ import annotations

from datetime import tzinfo

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QMenu, QSizePolicy, QToolButton, QWidget

from emdx_desktop.domain.installation import Installation
from emdx_desktop.domain.readings import DeviceState, SiteSnapshot
from emdx_desktop.ui.number_format import MISSING, NumberFormat, format_age, format_clock, local_moment
from emdx_desktop.ui.theme import Theme
from emdx_desktop.ui.widgets.labels import plain_label
from emdx_desktop.ui.widgets.marks import MarkLabel
from emdx_desktop.ui.wording import Mark, Shape

HEIGHT_PX = 48
NO_NEWS_AFTER_S = 30.0
"""Acquisition publishes at least every few seconds; own design: after this long something is wrong."""
_ANSWERING = (DeviceState.ANSWERING, DeviceState.PARTIAL)


class _Fact(QWidget):
    """A word in ink3 and a value in strong ink, of reserved width."""

    def __init__(self, word: str, widest: str, parent: QWidget) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(5)
        self._word = plain_label(word, "second", self)
        self._value = plain_label(MISSING, "strong", self)
        self._value.setMinimumWidth(self._value.fontMetrics().horizontalAdvance(widest) + 8)
        row.addWidget(self._word)
        row.addWidget(self._value)

    def set_value(self, text: str, tooltip: str = "") -> None:
        if self._value.text() != text:
            self._value.setText(text)
            self.setAccessibleName(f"{self._word.text()} {text}")
        self.setToolTip(tooltip)

    def value_label(self) -> QLabel:
        return self._value


class HeaderBar(QFrame):
    """The site's state in one line."""

    def __init__(self, theme: Theme, numbers: NumberFormat, attached_to: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("bar", "top")
        self.setFixedHeight(HEIGHT_PX)
        self._theme = theme
        self._numbers = numbers
        self._snapshot: SiteSnapshot | None = None
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 0, 16, 0)
        row.setSpacing(16)
        self.site_button = QToolButton(self)
        self.site_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.site_button.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        self.site_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.site_button.setIconSize(QSize(16, 16))
        font = self.font()
        font.setPixelSize(14)
        font.setWeight(font.Weight.DemiBold)
        self.site_button.setFont(font)
        self.site_button.setToolTip(self.tr("Site file, appearance, quit"))
        self.site_button.setAccessibleName(self.tr("Site menu"))
        row.addWidget(self.site_button)
        rule = QFrame(self)
        rule.setProperty("rule", True)
        rule.setFixedSize(1, 24)
        row.addWidget(rule)
        self._answer = MarkLabel(theme, self)
        row.addWidget(self._answer)
        self._lines = _Fact(self.tr("lines"), "88/88", self)
        self._cycle = _Fact(self.tr("cycle"), "888.8 s", self)
        self._saved = _Fact(self.tr("saved"), "88:88", self)
        for fact in (self._lines, self._cycle, self._saved):
            row.addWidget(fact)
        row.addStretch(1)
        self._attached = plain_label("", "second", self)
        self._attached.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        if attached_to:
            self._attached.setText(self.tr("attached to {0}").format(attached_to))
        row.addWidget(self._attached)
        theme.changed.connect(self._on_theme_changed)
        self._on_theme_changed()
        self.set_site("")

    def set_menu(self, menu: QMenu) -> None:
        """The menu behind the site's name."""
        self.site_button.setMenu(menu)

    def set_site(self, name: str) -> None:
        """Name of the site."""
        text = self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, 260)
        # & would underline the next letter
        self.site_button.setText((text or self.tr("No site yet")).replace("&", "&&"))

    def show_snapshot(
        self, snapshot: SiteSnapshot | None, installation: Installation | None, zone: tzinfo, now_ms: int
    ) -> None:
        """State of the site; also called by the clock, so that silence of acquisition shows."""
        self._snapshot = snapshot
        if snapshot is None or installation is None:
            waiting = self.tr("waiting for the first readings") if installation is not None else ""
            self._answer.set_mark(Mark(Shape.CLOCK if waiting else Shape.NONE, waiting, "ink3"))
            return
        age_s = (now_ms - snapshot.ts_ms) / 1000
        polled = [
            device
            for device in installation.devices
            if device.is_enabled
            and not device.is_archived
            and getattr(snapshot.devices.get(device.id), "state", None) is not DeviceState.DISABLED
        ]
        states = [snapshot.devices[device.id].state for device in polled if device.id in snapshot.devices]
        answering = sum(1 for state in states if state in _ANSWERING)
        word = self.tr("{0} of {1} devices answer").format(answering, len(polled))
        if age_s > NO_NEWS_AFTER_S:
            age = format_age(age_s, self._numbers)
            mark = Mark(Shape.CLOCK, self.tr("no news from acquisition for {0}").format(age), "alarm")
        elif answering == len(polled):
            mark = Mark(Shape.DOT, word, "ink2")
        elif any(state is DeviceState.WAITING for state in states) and not answering:
            mark = Mark(Shape.CLOCK, word, "ink3")
        else:
            mark = Mark(Shape.BROKEN_RING, word, "silent")
        self._answer.set_mark(mark)
        connected = sum(1 for bus in snapshot.buses.values() if bus.is_connected)
        total = len(snapshot.buses)
        self._lines.set_value(
            str(total) if connected == total else f"{connected}/{total}",
            self.tr("{0} of {1} lines are connected").format(connected, total),
        )
        cycles_s = [bus.cycle_s for bus in snapshot.buses.values() if bus.cycle_s is not None]
        text = self._numbers.with_unit(self._numbers.fixed(max(cycles_s), 1), "s") if cycles_s else MISSING
        self._cycle.set_value(text, self.tr("Longest cycle of all lines"))
        saved_ms = snapshot.last_saved_minute_ms
        if saved_ms:
            full = local_moment(saved_ms, zone).strftime("%Y-%m-%d %H:%M")
            self._saved.set_value(format_clock(saved_ms, zone), self.tr("Last minute on disk: {0}").format(full))
        else:
            self._saved.set_value(MISSING, self.tr("No minute was saved yet"))

    @Slot()
    def _on_theme_changed(self) -> None:
        self.site_button.setIcon(self._theme.icon("chevron-down", "ink2", 16))
