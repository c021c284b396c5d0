"""Which meter measures what others measure too, so that a sum counts every watt once.

Own design: each device may name the meter upstream of it (`fed_by`).
"""

from __future__ import annotations

from collections.abc import Collection, Container, Hashable, Iterator, Mapping
from typing import TypeVar

from emdx_desktop.domain.readings import DeviceId

Meter = TypeVar("Meter", bound=Hashable)


def counted_once(
    group: Collection[DeviceId], feeders: Mapping[DeviceId, DeviceId], known: Container[DeviceId]
) -> tuple[DeviceId, ...]:
    """The devices whose values make the sum of a group: every watt once.

    A device is left out when a meter upstream of it stands in the group too and is known. A meter that
    is not known is stood in for by those it feeds: the part of its load that is measured.

    Args:
        group: A panel, a line, a circuit, the site.
        feeders: Of the whole site: device -> the meter upstream of it.
        known: Devices that have a good value now.
    """
    return tuple(
        id_
        for id_ in group
        if id_ in known and not any(feeder in group and feeder in known for feeder in upstream(id_, feeders))
    )


def upstream(start: Meter, feeders: Mapping[Meter, Meter]) -> Iterator[Meter]:
    """The meters upstream of one, nearest first; ends where a circle closes."""
    seen = {start}
    at = feeders.get(start)
    while at is not None and at not in seen:
        yield at
        seen.add(at)
        at = feeders.get(at)


def is_in_circle(start: Meter, feeders: Mapping[Meter, Meter]) -> bool:
    """Whether following the feeders from a meter leads back to it."""
    chain = (start, *upstream(start, feeders))
    return feeders.get(chain[-1]) == start
