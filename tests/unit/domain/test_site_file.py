"""Site files: what is understood, and every mistake at once with its key and what is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest

from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.errors import ConfigurationError
from emdx_desktop.domain.installation import Installation, LineSettings, Link, LinkScheme, Parity, Role, SupplyDirection
from emdx_desktop.domain.profiles import DeviceProfile, Evidence, PointDef, Priority, ReadGroupDef, ValueType, WordOrder
from emdx_desktop.domain.site_difference import difference
from emdx_desktop.domain.site_file import MAX_SITE_FILE_CHARACTERS, ParsedSite, parse_site_file
from emdx_desktop.domain.site_file_writing import write_site_file


def make_point(key: str, address: int, scale: Fraction | None, unit_offset: int = 0) -> PointDef:
    return PointDef(
        key=key,
        quantity=key,
        label=key,
        address=address,
        document_register=str(address),
        words=2,
        value_type=ValueType.U32,
        function_code=3,
        scale=scale,
        group="live",
        evidence=Evidence.OFFICIAL,
        source="test",
        unit_offset=unit_offset,
    )


def make_profile(
    id_: str,
    numbers: Sequence[str] = (),
    *,
    units: int = 1,
    evidence: Evidence = Evidence.OFFICIAL,
    points: Sequence[PointDef] = (),
) -> DeviceProfile:
    return DeviceProfile(
        id=id_,
        maker="Maker",
        catalogue_numbers=tuple(numbers),
        family="Family",
        model="Model",
        source="test",
        sources={},
        evidence=evidence,
        word_order=WordOrder.HIGH_FIRST,
        is_byte_swapped=False,
        serial=None,
        unit_id_default=5 if id_ == "meter" else None,
        max_registers=125,
        needs_even_count=False,
        readable=(),
        pause_ms=0,
        response_ms=50,
        units=units,
        groups=(ReadGroupDef("live", Priority.LIVE),),
        points=tuple(points),
        scale_rules={},
    )


CATALOGUE = ProfileCatalogue(
    {
        "meter": make_profile("meter", ["0 146 68"]),
        "open-scale": make_profile(
            "open-scale",
            ["0 046 77"],
            points=[make_point("active_power", 0, None), make_point("frequency", 2, Fraction(1, 100))],
        ),
        "triple": make_profile("triple", ["4 149 19"], units=3),
        "offset-pair": make_profile("offset-pair", points=[make_point("active_power", 0, Fraction(1), unit_offset=1)]),
        "unknown-table": make_profile("unknown-table", ["4 210 75"], evidence=Evidence.SIMULATION),
    }
)

SITE = '[site]\nname = "North plant"\ntimezone = "Europe/Paris"\n'
GATEWAY = '[[gateway]]\nname = "GW1"\nlink = "tcp://192.168.1.100:502"\n'
DEVICE = '[[device]]\nname = "QF1"\ngateway = "GW1"\nmodel = "0 146 68"\nunit_id = 5\n'


def parse(text: str, previous: Installation | None = None) -> ParsedSite:
    return parse_site_file(text, CATALOGUE, previous)


def mistakes(text: str, previous: Installation | None = None) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, previous)
    return {problem.where: problem.message for problem in caught.value.problems}


def device_text(**fields: str) -> str:
    lines = {"name": '"QF1"', "gateway": '"GW1"', "model": '"0 146 68"', "unit_id": "5"} | fields
    return "[[device]]\n" + "".join(f"{key} = {text}\n" for key, text in lines.items() if text)


def gateway_text(**fields: str) -> str:
    lines = {"name": '"GW1"', "link": '"tcp://192.168.1.100:502"'} | fields
    return "[[gateway]]\n" + "".join(f"{key} = {text}\n" for key, text in lines.items() if text)


FULL = """
[site]
name = "North plant"
timezone = "Asia/Kolkata"
currency = "INR"
description = "Two halls"
[[panel]]
name = "Main panel"
description = "Basement"
[[gateway]]
name = "GW1"
link = "rtu+tcp://gw-hall.example:4001"
panel = "Main panel"
line = { baud = 38400, parity = "even", stopbits = 1 }
timeout_ms = 700
pause_ms = 20
tid_check = "accept_zero"
description = "Grey box"
[[gateway]]
name = "Serial"
link = "ascii:///dev/ttyUSB0"
enabled = false
[[device]]
name = "QF1 Lighting"
gateway = "GW1"
model = "014668"
unit_id = 5
circuit = "Lighting"
zones = ["Floor 1", "Floor 2"]
side = "left"
phase = "l1"
supply = "downstream"
role = "both"
fed_by = "Module"
description = "Feeds the hall"
[[device]]
name = "Pulses 1"
gateway = "Serial"
model = "open-scale"
unit_id = 1
position = 1
scales = { active_power = "1/3" }
enabled = false
[[device]]
name = "Pulses 2"
gateway = "Serial"
model = "open-scale"
unit_id = 1
position = 2
scales = { active_power = 0.5 }
[[device]]
name = "Module"
gateway = "GW1"
model = "meter"
unit_id = "2-1"
"""


def test_whole_file_is_understood() -> None:
    parsed = parse(FULL)
    site = parsed.installation
    assert parsed.warnings == ()
    assert (site.site.timezone, site.site.currency, site.site.description) == ("Asia/Kolkata", "INR", "Two halls")
    first, serial = site.gateways
    assert first.link == Link(LinkScheme.RTU_TCP, "gw-hall.example", 4001)
    assert first.line == LineSettings(38400, Parity.EVEN, 1, 8)
    assert (first.timeout_ms, first.pause_ms, str(first.tid_check), first.panel) == (
        700,
        20,
        "accept_zero",
        "Main panel",
    )
    assert serial.link == Link(LinkScheme.ASCII, serial_port="/dev/ttyUSB0")
    assert serial.line == LineSettings(9600, Parity.NONE, 1, 7)
    assert not serial.is_enabled
    lighting, pulses_1, pulses_2, module = site.devices
    assert (lighting.profile_id, lighting.model, lighting.zones) == ("meter", "014668", ("Floor 1", "Floor 2"))
    assert (lighting.supply, lighting.role) == (SupplyDirection.DOWNSTREAM, Role.BOTH)
    assert pulses_1.scales == {"active_power": Fraction(1, 3)}
    assert pulses_2.scales == {"active_power": Fraction(1, 2)}
    assert (module.unit_id, module.sub_address) == (2, 1)
    assert [device.id for device in site.devices] == [1, 2, 3, 4]
    assert site.circuits == ("Lighting",)
    assert site.zones == ("Floor 1", "Floor 2")


def test_written_file_reads_back_the_same() -> None:
    site = parse(FULL).installation
    assert parse(write_site_file(site), site).installation == site
    assert parse(write_site_file(site)).installation == site


def test_written_file_of_an_ethernet_meter_has_no_line() -> None:
    text = write_site_file(parse(SITE + GATEWAY + DEVICE).installation)
    assert "line" not in text
    assert parse(text).installation.gateways[0].line is None


def test_all_mistakes_are_told_at_once_with_key_and_what_is_allowed() -> None:
    found = mistakes(
        """
