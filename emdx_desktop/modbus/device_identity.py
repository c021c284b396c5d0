"""Is it still the same meter, with the same settings? (rule P7 and D3 of the fault list)"""

from __future__ import annotations

from collections.abc import Sequence

from emdx_desktop.domain.history import Event, EventKind
from emdx_desktop.domain.ports import BusListener
from emdx_desktop.domain.profiles import Priority
from emdx_desktop.domain.registers import RegisterBlock, auxiliary_values, identity_words
from emdx_desktop.modbus.device_poll import DevicePoll, GroupSchedule


def check_settings(
    poll: DevicePoll, group: GroupSchedule, blocks: Sequence[RegisterBlock], listener: BusListener, ts_ms: int
) -> None:
    """Compare identity and settings in the blocks with what was seen before; tell what changed.

    A meter that is not the model of its profile would give wrong numbers that look right: its values are
    held back (`poll.foreign_identity`) until the right one answers.
    """
    if not any(block.words is not None for block in blocks):
        return
    if group.has_identity:
        _check_identity(poll, blocks, listener, ts_ms)
    if group.has_settings:
        _check_auxiliary(poll, blocks, listener, ts_ms)


def _check_identity(poll: DevicePoll, blocks: Sequence[RegisterBlock], listener: BusListener, ts_ms: int) -> None:
    profile = poll.equipped.profile
    found = identity_words(profile, blocks)
    expected = {entry.point: entry.expected for entry in profile.identity if entry.expected}
    wrong = [key for key, words in found.items() if key in expected and words != expected[key]]
    if wrong:
        poll.foreign_identity = (
            f"What answers as {poll.place} is no {profile.model}: its values are not taken. "
            "Check the address and the model in the site file."
        )
    elif any(key in expected for key in found):
        poll.foreign_identity = ""
    changed = {key for key, words in found.items() if key in poll.identity and words != poll.identity[key]}
    if changed:
        listener.on_event(
            Event(
                ts_ms,
                EventKind.METER_SWAPPED,
                f"Another meter answers as {poll.place} than before: its counters start anew. "
                "Check that the exchange was meant.",
                poll.id,
                data={key: {"before": list(poll.identity[key]), "after": list(found[key])} for key in sorted(changed)},
            )
        )
    poll.identity.update(found)


def _check_auxiliary(poll: DevicePoll, blocks: Sequence[RegisterBlock], listener: BusListener, ts_ms: int) -> None:
    profile = poll.equipped.profile
    found = auxiliary_values(profile, blocks)
    selectors = {key for rule in profile.scale_rules.values() for key in rule.points}
    priorities = {group.name: group.priority for group in profile.groups}
    identities = {entry.point for entry in profile.identity}
    changed = {
        key
        for key, number in found.items()
        if key in poll.auxiliary
        and number != poll.auxiliary[key]
        and key not in identities
        and (key in selectors or priorities.get(profile.point(key).group) is Priority.ONCE)
    }
    if changed:
        labels = ", ".join(profile.point(key).label for key in sorted(changed))
        listener.on_event(
            Event(
                ts_ms,
                EventKind.METER_CONFIG,
                f"Settings of {poll.place} were changed ({labels}): its counters are counted anew from here.",
                poll.id,
                data={key: {"before": str(poll.auxiliary[key]), "after": str(found[key])} for key in sorted(changed)},
            )
        )
    poll.auxiliary.update(found)
