"""Writing the site file: what `site_file.parse_site_file` reads back."""

from __future__ import annotations

from fractions import Fraction

from emdx_desktop.domain.installation import (
    Device,
    Gateway,
    Installation,
    Link,
    LinkScheme,
    Role,
    SupplyDirection,
    TransactionIdCheck,
)
from emdx_desktop.domain.link_text import format_link


def write_site_file(installation: Installation) -> str:
    """The installation as a site file; `parse_site_file` reads it back. Archived devices are left out."""
    site = installation.site
    blocks = [
        _block(
            "[site]",
            _text("name", site.name),
            _text("timezone", site.timezone),
            _text("currency", site.currency),
            _text("description", site.description, is_optional=True),
        )
    ]
    blocks += [
        _block("[[panel]]", _text("name", panel.name), _text("description", panel.description, is_optional=True))
        for panel in installation.panels
    ]
    blocks += [_gateway_block(gateway) for gateway in installation.gateways]
    blocks += [_device_block(device) for device in installation.devices if not device.is_archived]
    return "\n".join(blocks)


def _gateway_block(gateway: Gateway) -> str:
    line = gateway.line
    line_text = ""
    if line is not None:
        databits = f", databits = {line.databits}" if line.databits != _default_databits(gateway.link) else ""
        line_text = f'line = {{ baud = {line.baud}, parity = "{line.parity}", stopbits = {line.stopbits}{databits} }}'
    return _block(
        "[[gateway]]",
        _text("name", gateway.name),
        f"id = {gateway.id}",
        _text("link", format_link(gateway.link)),
        _text("panel", gateway.panel, is_optional=True),
        line_text,
        f"timeout_ms = {gateway.timeout_ms}" if gateway.timeout_ms != 1000 else "",
        f"pause_ms = {gateway.pause_ms}" if gateway.pause_ms else "",
        f'tid_check = "{gateway.tid_check}"' if gateway.tid_check is not TransactionIdCheck.STRICT else "",
        "" if gateway.is_enabled else "enabled = false",
        _text("description", gateway.description, is_optional=True),
    )


def _default_databits(link: Link) -> int:
    return 7 if link.scheme in (LinkScheme.ASCII, LinkScheme.ASCII_TCP) else 8


def _device_block(device: Device) -> str:
    unit_id = f"{device.unit_id}" if device.sub_address is None else f'"{device.unit_id}-{device.sub_address}"'
    zones = ", ".join(_quote(zone) for zone in device.zones)
    scales = ", ".join(f'{_quote(key)} = "{format_ratio(scale)}"' for key, scale in device.scales.items())
    return _block(
        "[[device]]",
        _text("name", device.name),
        f"id = {device.id}",
        _text("gateway", device.gateway),
        _text("model", device.model),
        f"unit_id = {unit_id}",
        _text("circuit", device.circuit, is_optional=True),
        f"zones = [{zones}]" if zones else "",
        f"position = {device.position}" if device.position is not None else "",
        _text("side", device.side, is_optional=True),
        _text("phase", device.phase, is_optional=True),
        f'supply = "{device.supply}"' if device.supply is not SupplyDirection.UPSTREAM else "",
        f'role = "{device.role}"' if device.role is not Role.CONSUMER else "",
        _text("fed_by", device.fed_by, is_optional=True),
        f"scales = {{ {scales} }}" if scales else "",
        "" if device.is_enabled else "enabled = false",
        _text("description", device.description, is_optional=True),
    )


def format_ratio(scale: Fraction) -> str:
    """A scale as the site file holds it: `3/10` or `10`."""
    return f"{scale.numerator}/{scale.denominator}" if scale.denominator != 1 else str(scale.numerator)


def _block(*lines: str) -> str:
    return "\n".join(line for line in lines if line) + "\n"


def _text(key: str, text: str, *, is_optional: bool = False) -> str:
    return "" if is_optional and not text else f"{key} = {_quote(text)}"


def _quote(text: str) -> str:
    """A basic string of TOML 1.0; names hold no control characters, so only these two need an escape."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