[site]
name = "North plant"
timezone = "Europe/Pariss"
currency = "Euro"
[[gateway]]
name = "GW1"
link = "tcp://192.168.1.100:502"
line = { baud = 9601, parity = "non", stopbits = 3, databits = 7, bits = 8 }
timout_ms = 500
[[device]]
name = "QF1"
gateway = "GW2"
model = "0 146 99"
unit_id = 0
[[device]]
name = "QF1"
gateway = "GW1"
model = "meter"
unit_id = 256
role = "consumr"
enabled = "yes"
"""
    )
    assert found["site.timezone"].endswith('Did you mean "Europe/Paris"?')
    assert "ISO 4217" in found["site.currency"]
    assert found['gateway[1] "GW1".timout_ms'] == 'is not known here. Did you mean "timeout_ms"?'
    assert "1200, 2400, 4800, 9600" in found['gateway[1] "GW1".line.baud']
    assert 'allowed are none, even, odd. Did you mean "none"?' in found['gateway[1] "GW1".line.parity']
    assert "allowed are 1, 2" in found['gateway[1] "GW1".line.stopbits']
    assert "ASCII line only" in found['gateway[1] "GW1".line.databits']
    assert 'gateway[1] "GW1".line.bits' in found
    assert 'Did you mean "GW1"?' in found['device[1] "QF1".gateway']
    assert 'Did you mean "0 146 68"?' in found['device[1] "QF1".model']
    assert "broadcast" in found['device[1] "QF1".unit_id']
    assert found['device[2] "QF1".name'] == "is the name of another device."
    assert "allowed are 1 to 255" in found['device[2] "QF1".unit_id']
    assert "allowed are consumer, producer, both" in found['device[2] "QF1".role']
    assert "true or false" in found['device[2] "QF1".enabled']


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("name = ", "", "not valid TOML"),
        ("x = " + "[" * 5000, "", "nested too deeply"),
        ("x = " + "9" * 5000, "", "not valid TOML"),
        ("", "site", "is missing"),
        ("site = 3\n", "site", "must be a table, not a whole number"),
        (SITE + "[devices]\n", "devices", 'Did you mean "device"?'),
        (SITE + "[zzzzz]\n", "zzzzz", "Allowed are: site, panel, gateway, device"),
        (SITE + "[device]\nname = 1\n", "device", "[[device]]"),
        ("device = [1]\n" + SITE, "device", "[[device]]"),
        (SITE + "qqqqqqqq = 1\n", "site.qqqqqqqq", "Allowed are: name, timezone"),
        ('[site]\ntimezone = "Europe/Paris"\n', "site.name", "is missing"),
        ('[site]\nname = "  "\ntimezone = "Europe/Paris"\n', "site.name", "must not be empty"),
        ('[site]\nname = "x"\n', "site.timezone", "is missing"),
        ('[site]\nname = 2026-01-01\ntimezone = "UTC"\n', "site.name", "not a date"),
        ('[site]\nname = 1.5\ntimezone = "UTC"\n', "site.name", "a number with a decimal point"),
        ('[site]\nname = "a\\u202eb"\ntimezone = "UTC"\n', "site.name", "U+202E"),
        ('[site]\nname = "a\\u0000b"\ntimezone = "UTC"\n', "site.name", "U+0000"),
        ('[site]\nname = " a"\ntimezone = "UTC"\n', "site.name", "blank"),
        (f'[site]\nname = "{"a" * 65}"\ntimezone = "UTC"\n', "site.name", "65 characters"),
        (SITE + '[[panel]]\nname = "P"\n[[panel]]\nname = "P"\n', 'panel[2] "P".name', "another panel"),
        (SITE + "[[panel]]\nname = 3\n", "panel[1].name", "must be a text in quotes"),
        (SITE + gateway_text(panel='"Man"') + '[[panel]]\nname = "Main"\n', 'gateway[1] "GW1".panel', '"Main"'),
        (SITE + gateway_text(line="9600"), 'gateway[1] "GW1".line', "must be a table in braces"),
        (SITE + gateway_text(line='{ baud = "9600" }'), 'gateway[1] "GW1".line.baud', "is a text in quotes"),
        (SITE + gateway_text(line="{ parity = 1 }"), 'gateway[1] "GW1".line.parity', "is a whole number"),
        (SITE + gateway_text(timeout_ms='"500"'), 'gateway[1] "GW1".timeout_ms', "a whole number from 50"),
        (SITE + gateway_text(timeout_ms="5"), 'gateway[1] "GW1".timeout_ms', "allowed are 50 to 60000"),
        (SITE + gateway_text(link=""), 'gateway[1] "GW1".link', "is missing"),
        (SITE + gateway_text(link='"http://x"'), 'gateway[1] "GW1".link', "allowed are tcp://"),
        (SITE + GATEWAY + gateway_text(name='"GW2"'), 'gateway[2] "GW2".link', 'as does "GW1"'),
        (SITE + GATEWAY + gateway_text(link='"tcp://a"'), 'gateway[2] "GW1".name', "another gateway"),
        (SITE + GATEWAY + device_text(unit_id=""), 'device[1] "QF1".unit_id', "The works setting is 5"),
        (SITE + GATEWAY + device_text(unit_id="", model='"triple"'), 'device[1] "QF1".unit_id', "is missing."),
        (SITE + GATEWAY + device_text(unit_id="", model=""), 'device[1] "QF1".model', "is missing"),
        (SITE + GATEWAY + device_text(unit_id='"5"'), 'device[1] "QF1".unit_id', '"2-1"'),
        (SITE + GATEWAY + device_text(unit_id="true"), 'device[1] "QF1".unit_id', "whole number"),
        (SITE + GATEWAY + device_text(unit_id='"2-0"'), 'device[1] "QF1".unit_id', "names module 0"),
        (SITE + GATEWAY + device_text(unit_id="-1"), 'device[1] "QF1".unit_id', "allowed are 1 to 255"),
        (
            SITE + GATEWAY + device_text(unit_id="254", model='"triple"'),
            'device[1] "QF1".unit_id',
            "takes 3 addresses up to 256",
        ),
        (SITE + GATEWAY + device_text(zones='"Floor"'), 'device[1] "QF1".zones', "list of names"),
        (SITE + GATEWAY + device_text(zones="[1]"), 'device[1] "QF1".zones', "names in quotes only"),
        (SITE + GATEWAY + device_text(zones='["A", "A"]'), 'device[1] "QF1".zones', "twice"),
        (SITE + GATEWAY + device_text(zones='["A\\n"]'), 'device[1] "QF1".zones', "U+000A"),
        (SITE + GATEWAY + device_text(position="0"), 'device[1] "QF1".position', "allowed are 1 to 255"),
        (SITE + GATEWAY + device_text(scales="3"), 'device[1] "QF1".scales', "table in braces"),
        (
            SITE + GATEWAY + device_text(scales="{ active_power = 1 }"),
            'device[1] "QF1".scales.active_power',
            "all scales of this model are known",
        ),
        (
            SITE + GATEWAY + device_text(model='"open-scale"', scales="{ frequency = 1 }"),
            'device[1] "QF1".scales.frequency',
            "allowed are active_power",
        ),
        *(
            (
                SITE + GATEWAY + device_text(model='"open-scale"', scales=f"{{ active_power = {bad} }}"),
                'device[1] "QF1".scales.active_power',
                "above 0",
            )
            for bad in ("0", '"0/5"', "-1", '"ten"', "true", "[1]", "inf", '"1/0"')
        ),
        (
            SITE + GATEWAY + DEVICE + device_text(name='"QF2"'),
            'device[2] "QF2".unit_id',
            '5 on line "GW1" belongs to "QF1" already. Give each its own position or module.',
        ),
        (
            SITE + GATEWAY + DEVICE + device_text(name='"QF2"', unit_id="3", model='"triple"'),
            'device[2] "QF2".unit_id',
            '5 on line "GW1" belongs to "QF1" already.',
        ),
        (
            SITE + GATEWAY + DEVICE + device_text(name='"QF2"', unit_id="4", model='"offset-pair"'),
            'device[2] "QF2".unit_id',
            "belongs to",
        ),
        (
            SITE + GATEWAY + device_text(id="7") + device_text(name='"QF2"', unit_id="6", id="7"),
            'device[2] "QF2".id',
            '7 is the id of "QF1" already',
        ),
        (SITE + GATEWAY + device_text(id="0"), 'device[1] "QF1".id', "allowed are 1 to"),
    ],
)
def test_mistake_is_named_with_its_place(text: str, where: str, words: str) -> None:
    assert words in mistakes(text)[where]


def test_file_larger_than_any_site_is_refused() -> None:
    assert "at most" in mistakes("#" * (MAX_SITE_FILE_CHARACTERS + 1))[""]


def test_broken_device_without_profile_still_gets_its_other_mistakes_told() -> None:
    found = mistakes(SITE + GATEWAY + device_text(model='"nothing like it"', scales="{ a = 1 }", unit_id='"x"'))
    assert set(found) == {'device[1] "QF1".model', 'device[1] "QF1".unit_id'}


def test_shared_unit_zero_is_told_once_as_broadcast_not_as_a_clash() -> None:
    found = mistakes(SITE + GATEWAY + device_text(unit_id="0") + device_text(name='"QF2"', unit_id="0"))
    assert all("broadcast" in message for message in found.values())


def test_two_broken_links_are_not_called_the_same_place() -> None:
    found = mistakes(SITE + gateway_text(link='"x"') + gateway_text(name='"GW2"', link='"y"'))
    assert all("is not a link" in message for message in found.values())


def test_same_host_in_other_letters_is_the_same_line() -> None:
    text = SITE + gateway_text(link='"tcp://Meter.local"') + gateway_text(name='"B"', link='"tcp://meter.LOCAL:502"')
    assert 'gateway[2] "B".link' in mistakes(text)


@pytest.mark.parametrize(
    ("unit_id", "model", "is_warned"),
    [("247", "meter", False), ("248", "meter", True), ("255", "meter", True), ("246", "triple", True)],
)
def test_reserved_unit_ids_are_warned_about(unit_id: str, model: str, is_warned: bool) -> None:
    warnings = parse(SITE + GATEWAY + device_text(unit_id=unit_id, model=f'"{model}"')).warnings
    assert ["247" in warning.message for warning in warnings] == [True] * is_warned


def test_model_without_public_table_is_warned_about() -> None:
    warnings = parse(SITE + GATEWAY + device_text(model='"4 210 75"')).warnings
    assert "read after its maker's table has been imported" in warnings[0].message


def test_modules_and_positions_may_share_a_unit_id() -> None:
    text = SITE + GATEWAY + device_text(unit_id='"5-1"') + device_text(name='"QF2"', unit_id='"5-2"')
    assert len(parse(text).installation.devices) == 2


def test_renaming_with_id_keeps_identity() -> None:
    before = parse(SITE + GATEWAY + DEVICE).installation
    after = parse(SITE + GATEWAY + device_text(id="1", name='"Lights"'), before).installation
    assert [(device.id, device.name, device.is_archived) for device in after.devices] == [(1, "Lights", False)]


def test_name_finds_identity_and_missing_devices_are_archived() -> None:
    before = parse(
        SITE + GATEWAY + device_text(circuit='"Light"') + device_text(name='"QF2"', unit_id="6")
    ).installation
    before = replace(before, revision=3)
    after = parse(SITE + GATEWAY + device_text(name='"QF2"', unit_id="9", circuit='"Heat"'), before).installation
    assert [(d.id, d.name, d.unit_id, d.is_archived) for d in after.devices] == [
        (2, "QF2", 9, False),
        (1, "QF1", 5, True),
    ]
    assert after.circuits == ("Light", "Heat")
    assert after.revision == 3
    again = parse(SITE + GATEWAY + DEVICE, after).installation
    assert [(device.id, device.is_archived) for device in again.devices] == [(1, False), (2, True)]


def test_id_in_the_file_wins_over_a_name_and_new_ids_are_never_reused() -> None:
    before = parse(SITE + GATEWAY + DEVICE + device_text(name='"QF2"', unit_id="6")).installation
    text = SITE + GATEWAY + device_text(name='"QF1"') + device_text(name='"Other"', unit_id="7", id="1")
    after = parse(text, before).installation
    assert [(device.id, device.name) for device in after.devices] == [(3, "QF1"), (1, "Other"), (2, "QF2")]


def test_device_of_today_is_preferred_to_an_archived_one_of_the_same_name() -> None:
    before = parse(SITE + GATEWAY + DEVICE).installation
    archived = replace(before.devices[0], is_archived=True)
    today = replace(before.devices[0], id=type(archived.id)(2))
    after = parse(SITE + GATEWAY + DEVICE, replace(before, devices=(archived, today))).installation
    assert [(device.id, device.is_archived) for device in after.devices] == [(2, False), (1, True)]


def test_first_import_is_one_sentence() -> None:
    assert difference(None, parse(FULL).installation) == ['Site "North plant" is new: 2 gateways, 4 devices.']


def test_difference_says_what_changes_and_what_is_archived() -> None:
    before = parse(
        SITE + '[[panel]]\nname = "Old"\n' + GATEWAY + gateway_text(name='"GW3"', link='"tcp://z"') + DEVICE
        + device_text(name='"Gone"', unit_id="6", gateway='"GW3"')
    ).installation  # fmt: skip
    after = parse(
        SITE.replace("North", "South")
        + '[[panel]]\nname = "New"\n'
        + gateway_text(line='{ baud = 19200, parity = "even" }', panel='"New"', link='"tcp://192.168.1.101"')
        + gateway_text(name='"GW2"', link='"rtu://COM3"')
        + device_text(circuit='"Light"', zones='["Floor 1", "Floor 2"]', unit_id="9", enabled="false")
        + device_text(name='"Fresh"', unit_id="6", model='"open-scale"'),
        before,
    ).installation
    assert difference(before, after) == [
        'Site "North plant": name North plant -> South plant.',
        'Panel "New" is new.',
        'Panel "Old" is removed.',
        'Gateway "GW1": link tcp://192.168.1.100:502 -> tcp://192.168.1.101:502.',
        'Gateway "GW1": panel none -> New.',
        'Gateway "GW1": line none -> 19200 baud, parity even, 1 stop bits, 8 data bits.',
        'Gateway "GW2" is new.',
        'Gateway "GW3" is removed.',
        'Device "QF1": unit_id 5 -> 9.',
        'Device "QF1": circuit none -> Light.',
        'Device "QF1": zones none -> Floor 1, Floor 2.',
        'Device "QF1": enabled True -> False.',
        'Device "Fresh" is new.',
        'Device "Gone" is archived; its history is kept.',
        'Circuit "Light" is created.',
        'Zone "Floor 1" is created.',
        'Zone "Floor 2" is created.',
    ]
    assert difference(after, after) == []


def test_difference_shows_scales_as_written() -> None:
    before = parse(SITE + GATEWAY + device_text(model='"open-scale"')).installation
    after = parse(
        SITE + GATEWAY + device_text(model='"open-scale"', scales="{ active_power = 10 }"), before
    ).installation
    assert difference(before, after) == ['Device "QF1": scales none -> active_power = 10.']


def test_meter_upstream_is_understood_and_written_back() -> None:
    text = SITE + GATEWAY + DEVICE + device_text(name='"QF2"', unit_id="6", fed_by='"QF1"')
    installation = parse(text).installation
    assert [device.fed_by for device in installation.devices] == ["", "QF1"]
    assert parse(write_site_file(installation), installation).installation == installation
    alone = parse(SITE + GATEWAY + DEVICE + device_text(name='"QF2"', unit_id="6"), installation).installation
    assert difference(installation, alone) == ['Device "QF2": fed_by QF1 -> none.']


def test_wrong_meters_upstream_are_named() -> None:
    text = SITE + GATEWAY + device_text(unit_id="1")
    for number, feeder in ((2, 3), (3, 2), (4, 77), (5, 5)):
        text += device_text(name=f'"QF{number}"', unit_id=str(number), fed_by=f'"QF{feeder}"')
    text += device_text(name='"Lamp"', unit_id="6", fed_by='"QF"')
    circle = "would feed itself; name the meter upstream of it."
    assert mistakes(text) == {
        'device[2] "QF2".fed_by': f'"QF2" {circle}',
        'device[3] "QF3".fed_by': f'"QF3" {circle}',
        'device[4] "QF4".fed_by': '"QF77" is not one of the devices.',
        'device[5] "QF5".fed_by': f'"QF5" {circle}',
        'device[6] "Lamp".fed_by': '"QF" is not one of the devices. Did you mean "QF5"?',
    }
