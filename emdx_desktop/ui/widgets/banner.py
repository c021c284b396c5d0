"""Banner: tint, shape, and cause - consequence - what to do. It stays until solved."""

from __future__ import annotations

from PySide6.QtCore import QPointF, Slot
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from emdx_desktop.domain.readings import Notice, NoticeLevel
from emdx_desktop.ui.theme import Theme
from emdx_desktop.ui.widgets.labels import plain_label
from emdx_desktop.ui.widgets.marks import paint_mark
from emdx_desktop.ui.wording import Mark, Shape, notice_mark

_LEVELS = (NoticeLevel.ALARM, NoticeLevel.WARNING, NoticeLevel.INFO)


class _MarkBox(QWidget):
    """The shape at the left of a banner."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self.mark = Mark(Shape.NONE, "", "ink")
        self.setFixedWidth(20)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        ground = self._theme.color(f"{self.mark.token}_bg" if self.mark.token in _TINTED else "surface")
        paint_mark(painter, QPointF(10, 12), self.mark.shape, self._theme.color(self.mark.token), 16, ground)
        painter.end()


_TINTED = ("ok", "info", "warn", "alarm", "silent")


class Banner(QFrame):
    """One sentence that matters, hidden when there is none."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._shown: tuple[str, Mark, str] | None = None
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(12, 8, 12, 8)
        self._row.setSpacing(10)
        self._box = _MarkBox(theme, self)
        self._text = plain_label("", parent=self, wraps=True)
        self._text.setMinimumHeight(24)
        self._row.addWidget(self._box)
        self._row.addWidget(self._text, 1)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.hide()

    @property
    def text(self) -> str:
        """The sentence, empty when hidden."""
        return self._shown[2] if self._shown is not None else ""

    def label(self) -> QLabel:
        """The label of the sentence."""
        return self._text

    def show_text(self, level: str, mark: Mark, text: str) -> None:
        """Show a sentence; `level` is info, warning, alarm or silent."""
        shown = (level, mark, text)
        if shown == self._shown:
            return
        self._shown = shown
        self._box.mark = mark
        self._box.update()
        self._text.setText(text)
        self.setAccessibleName(f"{mark.word}: {text}")
        if self.property("banner") != level:
            self.setProperty("banner", level)
            self.style().unpolish(self)
            self.style().polish(self)
        self.show()

    def clear(self) -> None:
        """Nothing to say."""
        self._shown = None
        self.hide()


class NoticeBanner(Banner):
    """The loudest notice of the site, with a way to the others."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(theme, parent)
        self._notices: tuple[Notice, ...] = ()
        self._position = 0
        self._next = QPushButton("", self)
        self._next.setProperty("kind", "link")
        self._next.clicked.connect(self._on_next_clicked)
        self._row.addWidget(self._next)

    def set_notices(self, notices: tuple[Notice, ...]) -> None:
        """Show these notices, loudest first, newest first among equals."""
        ordered = tuple(sorted(notices, key=lambda notice: (_LEVELS.index(notice.level), -notice.since_ts_ms)))
        if ordered == self._notices:
            return
        shown_key = self._notices[self._position].key if self._position < len(self._notices) else ""
        self._notices = ordered
        keys = [notice.key for notice in ordered]
        is_kept = shown_key in keys and ordered[keys.index(shown_key)].level is ordered[0].level
        self._position = keys.index(shown_key) if is_kept else 0
        self._show_notice()

    def _show_notice(self) -> None:
        if not self._notices:
            self.clear()
            return
        notice = self._notices[self._position]
        self.show_text(notice.level.value, notice_mark(notice.level), notice.message)
        count = len(self._notices)
        self._next.setVisible(count > 1)
        self._next.setText(self.tr("{0} of {1}, next").format(self._position + 1, count))

    @Slot()
    def _on_next_clicked(self) -> None:
        self._position = (self._position + 1) % len(self._notices)
        self._show_notice()
