"""What a new site file would change, in sentences a person can say yes or no to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from emdx_desktop.domain.installation import Device, Gateway, Installation, LineSettings, Link
from emdx_desktop.domain.link_text import format_link
from emdx_desktop.domain.site_file_writing import format_ratio


def difference(old: Installation | None, new: Installation) -> list[str]:
    """What changes, one sentence each; empty when nothing does."""
    if old is None:
        live = [device for device in new.devices if not device.is_archived]
        return [f'Site "{new.site.name}" is new: {len(new.gateways)} gateways, {len(live)} devices.']
    sentences = _changed_fields(f'Site "{old.site.name}"', old.site, new.site, ("name", "timezone", "currency"))
    sentences += _named_changes("Panel", {p.name for p in old.panels}, {p.name for p in new.panels}, "removed")
    sentences += _entity_changes(
        "Gateway", old.gateways, new.gateways, _GATEWAY_FIELDS, lambda gateway: gateway.name, "removed"
    )
    sentences += _entity_changes(
        "Device",
        [device for device in old.devices if not device.is_archived],
        [device for device in new.devices if not device.is_archived],
        _DEVICE_FIELDS,
        lambda device: device.name,
        "archived; its history is kept",
    )
    sentences += [f'Circuit "{name}" is created.' for name in new.circuits if name not in old.circuits]
    sentences += [f'Zone "{name}" is created.' for name in new.zones if name not in old.zones]
    return sentences


def counts_otherwise(old: Device, new: Device) -> bool:
    """Whether counts of a device mean something else than before: another table of registers, another input, or
    import and export exchanged."""
    return (old.profile_id, old.supply, old.position, old.sub_address) != (
        new.profile_id,
        new.supply,
        new.position,
        new.sub_address,
    )


_GATEWAY_FIELDS = (
    "name",
    "link",
    "panel",
    "line",
    "timeout_ms",
    "pause_ms",
    "tid_check",
    "is_enabled",
    "description",
)
_DEVICE_FIELDS = (
    "name",
    "gateway",
    "model",
    "unit_id",
    "sub_address",
    "circuit",
    "zones",
    "position",
    "side",
    "phase",
    "supply",
    "role",
    "fed_by",
    "scales",
    "is_enabled",
    "description",
)


def _named_changes(kind: str, old: set[str], new: set[str], gone: str) -> list[str]:
    return [f'{kind} "{name}" is new.' for name in sorted(new - old)] + [
        f'{kind} "{name}" is {gone}.' for name in sorted(old - new)
    ]


def _entity_changes(
    kind: str,
    old: Sequence[Gateway] | Sequence[Device],
    new: Sequence[Gateway] | Sequence[Device],
    fields: Sequence[str],
    name_of: Callable[[Gateway | Device], str],
    gone: str,
) -> list[str]:
    before = {entity.id: entity for entity in old}
    after = {entity.id: entity for entity in new}
    sentences = []
    for id_, entity in after.items():
        if id_ in before:
            sentences += _changed_fields(f'{kind} "{name_of(before[id_])}"', before[id_], entity, fields)
        else:
            sentences.append(f'{kind} "{name_of(entity)}" is new.')
    sentences += [f'{kind} "{name_of(entity)}" is {gone}.' for id_, entity in before.items() if id_ not in after]
    return sentences


def _changed_fields(label: str, old: object, new: object, fields: Sequence[str]) -> list[str]:
    return [
        f"{label}: {field.removeprefix('is_')} {_shown(getattr(old, field))} -> {_shown(getattr(new, field))}."
        for field in fields
        if getattr(old, field) != getattr(new, field)
    ]


def _shown(found: object) -> str:
    if found is None or found == "" or found == ():
        return "none"
    if isinstance(found, Link):
        return format_link(found)
    if isinstance(found, LineSettings):
        return f"{found.baud} baud, parity {found.parity}, {found.stopbits} stop bits, {found.databits} data bits"
    if isinstance(found, tuple):
        return ", ".join(map(str, found))
    if isinstance(found, Mapping):
        return ", ".join(f"{key} = {format_ratio(scale)}" for key, scale in found.items()) or "none"
    return str(found)
