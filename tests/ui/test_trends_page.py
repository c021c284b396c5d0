import threading

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QLabel
from ui_fakes import NOW_MS, make_snapshot

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.periods import Span, calendar_period
from emdx_desktop.domain.readings import DeviceId
from emdx_desktop.ui.models.quantity_choice import QuantityChoiceModel
from emdx_desktop.ui.models.trend_legend import LegendColumn, LegendEntry, TrendLegendModel
from emdx_desktop.ui.theme import ThemeName
from emdx_desktop.ui.trend_loading import MAX_SERIES, SeriesKey

POWER = SeriesKey(DeviceId(1), "active_power")
VOLTAGE = SeriesKey(DeviceId(1), "voltage_l1_n")
ENERGY = SeriesKey(DeviceId(2), "active_energy_import")


@pytest.fixture
def page(qtbot, open_session):
    session = open_session(page="trends")
    page = session.window.trends_page
    page.session = session  # alive as long as its window
    wait_for_curves(qtbot, page, 1)
    return page


def curves(page):
    return page._trend.curves if page._trend is not None else ()


def wait_for_curves(qtbot, page, count):
    def are_drawn():
        busy = page._context.queries.is_busy("trends.load") or page._context.queries.is_busy("trends.series")
        return not busy and page._trend is not None and len(curves(page)) == count

    qtbot.waitUntil(are_drawn, timeout=20_000)


def shown_text(page):
    return " | ".join(label.text() for label in page.findChildren(QLabel) if label.isVisible())


def choose(qtbot, page, *keys):
    page.choice.choose(keys)
    wait_for_curves(qtbot, page, len(keys))


# --- choosing -----------------------------------------------------------------------------------------


def test_choice_model_is_sound(qapp, qtmodeltester, reader):
    model = QuantityChoiceModel()
    model.set_series(reader.installation, reader.series())
    qtmodeltester.check(model)
    model.choose([POWER, VOLTAGE])
    model.set_series(None, ())
    qtmodeltester.check(model)
    assert model.chosen == ()


def test_read_offsets_and_states_cannot_be_chosen(qapp, reader):
    model = QuantityChoiceModel()
    model.set_series(reader.installation, reader.series())
    assert model.series_count == 30


def test_a_ninth_series_is_refused_in_words(qtbot, page):
    keys = [SeriesKey(DeviceId(n), q) for n in range(1, 6) for q in ("active_power", "voltage_l1_n")]
    choose(qtbot, page, *keys[:MAX_SERIES])
    index = page.choice.first_index_of(keys[8])
    assert not page.choice.setData(index, Qt.CheckState.Checked, Qt.ItemDataRole.CheckStateRole)
    assert page.session.window.quantities._refusal.isVisible()
    assert len(page.choice.chosen) == MAX_SERIES
    assert page.plot.drawn_point_counts


def test_series_are_added_and_taken_out_by_a_click_on_the_row(qtbot, page):
    panel = page.session.window.quantities
    index = panel.proxy.mapFromSource(page.choice.first_index_of(VOLTAGE))
    panel.tree.scrollTo(index)
    place = panel.tree.visualRect(index).center()
    qtbot.mouseClick(panel.tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
    wait_for_curves(qtbot, page, 2)
    assert page.choice.chosen == (POWER, VOLTAGE)
    qtbot.mouseClick(panel.tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
    wait_for_curves(qtbot, page, 1)
    assert page.choice.chosen == (POWER,)


def test_nothing_chosen_says_what_to_do(qtbot, page):
    choose(qtbot, page)
    assert page.empty.isVisible()


# --- drawing ------------------------------------------------------------------------------------------


def test_each_unit_has_a_pane_of_its_own(qtbot, page):
    choose(qtbot, page, POWER, VOLTAGE, ENERGY, SeriesKey(DeviceId(4), "active_power"))
    assert [pane.title for pane in page.plot._panes] == [
        "Active power, kW",
        "Voltage, V",
        "Active energy per hour, kWh",
    ]


def test_a_year_draws_few_points(qtbot, page):
    page._span_buttons[Span.YEAR].click()
    wait_for_curves(qtbot, page, 1)
    assert len(curves(page)[0].ts_s) > 8000
    assert all(0 < count <= 2 * page.plot.width() for count in page.plot.drawn_point_counts)


def test_options_reach_the_curve_because_they_are_set_after_adding(qtbot, page):
    line = page.plot._panes[0].drawn[0].line
    assert line.opts["connect"] == "finite"  # there is a gap this morning
    assert line.opts["pen"].widthF() == 1
    assert line.opts["pen"].color() == QColor(page.plot.theme.color("s1"))


def test_period_before_and_after_go_through_the_calendar(qtbot, page):
    page._before.click()
    wait_for_curves(qtbot, page, 1)
    yesterday = calendar_period(Span.DAY, NOW_MS - 86_400_000, page._zone)
    assert page.period == yesterday
    assert page._period_label.text() == "Wed 18 Nov 2026"
    assert not page._live.isChecked()
    page._after.click()
    wait_for_curves(qtbot, page, 1)
    assert page._live.isChecked()
    assert page.period.end_ms > NOW_MS
    assert not page._after.isEnabled()


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (Span.HOUR, "Thu 19 Nov, 13:00 – 14:00"),
        (Span.WEEK, "Mon 9 Nov 2026 – Sun 15 Nov 2026"),
        (Span.MONTH, "October 2026"),
        (Span.YEAR, "2025"),
    ],
)
def test_periods_are_named(qtbot, page, span, text):
    page._span_buttons[span].click()
    page._before.click()
    assert page._period_label.text() == text


