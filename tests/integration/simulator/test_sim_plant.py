"""The demo plant's registers, decoded by the program's own decoder: two independent implementations agree."""

import asyncio
import json
import struct
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from emdx_desktop.app.paths import resource_folder
from emdx_desktop.commands.simulate import load_state
from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.errors import ConfigurationError, EnvironmentFault
from emdx_desktop.domain.installation import Device, Installation, Link, LinkScheme
from emdx_desktop.domain.link_text import parse_link
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind
from emdx_desktop.domain.readings import Quality
from emdx_desktop.domain.registers import GroupDecoder, RegisterBlock, auxiliary_values
from emdx_desktop.domain.site_file import parse_site_file
from emdx_desktop.modbus.profile_loader import load_catalogue
from emdx_desktop.simulator import server
from emdx_desktop.simulator.building import DemoBuilding
from emdx_desktop.simulator.line import SimulatedLine
from emdx_desktop.simulator.open_line import OpenLine, open_line
from emdx_desktop.simulator.server import SimulatedSite

NOW_MS = int(datetime(2026, 7, 8, 11, 17, 42, tzinfo=UTC).timestamp() * 1000) + 421


@pytest.fixture(scope="module")
def catalogue() -> ProfileCatalogue:
    return load_catalogue([resource_folder() / "devices"])


@pytest.fixture(scope="module")
def building(catalogue: ProfileCatalogue) -> DemoBuilding:
    return DemoBuilding(catalogue)


@pytest.fixture(scope="module")
def site(building: DemoBuilding) -> SimulatedSite:
    return SimulatedSite(building, now_ms=lambda: float(NOW_MS))


@pytest.fixture(scope="module")
def installation(building: DemoBuilding, catalogue: ProfileCatalogue) -> Installation:
    links = {name: f"rtu+tcp://127.0.0.1:{5020 + i}" for i, name in enumerate(building.lines)}
    return parse_site_file(building.write_site_file(links), catalogue).installation


def read_block(site: SimulatedSite, device: Device, function_code: int, first: int, count: int) -> RegisterBlock:
    pdu = struct.pack(">BHH", function_code, first, count)
    reply = site.lines[device.gateway].stations[device.unit_id].answer(device.unit_id, pdu, NOW_MS)
    assert reply[0] == function_code, f"{device.name}: {pdu.hex(' ')} -> {reply.hex(' ')}"
    return RegisterBlock(0, function_code, first, struct.unpack(f">{count}H", reply[2:]))


def test_every_polled_value_of_every_meter_is_decoded_as_it_was_meant(
    site: SimulatedSite, building: DemoBuilding, installation: Installation
):
    compared = 0
    for device in installation.devices:
        profile = building.profiles[device.name]
        moment = site.sources[device.name].at(NOW_MS)
        polled = [point for point in profile.points if point.group]
        auxiliary = auxiliary_values(
            profile,
            [read_block(site, device, p.function_code, p.address, p.words) for p in polled if p.quantity is None],
        )
        for group in profile.groups:
            points = [point for point in polled if point.group == group.name]
            words: dict[int, int] = {}
            for point in points:
                block = read_block(site, device, point.function_code, point.address, point.words)
                words |= dict(enumerate(block.words, point.address))
            first, last = min(words), max(words)
            joined = tuple(words.get(address, 0) for address in range(first, last + 1))
            decoder = GroupDecoder(profile, group.name, device)
            block = RegisterBlock(0, points[0].function_code, first, joined)
            readings = decoder.decode([block], NOW_MS, auxiliary)
            for quantity, value, quality, factor in zip(
                decoder.layout.quantities, readings.values, readings.qualities, readings.factors, strict=True
            ):
                where = f"{device.name} {quantity}: {readings.detail}"
                assert quality == Quality.GOOD, where
                kind = QUANTITIES[quantity].kind
                if kind is QuantityKind.INSTANT:
                    # within the device's own resolution
                    assert value == pytest.approx(moment.instant(quantity), rel=0.012, abs=6), where
                elif kind is QuantityKind.COUNTER:
                    total = moment.counter(quantity)
                    step = float(factor) + (float(total) * 2.0**-23 if profile.id == "eastron-sdm630" else 0.0)
                    assert float(value * factor) == pytest.approx(float(total), rel=0, abs=step), where
                else:
                    factor_of = moment.instant(quantity.replace("reactive_kind", "power_factor"))
                    rounds_to_one = factor_of is not None and abs(factor_of) > 0.994
                    assert value == moment.state(quantity) or (rounds_to_one and value == 0), where
                compared += 1
    assert compared > 400


def test_meters_say_who_they_are(site: SimulatedSite, building: DemoBuilding, installation: Installation):
    by_name = {device.name: device for device in installation.devices}
    assert read_block(site, by_name["QF8 Server room"], 3, 0x000B, 1).words == (341,)
    assert read_block(site, by_name["PV inverter"], 3, 0xC350, 4).words == (0x53, 0x4F, 0x43, 0x4F)
    for name, device in by_name.items():
        for identity in building.profiles[name].identity:
            point = building.profiles[name].point(identity.point)
            words = read_block(site, device, point.function_code, point.address, point.words).words
            assert words == (identity.expected or words)
            assert any(words)


def test_plant_opens_all_its_lines_and_closes_them(building: DemoBuilding):
    async def main() -> None:
        site = SimulatedSite(building)
        links = dict(await site.start())
        assert list(links) == list(building.lines)
        parsed = {name: parse_link(link) for name, link in links.items()}
        assert all(isinstance(link, Link) for link in parsed.values())
        assert parsed["GW1"].scheme is LinkScheme.TCP
        assert parsed["COM1"].is_serial == (sys.platform != "win32")
        reader, writer = await asyncio.open_connection(parsed["PV"].host, parsed["PV"].port)
        writer.write(bytes.fromhex("0007 0000 0006 05 03 C350 0004"))
        assert await asyncio.wait_for(reader.readexactly(17), 10) == bytes.fromhex(
            "0007 0000 000B 05 03 08 0053 004F 0043 004F"
        )
        writer.close()
        site.faults.obey({"target": "COM1", "fault": "counter_reset"})
        await site.stop()
        assert site.links == {}

    asyncio.run(main())


def test_line_that_cannot_be_opened_leaves_none_open(building: DemoBuilding, monkeypatch: pytest.MonkeyPatch):
    async def refuse(line: SimulatedLine, scheme: LinkScheme, *, timeout_ms: int) -> OpenLine:
        if line.name == "COM1":
            raise EnvironmentFault("no such thing here")
        return await open_line(line, scheme, timeout_ms=timeout_ms)

    monkeypatch.setattr(server, "open_line", refuse)
    site = SimulatedSite(building)

    async def main() -> None:
        with pytest.raises(EnvironmentFault):
            await site.start()
        assert site.links == {}

    asyncio.run(main())


def test_state_file_with_a_mistake_is_named(tmp_path: Path):
    file = tmp_path / "state.json"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_state(file)
    for content in ("{", "[]"):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(ConfigurationError, match="not what a demo left behind"):
            load_state(file)
    file.write_text(json.dumps({"QF1": {"minute": 5, "totals": {"active_energy_import": 10**16}}}), encoding="utf-8")
    assert load_state(file)["QF1"].totals == {"active_energy_import": 10**16}
