"""What a line tells the rest of the program: readings, states, and sentences (cause - consequence - what to do)."""

from __future__ import annotations

from collections.abc import Iterable

from emdx_desktop.domain.errors import LinkFault
from emdx_desktop.domain.installation import Gateway
from emdx_desktop.domain.ports import BusListener, Clock, EquippedDevice
from emdx_desktop.domain.profiles import Priority
from emdx_desktop.domain.readings import DeviceState, GroupReadings, NoticeLevel, Quality
from emdx_desktop.modbus.device_poll import DevicePoll
from emdx_desktop.modbus.line_notices import LineNotices
from emdx_desktop.modbus.requests import NO_ANSWER, PATH_UNAVAILABLE
from emdx_desktop.modbus.visit import Visit

BUSY_NOTICE_S = 60.0
TROUBLE_NOTICE_S = 600.0
MOST_DAMAGE_RATIO = 0.05
"""Rule C14: more than 5 % an hour."""


class LineReports:
    """Speaks for one line. Says each thing once, until it changes."""

    def __init__(self, gateway: Gateway, listener: BusListener, clock: Clock) -> None:
        self._gateway = gateway
        self._listener = listener
        self._clock = clock
        self._notices = LineNotices(listener, clock)

    def announce(
        self, polls: Iterable[DevicePoll], idle: Iterable[EquippedDevice], unreadable: Iterable[EquippedDevice]
    ) -> None:
        """Say of every device what becomes of it."""
        for equipped in idle:
            self._listener.on_device_state(equipped.device.id, DeviceState.DISABLED, "Switched off in the site file.")
        for equipped in unreadable:
            self._listener.on_device_state(
                equipped.device.id,
                DeviceState.UNREADABLE,
                f"The register table of {equipped.profile.model} is not public: {equipped.device.name} is not read. "
                "Import its maker's register table.",
            )
        for poll in polls:
            self._listener.on_device_state(poll.id, poll.state, "")

    def hand_on(self, readings: GroupReadings) -> None:
        """Readings of a group; one of settings only has nothing to tell."""
        if readings.layout.quantities:
            self._listener.on_readings(readings)

    def tell_missing(self, poll: DevicePoll, detail: str) -> None:
        """All values of a device are missing at this moment."""
        now_ms = self._clock.now_ms()
        for group in poll.groups:
            if group.priority is not Priority.ONCE:
                self.hand_on(poll.decode(group, {}, now_ms, Quality.TIMEOUT, detail))

    def set_state(self, poll: DevicePoll, state: DeviceState, detail: str) -> None:
        """A device is in this state now."""
        if (poll.state, poll.detail) != (state, detail):
            poll.state, poll.detail = state, detail
            self._listener.on_device_state(poll.id, state, detail)

    def tell_answering(self, poll: DevicePoll, visit: Visit) -> None:
        """A device answered: well, in part, or as another model."""
        self._notices.clear(f"silent.{poll.id}")
        self._notices.clear(f"path.{poll.id}")
        if poll.foreign_identity:
            self.set_state(poll, DeviceState.UNREADABLE, poll.foreign_identity)
        elif visit.partial or poll.reads.refused:
            refused = poll.reads.refused_texts()
            detail = visit.partial or f"{poll.name} refuses {'; '.join(refused[:3])}. The rest is read."
            self.set_state(poll, DeviceState.PARTIAL, detail)
        else:
            self.set_state(poll, DeviceState.ANSWERING, "")

    def tell_silent(self, poll: DevicePoll, fault: LinkFault) -> None:
        """A device does not answer."""
        if fault.exception_code == PATH_UNAVAILABLE:
            detail = (
                f"{self._gateway.name} says that it has no way to {poll.place}: its values are missing. "
                "Check the line settings of the gateway."
            )
            self._notices.show(f"path.{poll.id}", NoticeLevel.ALARM, detail)
        else:
            cause = f"{poll.place} does not answer" if str(fault) == NO_ANSWER else f"{poll.place}: {fault}"
            detail = f"{cause}: its values are missing. Check its supply, its address and the wires of the line."
            self._notices.show(f"silent.{poll.id}", NoticeLevel.WARNING, detail)
        self.set_state(poll, DeviceState.SILENT, detail)

    def tell_trouble(self, poll: DevicePoll, visit: Visit, now_s: float) -> None:
        """Rules C10, C11: faults that pass by themselves are told when they do not."""
        key = f"trouble.{poll.id}"
        if not visit.has_passing_fault:
            poll.trouble_s = None
            self._notices.clear(key)
            return
        if poll.trouble_s is None:
            poll.trouble_s = now_s
        lasted_s = now_s - poll.trouble_s
        if lasted_s >= (BUSY_NOTICE_S if visit.is_busy else TROUBLE_NOTICE_S):
            self._notices.show(
                key,
                NoticeLevel.WARNING if lasted_s < TROUBLE_NOTICE_S else NoticeLevel.ALARM,
                f"{poll.place} has been answering {visit.fault} for a while: some of its values are missing. "
                "Switch it off and on; if it stays, have it looked at.",
            )

    def tell_damage(self, ratio: float | None) -> None:
        """Rule C14: damaged replies now and then are ordinary; often means the line. None: too few to judge."""
        key = f"damage.{self._gateway.id}"
        if ratio is not None and ratio > MOST_DAMAGE_RATIO:
            self._notices.show(
                key,
                NoticeLevel.WARNING,
                f"More than 5 % of the replies on {self._gateway.name} come damaged: values are missing now and "
                "then. Check termination, shield and line settings, and that no second program asks on this line.",
            )
        elif ratio is not None:
            self._notices.clear(key)

    def tell_down(self, fault: LinkFault, *, is_limited: bool) -> str:
        """The gateway cannot be reached, or (`is_limited`) closes each connection at once.

        Returns:
            The sentence.
        """
        name, link = self._gateway.name, self._gateway.link
        if is_limited:
            detail = (
                f"{name} ({link}) closes each connection at once: its connection limit seems to be reached, "
                "and no device behind it is read. Close other programs that use it, or switch it off and on."
            )
        else:
            todo = "Check the cable and the name of the port." if link.is_serial else "Check its supply and network."
            detail = f"{name} ({link}) cannot be reached ({fault}): no device behind it is read. {todo}"
        self._notices.show(f"gateway.{self._gateway.id}", NoticeLevel.ALARM, detail)
        return detail

    def tell_reachable(self) -> None:
        """The gateway is back."""
        self._notices.clear(f"gateway.{self._gateway.id}")