def test_a_new_minute_moves_a_live_picture(qtbot, page, reader, port):
    reader.calls.clear()
    port.post(make_snapshot(2, ts_ms=NOW_MS + 60_000))
    qtbot.waitUntil(lambda: ("minutes", "active_power") in reader.calls)


def test_a_new_minute_leaves_a_past_picture_alone(qtbot, page, reader, port):
    page._before.click()
    wait_for_curves(qtbot, page, 1)
    reader.calls.clear()
    model = page.session.window.tree_model
    with qtbot.waitSignal(page._context.relay.snapshot_ready):
        port.post(make_snapshot(2, ts_ms=NOW_MS + 60_000, before=port.latest(), changed=(1,)))
    assert model.rowCount() == 3
    assert reader.calls == []


def test_moving_the_picture_loads_what_is_missing(qtbot, page, reader):
    loaded = page._trend.window
    with qtbot.waitSignal(page.plot.view_settled):
        page.plot.pan(-1.5)
    wait_for_curves(qtbot, page, 1)
    assert page._trend.window.start_ms < loaded.start_ms
    assert page.plot.view().start_ms < loaded.start_ms


def test_zooming_out_takes_roll_ups_and_0_comes_back(qtbot, page):
    with qtbot.waitSignal(page.plot.view_settled):
        for _ in range(5):
            qtbot.keyClick(page.plot, Qt.Key.Key_Minus)
    wait_for_curves(qtbot, page, 1)
    assert curves(page)[0].step.value == "hour"
    with qtbot.waitSignal(page.plot.view_settled):
        qtbot.keyClick(page.plot, Qt.Key.Key_0)
    wait_for_curves(qtbot, page, 1)
    assert curves(page)[0].step.value == "minute"
    assert page.plot.view() == page.period


