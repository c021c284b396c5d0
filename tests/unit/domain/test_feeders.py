"""Sums over meters that feed each other: every watt once."""

from __future__ import annotations

from emdx_desktop.domain.feeders import counted_once, is_in_circle, upstream
from emdx_desktop.domain.readings import DeviceId

INCOMER, LIGHTING, WORKSHOP, OVEN, PV = map(DeviceId, range(1, 6))
FEEDERS = {LIGHTING: INCOMER, WORKSHOP: INCOMER, OVEN: WORKSHOP}


def test_incomer_stands_for_what_it_feeds() -> None:
    everything = (INCOMER, LIGHTING, WORKSHOP, OVEN, PV)
    assert counted_once(everything, FEEDERS, everything) == (INCOMER, PV)


def test_feeder_outside_the_group_leaves_nothing_out() -> None:
    group = (LIGHTING, OVEN)
    assert counted_once(group, FEEDERS, (INCOMER, LIGHTING, WORKSHOP, OVEN)) == (LIGHTING, OVEN)


def test_feeder_further_up_counts_also_over_a_meter_outside_the_group() -> None:
    group = (INCOMER, OVEN)
    assert counted_once(group, FEEDERS, group) == (INCOMER,)


def test_silent_incomer_is_stood_in_for_by_what_it_feeds() -> None:
    everything = (INCOMER, LIGHTING, WORKSHOP, OVEN, PV)
    assert counted_once(everything, FEEDERS, (LIGHTING, OVEN, PV)) == (LIGHTING, OVEN, PV)
    assert counted_once(everything, FEEDERS, (WORKSHOP, OVEN)) == (WORKSHOP,)


def test_nothing_known_counts_nothing() -> None:
    assert counted_once((INCOMER, OVEN), FEEDERS, ()) == ()


def test_upstream_ends_where_a_circle_closes() -> None:
    circle = {"a": "b", "b": "c", "c": "a", "d": "a"}
    assert tuple(upstream("d", circle)) == ("a", "b", "c")
    assert is_in_circle("a", circle)
    assert is_in_circle("x", {"x": "x"})
    assert not is_in_circle("d", circle)
    assert not is_in_circle("e", circle)
