"""Physics at any moment: the quantities of a meter agree, sums hold, counters are the integral of power."""

from datetime import UTC, datetime
from fractions import Fraction
from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind
from emdx_desktop.simulator.bench_profile import bench_profile
from emdx_desktop.simulator.building import DemoBuilding, DemoDevice
from emdx_desktop.simulator.loads import integrate_minutes, integrate_part, ripple_at
from emdx_desktop.simulator.meters import (
    UNITS_PER_BASE,
    CounterTotals,
    ElectricalModel,
    FlowModel,
    MeterMoment,
    MeterSource,
    compute_means,
    estimate_totals,
)

PHASES = ("l1", "l2", "l3")
FIRST_MS = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp() * 1000)
moments = st.integers(FIRST_MS, FIRST_MS + 3 * 365 * 86_400_000)


class AnyModel(ProfileCatalogue):
    """Every model has the bench profile: only the loads matter here."""

    def find(self, model: str):
        return bench_profile(2)


BUILDING = DemoBuilding(AnyModel({}))
ELECTRICAL = [device for device in BUILDING.devices.values() if isinstance(device.model, ElectricalModel)]
FLOWS = [device for device in BUILDING.devices.values() if isinstance(device.model, FlowModel)]
METERED = [device for device in ELECTRICAL if not device.model.branches]
INCOMER = BUILDING.devices["QF0 Incomer"]


def source_of(device: DemoDevice, ts_ms: int, *quantities: str) -> MeterSource:
    start = CounterTotals(ts_ms // 60_000, dict.fromkeys(quantities, 0))
    return MeterSource(device.model, BUILDING.calendar, start)


def moment_of(device: DemoDevice, ts_ms: int) -> MeterMoment:
    return source_of(device, ts_ms).at(ts_ms)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ELECTRICAL), moments)
def test_power_voltage_and_current_agree_in_each_phase(device: DemoDevice, ts_ms: int):
    moment = moment_of(device, ts_ms)
    for phase in PHASES:
        p, q, s = (moment.instant(f"{kind}_power_{phase}") for kind in ("active", "reactive", "apparent"))
        v, i = moment.instant(f"voltage_{phase}_n"), moment.instant(f"current_{phase}")
        assert s**2 == pytest.approx(p**2 + q**2, rel=1e-9, abs=1e-6)
        assert s == pytest.approx(v * i, rel=1e-9, abs=1e-9)
        assert 215 < v < 245
        factor = moment.instant(f"power_factor_{phase}")
        assert -1 <= factor <= 1
        if s > 1:
            assert factor == pytest.approx(p / s, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ELECTRICAL), moments)
def test_phases_add_up_to_the_total(device: DemoDevice, ts_ms: int):
    moment = moment_of(device, ts_ms)
    p, q, s = (moment.instant(f"{kind}_power") for kind in ("active", "reactive", "apparent"))
    assert p == pytest.approx(sum(moment.instant(f"active_power_{phase}") for phase in PHASES), abs=1e-6)
    assert q == pytest.approx(sum(moment.instant(f"reactive_power_{phase}") for phase in PHASES), abs=1e-6)
    assert s**2 == pytest.approx(p**2 + q**2, rel=1e-9, abs=1e-6)
    assert -1 <= moment.instant("power_factor") <= 1
    assert 49.9 < moment.instant("frequency") < 50.1
    mean = sum(moment.instant(f"voltage_{pair}") for pair in ("l12", "l23", "l31")) / 3
    assert mean == pytest.approx(np.sqrt(3) * moment.instant("voltage_average"), rel=1e-3)
    assert moment.instant("voltage_average_line") == pytest.approx(mean)
    assert 0 <= moment.instant("unbalance_voltage") < 2
    assert moment.instant("current_n") < 2.1 * sum(moment.instant(f"current_{phase}") for phase in PHASES) + 1e-9


