import sys
from dataclasses import replace

import pytest
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QLabel, QMessageBox
from ui_fakes import NOTICES, NOW_MS, make_installation, make_snapshot

from emdx_desktop.domain.errors import ConfigurationError, EnvironmentFault, Problem, StorageFault
from emdx_desktop.domain.installation import Installation, Site
from emdx_desktop.domain.ports import ReadNow
from emdx_desktop.domain.readings import DeviceId
from emdx_desktop.ui.main_window import SiteFileActions
from emdx_desktop.ui.models.live_values import LiveColumn
from emdx_desktop.ui.theme import ThemeName


def wait_for_device(qtbot, session, device_id=1):
    page = session.window.live_page
    qtbot.waitUntil(lambda: page.device_id == device_id and page.model.rowCount() > 0)


def texts(widget):
    return " | ".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


def choose(session, device_id):
    session.window.site_tree.choose_device(DeviceId(device_id))


def test_the_first_device_is_shown_with_its_values(qtbot, open_session):
    session = open_session()
    wait_for_device(qtbot, session)
    page = session.window.live_page
    assert page.table.model().index(0, LiveColumn.VALUE).data() == "231.4"
    shown = texts(page)
    assert "QF0 Incomer" in shown
    assert "read 1.9\u00a0s ago, every 3.8\u00a0s" in shown
    assert "9\u202f214" in shown
    assert "Main panel, GW1, address 5, model 0 000 01" in shown


def test_top_bar_says_how_many_devices_answer(qtbot, open_session):
    session = open_session(attached_to="collect, process 4711")
    wait_for_device(qtbot, session)
    header = session.window.header
    assert header._answer.accessibleName() == "6 of 7 devices answer"
    assert "attached to collect, process 4711" in texts(header)
    assert "14:36" in texts(header)  # site time, not UTC


def test_a_silent_device_says_what_to_do_and_keeps_the_last_value(qtbot, open_session):
    session = open_session()
    wait_for_device(qtbot, session)
    choose(session, 6)
    wait_for_device(qtbot, session, 6)
    assert "Check the meter's supply" in texts(session.window.live_page)


def test_selection_and_scroll_survive_new_snapshots(qtbot, open_session, port):
    session = open_session()
    wait_for_device(qtbot, session)
    choose(session, 4)
    wait_for_device(qtbot, session, 4)
    table = session.window.live_page.table
    table.selectRow(5)
    table.verticalScrollBar().setValue(3)
    scrolled_to = table.verticalScrollBar().value()
    assert scrolled_to > 0
    model = session.window.live_page.model
    port.post(make_snapshot(2, before=port.latest(), changed=(4,), shift=11.0))
    qtbot.waitUntil(lambda: model.index(0, LiveColumn.VALUE).data() == "242.4")
    assert table.currentIndex().row() == 5
    assert table.verticalScrollBar().value() == scrolled_to
    assert session.window.site_tree.chosen_device_id == 4


def test_a_device_deleted_while_shown_gives_way_to_the_first(qtbot, open_session, port, reader):
    session = open_session()
    wait_for_device(qtbot, session)
    choose(session, 4)
    wait_for_device(qtbot, session, 4)
    installation = make_installation(2)
    reader.installation = replace(installation, devices=tuple(d for d in installation.devices if d.id != 4))
    snapshot = make_snapshot(2, revision=2)
    port.post(replace(snapshot, devices={k: v for k, v in snapshot.devices.items() if k != 4}))
    wait_for_device(qtbot, session, 1)


def test_all_devices_deleted_while_shown_gives_the_empty_state(qtbot, open_session, port, reader):
    session = open_session()
    wait_for_device(qtbot, session)
    reader.installation = Installation(Site("North plant", "Europe/Paris"), revision=2)
    port.post(replace(make_snapshot(2, revision=2), devices={}, buses={}))
    qtbot.waitUntil(session.window.empty.isVisible)


def test_without_an_installation_the_window_says_what_to_do(qtbot, open_session, port, reader):
    reader.installation = None
    port._latest = None
    session = open_session(site_files=SiteFileActions(str, print))
    qtbot.waitUntil(session.window.empty.isVisible)
    assert "emdx-desktop site import FILE" in session.window.empty.text
    assert session.window.empty.button.isVisible()


