"""Icons: own drawings, coloured by a token, sharp at every pixel ratio."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap


class IconStore:
    """Reads icons of one folder and keeps what was rendered, by name, colour, size and ratio."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pixmaps: dict[tuple[str, str, int, float], QPixmap] = {}

    def icon(self, name: str, color: str, size_px: int, ratios: Iterable[float]) -> QIcon:
        """An icon with one picture for each ratio."""
        icon = QIcon()
        for ratio in ratios:
            icon.addPixmap(self.pixmap(name, color, size_px, ratio))
        return icon

    def pixmap(self, name: str, color: str, size_px: int, ratio: float) -> QPixmap:
        """One picture of size_px × ratio pixels."""
        # a plug-in of its own library: not needed before the first icon is drawn
        from PySide6.QtSvg import QSvgRenderer

        key = (name, color, size_px, ratio)
        if key not in self._pixmaps:
            # Qt draws currentColor black
            source = (self._folder / f"{name}.svg").read_text(encoding="utf-8").replace("currentColor", color)
            side_px = round(size_px * ratio)
            pixmap = QPixmap(QSize(side_px, side_px))
            pixmap.setDevicePixelRatio(ratio)
            pixmap.fill(Qt.GlobalColor.transparent)
            painter = QPainter(pixmap)
            QSvgRenderer(QByteArray(source.encode())).render(painter, QRectF(0, 0, size_px, size_px))
            painter.end()
            self._pixmaps[key] = pixmap
        return self._pixmaps[key]