@settings(max_examples=30, deadline=None)
@given(moments)
def test_sub_meters_add_up_to_the_incomer_minus_a_small_rest(ts_ms: int):
    total = moment_of(INCOMER, ts_ms).instant("active_power")
    metered = sum(moment_of(device, ts_ms).instant("active_power") for device in METERED)
    assert 1_000 < total - metered < 7_000
    pv = moment_of(BUILDING.devices["PV inverter"], ts_ms)
    assert pv.instant("active_power") <= 0


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(ELECTRICAL), moments, st.integers(1, 240), st.integers(0, 59_999))
def test_counters_are_the_integral_of_power(device: DemoDevice, ts_ms: int, minutes: int, rest_ms: int):
    begin = ts_ms // 60_000
    counters = ("active_energy_import", "active_energy_export", "energy_balance")
    source = source_of(device, ts_ms, *counters)
    at_end = source.at((begin + minutes) * 60_000 + rest_ms)
    energy_wh = {quantity: at_end.counter(quantity) for quantity in counters}
    assert energy_wh["active_energy_import"] - energy_wh["active_energy_export"] == pytest.approx(
        energy_wh["energy_balance"], abs=1e-5
    )
    curves = device.model.measure(BUILDING.calendar.read(np.arange(begin, begin + minutes + 2)))
    means = curves.instants("active_power")
    whole_wh = float(means[:-1].sum() / 60)
    # the last, unfinished minute by fine steps of what the meter shows
    steps = np.linspace(0, rest_ms / 60_000, 2001)
    nodes = curves.nodes.active.sum(axis=0)[-2:] / 1000
    shown = [(nodes[0] * (1 - tau) + nodes[1] * tau) * ripple_at(tau) for tau in steps]
    part_wh = float(np.trapezoid(shown, steps)) / 60
    assert float(energy_wh["energy_balance"]) == pytest.approx(whole_wh + part_wh, rel=1e-6, abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([*ELECTRICAL, *FLOWS]), moments, st.lists(st.integers(0, 3_600_000), min_size=2, max_size=12))
def test_counters_never_fall_and_do_not_depend_on_how_often_they_are_read(
    device: DemoDevice, ts_ms: int, pauses: list[int]
):
    counters = ("active_energy_import", "reactive_energy_import", "apparent_energy", "operating_time")
    counters += ("volume_water", "volume_gas", "pulse_count")
    source = source_of(device, ts_ms, *counters)
    last: dict[str, Fraction] = {}
    now = ts_ms
    for pause in pauses:
        now += pause
        for quantity in counters:
            value = source.at(now).counter(quantity)
            if value is not None:
                assert value >= last.get(quantity, Fraction(0))
                last[quantity] = value
    assert last
    at_once = source_of(device, ts_ms, *counters).at(now)
    assert {quantity: at_once.counter(quantity) for quantity in last} == last


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(ELECTRICAL), moments, st.integers(-200_000, 200_000))
def test_clock_set_back_takes_off_what_was_counted(device: DemoDevice, ts_ms: int, shift: int):
    source = source_of(device, ts_ms, "active_energy_import")
    before = source.at(ts_ms).counter("active_energy_import")
    source.at(ts_ms + shift * 1000)
    assert source.at(ts_ms).counter("active_energy_import") == before


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(ELECTRICAL), moments)
def test_parts_of_a_counter_add_up(device: DemoDevice, ts_ms: int):
    time = BUILDING.calendar.read(np.arange(ts_ms // 60_000, ts_ms // 60_000 + 1500))
    curves = device.model.measure(time)
    rates = curves.rates
    for way in ("import", "export"):
        whole = rates(f"active_energy_{way}")
        tariffs = sum(rates(f"active_energy_{way}_t{n}") for n in range(1, 5))
        assert np.array_equal(whole, tariffs)
        assert np.array_equal(whole, rates(f"active_energy_{way}_partial"))
        reactive = rates(f"reactive_energy_{way}")
        halves = rates(f"reactive_energy_{way}_inductive") + rates(f"reactive_energy_{way}_capacitive")
        assert np.array_equal(reactive, halves)
    balance = sum(rates(f"active_energy_import_{p}") - rates(f"active_energy_export_{p}") for p in PHASES)
    assert np.array_equal(balance, rates("energy_balance"))
    assert np.array_equal(rates("active_energy_total"), rates("active_energy_import") + rates("active_energy_export"))


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=50))
def test_whole_minutes_integrate_exactly(rates: list[int]):
    nodes = np.array(rates, np.int64)
    totals = integrate_minutes(nodes)
    assert list(totals) == [0, *accumulate(30 * (a + b) for a, b in pairwise(rates))]
    parts = integrate_part(nodes[:-1], nodes[1:], 1.0)
    assert np.allclose(parts, np.diff(totals), rtol=1e-9, atol=2)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(FLOWS), moments)
