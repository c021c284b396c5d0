"""Builds the window, runs it, and takes it apart again in a fixed order."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import PySide6
from PySide6.QtCore import QCoreApplication, QEvent, QLocale, QSettings, Qt, QTimer
from PySide6.QtWidgets import QApplication

from emdx_desktop.app.qt_version import refuse_unsafe_qt
from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.ports import HistoryReader, SupervisionPort
from emdx_desktop.ui.acquisition_thread import AcquisitionThread, BlockingRuntime
from emdx_desktop.ui.bridge import QueryPool, SnapshotRelay
from emdx_desktop.ui.context import WindowContext
from emdx_desktop.ui.main_window import MainWindow, SiteFileActions
from emdx_desktop.ui.number_format import NumberFormat
from emdx_desktop.ui.stall_watch import StallWatch
from emdx_desktop.ui.theme import Theme, ThemeName

SETTINGS_FILE = "window.ini"


def system_now_ms() -> int:
    """UTC now, epoch milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class WindowOptions:
    """How the window is opened.

    Attributes:
        data_folder: Where `window.ini` remembers geometry, page, theme and chosen quantities;
            None remembers nothing.
        runtime: Acquisition that the window runs in a thread of its own; None when another
            process acquires (or nobody does).
        attached_to: Said in the top bar when the window is attached, e.g. "collect, process 4711".
        site_files: What File > Open site file may do; None disables it.
        theme: light, dark or system; None takes what was remembered.
        language: e.g. `fr`; None takes the system's.
        page: Page to show first; empty takes what was remembered.
        size_px: Fixed size of the window, None for the remembered one.
        is_read_only: Nothing is remembered at closing.
        now_ms: UTC clock.
    """

    data_folder: Path | None = None
    runtime: BlockingRuntime | None = None
    attached_to: str = ""
    site_files: SiteFileActions | None = None
    theme: ThemeName | None = None
    language: str | None = None
    page: str = ""
    size_px: tuple[int, int] | None = None
    is_read_only: bool = False
    now_ms: Callable[[], int] = system_now_ms


class WindowSession:
    """The window with everything it stands on. `open`, then `close`: the order is tested.

    Order of closing: no more snapshots, no more queries, acquisition stopped and committed, window gone.
    """

    def __init__(
        self,
        port: SupervisionPort,
        reader: HistoryReader,
        catalogue: ProfileCatalogue,
        options: WindowOptions,
        application: QApplication,
    ) -> None:
        self._is_closed = False
        settings = _settings(options.data_folder)
        remembered = settings.value("window/theme")
        names = {name.value for name in ThemeName}
        name = ThemeName(remembered) if isinstance(remembered, str) and remembered in names else ThemeName.SYSTEM
        self.theme = Theme(options.theme or name)
        self.theme.apply(application)
        self._application = application
        application.styleHints().colorSchemeChanged.connect(self._on_color_scheme_changed)
        locale = QLocale(options.language) if options.language else QLocale()
        self.relay = SnapshotRelay(port)
        self.queries = QueryPool()
        self.context = WindowContext(
            port=port,
            relay=self.relay,
            reader=reader,
            queries=self.queries,
            catalogue=catalogue,
            theme=self.theme,
            numbers=NumberFormat(locale),
            settings=settings,
            now_ms=options.now_ms,
        )
        self.window = MainWindow(
            self.context,
            attached_to=options.attached_to,
            site_files=options.site_files,
            is_read_only=options.is_read_only,
        )
        if options.size_px is not None:
            self.window.resize(*options.size_px)
        if options.page:
            self.window.show_page(options.page)
        self.stalls = StallWatch(self.window)
        self.thread: AcquisitionThread | None = None
        if options.runtime is not None:
            self.thread = AcquisitionThread(options.runtime)
            self.thread.failed.connect(self.window.on_acquisition_failed)

    def open(self) -> None:
        """Show the window; acquisition begins once it is on the screen."""
        self.window.show()
        self.window.site_tree.tree.setFocus()
        self.relay.start()
        self.stalls.start()
        if self.thread is not None:
            QTimer.singleShot(0, self.thread, self.thread.start)

    def _on_color_scheme_changed(self) -> None:
        if self.theme.choice is ThemeName.SYSTEM and not self._is_closed:
            self.theme.choose(ThemeName.SYSTEM, self._application)

    def close(self) -> bool:
        """Take everything apart in order; twice does no harm. Returns whether acquisition ended in time."""
        if self._is_closed:
            return True
        self._is_closed = True
        self._application.styleHints().colorSchemeChanged.disconnect(self._on_color_scheme_changed)
        self.relay.stop()
        self.queries.close()
        has_ended = self.thread.stop() if self.thread is not None else True
        self.window.close()
        self.window.deleteLater()
        QCoreApplication.sendPostedEvents(self.window, QEvent.Type.DeferredDelete)
        return has_ended


def make_application() -> QApplication:
    """The one QApplication of the process.

    Raises:
        EnvironmentFault: This release of Qt aborts on this Python.
    """
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    refuse_unsafe_qt(PySide6.__version__)
    QApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    application = QApplication(sys.argv[:1])
    application.setApplicationName("emdx-desktop")
    application.setApplicationDisplayName("EMDX Desktop")
    return application


def run_window(
    port: SupervisionPort, reader: HistoryReader, catalogue: ProfileCatalogue, options: WindowOptions
) -> int:
    """Show the window until it is closed.

    Returns:
        0, or 3 when acquisition did not end in time.
    """
    application = make_application()
    session = WindowSession(port, reader, catalogue, options, application)
    session.open()
    code = application.exec()
    has_ended = session.close()
    return code if has_ended else 3


def _settings(data_folder: Path | None) -> QSettings:
    if data_folder is None:
        # an empty name: kept in memory only, nothing is written
        return QSettings("", QSettings.Format.IniFormat)
    return QSettings(str(data_folder / SETTINGS_FILE), QSettings.Format.IniFormat)
