"""Decoding of any words at all: it never raises, never shows a number that is none, and turns round cleanly."""

import dataclasses
import math
from fractions import Fraction
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from emdx_desktop.domain import registers
from emdx_desktop.domain.fast_decoding import FastPlan
from emdx_desktop.domain.installation import Device, SupplyDirection
from emdx_desktop.domain.profiles import DeviceProfile, PointDef
from emdx_desktop.domain.quantities import QUANTITIES
from emdx_desktop.domain.readings import DeviceId, GroupReadings, Quality
from emdx_desktop.domain.registers import GroupDecoder, RegisterBlock
from emdx_desktop.domain.supply import reverse_quantity
from emdx_desktop.modbus.profile_loader import load_catalogue

DEVICES = Path(__file__).parents[3] / "resources" / "devices"
CATALOGUE = load_catalogue([DEVICES])
GROUPS = [(profile.id, group.name) for profile in CATALOGUE.profiles.values() for group in profile.groups]
TELLING_WORDS = (0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7F80, 0xFF80, 0x7FC0, 0x0080, 0x007F, 0x4366, 0x3F80)


def spans(points: tuple[PointDef, ...]) -> list[tuple[int, int, int, int]]:
    """Unit offset, function code, address and count of runs without gaps."""
    runs: list[list[int]] = []
    for point in sorted(points, key=lambda p: (p.unit_offset, p.function_code, p.address)):
        last = runs[-1] if runs else None
        if last and last[:2] == [point.unit_offset, point.function_code] and last[3] == point.address:
            last[3] = point.address + point.words
        else:
            runs.append([point.unit_offset, point.function_code, point.address, point.address + point.words])
    return [(offset, code, first, end - first) for offset, code, first, end in runs]


@cache
def decoder(profile_id: str, group: str, supply: SupplyDirection) -> GroupDecoder:
    profile = CATALOGUE.profiles[profile_id]
    scales = (
        {"active_power": Fraction(1, 100), "active_energy_import": Fraction(10)} if profile_id.endswith("77") else {}
    )
    device = Device(DeviceId(7), "QF1", "GW1", profile_id, profile_id, 1, supply=supply, scales=scales)
    return GroupDecoder(profile, group, device)


@st.composite
def readings_input(draw: st.DrawFn) -> tuple[str, str, list[RegisterBlock], dict[str, Fraction]]:
    """A group of a shipped profile and blocks for it: arbitrary words, failed reads, missing reads."""
    profile_id, group = draw(st.sampled_from(GROUPS))
    points = decoder(profile_id, group, SupplyDirection.UPSTREAM).points
    blocks = []
    for offset, code, address, count in spans(points):
        fate = draw(st.sampled_from(["good", "good", "good", "failed", "missing", "short"]))
        if fate == "failed":
            blocks.append(RegisterBlock(offset, code, address, None, Quality.TIMEOUT, "no answer"))
        elif fate != "missing":
            kept = count if fate == "good" else max(1, count - 1)
            octets = draw(st.one_of(st.binary(min_size=2 * kept, max_size=2 * kept), st.just(bytes(2 * kept))))
            words = [octets[i] << 8 | octets[i + 1] for i in range(0, 2 * kept, 2)]
            for place, word in draw(
                st.lists(st.tuples(st.integers(0, kept - 1), st.sampled_from(TELLING_WORDS)), max_size=6)
            ):
                words[place] = word
            blocks.append(RegisterBlock(offset, code, address, tuple(words)))
    ratio = st.one_of(st.none(), st.integers(1, 100_000))
    auxiliary = {}
    for key in ("ct_ratio", "vt_ratio"):
        found = draw(ratio)
        if found is not None:
            auxiliary[key] = Fraction(found)
    return profile_id, group, blocks, auxiliary


def columns(readings: GroupReadings) -> dict[str, tuple[float | int | None, int, Fraction | None]]:
    return {
        quantity: (value, quality, factor)
        for quantity, value, quality, factor in zip(
            readings.layout.quantities, readings.values, readings.qualities, readings.factors, strict=True
        )
    }


@settings(max_examples=400, deadline=None)
@given(readings_input())
def test_any_words_decode_to_finite_numbers_or_a_reason(
    given_input: tuple[str, str, list[RegisterBlock], dict[str, Fraction]],
) -> None:
    profile_id, group, blocks, auxiliary = given_input
    readings = decoder(profile_id, group, SupplyDirection.UPSTREAM).decode(blocks, 1, auxiliary)
    count = len(readings.layout.quantities)
    assert len(readings.values) == len(readings.qualities) == len(readings.factors) == count
    for value, quality in zip(readings.values, readings.qualities, strict=True):
        assert (value is not None) == (quality == Quality.GOOD)
        assert value is None or math.isfinite(value)
    assert bool(readings.detail) == any(readings.qualities)


