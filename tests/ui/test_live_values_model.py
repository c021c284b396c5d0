from dataclasses import replace
from fractions import Fraction

import pytest
from PySide6.QtCore import Qt
from ui_fakes import NOW_MS, make_device_snapshot, make_profile

from emdx_desktop.domain.readings import LiveValue, Quality
from emdx_desktop.ui.models.live_values import IS_OLD_ROLE, LiveColumn, LiveValuesModel


@pytest.fixture
def model(numbers, qapp):
    model = LiveValuesModel(numbers)
    model.set_device(make_profile(), make_device_snapshot(1), NOW_MS)
    return model


def cells(model, symbol):
    for number in range(model.rowCount()):
        if model.index(number, LiveColumn.SYMBOL).data() == symbol:
            return tuple(model.index(number, column).data() for column in LiveColumn)
    raise AssertionError(symbol)


def with_value(id_, live):
    device = make_device_snapshot(1)
    return replace(device, values=dict(device.values) | {id_: live})


def test_model_is_sound(model, qtmodeltester):
    qtmodeltester.check(model)
    model.set_device(None, None, NOW_MS)
    qtmodeltester.check(model)


def test_live_values_have_four_digits_unit_age_and_quality(model):
    assert cells(model, "V1") == ("V1", "Voltage L1 to neutral", "231.4", "V", "1.9\u00a0s", "measured")
    assert cells(model, "F")[2:4] == ("50.01", "Hz")
    assert cells(model, "P")[2:4] == ("208.4", "kW")


def test_counters_show_what_the_meter_resolves(model):
    assert cells(model, "Ea+")[2:4] == ("1\u202f521\u202f228.6", "kWh")


def test_what_was_never_read_is_a_dash_with_a_reason_never_zero(model):
    assert cells(model, "IΔn")[2:] == ("–", "A", "–", "not read yet")


def test_a_value_older_than_three_periods_is_stale_and_stays(model):
    symbol, _name, value, _unit, age, quality = cells(model, "t")
    assert (symbol, value, age, quality) == ("t", "18\u202f412", "6\u00a0min", "stale")


def test_a_slow_quantity_is_not_stale_within_its_own_interval(model):
    model.set_snapshot(with_value("thd_voltage_l1", LiveValue(3.6, Quality.GOOD, NOW_MS - 1_500_000)), NOW_MS)
    assert cells(model, "THD V1")[5] == "measured"


@pytest.mark.parametrize("quality", [quality for quality in Quality if quality is not Quality.GOOD])
def test_no_other_quality_looks_measured(model, quality):
    model.set_snapshot(with_value("frequency", LiveValue(50.0, quality, NOW_MS - 1000, "why")), NOW_MS)
    for number in range(model.rowCount()):
        if model.index(number, 0).data() == "F":
            index = model.index(number, LiveColumn.VALUE)
            assert index.data(IS_OLD_ROLE)
            assert index.data(Qt.ItemDataRole.ToolTipRole) == "why"
            assert model.index(number, LiveColumn.QUALITY).data() not in ("measured", "")


def test_ages_go_on_without_snapshots_in_one_block(model):
    blocks = []
    model.dataChanged.connect(lambda top, bottom: blocks.append((top.column(), bottom.column())))
    model.tick(NOW_MS + 5000)
    assert cells(model, "V1")[4] == "6.9\u00a0s"
    assert blocks == [(LiveColumn.VALUE, LiveColumn.QUALITY)]
    model.tick(NOW_MS + 60_000)
    assert cells(model, "V1")[5] == "stale"


def test_a_clock_set_back_gives_no_negative_age(model):
    model.tick(NOW_MS - 3_600_000)
    assert cells(model, "V1")[4] == "0.0\u00a0s"


def test_a_quantity_the_profile_does_not_know_is_shown_too(model):
    model.set_snapshot(with_value("temperature", LiveValue(21.5, Quality.GOOD, NOW_MS)), NOW_MS)
    assert cells(model, "T")[2:4] == ("21.5", "°C")


def test_the_copied_table_has_heads_and_units(model):
    lines = model.copied_text().splitlines()
    assert lines[0].split("\t")[1:] == ["Quantity", "value", "unit", "age", "quality"]
    assert "V1\tVoltage L1 to neutral\t231.4\tV\t1.9\u00a0s\tmeasured" in lines


def test_resolution_of_a_counter_decides_its_decimals():
    from emdx_desktop.ui.number_format import counter_decimals, display_unit

    kwh, cubic = display_unit("Wh"), display_unit("m³")
    assert counter_decimals(Fraction(1), kwh) == 3
    assert counter_decimals(Fraction(10), kwh) == 2
    assert counter_decimals(Fraction(1000), kwh) == 0
    assert counter_decimals(Fraction(1, 100), cubic) == 2
    assert counter_decimals(Fraction(3, 2), kwh) == 3
    assert counter_decimals(None, kwh) == 1
