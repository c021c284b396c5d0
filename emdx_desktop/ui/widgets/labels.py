"""Labels that never read markup out of a name, with a role of the style sheet."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QLabel, QSizePolicy, QVBoxLayout, QWidget

CARD_PADDING_PX = 16


def plain_label(text: str = "", role: str = "", parent: QWidget | None = None, *, wraps: bool = False) -> QLabel:
    """A label for text from a file, a device or a person: plain text only."""
    label = QLabel(parent)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setText(text)
    label.setWordWrap(wraps)
    if role:
        label.setProperty("role", role)
    return label


class ElidedLabel(QLabel):
    """One line that ends in … where there is no room; the whole text is its tooltip.

    It is as wide as its text and gives way; what stands behind it follows the text.
    """

    def __init__(self, role: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._whole = ""
        if role:
            self.setProperty("role", role)

    def set_whole_text(self, text: str) -> None:
        """Show a text, shortened to the room there is."""
        if text != self._whole:
            self._whole = text
            self.setAccessibleName(text)
            self.updateGeometry()
            self._elide()

    def sizeHint(self) -> QSize:
        """Width of the whole text."""
        self.ensurePolished()
        return QSize(self.fontMetrics().horizontalAdvance(self._whole) + 2, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """It may shrink to a few letters."""
        return QSize(40, super().minimumSizeHint().height())

    @property
    def whole_text(self) -> str:
        """The text before it was shortened."""
        return self._whole

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Shorten again."""
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        shown = self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideRight, self.width())
        self.setText(shown)
        self.setToolTip("" if shown == self._whole else self._whole)


class Card(QFrame):
    """A surface with a hairline round it; `body` takes the content."""

    def __init__(self, parent: QWidget | None = None, *, padding_px: int = CARD_PADDING_PX) -> None:
        super().__init__(parent)
        self.setProperty("card", True)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(padding_px, padding_px, padding_px, padding_px)
        self.body.setSpacing(8)