@settings(max_examples=400, deadline=None)
@given(readings_input())
def test_the_fast_way_and_the_careful_way_agree(
    given_input: tuple[str, str, list[RegisterBlock], dict[str, Fraction]],
) -> None:
    profile_id, group, blocks, auxiliary = given_input
    fast = decoder(profile_id, group, SupplyDirection.UPSTREAM)
    careful = GroupDecoder(
        fast._profile, group, Device(DeviceId(7), "QF1", "GW1", "", profile_id, 1, scales=fast._entered_scales)
    )
    # a plan for no block at all takes no column: every one is looked at by itself
    careful._plan = lambda scales, _layout: FastPlan(fast._profile, careful._columns, scales.of_columns, ())  # type: ignore[method-assign] # the fast way switched off
    assert columns(careful.decode(blocks, 1, auxiliary)) == columns(fast.decode(blocks, 1, auxiliary))


@settings(max_examples=400, deadline=None)
@given(readings_input())
def test_downstream_swaps_signs_and_series_and_nothing_else(
    given_input: tuple[str, str, list[RegisterBlock], dict[str, Fraction]],
) -> None:
    profile_id, group, blocks, auxiliary = given_input
    upstream = columns(decoder(profile_id, group, SupplyDirection.UPSTREAM).decode(blocks, 1, auxiliary))
    downstream = columns(decoder(profile_id, group, SupplyDirection.DOWNSTREAM).decode(blocks, 1, auxiliary))
    assert len(downstream) == len(upstream)
    points = CATALOGUE.profiles[profile_id].points
    follows_power = {point.key for point in points if point.pf_sign or point.pf_follows_power}
    for quantity, (value, quality, factor) in upstream.items():
        other, sign = reverse_quantity(quantity)
        if quantity in follows_power and upstream[quantity.replace("power_factor", "active_power")][0] == 0:
            sign = 1  # no power, no direction
        assert downstream[other] == (None if value is None else value * sign, quality, factor)
    for series in ("active_energy", "reactive_energy"):
        pair = (f"{series}_import", f"{series}_export")
        if all(name in upstream and upstream[name][0] is not None for name in pair):
            total = sum(int(upstream[name][0] or 0) for name in pair)
            assert sum(int(downstream[name][0] or 0) for name in pair) == total


@given(st.sampled_from(sorted(QUANTITIES)))
def test_turning_the_supply_twice_changes_nothing(quantity: str) -> None:
    other, sign = reverse_quantity(quantity)
    back, sign_back = reverse_quantity(other)
    assert other in QUANTITIES
    assert QUANTITIES[other].kind is QUANTITIES[quantity].kind
    assert (back, sign * sign_back) == (quantity, 1)


@given(st.lists(st.integers(0, 0xFFFF), min_size=8, max_size=8), st.integers(1, 7))
def test_a_value_is_never_put_together_from_two_replies(words: list[int], cut: int) -> None:
    """C20: the carry from 0000FFFF to 00010000 between two reads must not make a number."""
    profile: DeviceProfile = CATALOGUE.profiles["legrand-412045"]
    at = 0x101C
    blocks = [RegisterBlock(0, 3, at, tuple(words[:cut])), RegisterBlock(0, 3, at + cut, tuple(words[cut:]))]
    group = decoder(profile.id, "energy", SupplyDirection.UPSTREAM)
    readings = group.decode(blocks, 1, {"ct_ratio": Fraction(1)})
    for number, (value, quality) in enumerate(zip(readings.values, readings.qualities, strict=True)):
        if cut == 2 * number + 1:
            assert (value, quality) == (None, Quality.PROTOCOL)
        else:
            assert value == words[2 * number] << 16 | words[2 * number + 1]


def test_the_factors_stay_the_same_object_until_a_scale_changes() -> None:
    group = decoder("legrand-412045", "energy", SupplyDirection.UPSTREAM)
    block = [registers.RegisterBlock(0, 3, 0x101C, (0,) * 8)]
    first = group.decode(block, 1, {"ct_ratio": Fraction(1)}).factors
    assert group.decode(block, 2, {"ct_ratio": Fraction(1)}).factors is first
    other = group.decode(block, 3, {"ct_ratio": Fraction(20)}).factors
    assert other == (Fraction(100),) * 4
    assert dataclasses.is_dataclass(block[0])
