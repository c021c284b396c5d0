"""Empty state: what is missing, what to do, one button."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from emdx_desktop.ui.theme import Theme
from emdx_desktop.ui.widgets.labels import plain_label

ICON_PX = 40
TEXT_WIDTH_PX = 420


class EmptyState(QWidget):
    """In the middle of the place it is given."""

    def __init__(self, theme: Theme, icon_name: str, title: str, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("canvas")
        self._theme = theme
        self._icon_name = icon_name
        column = QVBoxLayout(self)
        column.setSpacing(12)
        column.addStretch(1)
        self._icon = QLabel(self)
        self._title = plain_label(title, "card", self, wraps=True)
        self._text = plain_label(text, "second", self, wraps=True)
        self.button = QPushButton("", self)
        self.button.setProperty("kind", "primary")
        self.button.hide()
        for widget in (self._icon, self._title, self._text):
            widget.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            widget.setFixedWidth(TEXT_WIDTH_PX)
            column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        self._reserve_height()
        column.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(2)
        theme.changed.connect(self._on_theme_changed)
        self._on_theme_changed()

    def set_text(self, title: str, text: str) -> None:
        """Other words."""
        self._title.setText(title)
        self._text.setText(text)
        self._reserve_height()

    def _reserve_height(self) -> None:
        """A layout gives an aligned label the height of two lines, however many it wraps to."""
        for label in (self._title, self._text):
            label.ensurePolished()
            label.setMinimumHeight(label.heightForWidth(TEXT_WIDTH_PX))

    @property
    def text(self) -> str:
        """Title and text, as read aloud."""
        return f"{self._title.text()} {self._text.text()}"

    @Slot()
    def _on_theme_changed(self) -> None:
        icon = self._theme.icon(self._icon_name, "ghost", ICON_PX)
        self._icon.setPixmap(icon.pixmap(QSize(ICON_PX, ICON_PX)))
