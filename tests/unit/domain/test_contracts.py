"""What is asked for by name and is not there is told, not guessed."""

from __future__ import annotations

import pytest

from emdx_desktop.domain.errors import UnknownQuantityError
from emdx_desktop.domain.installation import Device, Gateway, Installation, Link, LinkScheme, Site
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind, quantity
from emdx_desktop.domain.readings import DeviceId, GatewayId
from emdx_desktop.simulator.bench_profile import bench_profile


def test_a_quantity_is_found_by_its_id_and_an_unknown_one_is_refused() -> None:
    assert quantity("active_energy_import").unit == "Wh"
    with pytest.raises(UnknownQuantityError, match='"activ_power" is not a known quantity'):
        quantity("activ_power")


def test_every_counter_and_state_keeps_whole_numbers() -> None:
    exponents = {definition.kind: definition.exponent for definition in QUANTITIES.values()}
    assert (exponents[QuantityKind.COUNTER], exponents[QuantityKind.STATE]) == (0, 0)
    assert all(definition.exponent == 0 for definition in QUANTITIES.values() if definition.kind != "instant")


def test_a_device_knows_its_gateway_by_name() -> None:
    gateway = Gateway(GatewayId(2), "GW2", Link(LinkScheme.TCP, "10.0.0.2", 502))
    other = Gateway(GatewayId(1), "GW1", Link(LinkScheme.TCP, "10.0.0.1", 502))
    device = Device(DeviceId(1), "QF1", "GW2", "0 146 68", "legrand-0146-68", 5)
    site = Site("North plant", "Europe/Paris")
    assert Installation(site, gateways=(other, gateway), devices=(device,)).gateway_of(device) is gateway
    with pytest.raises(KeyError):
        Installation(site, gateways=(other,), devices=(device,)).gateway_of(device)


def test_a_profile_has_the_points_it_lists_and_no_others() -> None:
    profile = bench_profile(4)
    first = profile.points[0]
    assert profile.point(first.key) is first
    with pytest.raises(KeyError):
        profile.point("no such point")
