"""The demo history: what it holds, how it looks, and that the live simulator goes on without a step."""

import json
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pytest

from emdx_desktop.app.paths import resource_folder
from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.errors import ConfigurationError
from emdx_desktop.domain.profiles import ValueType
from emdx_desktop.domain.quantities import READ_OFFSET_PREFIX, QuantityKind
from emdx_desktop.domain.site_file import parse_site_file
from emdx_desktop.modbus.profile_loader import load_catalogue
from emdx_desktop.simulator.building import DemoBuilding
from emdx_desktop.simulator.history import DemoHistory, HistoryPart, compute_counts
from emdx_desktop.simulator.meters import UNITS_PER_BASE, read_totals
from emdx_desktop.simulator.server import SimulatedSite

# Thursday 19 November 2026, 14:37 local
END_MS = int(datetime(2026, 11, 19, 13, 37, tzinfo=UTC).timestamp() * 1000)
MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def catalogue() -> ProfileCatalogue:
    return load_catalogue([resource_folder() / "devices"])


@pytest.fixture(scope="module")
def building(catalogue: ProfileCatalogue) -> DemoBuilding:
    return DemoBuilding(catalogue)


@pytest.fixture(scope="module")
def history(building: DemoBuilding) -> DemoHistory:
    return DemoHistory(building, END_MS + 12_345, long_days=10, detail_days=2)


@pytest.fixture(scope="module")
def parts(history: DemoHistory) -> list[HistoryPart]:
    return list(history.generate())


def part_of(parts: list[HistoryPart], device: str, quantity: str) -> HistoryPart:
    (found,) = (part for part in parts if (part.device, part.column.quantity) == (device, quantity))
    return found


def test_site_file_is_right_and_names_every_meter(building: DemoBuilding, catalogue: ProfileCatalogue):
    links = {
        name: "rtu:///dev/pts/3" if name == "COM1" else f"tcp://127.0.0.1:{5020 + i}"
        for i, name in enumerate(building.lines)
    }
    parsed = parse_site_file(building.write_site_file(links), catalogue)
    assert parsed.warnings == ()
    assert [device.name for device in parsed.installation.devices] == list(building.devices)
    assert len(parsed.installation.devices) >= 14
    assert len({profile.maker for profile in building.profiles.values()}) >= 5
    assert parsed.installation.site.timezone == "Europe/Paris"


def test_missing_model_is_named():
    with pytest.raises(ConfigurationError) as refused:
        DemoBuilding(ProfileCatalogue({}))
    assert "4 120 45" in str(refused.value)


def test_eight_quantities_long_and_the_rest_short_for_every_device(
    history: DemoHistory, parts: list[HistoryPart], building: DemoBuilding
):
    assert history.end_ms == END_MS
    assert history.device_names[-1] == "QF0 Incomer"
    assert list(dict.fromkeys(part.device for part in parts)) == list(history.device_names)
    for name in building.devices:
        own = [part for part in parts if part.device == name]
        names = [part.column.quantity for part in own]
        assert len(names) == len(set(names))
        real = [part for part in own if not part.column.quantity.startswith(READ_OFFSET_PREFIX)]
        long = [part for part in real if len(part.values) == 10 * 1440]
        assert len(long) == min(8, len(real))
        for part in own:
            assert part.start_ms + len(part.values) * MINUTE_MS == END_MS
            assert part.is_good.shape == part.values.shape
            assert part.values.dtype == np.int64
            if part.column.kind is QuantityKind.INSTANT:
                assert part.factor is None
            elif part in real:
                assert part.factor > 0
                timing = part_of(parts, name, READ_OFFSET_PREFIX + part.column.group)
                assert len(timing.values) >= len(part.values)
                assert 0 <= timing.values[0] < MINUTE_MS


def test_counters_never_fall(parts: list[HistoryPart]):
    for part in parts:
        if part.column.kind is QuantityKind.COUNTER and part.column.quantity != "energy_balance":
            assert (np.diff(part.values) >= 0).all(), (part.device, part.column)


def test_power_and_energy_tell_the_same(parts: list[HistoryPart]):
    for name in ("QF5 Paint oven", "QF2 HVAC roof unit", "QF12 Welding"):
        power, energy = part_of(parts, name, "active_power"), part_of(parts, name, "active_energy_import")
        from_power_wh = power.values[:-1].sum() / 60
        from_counts_wh = float((energy.values[-1] - energy.values[0]) * energy.factor)
        assert from_counts_wh == pytest.approx(from_power_wh, rel=2e-3, abs=float(3 * energy.factor))


