"""`emdx-desktop plan-bus`: the predicted cycle of each line, and what would make it faster."""

from __future__ import annotations

import argparse
import json
import math

from emdx_desktop.app.polling_scope import LineScope, find_polling_scope
from emdx_desktop.commands.site_folder import open_site_folder, require_devices
from emdx_desktop.domain.bus_timing import CyclePrediction, predict_cycle
from emdx_desktop.domain.link_text import format_link
from emdx_desktop.modbus.planner import plan_bus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command takes none of its own."""
    parser.set_defaults()


def run(args: argparse.Namespace) -> int:
    """Predict every line; nothing is asked on it."""
    folder = open_site_folder(args.data)
    installation = folder.load_installation()
    require_devices(installation)
    scope = find_polling_scope(installation, folder.catalogue, polls_simulated_profiles=folder.is_demo)
    predictions = [
        (line, predict_cycle(plan_bus(line.gateway, line.devices), line.gateway, line.devices)) for line in scope.lines
    ]
    names = {device.id: device.name for device in installation.devices}
    if args.json:
        lines = [_describe(line, prediction) for line, prediction in predictions]
        idle = [
            {"device": names[device_id], "state": state.value, "detail": detail}
            for device_id, state, detail in scope.idle
        ]
        print(json.dumps({"schema": "emdx/plan-bus/1", "lines": lines, "idle": idle}, ensure_ascii=False, indent=2))
        return 0
    for line, prediction in predictions:
        print("\n".join(_format(line, prediction)))
    for device_id, _, detail in scope.idle:
        print(f"{names[device_id]}: {detail}")
    return 0


def _describe(line: LineScope, prediction: CyclePrediction) -> dict[str, object]:
    names = {equipped.device.id: equipped.device.name for equipped in line.devices}
    return {
        "gateway": line.gateway.name,
        "link": format_link(line.gateway.link),
        "devices": len(line.devices),
        "live_requests": prediction.live_requests,
        "live_registers": prediction.live_registers,
        "line_limit_s": _rounded(prediction.line_limit_s),
        "live_cycle_s": _rounded(prediction.live_cycle_s),
        "mean_cycle_s": _rounded(prediction.mean_cycle_s),
        "full_cycle_s": _rounded(prediction.full_cycle_s),
        "load_ratio": _rounded(prediction.load_ratio),
        "dead_device_s": _rounded(prediction.dead_device_s),
        "device_shares": {names[id_]: _rounded(share) for id_, share in prediction.device_shares.items()},
        "advice": list(prediction.advice),
    }


def _rounded(number: float) -> float | None:
    """None for a line that can never keep up: JSON knows no infinity."""
    return round(number, 4) if math.isfinite(number) else None


def _format(line: LineScope, prediction: CyclePrediction) -> list[str]:
    gateway = line.gateway
    settings = gateway.line
    behind = f", {settings.baud} baud, parity {settings.parity}" if settings else ""
    mean = (
        f"{prediction.mean_cycle_s:.2f} s on average with the slower values"
        if math.isfinite(prediction.mean_cycle_s)
        else "it can never keep up with its slower values"
    )
    return [
        f"{gateway.name} ({format_link(gateway.link)}{behind}): {len(line.devices)} devices",
        f"  live values every {prediction.live_cycle_s:.2f} s ({prediction.live_requests} requests, "
        f"{prediction.live_registers} registers); {mean}; busy {prediction.load_ratio:.0%}",
        f"  a silent device costs {prediction.dead_device_s:.2f} s each time it is asked",
        *(f"  - {sentence}" for sentence in prediction.advice),
    ]
