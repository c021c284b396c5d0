"""A written site file reads back as the same installation, whatever it holds."""

from __future__ import annotations

import string
from dataclasses import replace
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.installation import (
    BAUD_RATES,
    Device,
    Gateway,
    Installation,
    LineSettings,
    Link,
    LinkScheme,
    Panel,
    Parity,
    Role,
    Site,
    SupplyDirection,
    TransactionIdCheck,
)
from emdx_desktop.domain.profiles import DeviceProfile, Evidence, PointDef, Priority, ReadGroupDef, ValueType, WordOrder
from emdx_desktop.domain.readings import DeviceId, GatewayId
from emdx_desktop.domain.site_file import parse_site_file
from emdx_desktop.domain.site_file_writing import write_site_file

POINT = PointDef(
    "active_power", "active_power", "P", 0, "1", 1, ValueType.S16, 3, None, "live", Evidence.OFFICIAL, "test"
)
PROFILE = DeviceProfile(
    id="meter",
    maker="M",
    catalogue_numbers=("0 046 77",),
    family="F",
    model="M",
    source="test",
    sources={},
    evidence=Evidence.OFFICIAL,
    word_order=WordOrder.HIGH_FIRST,
    is_byte_swapped=False,
    serial=None,
    unit_id_default=None,
    max_registers=125,
    needs_even_count=False,
    readable=(),
    pause_ms=0,
    response_ms=50,
    units=1,
    groups=(ReadGroupDef("live", Priority.LIVE),),
    points=(POINT,),
    scale_rules={},
)
CATALOGUE = ProfileCatalogue({"meter": PROFILE})

names = st.text(st.characters(categories=["L", "M", "N", "P", "S"]) | st.just(" "), min_size=1, max_size=64).filter(
    lambda text: text == text.strip()
)
optional_names = names | st.just("")


@st.composite
def gateways(draw: st.DrawFn, number: int, name: str, panels: list[str]) -> Gateway:
    scheme = draw(st.sampled_from(LinkScheme))
    if scheme in (LinkScheme.RTU, LinkScheme.ASCII):
        link = Link(scheme, serial_port=draw(st.sampled_from([f"/dev/ttyUSB{number}", f"COM{number}"])))
    else:
        host = draw(st.text(string.ascii_lowercase, min_size=1, max_size=20)) + str(number) + "x"
        link = Link(scheme, host, draw(st.integers(1, 65535)))
    databits = draw(st.sampled_from([7, 8])) if scheme in (LinkScheme.ASCII, LinkScheme.ASCII_TCP) else 8
    line = LineSettings(
        draw(st.sampled_from(BAUD_RATES)), draw(st.sampled_from(Parity)), draw(st.sampled_from([1, 2])), databits
    )
    return Gateway(
        GatewayId(number),
        name,
        link,
        draw(st.sampled_from(["", *panels])),
        line if link.is_serial or draw(st.booleans()) else None,
        draw(st.integers(50, 60_000)),
        draw(st.integers(0, 10_000)),
        draw(st.sampled_from(TransactionIdCheck)),
        draw(st.booleans()),
        draw(optional_names),
    )


@st.composite
def installations(draw: st.DrawFn) -> Installation:
    panels = draw(st.lists(names, max_size=3, unique=True))
    lines = [
        draw(gateways(number, name, panels))
        for number, name in enumerate(draw(st.lists(names, min_size=1, max_size=3, unique=True)), 1)
    ]
    devices = [
        Device(
            DeviceId(number),
            name,
            draw(st.sampled_from([line.name for line in lines])),
            "0 046 77",
            "meter",
            number,
            draw(st.none() | st.integers(1, 255)),
            draw(optional_names),
            draw(optional_names),
            tuple(draw(st.lists(names, max_size=3, unique=True))),
            draw(st.none() | st.integers(1, 255)),
            draw(optional_names),
            draw(optional_names),
            draw(st.sampled_from(SupplyDirection)),
            draw(st.sampled_from(Role)),
            draw(
                st.dictionaries(st.just("active_power"), st.fractions(Fraction(1, 10**6), 10**6, max_denominator=10**6))
            ),
            draw(st.booleans()),
        )
        for number, name in enumerate(draw(st.lists(names, max_size=4, unique=True)), 1)
    ]
    # each may hang below one named before it
    devices = [
        replace(device, fed_by=draw(st.sampled_from(["", *(before.name for before in devices[:number])])))
        for number, device in enumerate(devices)
    ]
    circuits = tuple(dict.fromkeys(device.circuit for device in devices if device.circuit))
    zones = tuple(dict.fromkeys(zone for device in devices for zone in device.zones))
    site = Site(draw(names), "Europe/Paris", "EUR", draw(optional_names))
    return Installation(site, tuple(map(Panel, panels)), tuple(lines), tuple(devices), circuits, zones)


@settings(max_examples=60, deadline=None)
@given(installations())
def test_site_file_round_trips(installation: Installation) -> None:
    text = write_site_file(installation)
    assert parse_site_file(text, CATALOGUE).installation == installation
    assert parse_site_file(text, CATALOGUE, installation).installation == installation
