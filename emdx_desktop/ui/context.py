"""What every page is given: the doors to the data, the theme, number form, the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QSettings

from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.ports import HistoryReader, SupervisionPort
from emdx_desktop.ui.bridge import QueryPool, SnapshotRelay
from emdx_desktop.ui.number_format import NumberFormat
from emdx_desktop.ui.theme import Theme


@dataclass(frozen=True, slots=True)
class WindowContext:
    """Built once by the application, handed to the window and its pages.

    Attributes:
        port: Snapshots in, commands out.
        relay: Its snapshots, in the window's thread.
        reader: History; only through `queries`.
        queries: Threads beside the window.
        catalogue: Device profiles.
        theme: Colours and icons.
        numbers: Decimal sign and thousands.
        settings: What the window remembers.
        now_ms: UTC clock, epoch milliseconds.
    """

    port: SupervisionPort
    relay: SnapshotRelay
    reader: HistoryReader
    queries: QueryPool
    catalogue: ProfileCatalogue
    theme: Theme
    numbers: NumberFormat
    settings: QSettings
    now_ms: Callable[[], int]
