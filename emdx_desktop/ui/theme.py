"""The one table of colours, and everything made from it: palette, style sheet, icons, pens.

No other file names a colour by its hex code; a test sees to it.
Source: design language of the program, section 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QFont, QFontDatabase, QGuiApplication, QIcon, QImage, QPainter, QPalette, QPen
from PySide6.QtWidgets import QApplication

from emdx_desktop.app.paths import resource_folder
from emdx_desktop.ui.icons import IconStore

TOKENS: Mapping[str, tuple[str, str]] = {
    # name: (light, dark)
    "canvas": ("#F1F4F6", "#10171D"),
    "surface": ("#FFFFFF", "#182028"),
    "sunken": ("#F6F8F9", "#131B22"),
    "hover": ("#EAF0F2", "#212C36"),
    "select": ("#DDEEF0", "#173C43"),
    "line": ("#DFE5E9", "#2A3641"),
    "line2": ("#8896A1", "#647685"),
    "grid": ("#E9EDF0", "#25303A"),
    "track": ("#E6EBEE", "#2A3641"),
    "ghost": ("#A9B5BE", "#566572"),
    "ink": ("#17222C", "#E9EFF3"),
    "ink2": ("#46535F", "#B3C0CA"),
    "ink3": ("#5C6974", "#97A5B1"),
    "accent": ("#0A6B76", "#56C2CC"),
    "accent_ink": ("#FFFFFF", "#0B1418"),
    "accent_hover": ("#08565F", "#79D2DA"),
    "ok": ("#1A7343", "#62C48C"),
    "ok_bg": ("#E5F3EA", "#17301F"),
    "info": ("#1D62A8", "#76B7F5"),
    "info_bg": ("#E6EFF9", "#16293D"),
    "warn": ("#8A5200", "#F0B24A"),
    "warn_bg": ("#FCF0DA", "#36280F"),
    "alarm": ("#B4231B", "#FF8A80"),
    "alarm_bg": ("#FBE7E5", "#3D1A18"),
    "silent": ("#6B4AA0", "#B79CF0"),
    "silent_bg": ("#F0EAF8", "#292040"),
    "l1": ("#9A4E1C", "#D98A52"),
    "l2": ("#14202B", "#F4F7F9"),
    "l3": ("#84919D", "#8896A3"),
    "n": ("#1E88D2", "#5AB0F2"),
    "s1": ("#0B7A85", "#3FB6C1"),
    "s2": ("#CF7A00", "#F0BE48"),
    "s3": ("#30348F", "#7673E0"),
    "s4": ("#A81E5B", "#E2608E"),
    "s5": ("#9187F3", "#E6DFFF"),
    "s6": ("#574C0C", "#A37A2E"),
    "s1_tint": ("#CFE4E6", "#1D444A"),
    "s2_tint": ("#F6E3C8", "#453A1E"),
    "b0": ("#D6EAEC", "#1B3A42"),
    "b1": ("#A9D2D6", "#2A626A"),
    "b2": ("#3F98A2", "#3FA3AE"),
    "b3": ("#D07A12", "#F0B24A"),
    "b4": ("#8C4A08", "#FFDCA8"),
}

HEAT: Mapping[str, tuple[str, ...]] = {  # low to high, lightness strictly monotonic
    "light": ("#F1F6F6", "#CBE3E4", "#93C5C9", "#4F9FA7", "#1C7480", "#0A4A55", "#062B33"),
    "dark": ("#16232A", "#1B3A42", "#20575F", "#2A7F88", "#46ABB3", "#85D3D7", "#D9F6F5"),
}

SERIES_TOKENS = ("s1", "s2", "s3", "s4", "s5", "s6")
"""Colours of series, in this order, never re-sorted; the seventh repeats the first, dashed."""

FONT_FILES = ("Inter-Regular.otf", "Inter-SemiBold.otf")
BODY_PX = 13


class ThemeName(StrEnum):
    """What a person can choose."""

    LIGHT = "light"
    DARK = "dark"
    SYSTEM = "system"


class Theme(QObject):
    """The colours in force.

    Signals:
        changed: Another theme was chosen; painted widgets repaint, icons are made again.
    """

    changed = Signal()

    def __init__(self, name: ThemeName = ThemeName.LIGHT, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._choice = name
        self._icons = IconStore(resource_folder() / "icons")
        self._colors: dict[str, QColor] = {}
        self._made_icons: dict[tuple[str, str, int], QIcon] = {}
        self._hatches: dict[tuple[str, str], QBrush] = {}

    @property
    def choice(self) -> ThemeName:
        """What was chosen, perhaps `system`."""
        return self._choice

    @property
    def is_dark(self) -> bool:
        """Whether the dark column of the table is in force."""
        if self._choice is ThemeName.SYSTEM:
            return QGuiApplication.styleHints().colorScheme() is Qt.ColorScheme.Dark
        return self._choice is ThemeName.DARK

    def hex(self, token: str) -> str:
        """Hex code of a token.

        Raises:
            KeyError: The table has no such token (a bug in the caller).
        """
        return TOKENS[token][1 if self.is_dark else 0]

    def color(self, token: str, alpha: float = 1.0) -> QColor:
        """Colour of a token; `alpha` 0..1."""
        code = self.hex(token)
        if code not in self._colors:
            self._colors[code] = QColor(code)
        color = QColor(self._colors[code])
        if alpha < 1.0:
            color.setAlphaF(alpha)
        return color

    def icon(self, name: str, token: str = "ink2", size_px: int = 20) -> QIcon:
        """An icon of `resources/icons` in the colour of a token, sharp at any pixel ratio in use."""
        key = (name, self.hex(token), size_px)
        if key not in self._made_icons:
            ratios = {1.0, 2.0} | {screen.devicePixelRatio() for screen in QGuiApplication.screens()}
            self._made_icons[key] = self._icons.icon(name, self.hex(token), size_px, sorted(ratios))
        return self._made_icons[key]

    def hatch(self, token: str = "ghost", background: str = "surface", step_px: int = 6) -> QBrush:
        """The hatch of what is missing or estimated."""
        key = (self.hex(token), self.hex(background))
        if key not in self._hatches:
            image = QImage(step_px, step_px, QImage.Format.Format_ARGB32_Premultiplied)
            image.fill(self.color(background))
            painter = QPainter(image)
            painter.setPen(QPen(self.color(token), 1))
            painter.drawLine(0, step_px - 1, step_px - 1, 0)
            painter.end()
            self._hatches[key] = QBrush(image)
        return self._hatches[key]

    def choose(self, name: ThemeName, application: QApplication) -> None:
        """Put another theme in force for the whole program."""
        self._choice = name
        self.apply(application)
        self.changed.emit()

    def apply(self, application: QApplication) -> None:
        """Style, font, palette and style sheet of the program."""
        application.setStyle("Fusion")
        application.setFont(application_font())
        application.setPalette(self.palette())
        application.setStyleSheet(self.style_sheet())

    def palette(self) -> QPalette:
        """The palette: what the style sheet does not reach is coloured by it."""
        role = QPalette.ColorRole
        palette = QPalette()
        for color_role, token in (
            (role.Window, "canvas"),
            (role.WindowText, "ink"),
            (role.Base, "surface"),
            (role.AlternateBase, "sunken"),
            (role.Text, "ink"),
            (role.Button, "surface"),
            (role.ButtonText, "ink"),
            (role.BrightText, "alarm"),
            (role.Highlight, "select"),
            (role.HighlightedText, "ink"),
            (role.Accent, "accent"),
            (role.Link, "accent"),
            (role.LinkVisited, "accent"),
            (role.PlaceholderText, "ink3"),
            (role.ToolTipBase, "ink"),
            (role.ToolTipText, "surface"),
            (role.Light, "surface"),
            (role.Midlight, "hover"),
            (role.Mid, "line"),
            (role.Dark, "line2"),
            (role.Shadow, "line2"),
        ):
            palette.setColor(color_role, self.color(token))
        for color_role in (role.WindowText, role.Text, role.ButtonText):
            palette.setColor(QPalette.ColorGroup.Disabled, color_role, self.color("ghost"))
        return palette

    def style_sheet(self) -> str:
        """The style sheet with every @token replaced."""
        template = (resource_folder() / "themes" / "window.qss").read_text(encoding="utf-8")
        template = re.sub(r"/\*.*?\*/", "", template, flags=re.DOTALL)
        return re.sub(r"@(\w+)", lambda match: self.hex(match[1]), template)


def application_font() -> QFont:
    """Inter as shipped (Segoe UI on Windows), tabular figures on."""
    families = QFontDatabase.families()
    if "Inter" not in families:
        for name in FONT_FILES:
            QFontDatabase.addApplicationFont(str(resource_folder() / "fonts" / name))
    family = "Segoe UI" if QGuiApplication.platformName() == "windows" and "Segoe UI" in families else "Inter"
    font = QFont(family)
    font.setPixelSize(BODY_PX)
    # survives the font sizes of a style sheet (tried)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font
