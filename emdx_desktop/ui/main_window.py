"""The window: top bar, rail, left panel, page; it remembers how it was left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from PySide6.QtCore import QByteArray, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup, QCloseEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QButtonGroup,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QMainWindow,
    QMenu,
    QMessageBox,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from emdx_desktop.domain.errors import EnvironmentFault
from emdx_desktop.domain.installation import Installation
from emdx_desktop.domain.readings import DeviceId, Notice, NoticeLevel, SiteSnapshot
from emdx_desktop.ui.bridge import Cancellation
from emdx_desktop.ui.context import WindowContext
from emdx_desktop.ui.models.quantity_choice import QuantityChoiceModel
from emdx_desktop.ui.models.site_tree import SiteTreeModel
from emdx_desktop.ui.pages.live import LivePage
from emdx_desktop.ui.pages.trends import TrendsPage
from emdx_desktop.ui.theme import ThemeName
from emdx_desktop.ui.widgets.banner import NoticeBanner
from emdx_desktop.ui.widgets.empty_state import EmptyState
from emdx_desktop.ui.widgets.header_bar import HeaderBar
from emdx_desktop.ui.widgets.quantity_panel import QuantityPanel
from emdx_desktop.ui.widgets.site_tree_view import SiteTreePanel

RAIL_WIDTH_PX = 72
TICK_MS = 1000
MAX_SITE_FILE_BYTES = 2_000_000
PAGES = ("live", "trends")


@dataclass(frozen=True, slots=True)
class SiteFileActions:
    """What the window may do with a site file; both run beside the window.

    Attributes:
        describe: Text of a file -> the difference to the present installation in words.
            Raises ConfigurationError with every mistake at once.
        take_over: Text of a file -> stored and in force.
    """

    describe: Callable[[str], str]
    take_over: Callable[[str], None]


class MainWindow(QMainWindow):
    """The one window.

    Signals:
        page_ready(str): A page shows its data for the first time.
    """

    page_ready = Signal(str)

    def __init__(
        self,
        context: WindowContext,
        *,
        attached_to: str = "",
        site_files: SiteFileActions | None = None,
        is_read_only: bool = False,
    ) -> None:
        super().__init__()
        self._context = context
        self._site_files = site_files
        self._is_read_only = is_read_only
        self._installation: Installation | None = None
        self._is_installation_known = False
        self._zone: tzinfo = UTC
        self._snapshot: SiteSnapshot | None = None
        self._asked_revision: int | None = None
        self._own_notices: dict[str, Notice] = {}
        self._page = ""
        self.tree_model = SiteTreeModel(context.numbers, self)
        self._build(attached_to)
        self._build_menu()
        self._restore()
        context.relay.snapshot_ready.connect(self._on_relay_snapshot_ready)
        context.theme.changed.connect(self._on_theme_changed)
        self._on_theme_changed()
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._on_timer_timeout)
        self._timer.start()
        self._load_installation()

    # --- building ------------------------------------------------------------------------------------

    def _build(self, attached_to: str) -> None:
        context = self._context
        self.setWindowTitle("EMDX Desktop")
        self.setMinimumSize(1024, 640)
        canvas = QWidget(self)
        canvas.setObjectName("canvas")
        outer = QVBoxLayout(canvas)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        self.header = HeaderBar(context.theme, context.numbers, attached_to, canvas)
        outer.addWidget(self.header)
        below = QHBoxLayout()
        below.setContentsMargins(0, 0, 0, 0)
        below.setSpacing(0)
        below.addWidget(self._build_rail(canvas))
        self._side = QStackedWidget(canvas)
        self.site_tree = SiteTreePanel(self.tree_model, context.theme, self._side)
        self.site_tree.device_chosen.connect(self._on_site_tree_device_chosen)
        self._side.addWidget(self.site_tree)
        self.choice = QuantityChoiceModel(self)
        self.quantities = QuantityPanel(self.choice, context.theme, self._side)
        self._side.addWidget(self.quantities)
        below.addWidget(self._side)
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        holder = QVBoxLayout()
        # the banner's own top margin: without a notice the page begins at the top
        holder.setContentsMargins(16, 0, 16, 0)
        self.banner = NoticeBanner(context.theme, canvas)
        holder.addWidget(self.banner)
        right.addLayout(holder)
        self._pages = QStackedWidget(canvas)
        self.live_page = LivePage(context, self._pages)
        self.live_page.trend_requested.connect(self._on_live_page_trend_requested)
        self.live_page.content_shown.connect(self._on_live_page_content_shown)
        self._pages.addWidget(self.live_page)
        self.trends_page = TrendsPage(context, self.choice, self._pages)
        self.trends_page.content_shown.connect(self._on_trends_page_content_shown)
        self._pages.addWidget(self.trends_page)
        self.empty = EmptyState(
            context.theme,
            "gateway",
            self.tr("No installation yet"),
            self.tr(
                "Nothing is read because no device is known. Open a site file here, or run "
                "“emdx-desktop site import FILE”. To see the program with a simulated building, run "
                "“emdx-desktop --demo”."
            ),
            self._pages,
        )
        if self._site_files is not None:
            self.empty.button.setText(self.tr("Open site file…"))
            self.empty.button.show()
            self.empty.button.clicked.connect(self._on_open_site_file_triggered)
        self._pages.addWidget(self.empty)
        right.addWidget(self._pages, 1)
        below.addLayout(right, 1)
        outer.addLayout(below, 1)
        self.setCentralWidget(canvas)

    def _build_rail(self, parent: QWidget) -> QFrame:
        rail = QFrame(parent)
        rail.setProperty("bar", "rail")
        rail.setFixedWidth(RAIL_WIDTH_PX)
        column = QVBoxLayout(rail)
        column.setContentsMargins(0, 8, 0, 8)
        column.setSpacing(0)
        self._rail = QButtonGroup(self)
        self._rail_buttons: dict[str, QToolButton] = {}
        titles = {"live": self.tr("Live"), "trends": self.tr("Trends")}
        for number, name in enumerate(PAGES):
            button = QToolButton(rail)
            button.setProperty("rail", True)
            button.setCheckable(True)
            button.setText(titles[name])
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            button.setIconSize(QSize(24, 24))
            button.setFixedWidth(RAIL_WIDTH_PX - 1)
            key = f"Ctrl+{number + 1}"
            button.setShortcut(QKeySequence(key))
            button.setToolTip(f"{titles[name]} ({key})")
            button.setAccessibleName(titles[name])
            self._rail.addButton(button, number)
            self._rail_buttons[name] = button
            column.addWidget(button)
        self._rail.idClicked.connect(self._on_rail_id_clicked)
        column.addStretch(1)
        return rail

    def _build_menu(self) -> None:
        menu = QMenu(self)
        # its button is laid out from right to left to put the arrow behind the name; the menu is not
        menu.setLayoutDirection(self.layoutDirection())
        self._open_action = menu.addAction(self.tr("Open site file…"))
        self._open_action.setShortcut(QKeySequence(QKeySequence.StandardKey.Open))
        self._open_action.setEnabled(self._site_files is not None)
        self._open_action.triggered.connect(self._on_open_site_file_triggered)
        menu.addSeparator()
        group = QActionGroup(self)
        for name, text in (
            (ThemeName.LIGHT, self.tr("Light")),
            (ThemeName.DARK, self.tr("Dark")),
            (ThemeName.SYSTEM, self.tr("As the system")),
        ):
            action = menu.addAction(text)
            action.setCheckable(True)
            action.setData(name.value)
            action.setChecked(name is self._context.theme.choice)
            group.addAction(action)
        group.triggered.connect(self._on_theme_triggered)
        menu.addSeparator()
        fold = menu.addAction(self.tr("Tree at the left"))
        fold.setCheckable(True)
        fold.setChecked(True)
        fold.setShortcut(QKeySequence("F4"))
        fold.toggled.connect(self._side.setVisible)
        self._fold_action = fold
        menu.addSeparator()
        leave = menu.addAction(self.tr("Quit"))
        leave.setShortcut(QKeySequence(QKeySequence.StandardKey.Quit))
        leave.triggered.connect(self.close)
        self.addActions(menu.actions())
        self.header.set_menu(menu)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The left panel is 288 or 320 wide, by the width of the window."""
        width_px = self.width()
        self._side.setFixedWidth(288 if width_px < 2200 else 320)
        super().resizeEvent(event)

    # --- remembering ---------------------------------------------------------------------------------

    def _restore(self) -> None:
        settings = self._context.settings
        geometry = settings.value("window/geometry")
        if not (isinstance(geometry, QByteArray) and self.restoreGeometry(geometry)):
            self.resize(1440, 900)
        device_id = settings.value("live/device")
        if isinstance(device_id, str) and device_id.isdecimal():
            self.site_tree.choose_device(DeviceId(int(device_id)))
        page = settings.value("window/page")
        self.show_page(page if isinstance(page, str) and page in PAGES else PAGES[0])

    def save_state(self) -> None:
        """Remember geometry, page and selection."""
        if self._is_read_only:
            return
        settings = self._context.settings
        settings.setValue("window/geometry", self.saveGeometry())
        settings.setValue("window/page", self._page)
        settings.setValue("window/theme", self._context.theme.choice.value)
        if self.site_tree.chosen_device_id is not None:
            settings.setValue("live/device", str(self.site_tree.chosen_device_id))
        self.trends_page.save_state()
        settings.sync()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember, then close."""
        self.save_state()
        super().closeEvent(event)

    # --- pages ---------------------------------------------------------------------------------------

    @property
    def page(self) -> str:
        """Name of the page shown."""
        return self._page

    def show_page(self, name: str) -> None:
        """Show a page by name."""
        self._page = name
        self._rail_buttons[name].setChecked(True)
        self._on_theme_changed()
        self._show_current_page()

    def _show_current_page(self) -> None:
        if self._is_installation_known and (self._installation is None or not self._installation.devices):
            self._pages.setCurrentWidget(self.empty)
            self._side.hide()
            return
        self._side.setVisible(self._fold_action.isChecked())
        if self._page == "trends":
            self._side.setCurrentWidget(self.quantities)
            self._pages.setCurrentWidget(self.trends_page)
            self.trends_page.activate()
            self.quantities.show_chosen()
        else:
            self._side.setCurrentWidget(self.site_tree)
            self._pages.setCurrentWidget(self.live_page)

    # --- data ----------------------------------------------------------------------------------------

    def _load_installation(self) -> None:
        reader = self._context.reader

        def load(_cancellation: Cancellation) -> Installation | None:
            return reader.load_installation()

        self._context.queries.ask(
            "window.installation", load, self._on_installation_loaded, self._on_installation_refused
        )

    def _on_installation_loaded(self, installation: Installation | None) -> None:
        self._installation = installation
        self._is_installation_known = True
        self._zone = _zone(installation)
        self._set_own_notice("installation", None)
        self.header.set_site(installation.site.name if installation is not None else "")
        self.setWindowTitle(f"{installation.site.name} – EMDX Desktop" if installation is not None else "EMDX Desktop")
        self.tree_model.set_installation(installation)
        self.live_page.set_installation(installation)
        self.trends_page.set_installation(installation, self._zone)
        if self.site_tree.chosen_device_id is not None:
            self.live_page.show_device(self.site_tree.chosen_device_id)
        self._show_header()
        self._show_current_page()

    def _on_installation_refused(self, sentence: str) -> None:
        self._set_own_notice("installation", sentence)

    @Slot(object)
    def _on_relay_snapshot_ready(self, snapshot: SiteSnapshot) -> None:
        self._snapshot = snapshot
        self.tree_model.set_snapshot(snapshot)
        self.live_page.set_snapshot(snapshot)
        self.trends_page.set_snapshot(snapshot)
        self._show_header()
        self._show_notices()
        known = self._installation.revision if self._installation is not None else None
        if snapshot.installation_revision not in (known, self._asked_revision):
            self._asked_revision = snapshot.installation_revision
            self._load_installation()

    def _show_header(self) -> None:
        self.header.show_snapshot(self._snapshot, self._installation, self._zone, self._context.now_ms())

    def _show_notices(self) -> None:
        live = self._snapshot.notices if self._snapshot is not None else ()
        self.banner.set_notices((*self._own_notices.values(), *live))

    def _set_own_notice(self, key: str, sentence: str | None) -> None:
        if sentence is None:
            self._own_notices.pop(key, None)
        else:
            self._own_notices[key] = Notice(key, NoticeLevel.ALARM, sentence, self._context.now_ms())
        self._show_notices()

    # --- slots ---------------------------------------------------------------------------------------

    @Slot(str)
    def on_acquisition_failed(self, sentence: str) -> None:
        """Acquisition ended by itself: the window stays and says so."""
        self._set_own_notice("acquisition", sentence)

    @Slot()
    def _on_timer_timeout(self) -> None:
        self._show_header()

    @Slot(int)
    def _on_rail_id_clicked(self, number: int) -> None:
        self.show_page(PAGES[number])

    @Slot(int)
    def _on_site_tree_device_chosen(self, device_id: int) -> None:
        self.live_page.show_device(DeviceId(device_id))

    @Slot(int)
    def _on_live_page_trend_requested(self, device_id: int) -> None:
        self.trends_page.show_device(DeviceId(device_id))
        self.show_page("trends")

    @Slot()
    def _on_live_page_content_shown(self) -> None:
        self.page_ready.emit("live")

    @Slot()
    def _on_trends_page_content_shown(self) -> None:
        self.quantities.show_chosen()
        self.page_ready.emit("trends")

    @Slot(QAction)
    def _on_theme_triggered(self, action: QAction) -> None:
        application = QApplication.instance()
        if isinstance(application, QApplication):
            self._context.theme.choose(ThemeName(action.data()), application)

    @Slot()
    def _on_theme_changed(self) -> None:
        for name, button in self._rail_buttons.items():
            button.setIcon(self._context.theme.icon(name, "accent" if button.isChecked() else "ink2", 24))

    @Slot()
    def _on_open_site_file_triggered(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, self.tr("Open site file"), "", self.tr("Site files (*.toml);;All files (*)")
        )
        if path:
            self.offer_site_file(Path(path))

    def offer_site_file(self, path: Path) -> None:
        """Check a site file beside the window, show the difference, ask, take it over."""
        actions = self._site_files
        if actions is None:
            return

        def describe(_cancellation: Cancellation) -> tuple[str, str]:
            text = _read_site_file(path)
            return text, actions.describe(text)

        self._context.queries.ask(
            "window.site_file", describe, self._on_site_file_described, self._on_site_file_refused
        )

    def _on_site_file_described(self, answer: tuple[str, str]) -> None:
        text, difference = answer
        box = _plain_box(self, QMessageBox.Icon.Question, self.tr("Take this site file over?"), difference)
        take = box.addButton(self.tr("Take over"), QMessageBox.ButtonRole.AcceptRole)
        keep = box.addButton(self.tr("Keep what is there"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep)
        box.setEscapeButton(keep)

        def on_finished(_result: int) -> None:
            if box.clickedButton() is take:
                self._take_over(text)

        box.finished.connect(on_finished)
        box.open()

    def _take_over(self, text: str) -> None:
        actions = self._site_files
        if actions is None:
            return

        def take_over(_cancellation: Cancellation) -> None:
            actions.take_over(text)

        self._context.queries.ask("window.site_file", take_over, self._on_site_file_taken, self._on_site_file_refused)

    def _on_site_file_taken(self, _nothing: object) -> None:
        self._load_installation()

    def _on_site_file_refused(self, sentence: str) -> None:
        title = self.tr("The site file was not taken over; nothing was changed.")
        box = _plain_box(self, QMessageBox.Icon.Warning, title, sentence)
        box.addButton(self.tr("Close"), QMessageBox.ButtonRole.AcceptRole)
        box.open()


def _plain_box(parent: QWidget, icon: QMessageBox.Icon, title: str, text: str) -> QMessageBox:
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setIcon(icon)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setWindowTitle("EMDX Desktop")
    box.setText(title)
    box.setInformativeText(text)
    return box


def _read_site_file(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_SITE_FILE_BYTES:
            raise EnvironmentFault(f"{path.name} is too large for a site file - nothing was read - choose another file")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(
            f"{path.name} cannot be read ({error.strerror}) - nothing was changed - choose another file"
        ) from error
    except UnicodeDecodeError as error:
        raise EnvironmentFault(
            f"{path.name} is not a text file in UTF-8 - nothing was changed - save it as UTF-8"
        ) from error


def _zone(installation: Installation | None) -> tzinfo:
    if installation is None:
        return UTC
    try:
        return ZoneInfo(installation.site.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
