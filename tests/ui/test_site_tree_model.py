from dataclasses import replace

import pytest
from PySide6.QtCore import QModelIndex, Qt
from ui_fakes import make_device_snapshot, make_installation, make_snapshot

from emdx_desktop.domain.readings import (
    BusSnapshot,
    DeviceId,
    DeviceState,
    GatewayId,
    LiveValue,
    Quality,
    RequestStatistics,
)
from emdx_desktop.ui.models.site_tree import MARK_ROLE, UNIT_ROLE, NodeKey, NodeKind, SiteTreeModel, device_key


@pytest.fixture
def model(numbers, qapp):
    model = SiteTreeModel(numbers)
    model.set_installation(make_installation())
    return model


def row(model, key):
    index = model.index_of(key)
    return tuple(index.siblingAtColumn(column).data() for column in range(3))


def test_model_is_sound_through_changes(model, qtmodeltester):
    qtmodeltester.check(model)
    model.set_snapshot(make_snapshot())
    model.set_installation(replace(make_installation(2), panels=()))
    model.set_installation(None)
    qtmodeltester.check(model)


def test_tree_is_panel_gateway_device_and_archived_devices_are_left_out(model):
    names = []

    def walk(parent, depth):
        for number in range(model.rowCount(parent)):
            index = model.index(number, 0, parent)
            names.append((depth, index.data()))
            walk(index, depth + 1)

    walk(QModelIndex(), 0)
    assert names[:5] == [
        (0, "Main panel"),
        (1, "GW1"),
        (2, "QF0 Incomer"),
        (2, "QF1 Lighting"),
        (2, "QF2 HVAC roof unit"),
    ]
    assert "Old meter" not in [name for _, name in names]


def test_parents_show_the_sum_of_what_answers_and_how_many(model):
    model.set_snapshot(make_snapshot())
    assert row(model, device_key(DeviceId(4))) == ("QF3 Compressed air", "41.6", "ON")
    assert row(model, NodeKey(NodeKind.PANEL, "Workshop panel")) == ("Workshop panel", "Σ 32.4", "2 of 3")


def test_a_panel_with_its_incomer_counts_each_load_once(model):
    model.set_snapshot(make_snapshot())
    assert row(model, NodeKey(NodeKind.PANEL, "Main panel"))[1] == "Σ 208.4"


def test_branches_stand_in_for_an_incomer_that_is_silent(model):
    first = make_snapshot()
    silent = replace(make_device_snapshot(1), state=DeviceState.SILENT)
    model.set_snapshot(replace(first, devices=dict(first.devices) | {DeviceId(1): silent}))
    assert row(model, NodeKey(NodeKind.PANEL, "Main panel"))[1:] == ("Σ 48.7", "2 of 3")


def test_a_device_nobody_asks_shows_no_number(model):
    first = make_snapshot()
    waiting = replace(make_device_snapshot(4), state=DeviceState.WAITING)
    model.set_snapshot(replace(first, devices=dict(first.devices) | {DeviceId(4): waiting}))
    assert row(model, device_key(DeviceId(4))) == ("QF3 Compressed air", "", "waiting")


def test_a_silent_device_shows_no_number(model):
    model.set_snapshot(make_snapshot())
    assert row(model, device_key(DeviceId(6))) == ("QF12 Welding", "", "no answer")


def test_a_value_that_is_not_good_is_no_number_and_not_in_the_sum(model):
    first = make_snapshot()
    device = make_device_snapshot(4)
    values = dict(device.values) | {"active_power": LiveValue(41_600.0, Quality.IMPLAUSIBLE, 1)}
    model.set_snapshot(replace(first, devices=dict(first.devices) | {DeviceId(4): replace(device, values=values)}))
    assert row(model, device_key(DeviceId(4)))[1] == "–"
    assert row(model, NodeKey(NodeKind.GATEWAY, "2"))[1] == "Σ −9.2"


def test_water_shows_its_flow_in_its_unit(model):
    model.set_snapshot(make_snapshot())
    index = model.index_of(device_key(DeviceId(7))).siblingAtColumn(1)
    assert (index.data(), index.data(UNIT_ROLE)) == ("0.4", "m³/h")


def test_a_line_that_is_down_says_so(model):
    snapshot = make_snapshot()
    bus = BusSnapshot(GatewayId(1), False, None, None, None, RequestStatistics(), "refused")
    model.set_snapshot(replace(snapshot, buses=dict(snapshot.buses) | {GatewayId(1): bus}))
    index = model.index_of(NodeKey(NodeKind.GATEWAY, "1"))
    assert index.siblingAtColumn(2).data() == "line down"
    assert "refused" in index.data(Qt.ItemDataRole.ToolTipRole)


def test_only_what_changed_is_announced_one_block_a_parent(model, qtbot):
    first = make_snapshot()
    model.set_snapshot(first)
    blocks = []
    model.dataChanged.connect(lambda top, bottom: blocks.append((top.row(), bottom.row())))
    model.set_snapshot(replace(first, sequence=2))
    assert blocks == []
    model.set_snapshot(make_snapshot(3, before=first, changed=(1, 2), shift=1000.0))
    assert (0, 1) in blocks
    assert len(blocks) == 3  # the devices, their gateway, their panel


def test_an_old_index_after_a_reset_is_harmless(model):
    index = model.index_of(device_key(DeviceId(1)))
    model.set_installation(None)
    assert model.data(index) == ""
    assert model.parent(index) == QModelIndex()


def test_values_survive_a_new_installation(model):
    model.set_snapshot(make_snapshot())
    model.set_installation(make_installation(2))
    assert row(model, device_key(DeviceId(1)))[1] == "208.4"


def test_breaker_on_is_not_coloured_and_fault_is(model):
    first = make_snapshot()
    device = make_device_snapshot(4)
    values = dict(device.values) | {"breaker_fault": LiveValue(1, Quality.GOOD, 1)}
    model.set_snapshot(replace(first, devices=dict(first.devices) | {DeviceId(4): replace(device, values=values)}))
    assert model.index_of(device_key(DeviceId(1))).siblingAtColumn(2).data(MARK_ROLE).token == "ink"
    assert model.index_of(device_key(DeviceId(4))).siblingAtColumn(2).data(MARK_ROLE).token == "alarm"