def test_a_history_that_cannot_be_read_is_said_in_a_sentence(qtbot, open_session, reader):
    reader.fault = StorageFault("The history is damaged - nothing is shown - run verify")
    session = open_session()
    qtbot.waitUntil(lambda: session.window.banner.text == "The history is damaged - nothing is shown - run verify")


def test_notices_come_loudest_first_and_one_at_a_time(qtbot, open_session, port):
    port.post(make_snapshot(notices=tuple(reversed(NOTICES))))
    session = open_session()
    banner = session.window.banner
    qtbot.waitUntil(banner.isVisible)
    assert banner.text == NOTICES[0].message
    qtbot.mouseClick(banner._next, Qt.MouseButton.LeftButton)
    assert banner.text == NOTICES[1].message
    port.post(make_snapshot(2))
    qtbot.waitUntil(lambda: not banner.isVisible())


def test_silence_of_acquisition_itself_is_shown(qtbot, open_session):
    session = open_session(now_ms=lambda: NOW_MS + 45_000)
    wait_for_device(qtbot, session)
    assert session.window.header._answer.accessibleName() == "no news from acquisition for 45\u00a0s"


def test_acquisition_that_ends_by_itself_leaves_the_window_with_a_sentence(qtbot, open_session, port):
    port.run_fault = EnvironmentFault("The data folder is in use - nothing is read - close the other program")
    session = open_session(runtime=port)
    qtbot.waitUntil(lambda: "data folder is in use" in session.window.banner.text)


def test_a_bug_in_acquisition_reaches_the_hook_and_the_person(qtbot, open_session, port, monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "excepthook", lambda *details: seen.append(details[0]))
    port.run_fault = ZeroDivisionError()
    session = open_session(runtime=port)
    qtbot.waitUntil(lambda: "ended by a mistake of the program" in session.window.banner.text)
    assert seen == [ZeroDivisionError]


def test_closing_goes_in_order(qtbot, open_session, port):
    session = open_session(runtime=port)
    qtbot.waitUntil(port.started.is_set)
    assert session.close()
    assert port.log == ["unsubscribed", "stop", "run ended"]


def test_acquisition_begins_after_the_window_is_shown(qtbot, open_session, port):
    session = open_session(runtime=port)
    assert session.window.isVisible()
    assert not port.started.is_set()
    qtbot.waitUntil(port.started.is_set)


def test_read_now_sends_a_command_and_a_refusal_is_said(qtbot, open_session, port):
    session = open_session()
    wait_for_device(qtbot, session)
    page = session.window.live_page
    qtbot.mouseClick(page._read_now, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(port.commands))
    assert port.commands == [ReadNow(DeviceId(1))]
    port.command_fault = EnvironmentFault("collect has ended - nothing is asked - start it again")
    qtbot.mouseClick(page._read_now, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "collect has ended" in texts(page))


def test_table_is_copied_with_ctrl_c(qtbot, open_session, qapp):
    session = open_session()
    wait_for_device(qtbot, session)
    session.window.live_page._on_copy_triggered()
    assert qapp.clipboard().text().splitlines()[1].startswith("V1\tVoltage L1 to neutral\t231.4\tV")


def test_names_are_never_read_as_markup(qtbot, open_session, reader, port):
    name = "<b>QF1</b> & <img src=x>"
    installation = make_installation()
    devices = (replace(installation.devices[0], name=name), *installation.devices[1:])
    reader.installation = replace(installation, devices=devices)
    session = open_session()
    wait_for_device(qtbot, session)
    assert session.window.live_page._title.whole_text == name
    for label in session.window.findChildren(QLabel):
        assert label.textFormat() is Qt.TextFormat.PlainText or not label.text()


def test_filter_keeps_parents_of_what_matches(qtbot, open_session):
    session = open_session()
    wait_for_device(qtbot, session)
    panel = session.window.site_tree
    panel.filter.setText("welding")
    assert panel.proxy.rowCount() == 1
    workshop = panel.proxy.index(0, 0)
    assert workshop.data() == "Workshop panel"
    panel.filter.clear()
    assert panel.proxy.rowCount() == 3


