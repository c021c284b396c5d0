import re
from pathlib import Path

import pytest

import emdx_desktop.ui
from emdx_desktop.app.paths import resource_folder
from emdx_desktop.ui.theme import HEAT, TOKENS, Theme, ThemeName, application_font

UI_FOLDER = Path(emdx_desktop.ui.__file__).parent
HEX = re.compile(r"#[0-9A-Fa-f]{6}\b|#[0-9A-Fa-f]{3}\b")


def luminance(code: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_no_hex_colour_outside_the_table():
    offenders = [
        f"{path.name}:{number}"
        for path in (*UI_FOLDER.rglob("*.py"), *(resource_folder() / "themes").glob("*.qss"))
        if path.name != "theme.py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if HEX.search(line)
    ]
    assert offenders == []


def test_every_token_of_the_style_sheet_exists():
    text = (resource_folder() / "themes" / "window.qss").read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    assert set(re.findall(r"@(\w+)", text)) <= set(TOKENS)


@pytest.mark.parametrize("name", [ThemeName.LIGHT, ThemeName.DARK])
def test_style_sheet_has_no_token_left(qapp, name):
    assert "@" not in Theme(name).style_sheet()


@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("ground", ["canvas", "surface", "sunken", "hover", "select"])
@pytest.mark.parametrize("text", ["ink", "ink2", "ink3", "accent", "ok", "info", "warn", "alarm", "silent"])
def test_text_stands_out(column, ground, text):
    assert contrast(TOKENS[text][column], TOKENS[ground][column]) >= 4.5


@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("state", ["ok", "info", "warn", "alarm", "silent"])
def test_state_stands_out_on_its_own_tint(column, state):
    assert contrast(TOKENS[state][column], TOKENS[f"{state}_bg"][column]) >= 4.5


@pytest.mark.parametrize("column", [0, 1])
def test_series_stand_out_on_the_surface(column):
    for number in range(1, 7):
        assert contrast(TOKENS[f"s{number}"][column], TOKENS["surface"][column]) >= 3.0


@pytest.mark.parametrize("name", ["light", "dark"])
def test_heat_is_strictly_monotonic(name):
    steps = [luminance(code) for code in HEAT[name]]
    assert steps == sorted(steps, reverse=name == "light")
    assert len(set(steps)) == len(steps)


def test_every_icon_is_drawn_in_the_colour_of_its_token(qapp):
    theme = Theme(ThemeName.LIGHT)
    for path in (resource_folder() / "icons").glob("*.svg"):
        image = theme.icon(path.stem, "alarm", 24).pixmap(24, 24).toImage()
        colors = {
            image.pixelColor(x, y).name().upper()
            for x in range(image.width())
            for y in range(image.height())
            if image.pixelColor(x, y).alpha() == 255
        }
        inked = any(image.pixelColor(x, y).alpha() for x in range(image.width()) for y in range(image.height()))
        assert inked, path.name
        assert colors <= {TOKENS["alarm"][0]}, path.name


def test_figures_are_tabular_in_the_shipped_font(qapp):
    from PySide6.QtGui import QFontInfo, QFontMetricsF

    font = application_font()
    assert QFontInfo(font).family() == "Inter"
    metrics = QFontMetricsF(font)
    assert metrics.horizontalAdvance("1111") == metrics.horizontalAdvance("8888")


def test_a_change_of_theme_reaches_palette_and_style_sheet(qapp, qtbot):
    theme = Theme(ThemeName.LIGHT)
    with qtbot.waitSignal(theme.changed):
        theme.choose(ThemeName.DARK, qapp)
    assert qapp.palette().window().color().name().upper() == TOKENS["canvas"][1]
    assert TOKENS["surface"][1] in qapp.styleSheet()