def test_flow_and_volume_agree(device: DemoDevice, ts_ms: int):
    medium = device.model.medium
    source = source_of(device, ts_ms, f"volume_{medium}")
    begin = ts_ms // 60_000
    flows = device.model.measure(BUILDING.calendar.read(np.arange(begin, begin + 61))).instants(f"volume_flow_{medium}")
    assert (flows >= 0).all()
    hour = source.at((begin + 60) * 60_000).counter(f"volume_{medium}")
    assert float(hour) == pytest.approx(float(flows.mean()), rel=1e-9)
    moment = source.at(ts_ms)
    assert moment.instant("active_power") is None
    assert moment.counter("active_energy_import") is None
    assert moment.state("reactive_kind") is None


def test_every_instant_is_plausible_or_not_measured():
    night, noon = (int(datetime(2026, 7, 8, hour, 17, tzinfo=UTC).timestamp() * 1000) for hour in (1, 11))
    for device in ELECTRICAL:
        for ts_ms in (night, noon):
            moment = moment_of(device, ts_ms)
            for quantity in QUANTITIES.values():
                if quantity.kind is not QuantityKind.INSTANT:
                    continue
                value = moment.instant(quantity.id)
                if value is None:
                    continue
                assert np.isfinite(value), quantity.id
                if quantity.unit == "%":
                    assert 0 <= value <= 200  # one loaded phase of three is 200 % off the mean
                if quantity.id.endswith("_demand") or quantity.id.endswith("_max"):
                    assert value >= 0


def test_reactive_kind_follows_the_sign_of_reactive_power():
    ts_ms = int(datetime(2026, 7, 8, 9, tzinfo=UTC).timestamp() * 1000)
    assert moment_of(BUILDING.devices["QF4 Machines"], ts_ms).state("reactive_kind") == 1
    assert moment_of(BUILDING.devices["QF8 Server room"], ts_ms).state("reactive_kind_l2") == 2
    assert moment_of(BUILDING.devices["QF11 Hot water"], ts_ms).state("reactive_kind_l3") == 0
    assert moment_of(BUILDING.devices["QF4 Machines"], ts_ms).state("phase_sequence") == 0
    assert moment_of(BUILDING.devices["QF4 Machines"], ts_ms).state("input_1") is None


def test_demand_is_kept_apart_by_direction():
    ts_ms = int(datetime(2026, 7, 8, 11, tzinfo=UTC).timestamp() * 1000)
    pv = moment_of(BUILDING.devices["PV inverter"], ts_ms)
    assert pv.instant("active_power_demand") == 0
    assert pv.instant("active_power_export_demand") == pytest.approx(-pv.instant("active_power"))
    assert pv.instant("active_power_demand_max") == 0
    assert pv.instant("active_power_export_demand_max") > 25_000
    oven = moment_of(BUILDING.devices["QF5 Paint oven"], ts_ms)
    assert oven.instant("active_power_demand_max") > oven.instant("active_power_demand") > 30_000
    assert oven.instant("voltage_l1_n_min") < oven.instant("voltage_l1_n") < oven.instant("voltage_l1_n_max")


