"""Every mistake of a profile is found at once and named with its key."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest

from emdx_desktop.domain.errors import ConfigurationError
from emdx_desktop.domain.profile_parsing import parse_profile
from emdx_desktop.domain.profiles import (
    AddressRange,
    DeviceProfile,
    Evidence,
    IdentityDef,
    Priority,
    SerialDefaults,
    ValueType,
    WordOrder,
)

RIGHT = """
maker = "Maker"
catalogue_numbers = ["1 234 56"]
family = "Meters"
model = "M1"
evidence = "official"
source = "Table 1.0"
[documents]
DOC = "Table 1.0"
TWIN = "Table of the twin"
[device]
word_order = "low_first"
byte_swapped = true
max_registers = 50
even_counts_only = false
pause_ms = 20
response_ms = 100
units = 3
unit_id_default = 5
serial = { baud = 19200, parity = "even", stopbits = 1 }
readable = [
  { function_code = 3, first = 0x0000, last = 0x004F, source = "DOC" },
  { function_code = 4, first = 7, last = 8, source = "DOC" },
]
identity = [{ point = "signature", expected = "SOCO" }, { point = "ct_ratio" }, { point = "name", expected = "ABC" }]
[defaults]
function_code = 3
source = "DOC"
evidence = "official"
register_numbers = "address+1"
sentinels = { u16 = [0xFFFF] }
[groups]
live = { priority = "live" }
energy = { priority = "minute", function_code = 4, evidence = "oem", source = "TWIN", unit_offset = 2 }
setup = { priority = "once" }
[scales.power]
of = ["ct_ratio"]
steps = [{ below = 5000, scale = "0.01" }, { scale = 1 }]
source = "DOC"
[quantities.live]
voltage_l1_n = { at = 0, type = "u32", scale = "0.1", unit = "V", label = "V1" }
active_power = { at = 2, type = "u32", scale_rule = "power", unit = "W", sign = "sign_p", atomic = "p", label = "P" }
power_factor = { at = 5, type = "s16", scale = "0.01", pf_sign = "leading_positive", atomic = "p", label = "PF" }
apparent_power = { at = 6, type = "sm32", scale = "0.01", unit = "kVA", max = 500, label = "S" }
frequency = { at = 8, type = "u16", scale = "unknown", unit = "Hz", label = "F" }
breaker_position = { at = 9, type = "u16", mask = 0b0110, shift = 1, states = { 0 = 0, 1 = 1 }, label = "State" }
breaker_fault = { at = 9, type = "u16", mask = 0b1000, shift = 3, label = "Fault" }
[quantities.energy]
active_energy_import = { at = 0, type = "u48", unit = "MWh", modulus = 1000000, label = "Ea+" }
active_energy_export = { at = 4, type = "float32", unit = "kWh", resolution = "1/100", label = "Ea-" }
[auxiliary.live]
sign_p = { at = 4, type = "u16", atomic = "p", min = 0, max = 1, label = "Sign" }
[auxiliary.setup]
signature = { at = 100, type = "ascii", words = 4, chars_per_word = 1, label = "Signature" }
name = { at = 104, type = "ascii", words = 2, label = "Name" }
ct_ratio = { at = 110, type = "u16", unit = "1", label = "CT", sentinels = [] }
[unread]
reset = { at = 200, type = "u16", writes = "1 resets", label = "R", function_code = 3, register = "201 (W)", note = "" }
relay = { at = 0, type = "u16", function_code = 1, label = "Relay" }
"""


def right() -> dict[str, Any]:
    return tomllib.loads(RIGHT)


def problems_of(data: Mapping[str, object], profile_id: str = "m1") -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_profile(data, profile_id)
    return [str(problem) for problem in caught.value.problems]


def changed(path: str, value: object) -> dict[str, Any]:
    """The right profile with one value changed; None takes the key away."""
    data = copy.deepcopy(right())
    *parents, last = path.split("/")
    table: Any = data
    for key in parents:
        table = table[int(key) if key.isdigit() and isinstance(table, list) else key]
    if value is None:
        del table[last]
    else:
        table[last] = value
    return data


def parsed() -> DeviceProfile:
    return parse_profile(right(), "m1")


def test_a_right_profile_is_taken_whole() -> None:
    profile = parsed()
    assert (profile.id, profile.maker, profile.catalogue_numbers, profile.model) == ("m1", "Maker", ("1 234 56",), "M1")
    assert profile.word_order is WordOrder.LOW_FIRST
    assert profile.is_byte_swapped
    assert profile.serial == SerialDefaults(19200, "even", 1)
    assert profile.readable == (AddressRange(3, 0, 0x4F), AddressRange(4, 7, 8))
    assert (profile.pause_ms, profile.response_ms, profile.units, profile.unit_id_default) == (20, 100, 3, 5)
    assert [(group.name, group.priority) for group in profile.groups] == [
        ("live", Priority.LIVE),
        ("energy", Priority.MINUTE),
        ("setup", Priority.ONCE),
    ]
    assert profile.identity == (
        IdentityDef("signature", (0x53, 0x4F, 0x43, 0x4F)),
        IdentityDef("ct_ratio"),
        IdentityDef("name", (0x4142, 0x4300)),
    )
    assert not profile.is_simulation_only


def test_units_of_the_document_become_exact_base_units() -> None:
    profile = parsed()
    assert profile.point("voltage_l1_n").scale == Fraction(1, 10)
    assert profile.point("active_energy_import").scale == 1_000_000
    assert profile.point("active_energy_export").resolution == 10
    assert profile.point("active_energy_export").scale == 1000
    assert profile.point("apparent_power").scale == 10
    assert profile.point("apparent_power").valid_max == 500_000.0
    assert profile.point("frequency").scale is None
    assert profile.point("active_power").scale is None
    assert profile.point("active_power").scale_rule == "power"


def test_rows_take_what_they_do_not_say_from_group_and_file() -> None:
    profile = parsed()
    energy = profile.point("active_energy_import")
    assert (energy.function_code, energy.evidence, energy.source, energy.unit_offset) == (4, Evidence.OEM, "TWIN", 2)
    assert energy.words == 3
    reset = profile.point("reset")
    assert (reset.group, reset.is_writable, reset.document_register) == ("", True, "201 (W)")
    assert profile.point("sign_p").sentinels == (0xFFFF,)
    assert profile.point("ct_ratio").sentinels == ()
    assert profile.point("breaker_position").sentinels == ()
    assert profile.point("sign_p").document_register == "5"


def test_leading_positive_is_turned_so_that_plus_is_inductive() -> None:
    point = parsed().point("power_factor")
    assert (point.pf_sign, point.scale) == (True, Fraction(-1, 100))


def test_unstated_power_factor_sign_follows_power_only() -> None:
    point = parse_profile(changed("quantities/live/power_factor/pf_sign", "unstated"), "m1").point("power_factor")
    assert (point.pf_sign, point.pf_follows_power) == (False, True)


@pytest.mark.parametrize(
    ("style", "function_code", "number"),
    [("hex", 3, "0064h"), ("address", 3, "100"), ("modicon", 3, "40101"), ("modicon", 4, "30101")],
)
def test_register_numbers_are_shown_as_the_document_prints_them(style: str, function_code: int, number: str) -> None:
    data = changed("defaults/register_numbers", style)
    data["auxiliary"]["setup"]["signature"]["function_code"] = function_code
    assert parse_profile(data, "m1").point("signature").document_register == number


def test_all_mistakes_are_found_at_once() -> None:
    data = changed("maker", None)
    data["device"]["max_registers"] = 0
    data["quantities"]["live"]["voltage_l1_n"]["type"] = "u31"
    data["quantities"]["live"]["frequency"]["unit"] = "V"
    found = problems_of(data)
    for where in (
        "maker",
        "device.max_registers",
        "quantities.live.voltage_l1_n.type",
        "quantities.live.frequency.unit",
    ):
        assert any(problem.startswith(f"{where}:") for problem in found), found


LIVE = "quantities/live"
ENERGY = "quantities/energy"
IMPORT, EXPORT = "active_energy_import", "active_energy_export"
MISTAKES: list[tuple[str, object, str, str]] = [
    # path, value, place, part of the message
    ("evidence", None, "evidence", "is missing"),
    ("evidence", "sure", "evidence", "allowed are"),
    ("maker", 5, "maker", "a text"),
    ("makers", "x", "makers", "not known here"),
    ("device", None, "device", "is missing"),
    ("device", 5, "device", "a table"),
    ("documents", None, "documents", "is missing"),
    ("documents/DOC", 1, "documents.DOC", "a text"),
    ("device/max_registers", None, "device.max_registers", "is missing"),
    ("device/max_registers", 126, "device.max_registers", "1 to 125"),
    ("device/word_order", "little", "device.word_order", "high_first"),
    ("device/serial", 5, "device.serial", "a table"),
    ("device/serial/baud", 300, "device.serial.baud", "9600"),
    ("device/readable", 5, "device.readable", "list of tables"),
    ("device/readable", [5], "device.readable", "list of tables"),
    ("device/readable/0/first", 0x50, "device.readable[0].first", "first not above last"),
    ("device/readable/0/last", None, "device.readable[0].first", "0xFFFF"),
    ("device/readable/0/source", None, "device.readable[0].source", "is missing"),
    ("device/readable/0/source", "X", "device.readable[0].source", "[documents]"),
    ("device/identity/0/point", "nobody", "device.identity[0].point", "not a point"),
    ("device/identity/0/point", "reset", "device.identity[0].point", "never polled"),
    ("device/identity/0/expected", [1, 2], "device.identity[0].expected", "has 4"),
    ("device/identity/0/expected", [1, 2, 3, 70000], "device.identity[0].expected", "0xFFFF"),
    ("device/identity/1/expected", "text", "device.identity[1].expected", "list of words"),
    ("defaults/source", "NOBODY", "defaults.source", "[documents]"),
    ("defaults/register_numbers", "roman", "defaults.register_numbers", "modicon"),
    ("defaults/sentinels", {"ascii": [1]}, "defaults.sentinels.ascii", "no number type"),
    ("defaults/sentinels", {"u16": [0x10000]}, "defaults.sentinels.u16", "0xFFFF"),
    ("defaults/sentinels", {"u16": 5}, "defaults.sentinels.u16", "a list"),
    ("groups", None, "groups", "is missing"),
    ("groups/live/priority", None, "groups.live.priority", "is missing"),
    ("groups/live/priority", "often", "groups.live.priority", "slow"),
    ("groups/live/period", 5, "groups.live.period", "not known here"),
    ("groups/Live", {"priority": "live"}, "groups.Live", "small letters"),
    ("scales/power/of", [], "scales.power.of", "must list"),
    ("scales/power/of", ["ct"], "scales.power.of", "not a point"),
    ("scales/power/of", ["frequency"], "scales.power.of", "known scale"),
    ("scales/power/of", ["signature"], "scales.power.of", "known scale"),
    ("scales/power/source", None, "scales.power.source", "is missing"),
    ("scales/power/steps", [], "scales.power.steps", "must list steps"),
    ("scales/power/steps", [{"below": 5, "scale": 1}], "scales.power.steps[0].below", "the last"),
    ("scales/power/steps", [{"scale": 1}, {"scale": 2}], "scales.power.steps[0].below", "every step"),
    (
        "scales/power/steps",
        [{"below": 5, "scale": 1}, {"below": 5, "scale": 1}, {"scale": 2}],
        "scales.power.steps[1].below",
        "rise",
    ),
    ("scales/power/steps/0/scale", 0, "scales.power.steps[0].scale", "above zero"),
    ("scales/power/steps/0/scale", None, "scales.power.steps[0].scale", "above zero"),
    ("quantities/fast", {}, "quantities.fast", "not listed under [groups]"),
    (f"{LIVE}/voltage_l1_n", 5, "quantities.live.voltage_l1_n", "a table"),
    (f"{LIVE}/voltage_l1", {"at": 20, "type": "u16", "label": "x"}, "quantities.live.voltage_l1", "not a known"),
    ("auxiliary/setup/current_l1", {"at": 20, "type": "u16", "label": "x"}, "auxiliary.setup.current_l1", "a quantity"),
    ("auxiliary/setup/sign_p", {"at": 20, "type": "u16", "label": "x"}, "auxiliary.setup.sign_p", "already at"),
    ("auxiliary/setup/Sign", {"at": 20, "type": "u16", "label": "x"}, "auxiliary.setup.Sign", "small letters"),
    (f"{LIVE}/voltage_l1_n/at", None, "quantities.live.voltage_l1_n.at", "is missing"),
    (f"{LIVE}/voltage_l1_n/at", 70000, "quantities.live.voltage_l1_n.at", "0 to 65535"),
    (f"{LIVE}/voltage_l1_n/at", 0xFFFF, "quantities.live.voltage_l1_n.at", "past the last"),
    (f"{LIVE}/voltage_l1_n/type", None, "quantities.live.voltage_l1_n.type", "is missing"),
    (f"{LIVE}/voltage_l1_n/words", 1, "quantities.live.voltage_l1_n.words", "u32 takes 2"),
    (f"{LIVE}/voltage_l1_n/label", None, "quantities.live.voltage_l1_n.label", "is missing"),
    (f"{LIVE}/voltage_l1_n/adress", 1, "quantities.live.voltage_l1_n.adress", "not known here"),
    (f"{LIVE}/voltage_l1_n/function_code", 5, "quantities.live.voltage_l1_n.function_code", "1, 2, 3, 4"),
    (f"{LIVE}/voltage_l1_n/function_code", 2, "quantities.live.voltage_l1_n.type", "one bit"),
    (f"{LIVE}/voltage_l1_n/unit", "W", "quantities.live.voltage_l1_n.unit", "kept in V"),
    (f"{LIVE}/voltage_l1_n/unit", "furlong", "quantities.live.voltage_l1_n.unit", "kept in V"),
    ("auxiliary/setup/ct_ratio/unit", "furlong", "auxiliary.setup.ct_ratio.unit", "not known"),
    (f"{LIVE}/voltage_l1_n/scale", "1/0", "quantities.live.voltage_l1_n.scale", "must be a number"),
    (f"{LIVE}/voltage_l1_n/scale", "1e99999", "quantities.live.voltage_l1_n.scale", "must be a number"),
    (f"{LIVE}/voltage_l1_n/scale", True, "quantities.live.voltage_l1_n.scale", "a number"),
    (f"{LIVE}/voltage_l1_n/scale", 0, "quantities.live.voltage_l1_n.scale", "above zero"),
    (f"{LIVE}/voltage_l1_n/scale", float("inf"), "quantities.live.voltage_l1_n.scale", "must be a number"),
    (f"{LIVE}/voltage_l1_n/source", "X", "quantities.live.voltage_l1_n.source", "[documents]"),
    (f"{LIVE}/voltage_l1_n/evidence", "sure", "quantities.live.voltage_l1_n.evidence", "allowed are"),
    (f"{LIVE}/voltage_l1_n/sentinels", [1 << 32], "quantities.live.voltage_l1_n.sentinels", "0xFFFFFFFF"),
    (f"{LIVE}/voltage_l1_n/resolution", 1, "quantities.live.voltage_l1_n.resolution", "float counters"),
    (f"{LIVE}/voltage_l1_n/modulus", 5, "quantities.live.voltage_l1_n.modulus", "counters only"),
    (f"{LIVE}/voltage_l1_n/unit_offset", 3, "quantities.live.voltage_l1_n.unit_offset", "0 to 2"),
    (f"{LIVE}/voltage_l1_n/pf_sign", "unstated", "quantities.live.voltage_l1_n.pf_sign", "power factors only"),
    (f"{LIVE}/voltage_l1_n/states", {"0": 1}, "quantities.live.voltage_l1_n.states", "states only"),
    (f"{LIVE}/voltage_l1_n/min", 5_000_000, "quantities.live.voltage_l1_n.min", "not below max"),
    (f"{LIVE}/power_factor/mask", 3, "quantities.live.power_factor.mask", "unsigned type"),
    (f"{LIVE}/power_factor/pf_sign", "plus", "quantities.live.power_factor.pf_sign", "lagging_positive"),
    (f"{LIVE}/power_factor/atomic", "q", "quantities.live.power_factor.pf_sign", "one request"),
    (f"{LIVE}/breaker_position/states", {"a": 1}, "quantities.live.breaker_position.states", "from raw number"),
    (f"{LIVE}/breaker_position/states", {"1": True}, "quantities.live.breaker_position.states", "from raw number"),
    (f"{LIVE}/breaker_position/states", 5, "quantities.live.breaker_position.states", "from raw number"),
    (f"{LIVE}/breaker_fault/type", "float32", "quantities.live.breaker_fault.type", "whole number"),
    (f"{LIVE}/breaker_position/scale", 2, "quantities.live.breaker_position.scale", "no meaning for a state"),
    (f"{LIVE}/breaker_position/sign", "sign_p", "quantities.live.breaker_position.sign", "measured values only"),
    (f"{LIVE}/active_power/sign", "nobody", "quantities.live.active_power.sign", "not a point"),
    (f"{LIVE}/active_power/sign", "ct_ratio", "quantities.live.active_power.sign", "same read group"),
    (f"{LIVE}/active_power/sign", "signature", "quantities.live.active_power.sign", "is a text"),
    (f"{LIVE}/active_power/atomic", None, "quantities.live.active_power.sign", "atomic group"),
    (f"{LIVE}/active_power/type", "float32", "quantities.live.active_power.sign", "whole numbers"),
    (f"{LIVE}/active_power/scale", 2, "quantities.live.active_power.scale_rule", "no `scale` beside it"),
    (f"{LIVE}/active_power/unit", "kW", "quantities.live.active_power.scale_rule", "base unit"),
    (f"{LIVE}/active_power/scale_rule", "nobody", "quantities.live.active_power.scale_rule", "[scales]"),
    (f"{LIVE}/active_power/at", 60, "quantities.live.active_power.atomic", "50 at most"),
    (f"{LIVE}/frequency/at", 3, "quantities.live.frequency.at", 'lies inside "active_power"'),
    (f"{LIVE}/breaker_fault/mask", None, "quantities.live.breaker_fault.at", 'lies inside "breaker_position"'),
    (f"{ENERGY}/{EXPORT}/resolution", None, f"quantities.energy.{EXPORT}.resolution", "is missing"),
    (f"{ENERGY}/{EXPORT}/resolution", 0, f"quantities.energy.{EXPORT}.resolution", "above zero"),
    (f"{ENERGY}/{EXPORT}/resolution", [1], f"quantities.energy.{EXPORT}.resolution", "a number"),
    (f"{ENERGY}/{EXPORT}/scale", "unknown", f"quantities.energy.{EXPORT}.scale", "must be known"),
    (f"{ENERGY}/{IMPORT}/type", "ascii", f"quantities.energy.{IMPORT}.type", "cannot be a quantity"),
    ("auxiliary/setup/signature/words", None, "auxiliary.setup.signature.words", "is missing"),
    ("auxiliary/setup/signature/words", 51, "auxiliary.setup.signature.type", "50 at most"),
    ("auxiliary/setup/signature/scale", 2, "auxiliary.setup.signature.scale", "no meaning for a text"),
    ("unread/reset/atomic", "p", "quantities.live.active_power.atomic", "one read group"),
    ("quantities", {}, "quantities", "is empty"),
    ("unread/reset/at", 1 << 80, "unread.reset.at", "bits"),
    ("unread/reset/note", "a\x07b", "unread.reset.note", "invisible"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "place", "part"), MISTAKES)
def test_a_mistake_names_its_key_and_what_is_allowed(path: str, value: object, place: str, part: str) -> None:
    found = problems_of(changed(path, value))
    assert any(problem.startswith(f"{place}:") and part in problem for problem in found), found


def test_a_row_without_source_or_evidence_anywhere_is_refused() -> None:
    data = changed("defaults", {"sentinels": {"u16": []}})
    found = problems_of(data)
    assert any(p.startswith("quantities.live.voltage_l1_n.source: is missing") for p in found)
    assert any(p.startswith("quantities.live.voltage_l1_n.evidence: is missing") for p in found)


def test_two_rows_for_the_same_power_factor_kind_are_refused() -> None:
    data = changed("quantities/live/reactive_kind", {"at": 30, "type": "u16", "label": "k"})
    assert any("has a row of its own" in problem for problem in problems_of(data))


def test_an_atomic_group_may_not_cross_what_no_document_mentions() -> None:
    data = changed("device/readable", [])
    data["quantities"]["live"]["power_factor"]["at"] = 12
    assert any("crosses register 0x5" in problem for problem in problems_of(data))


def test_odd_sizes_are_refused_where_only_even_counts_can_be_read() -> None:
    found = problems_of(changed("device/even_counts_only", True))
    assert any(p.startswith("quantities.live.frequency.type:") and "even counts" in p for p in found)


def test_deep_nesting_is_refused_without_recursion() -> None:
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(10_000):
        inner["a"] = {}
        inner = inner["a"]
    assert "nested deeper than 8" in problems_of({"x": [deep]})[0]


@pytest.mark.parametrize("profile_id", ["", "Grand", "a/b", "x" * 65])
def test_a_profile_id_is_a_plain_file_name(profile_id: str) -> None:
    assert "no profile id" in problems_of(right(), profile_id)[0]


def test_evidence_simulation_is_never_for_real_lines() -> None:
    assert parse_profile(changed("evidence", "simulation"), "m1").is_simulation_only


def test_a_profile_for_ethernet_needs_no_line_settings_and_no_defaults_beyond_its_rows() -> None:
    data = changed("device/serial", None)
    del data["device"]["readable"]
    del data["device"]["units"]
    del data["groups"]["energy"]["unit_offset"]
    profile = parse_profile(data, "m1")
    assert profile.serial is None
    assert profile.readable == ()
    assert profile.units == 1


def test_analogue_inputs_are_kept_in_milliamperes() -> None:
    data = changed("quantities/live/analog_input_1", {"at": 30, "type": "u16", "unit": "A", "label": "AI"})
    assert parse_profile(data, "m1").point("analog_input_1").scale == 1000
    data["quantities"]["live"]["analog_input_1"]["unit"] = "V"
    assert any("kept in mA" in problem for problem in problems_of(data))


def test_types_keep_their_words() -> None:
    point = parsed().point("apparent_power")
    assert (point.value_type, point.words) == (ValueType.SM32, 2)


@pytest.mark.parametrize("key", ["sign_p", "ct_ratio", "signature"])
def test_a_broken_row_is_one_mistake_not_one_for_every_row_that_names_it(key: str) -> None:
    group = "live" if key == "sign_p" else "setup"
    found = problems_of(changed(f"auxiliary/{group}/{key}/label", 5))
    assert [problem.split(":")[0] for problem in found] == [f"auxiliary.{group}.{key}.label"]
