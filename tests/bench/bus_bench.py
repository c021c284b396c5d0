"""One line: the cycle against the line's own limit, the prediction against the cycle, and dead devices."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping

from farm_process import running_farm
from line_limit import cycle_limit_s
from measures import Bench, BenchError, Measured, Row, Setup
from polled_lines import AnswerTimes, equip_line, poll_for

from emdx_desktop.domain.bus_timing import predict_cycle
from emdx_desktop.domain.link_text import parse_link
from emdx_desktop.domain.readings import DeviceId
from emdx_desktop.modbus.planner import plan_bus

DEVICES = 32
REGISTERS = 120
DEAD_DEVICES = 3
DEAD_TIMEOUT_MS = 500


def poll_one_line(baud: int, link: str, seconds: float, dead: int = 0, timeout_ms: int = 1000) -> AnswerTimes:
    """Poll one simulated line of 32 devices × 120 registers."""
    plan = {"lines": 1, "devices": DEVICES, "baud": baud, "registers": REGISTERS, "dead": dead, "link": link}
    with running_farm(**plan, timeout_ms=timeout_ms, silent=int(dead > 0)) as links:
        line = equip_line(links[0], 1, DEVICES, REGISTERS, baud, timeout_ms)
        times, _ = asyncio.run(poll_for([line], seconds))
    return times


def measured_cycle_s(times: AnswerTimes) -> float:
    """Mean period over all devices that answered at least three times."""
    periods = [times.mean_period_s(device) for device, moments in times.good_s.items() if len(moments) >= 3]
    if len(periods) < DEVICES - DEAD_DEVICES:
        raise BenchError(f"only {len(periods)} of {DEVICES} devices answered often enough")
    return statistics.mean(periods)


def run_cycle(setup: Setup) -> Mapping[str, Measured]:
    """Behind a gateway and on a serial port, at 9600 and 38400 baud; and what was predicted."""
    cycles = 3.2 if setup.is_quick else 8.2
    results: dict[str, Measured] = {}
    misses = []
    for link in ("tcp", "rtu"):
        for baud in (9600, 38400):
            limit_s = cycle_limit_s(DEVICES, REGISTERS, baud)
            cycle_s = measured_cycle_s(poll_one_line(baud, link, cycles * limit_s + 1))
            key = f"{'gateway' if link == 'tcp' else 'serial'}_{baud}"
            results[key] = Measured(cycle_s / limit_s, f"cycle {cycle_s:.3f} s, limit {limit_s:.3f} s")
            text = "tcp://127.0.0.1:502" if link == "tcp" else "rtu:///dev/ttyUSB0"
            gateway, devices = equip_line(parse_link(text), 1, DEVICES, REGISTERS, baud)
            prediction = predict_cycle(plan_bus(gateway, devices), gateway, devices)
            misses.append((abs(prediction.mean_cycle_s / cycle_s - 1) * 100, key, prediction.mean_cycle_s, cycle_s))
            setup.say(f"{key}: {cycle_s:.3f} s, limit {limit_s:.3f} s, predicted {prediction.mean_cycle_s:.3f} s")
    worst_pct, key, predicted_s, cycle_s = max(misses)
    results["prediction"] = Measured(worst_pct, f"worst at {key}: predicted {predicted_s:.3f} s, was {cycle_s:.3f} s")
    return results


def run_dead(setup: Setup) -> Mapping[str, Measured]:
    """Three of 32 devices never answer. The limit is that of the 29 that do."""
    seconds = 120 if setup.is_quick else 600
    times = poll_one_line(9600, "tcp", seconds, DEAD_DEVICES, DEAD_TIMEOUT_MS)
    limit_s = cycle_limit_s(DEVICES - DEAD_DEVICES, REGISTERS, 9600)
    period_s = measured_cycle_s(times)
    worst_s = max(times.mean_period_s(device) for device in times.good_s)
    probes = sum(times.bad.values())
    answering = sum(1 for device in times.good_s if device != DeviceId(0))
    return {
        "dead": Measured(
            period_s / limit_s,
            f"mean over {seconds} s of {answering} healthy devices: {period_s:.3f} s (worst {worst_s:.3f}), "
            f"limit {limit_s:.3f} s; {probes} failed reads were told",
        )
    }


CYCLE = Bench(
    "cycle",
    (
        Row("gateway_9600", "cycle ÷ limit, 32 × 120 registers, gateway, 9600 baud", "<=", 1.01),
        Row("gateway_38400", "cycle ÷ limit, 32 × 120 registers, gateway, 38400 baud", "<=", 1.01),
        Row("serial_9600", "cycle ÷ limit, 32 × 120 registers, serial port, 9600 baud", "<=", 1.03),
        Row("serial_38400", "cycle ÷ limit, 32 × 120 registers, serial port, 38400 baud", "<=", 1.03),
        Row("prediction", "plan-bus against the measured cycle", "<=", 3, "%"),
    ),
    run_cycle,
)
DEAD = Bench(
    "dead",
    (Row("dead", "healthy devices' period ÷ limit, 3 dead of 32, time-out 500 ms, 10 minutes", "<=", 1.05),),
    run_dead,
)