def test_plant_works_by_local_time_in_summer_and_winter():
    lighting = BUILDING.devices["QF1 Lighting"].model

    def mean_kw(month: int, day: int, hour_utc: int) -> float:
        begin = int(datetime(2026, month, day, hour_utc, tzinfo=UTC).timestamp()) // 60
        return float(
            lighting.measure(BUILDING.calendar.read(np.arange(begin, begin + 31))).instants("active_power").mean()
        )

    # 05:15 to 05:45 local: not before half past five; Wednesdays in January (UTC+1) and July (UTC+2)
    assert mean_kw(1, 14, 3) < 2_000 < 5_000 < mean_kw(1, 14, 6)
    assert mean_kw(7, 8, 2) < 2_000 < 5_000 < mean_kw(7, 8, 5)
    assert mean_kw(11, 11, 9) < 2_500  # a public holiday
    assert mean_kw(7, 5, 9) < 2_500  # a Sunday


def test_totals_to_start_from_are_two_years_like_the_week_before():
    model = BUILDING.devices["QF8 Server room"].model
    minute = FIRST_MS // 60_000
    start = estimate_totals(model, BUILDING.calendar, ("active_energy_import", "volume_water"), minute)
    assert start.minute == minute
    assert list(start.totals) == ["active_energy_import"]
    kwh = start.totals["active_energy_import"] / UNITS_PER_BASE / 1000
    assert 90_000 < kwh < 125_000


def test_means_of_straight_minutes():
    assert list(compute_means(np.array([1.0, 3.0, 2.0]))) == [2.0, 2.5]


def test_what_such_a_meter_does_not_measure_is_not_made_up():
    ts_ms = FIRST_MS
    moment = moment_of(BUILDING.devices["QF4 Machines"], ts_ms)
    for quantity in (
        "volume_flow_water",
        "trip_value_demand",
        "trip_value_max",
        "harmonic_voltage_l9_h3",
        "analog_input_1",
    ):
        assert moment.instant(quantity) is None
    assert moment.counter("active_energy_import") is None  # it was given no total to go on from
    assert source_of(BUILDING.devices["QF4 Machines"], ts_ms, "volume_gas").advance(ts_ms // 60_000 + 5).totals == {
        "volume_gas": 0
    }


def test_a_source_that_is_up_to_date_has_nothing_to_count():
    source = source_of(BUILDING.devices["QF4 Machines"], FIRST_MS, "active_energy_import")
    assert source.advance(FIRST_MS // 60_000).totals == {"active_energy_import": 0}


def test_any_moment_of_a_minute_can_be_asked_for_again():
    for device in (BUILDING.devices["QF4 Machines"], BUILDING.devices["Cold water"]):
        begin = FIRST_MS // 60_000
        curves = device.model.measure(BUILDING.calendar.read(np.arange(begin, begin + 2)))
        quantity = "active_power" if isinstance(device.model, ElectricalModel) else "volume_flow_water"
        early = curves.at(0.25)
        assert early.at(0.75).instants(quantity) == curves.at(0.75).instants(quantity)
        assert np.array_equal(early.at(0.5).rates("operating_time"), curves.rates("operating_time"))


def test_harmonics_follow_the_distortion():
    moment = moment_of(BUILDING.devices["QF1 Lighting"], FIRST_MS + 10 * 3_600_000)
    distortion = moment.instant("thd_current_l1")
    odd = [moment.instant(f"harmonic_current_l1_h{order}") for order in (5, 11, 17, 49)]
    assert odd == sorted(odd, reverse=True)
    assert moment.instant("harmonic_current_l1_h4") < 0.05 * distortion
    assert 0 < moment.instant("harmonic_voltage_l12_h5") < moment.instant("thd_voltage_l12")