def test_the_cross_hair_goes_by_samples_and_fills_the_legend(qtbot, page):
    page.plot.set_cursor((NOW_MS - 3_600_000) / 1000)
    at_hour_ago = page.legend.index(0, LegendColumn.AT).data()
    assert at_hour_ago not in ("", "–")
    assert page.legend.headerData(LegendColumn.AT, Qt.Orientation.Horizontal) == "at 13:37"
    before = page.plot._cursor_s
    qtbot.keyClick(page.plot, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert page.plot._cursor_s == pytest.approx(before + 600, abs=31)
    page.plot.set_cursor(float("nan"))
    assert page.legend.index(0, LegendColumn.AT).data() == "–"


def test_the_cross_hair_in_a_gap_shows_no_value(qtbot, page, reader):
    page.plot.set_cursor((reader.gap[0] + 10 * 60_000) / 1000)
    assert page.legend.index(0, LegendColumn.AT).data() == "–"


def test_a_gap_has_its_reason_as_text(qtbot, page):
    assert page.plot._panes[0].gap_names._gaps[0][2] == "QF0 Incomer: no answer, 32\u00a0min"


def test_mouse_moves_the_cross_hair_once_a_frame(qtbot, page):
    box = page.plot._panes[0].box
    with qtbot.waitSignal(page.plot.cursor_moved):
        for step in range(50):
            page.plot._on_scene_mouse_moved(box.sceneBoundingRect().center() + type(box.pos())(step, 0))
    assert np.isfinite(page.plot._cursor_s)


def test_space_in_the_picture_stops_and_starts_the_live_edge(qtbot, page):
    before = page.period
    qtbot.keyClick(page.plot, Qt.Key.Key_Space)
    assert not page._live.isChecked()
    assert page.period == before
    page._span_buttons[Span.WEEK].setFocus()
    qtbot.keyClick(page._span_buttons[Span.WEEK], Qt.Key.Key_Space)
    assert page._span is Span.WEEK
    assert not page._live.isChecked()
    assert page.period.end_ms == before.end_ms
    qtbot.keyClick(page.plot, Qt.Key.Key_Space)
    assert page._live.isChecked()


def test_the_theme_can_change_while_a_trend_is_shown(qtbot, page, qapp):
    page.session.theme.choose(ThemeName.DARK, qapp)
    line = page.plot._panes[0].drawn[0].line
    assert line.opts["pen"].color() == QColor(page.session.theme.color("s1"))
    page.session.theme.choose(ThemeName.LIGHT, qapp)


# --- bad days -----------------------------------------------------------------------------------------


def test_a_history_that_fails_says_so_and_the_next_period_is_shown(qtbot, page, reader):
    reader.fault = StorageFault("This month is damaged - it is not shown - run verify")
    page._before.click()
    qtbot.waitUntil(lambda: "This month is damaged" in shown_text(page))
    reader.fault = None
    page._before.click()
    wait_for_curves(qtbot, page, 1)
    qtbot.waitUntil(lambda: "This month is damaged" not in shown_text(page))


def test_loading_that_takes_long_says_so_and_does_not_block(qtbot, page, reader):
    reader.gate = threading.Event()
    page._before.click()
    assert not page._bar.isVisible()
    qtbot.waitUntil(page._bar.isVisible)
    assert "Loading… (1 chosen)" in shown_text(page)
    reader.gate.set()
    wait_for_curves(qtbot, page, 1)
    assert not page._bar.isVisible()


def test_only_the_newest_of_many_clicks_is_shown(qtbot, page, reader):
    reader.gate = threading.Event()
    for _ in range(5):
        page._before.click()
    reader.gate.set()
    wait_for_curves(qtbot, page, 1)
    assert page._trend.window.start_ms <= page.period.start_ms <= page._trend.window.end_ms
    assert page._period_label.text() == "Sat 14 Nov 2026"


def test_a_device_deleted_while_drawn_is_taken_out(qtbot, page, reader, port):
    from dataclasses import replace

    installation = reader.installation
    reader.installation = replace(installation, revision=2, devices=installation.devices[1:])
    port.post(make_snapshot(2, revision=2))
    qtbot.waitUntil(lambda: POWER not in page.choice.chosen)
    wait_for_curves(qtbot, page, 1)
    assert page.choice.chosen == (SeriesKey(DeviceId(2), "active_power"),)


def test_choice_and_span_are_remembered(qtbot, open_session, tmp_path):
    first = open_session(page="trends", data_folder=tmp_path, is_read_only=False)
    wait_for_curves(qtbot, first.window.trends_page, 1)
    choose(qtbot, first.window.trends_page, ENERGY, VOLTAGE)
    first.window.trends_page._span_buttons[Span.WEEK].click()
    first.close()
    second = open_session(data_folder=tmp_path)
    page = second.window.trends_page
    assert second.window.page == "trends"
    wait_for_curves(qtbot, page, 2)
    assert page.choice.chosen == (ENERGY, VOLTAGE)
    assert page._span is Span.WEEK


def test_trend_of_a_device_from_its_live_page(qtbot, open_session):
    session = open_session()
    window = session.window
    qtbot.waitUntil(lambda: window.live_page.device_id == 1)
    window.site_tree.choose_device(DeviceId(4))
    window.live_page._trend.click()
    wait_for_curves(qtbot, window.trends_page, 1)
    assert window.page == "trends"
    assert window.trends_page.choice.chosen == (SeriesKey(DeviceId(4), "active_power"),)


# --- legend -------------------------------------------------------------------------------------------


def test_legend_model_is_sound(qapp, numbers, qtmodeltester):
    model = TrendLegendModel(numbers)
    model.set_entries([LegendEntry("Active power P", "QF0", "s1", False, None)], None)
    qtmodeltester.check(model)
    assert model.index(0, LegendColumn.MEAN).data() == "–"


def test_legend_counts_what_is_in_view_and_is_copied_with_heads(qtbot, page):
    assert page.legend.index(0, LegendColumn.MEASURED).data() == "97.8\u00a0%"
    lines = page.legend.copied_text().splitlines()
    assert lines[0].startswith("Quantity\tDevice\tat cross-hair\tunit\tlowest")
    assert lines[1].startswith("Active power P\tQF0 Incomer\t–\tkW\t")
