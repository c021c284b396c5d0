"""Fixtures of the window's tests: off screen, on faked ports, nothing left alive."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

# before Qt is imported
os.environ["QT_QPA_PLATFORM"] = "offscreen"
# tests are imported by file (importlib mode): the fakes beside them are found by name
sys.path.insert(0, str(Path(__file__).parent))

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QLocale
from PySide6.QtWidgets import QApplication
from ui_fakes import NOW_MS, FakePort, FakeReader, make_installation, make_profile, make_snapshot

from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.ui.application import WindowOptions, WindowSession, make_application
from emdx_desktop.ui.number_format import NumberFormat
from emdx_desktop.ui.theme import ThemeName


@pytest.fixture
def numbers() -> NumberFormat:
    return NumberFormat(QLocale("en"))


@pytest.fixture
def port() -> FakePort:
    return FakePort(make_snapshot())


@pytest.fixture
def reader() -> FakeReader:
    return FakeReader(make_installation())


@pytest.fixture
def catalogue() -> ProfileCatalogue:
    profile = make_profile()
    return ProfileCatalogue({profile.id: profile})


@pytest.fixture
def options() -> WindowOptions:
    return WindowOptions(
        theme=ThemeName.LIGHT, language="en", size_px=(1280, 800), now_ms=lambda: NOW_MS, is_read_only=True
    )


@pytest.fixture
def open_session(
    qapp: QApplication, port: FakePort, reader: FakeReader, catalogue: ProfileCatalogue, options: WindowOptions
) -> Iterator[Callable[..., WindowSession]]:
    """Opens windows and takes them apart again; no top-level widget may be left."""
    sessions: list[WindowSession] = []

    def open_one(**changes: object) -> WindowSession:
        session = WindowSession(port, reader, catalogue, replace(options, **changes), qapp)  # type: ignore[arg-type]
        sessions.append(session)
        session.open()
        return session

    yield open_one
    for session in sessions:
        session.close()


@pytest.fixture(scope="session")
def qapp() -> QApplication:
    return make_application()


@pytest.fixture(autouse=True)
def no_widget_left(qapp: QApplication) -> Iterator[None]:
    """A test that leaves a top-level widget alive fails."""
    yield
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    left = [widget for widget in QApplication.topLevelWidgets() if widget.parent() is None]
    assert left == [], f"left alive: {left}"