def test_sub_meters_add_up_to_the_incomer(parts: list[HistoryPart], building: DemoBuilding):
    powers = {part.device: part.values for part in parts if part.column.quantity == "active_power"}
    incomer = powers.pop("QF0 Incomer")
    assert len(powers) == 13
    rest = incomer - sum(powers.values())
    assert rest.min() > 1_000
    assert rest.max() < 7_000
    # a weekday at half past two: between 150 and 250 kW
    assert 150_000 < incomer[-1] < 250_000


def test_gaps_are_few_and_the_same_for_all_series_of_a_device(building: DemoBuilding):
    long = DemoHistory(building, END_MS, long_days=120, detail_days=1)
    masks: dict[str, np.ndarray] = {}
    for part in long.generate():
        if len(part.is_good) == 120 * 1440:
            assert np.array_equal(masks.setdefault(part.device, part.is_good), part.is_good)
    lost = [1 - mask.mean() for mask in masks.values()]
    assert 0 < max(lost) < 0.01
    assert len({float(share) for share in lost}) > 3


def test_another_seed_has_other_gaps_and_the_same_values(building: DemoBuilding):
    first, second = (
        {
            (p.device, p.column.quantity): p
            for p in DemoHistory(building, END_MS, long_days=60, detail_days=1, seed=seed).generate()
        }
        for seed in (0, 5)
    )
    key = ("QF1 Lighting", "active_power")
    assert np.array_equal(first[key].values, second[key].values)
    assert any(not np.array_equal(first[key].is_good, second[key].is_good) for key in first)


def test_live_simulator_goes_on_without_a_step(history: DemoHistory, parts: list[HistoryPart], building: DemoBuilding):
    totals = read_totals(json.loads(json.dumps(history.start_state())))
    site = SimulatedSite(building, totals, now_ms=lambda: float(END_MS))
    for name, profile in building.profiles.items():
        moment = None
        for part in parts:
            if part.device != name or part.column.kind is not QuantityKind.COUNTER or part.factor is None:
                continue
            offset_ms = int(part_of(parts, name, READ_OFFSET_PREFIX + part.column.group).values[-1])
            moment = site.sources[name].at(END_MS + offset_ms)
            total = moment.counter(part.column.quantity)
            assert total is not None
            point = next(p for p in profile.points if p.group and p.quantity == part.column.quantity)
            live = int(
                compute_counts(
                    point, part.factor if not point.resolution else point.scale, np.array([int(total * UNITS_PER_BASE)])
                )[0]
            )
            step = live - int(part.values[-1])
            # one minute at full load, and what a float register rounds away
            most = 260_000 / 60 / float(part.factor) + 2 + (64 / float(part.factor) if point.resolution else 0)
            assert 0 <= step <= most, (name, part.column, step)
        assert moment is not None
        power = (
            part_of(parts, name, "active_power")
            if "volume" not in parts[0].column.quantity and name not in ("Cold water", "Gas boiler")
            else None
        )
        if power is not None:
            now_w = site.sources[name].at(END_MS).instant("active_power")
            assert now_w == pytest.approx(power.values[-1], rel=0.6, abs=3_000)
    assert site.sources["QF0 Incomer"].at(END_MS).instant("active_power") == pytest.approx(
        part_of(parts, "QF0 Incomer", "active_power").values[-1], rel=0.15
    )


def test_state_is_known_only_at_the_end(building: DemoBuilding):
    unfinished = DemoHistory(building, END_MS, long_days=2, detail_days=1)
    with pytest.raises(RuntimeError, match="generate"):
        unfinished.start_state()


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"QF1": 3},
        {"QF1": {"minute": 1}},
        {"QF1": {"minute": "1", "totals": {}}},
        {"QF1": {"minute": 1, "totals": {"a": 1.5}}},
    ],
)
def test_state_that_is_something_else_is_refused(data: object):
    with pytest.raises(ValueError):
        read_totals(data)


def test_counts_round_like_the_register(building: DemoBuilding):
    point = next(p for p in building.profiles["QF5 Paint oven"].points if p.quantity == "active_energy_import")
    assert point.value_type is ValueType.FLOAT32
    assert point.resolution is not None
    # 123 456.789 kWh: a float32 of kWh resolves 1/128 kWh there
    totals = np.array([123_456_789 * UNITS_PER_BASE])
    counts = compute_counts(point, point.scale, totals)
    shown_kwh = float(np.float32(123_456.789))
    assert int(counts[0]) == round(shown_kwh * 1000 / float(point.resolution))


def test_counts_of_a_factor_that_is_no_whole_number_of_units(building: DemoBuilding):
    point = next(p for p in building.profiles["QF11 Hot water"].points if p.quantity == "active_energy_import")
    totals = np.array([0, 7, 10**15, 10**15 + 3], np.int64)
    scale = Fraction(1, UNITS_PER_BASE * 3)  # three counts a unit
    modulus = 1 << 32
    assert list(compute_counts(point, scale, totals)) == [int(total) * 3 % modulus for total in totals]