def test_the_window_remembers_how_it_was_left(qtbot, open_session, tmp_path, port, reader, catalogue, options, qapp):
    first = open_session(data_folder=tmp_path, is_read_only=False)
    wait_for_device(qtbot, first)
    choose(first, 4)
    first.theme.choose(ThemeName.DARK, qapp)
    first.close()
    second = open_session(data_folder=tmp_path, theme=None)
    wait_for_device(qtbot, second, 4)
    assert second.theme.choice is ThemeName.DARK
    assert (tmp_path / "window.ini").exists()


def test_settings_of_another_hand_do_no_harm(qtbot, open_session, tmp_path):
    (tmp_path / "window.ini").write_text("[window]\ngeometry=rubbish\npage=nowhere\ntheme=pink\n[live]\ndevice=-x\n")
    session = open_session(data_folder=tmp_path, theme=None)
    wait_for_device(qtbot, session)


def open_box(session):
    return next((box for box in session.window.findChildren(QMessageBox) if box.isVisible()), None)


def test_a_site_file_is_described_then_taken_over(qtbot, open_session, tmp_path):
    taken = []
    session = open_session(site_files=SiteFileActions(lambda text: f"1 device more: {text}", taken.append))
    wait_for_device(qtbot, session)
    file = tmp_path / "site.toml"
    file.write_text("x = 1")
    session.window.offer_site_file(file)
    qtbot.waitUntil(lambda: open_box(session) is not None)
    box = open_box(session)
    assert box.informativeText() == "1 device more: x = 1"
    assert taken == []
    qtbot.mouseClick(box.buttons()[0], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: taken == ["x = 1"])


def test_mistakes_of_a_site_file_are_all_shown_and_nothing_is_taken(qtbot, open_session, tmp_path):
    def describe(_text):
        raise ConfigurationError([Problem("a", "is wrong"), Problem("b", "is missing")])

    taken = []
    session = open_session(site_files=SiteFileActions(describe, taken.append))
    wait_for_device(qtbot, session)
    file = tmp_path / "site.toml"
    file.write_text("x = 1")
    session.window.offer_site_file(file)
    qtbot.waitUntil(lambda: open_box(session) is not None)
    assert open_box(session).informativeText() == "a: is wrong\nb: is missing"
    assert taken == []


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00x"])
def test_a_site_file_that_cannot_be_read_is_said(qtbot, open_session, tmp_path, content):
    session = open_session(site_files=SiteFileActions(str, print))
    wait_for_device(qtbot, session)
    file = tmp_path / "site.toml"
    if content is not None:
        file.write_bytes(content)
    session.window.offer_site_file(file)
    qtbot.waitUntil(lambda: open_box(session) is not None)
    assert "site.toml" in open_box(session).informativeText()


def test_every_button_has_a_name(qtbot, open_session):
    from PySide6.QtWidgets import QAbstractButton

    session = open_session()
    wait_for_device(qtbot, session)
    nameless = [
        button
        for button in session.window.findChildren(QAbstractButton)
        if button.isVisible()
        and not (button.text() or button.accessibleName() or button.toolTip())
        and button.objectName() != "qt_tableview_cornerbutton"
        and button.metaObject().className() != "QTableCornerButton"
    ]
    assert [b for b in nameless if "LineEdit" not in b.metaObject().className()] == []


def test_nothing_moves_between_two_snapshots(qtbot, open_session, port):
    session = open_session()
    wait_for_device(qtbot, session)
    window = session.window

    def places():
        QCoreApplication.sendPostedEvents()  # layouts first
        return [
            (type(w).__name__, w.mapTo(window, w.rect().topLeft()).toTuple(), w.size().toTuple())
            for w in window.findChildren(QLabel)
            if w.isVisible() and w.parent() is not None and w is not window.live_page._errors
        ]

    qtbot.waitUntil(lambda: "6 of 7" in window.header._answer.accessibleName())
    before = places()
    port.post(make_snapshot(2, before=port.latest(), changed=(1, 2, 3), shift=-180.0))
    qtbot.waitUntil(lambda: window.live_page.model.index(0, LiveColumn.VALUE).data() == "51.42")
    assert places() == before


def test_no_text_of_the_empty_state_is_cut(qtbot, open_session, port, reader):
    reader.installation = None
    port._latest = None
    session = open_session()
    qtbot.waitUntil(session.window.empty.isVisible)
    for label in session.window.empty.findChildren(QLabel):
        assert label.height() >= label.heightForWidth(label.width())
