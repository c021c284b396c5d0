import pytest
from PySide6.QtWidgets import QApplication
from ui_fakes import NOW_MS

from emdx_desktop.domain.errors import ConfigurationError, EnvironmentFault
from emdx_desktop.ui import screenshot
from emdx_desktop.ui.application import WindowOptions
from emdx_desktop.ui.screenshot import render_page, save_page
from emdx_desktop.ui.theme import TOKENS, ThemeName

AT_NOON = WindowOptions(now_ms=lambda: NOW_MS)


@pytest.mark.parametrize("page", ["live", "trends"])
@pytest.mark.parametrize("theme", [ThemeName.LIGHT, ThemeName.DARK])
def test_a_page_is_rendered_with_its_data(qapp, port, reader, catalogue, tmp_path, page, theme):
    image = render_page(page, port, reader, catalogue, size_px=(1280, 800), theme=theme, options=AT_NOON)
    assert (image.width(), image.height()) == (1280, 800)
    column = 1 if theme is ThemeName.DARK else 0
    assert image.pixelColor(1270, 795).name().upper() == TOKENS["canvas"][column]
    save_page(tmp_path / "page.png", image)
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_page_is_refused_with_what_is_allowed(port, reader, catalogue):
    with pytest.raises(ConfigurationError, match="live, trends"):
        render_page("energy", port, reader, catalogue)


def test_a_page_without_data_says_so(qapp, port, reader, catalogue, monkeypatch):
    monkeypatch.setattr(screenshot, "DATA_TIMEOUT_MS", 50)
    reader.installation = None
    with pytest.raises(EnvironmentFault, match="had no data"):
        render_page("live", port, reader, catalogue, options=AT_NOON)
    assert QApplication.topLevelWidgets() == []


def test_a_picture_that_cannot_be_written_says_so(qapp, tmp_path):
    from PySide6.QtGui import QImage

    with pytest.raises(EnvironmentFault, match="could not be written"):
        save_page(tmp_path / "no such folder" / "x.png", QImage(2, 2, QImage.Format.Format_RGB32))
