"""`emdx-desktop` without a command: the window, acquiring itself or attached to who does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from emdx_desktop.app.clock import SystemClock
from emdx_desktop.attach.attached_supervision import AttachedSupervision
from emdx_desktop.attach.door import find_door
from emdx_desktop.commands.collect import stop_on_signals
from emdx_desktop.commands.site import hand_over
from emdx_desktop.commands.site_folder import SiteFolder, opened_to_others, require_folder
from emdx_desktop.domain.errors import EnvironmentFault
from emdx_desktop.domain.installation import Installation, Site
from emdx_desktop.domain.ports import HistoryReader, SupervisionPort
from emdx_desktop.domain.site_difference import difference
from emdx_desktop.domain.site_file import parse_site_file
from emdx_desktop.storage.history_reader import SqliteHistoryReader
from emdx_desktop.storage.history_writer import open_writer

if TYPE_CHECKING:
    from emdx_desktop.ui.main_window import SiteFileActions

logger = logging.getLogger(__name__)

EMPTY_SITE = Installation(Site("", "UTC"))


def run(folder: SiteFolder) -> int:
    """Show the window until it is closed."""
    require_folder(folder.path)
    attached = attach_if_owned(folder)
    if attached is not None:
        return _run_attached(folder, attached)
    return _run_owner(folder)


def attach_if_owned(folder: SiteFolder) -> AttachedSupervision | None:
    """The acquisition of another program that owns the folder; None when nobody answers."""
    if find_door(folder.path) is None:
        return None
    try:
        return AttachedSupervision(folder.path)
    except EnvironmentFault as fault:
        logger.info("%s", fault)  # a door left behind by a crash; the folder's lock decides
        return None


def _run_attached(folder: SiteFolder, attached: AttachedSupervision) -> int:
    # Qt is loaded for a window only
    from emdx_desktop.ui.application import WindowOptions, make_application, run_window

    stop_on_signals(make_application().quit)
    reader = SqliteHistoryReader(folder.path)
    try:
        options = WindowOptions(
            data_folder=folder.path,
            attached_to=attached.owner,
            site_files=make_site_file_actions(folder, reader, attached, attached.owner),
        )
        return run_window(attached, reader, folder.catalogue, options)
    finally:
        reader.close()
        attached.close()


def _run_owner(folder: SiteFolder) -> int:
    from emdx_desktop.ui.application import WindowOptions, make_application, run_window

    stop_on_signals(make_application().quit)
    writer = open_writer(folder.path, SystemClock(), purpose="the window")
    try:
        reader = SqliteHistoryReader(folder.path)
        try:
            runtime = folder.make_runtime(reader.load_installation() or EMPTY_SITE, writer, reader)
            with opened_to_others(runtime, folder, "the window"):
                options = WindowOptions(
                    data_folder=folder.path,
                    runtime=runtime,
                    site_files=make_site_file_actions(folder, reader, runtime, "the window"),
                )
                return run_window(runtime, reader, folder.catalogue, options)
        finally:
            reader.close()
    finally:
        writer.close()


def make_site_file_actions(
    folder: SiteFolder, reader: HistoryReader, port: SupervisionPort, owner: str
) -> SiteFileActions:
    """What the window may do with a site file: say what would change, and take it over."""
    from emdx_desktop.ui.main_window import SiteFileActions

    def describe(text: str) -> str:
        previous = reader.load_installation()
        parsed = parse_site_file(text, folder.catalogue, previous)
        sentences = difference(previous, parsed.installation) or ["Nothing changes."]
        return "\n".join([*sentences, *(f"Note: {warning}" for warning in parsed.warnings)])

    def take(text: str) -> None:
        parsed = parse_site_file(text, folder.catalogue, reader.load_installation())
        hand_over(port, parsed.installation, owner)

    return SiteFileActions(describe, take)
