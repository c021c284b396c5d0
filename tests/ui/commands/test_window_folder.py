"""What the window does with a data folder beside drawing: first site file, take-over, attaching."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from emdx_desktop.app.clock import SystemClock
from emdx_desktop.attach.server import AttachServer
from emdx_desktop.commands.site import take_over
from emdx_desktop.commands.site_folder import open_site_folder
from emdx_desktop.commands.window import EMPTY_SITE, attach_if_owned, make_site_file_actions
from emdx_desktop.domain.errors import ConfigurationError, EnvironmentFault, StorageFault
from emdx_desktop.domain.site_file import parse_site_file
from emdx_desktop.storage.history_reader import SqliteHistoryReader
from emdx_desktop.storage.history_writer import SqliteHistoryWriter, open_writer

SITE = """
[site]
name = "Plant"
timezone = "Europe/Paris"
[[gateway]]
name = "GW1"
link = "tcp://127.0.0.1:9"
enabled = false
[[device]]
name = "QF1"
gateway = "GW1"
model = "eastron-sdm630"
unit_id = 250
"""


def test_first_site_file_is_taken_over_through_the_window_and_by_another_program(tmp_path: Path) -> None:
    folder = open_site_folder(tmp_path)
    writer = open_writer(tmp_path, SystemClock(), purpose="the window")
    reader = SqliteHistoryReader(tmp_path)
    runtime = folder.make_runtime(EMPTY_SITE, writer, reader)
    thread = threading.Thread(target=runtime.run)
    thread.start()
    server = AttachServer(runtime, tmp_path, "the window")
    try:
        actions = make_site_file_actions(folder, reader, runtime, "the window")
        assert 'Site "Plant" is new: 1 gateways, 1 devices.' in actions.describe(SITE)
        assert "reserved by the Modbus standard" in actions.describe(SITE)
        actions.take_over(SITE)
        assert actions.describe(SITE).startswith("Nothing changes.")
        with pytest.raises(ConfigurationError):
            actions.take_over("[site]\n")
        renamed = parse_site_file(SITE.replace("QF1", "QF2"), folder.catalogue, reader.load_installation())
        assert take_over(folder, renamed.installation).revision == 2
        attached = attach_if_owned(folder)
        assert attached is not None
        assert attached.owner.startswith("the window, process")
        attached.close()
        snapshot = runtime.latest()
        assert snapshot is not None
        assert snapshot.installation_revision == 2
        assert [device.state.value for device in snapshot.devices.values()] == ["disabled"]
    finally:
        server.close()
        runtime.stop()
        thread.join()
        reader.close()
        writer.close()
    assert attach_if_owned(folder) is None


def test_refusal_of_the_storage_reaches_who_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = open_site_folder(tmp_path)
    writer = open_writer(tmp_path, SystemClock())
    reader = SqliteHistoryReader(tmp_path)
    runtime = folder.make_runtime(EMPTY_SITE, writer, reader)
    thread = threading.Thread(target=runtime.run)
    thread.start()

    def refuse(*_args: object) -> None:
        raise StorageFault("The disk is full.")

    try:
        actions = make_site_file_actions(folder, reader, runtime, "the window")
        with monkeypatch.context() as patch:
            patch.setattr(SqliteHistoryWriter, "replace_installation", refuse)
            with pytest.raises(EnvironmentFault, match="The disk is full"):
                actions.take_over(SITE)
        actions.take_over(SITE)
    finally:
        runtime.stop()
        thread.join()
        reader.close()
        writer.close()
