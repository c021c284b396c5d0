"""Pictures of pages, also without a screen: waits for the page's data by events, never by time."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QByteArray, QEventLoop, QLocale, Qt, QTimer
from PySide6.QtGui import QImage, QImageWriter

from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.errors import ConfigurationError, EnvironmentFault, Problem
from emdx_desktop.domain.ports import HistoryReader, SupervisionPort
from emdx_desktop.ui.acquisition_thread import BlockingRuntime
from emdx_desktop.ui.application import WindowOptions, WindowSession, make_application
from emdx_desktop.ui.main_window import PAGES
from emdx_desktop.ui.theme import ThemeName

DATA_TIMEOUT_MS = 20_000
"""A page without data after this long is an environment fault, said in a sentence."""


def choose_platform() -> None:
    """Use the off-screen platform where there is no display. Call before a QApplication exists."""
    has_display = sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not has_display:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


def render_page(
    page: str,
    port: SupervisionPort,
    reader: HistoryReader,
    catalogue: ProfileCatalogue,
    *,
    size_px: tuple[int, int] = (1440, 900),
    theme: ThemeName = ThemeName.LIGHT,
    language: str = "en",
    runtime: BlockingRuntime | None = None,
    data_folder: Path | None = None,
    options: WindowOptions | None = None,
) -> QImage:
    """Render a page of the window.

    Args:
        page: Name of the page.
        port: Where snapshots come from.
        reader: History.
        catalogue: Profiles.
        size_px: Width and height of the window.
        theme: Light or dark.
        language: Language of the page.
        runtime: Acquisition to run meanwhile, None when somebody else does.
        data_folder: Take the choices remembered there; None: the defaults. Nothing is written to it.
        options: What else the window is opened with.
    Returns:
        The picture.
    Raises:
        ConfigurationError: There is no such page.
        EnvironmentFault: The page had no data within 20 seconds.
    """
    if page not in PAGES:
        raise ConfigurationError([Problem("page", f'"{page}" does not exist; allowed: {", ".join(PAGES)}')])
    choose_platform()
    application = make_application()
    chosen = replace(
        options or WindowOptions(),
        data_folder=data_folder,
        runtime=runtime,
        theme=theme,
        language=QLocale(language).name(),
        page=page,
        size_px=size_px,
        is_read_only=True,
    )
    session = WindowSession(port, reader, catalogue, chosen, application)
    # an off-screen picture, not a window somebody sees
    session.window.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
    loop = QEventLoop()
    is_ready: list[bool] = []

    def on_page_ready(name: str) -> None:
        if name == page:
            is_ready.append(True)
            # what was just changed is laid out and painted first
            QTimer.singleShot(0, loop, loop.quit)

    session.window.page_ready.connect(on_page_ready)
    timer = QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(loop.quit)
    timer.start(DATA_TIMEOUT_MS)
    session.open()
    loop.exec()
    timer.stop()
    image = session.window.grab().toImage()
    session.close()
    if not is_ready:
        raise EnvironmentFault(
            f'Page "{page}" had no data within {DATA_TIMEOUT_MS // 1000} s - no picture was made - '
            "check that an installation is stored and that its devices answer"
        )
    return image


def save_page(path: Path, image: QImage) -> None:
    """Write a picture as PNG.

    Raises:
        EnvironmentFault: The file could not be written.
    """
    if not QImageWriter(str(path), QByteArray(b"png")).write(image):
        raise EnvironmentFault(f"{path} could not be written - there is no picture - choose another place")
