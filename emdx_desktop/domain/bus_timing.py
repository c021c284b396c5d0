"""How long a line takes.

T = (8 + 5 + 2n) * b / baud + max(t_response, g) + g for one read of n registers, where b is the bits a
character takes on the wire and g the silent interval (3.5 characters up to 19200 baud, 1.75 ms above).
Source: Modbus over Serial Line V1.02, section 2.5.1.1; request 8 bytes, reply 5 + 2n bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from emdx_desktop.domain.profiles import Priority
from emdx_desktop.domain.readings import DeviceId


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """One read the planner decided on.

    Attributes:
        device_id: Whose.
        unit_id: Address on the line.
        function_code: 1..4.
        address: First register (wire address).
        count: Registers asked for, padding included.
        groups: Read groups it serves.
        priority: Fastest priority among them.
    """

    device_id: DeviceId
    unit_id: int
    function_code: int
    address: int
    count: int
    groups: tuple[str, ...]
    priority: Priority


@dataclass(frozen=True, slots=True)
class BusPlan:
    """All reads of one line."""

    requests: tuple[PlannedRequest, ...]
