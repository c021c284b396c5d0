"""A year of one three-phase meter in one-minute samples, as the integers a meter would report.

Same seed, same data: noise, load steps, daily and weekly shape are fixed, so that bytes per sample can be compared
from run to run.

    columns = year(seed=0)          # {name: (decimal_exponent, int64 array of 525,600)}, 30 columns
"""

import numpy as np

MINUTES = 525_600


def year(seed: int) -> dict[str, tuple[int, np.ndarray]]:
    """Thirty columns of a year. value = integer * 10 ** exponent, in V, A, W, var, VA, Hz, Wh, varh, VAh, 1 or %."""
    rng = np.random.default_rng(seed)
    t = np.arange(MINUTES)
    day = 2 * np.pi * (t % 1440) / 1440
    weekday = (t // 1440) % 7 < 5
    load = 0.35 + 0.3 * np.clip(np.sin(day - np.pi / 2), -0.3, 1) * weekday + 0.1 * np.sin(2 * np.pi * t / MINUTES)
    switched = np.cumsum(np.where(rng.random(MINUTES) < 0.01, rng.normal(0, 0.05, MINUTES), 0))
    switched -= np.interp(t, t[::1440], switched[::1440])
    load = np.clip(load + switched, 0.02, None)
    grid = 230 + 2 * np.sin(day + 1) + np.convolve(rng.normal(0, 0.6, MINUTES + 59), np.ones(60) / 60**0.5, "valid")

    out: dict[str, tuple[int, np.ndarray]] = {}

    def put(name: str, exponent: int, values: np.ndarray) -> np.ndarray:
        scaled = np.rint(values * 10.0**-exponent).astype(np.int64)
        out[name] = (exponent, scaled)
        return scaled

    v, i, p, q, s = [], [], [], [], []
    for k in range(3):
        volts = grid + rng.normal(0, 0.12, MINUTES) + k * 0.4
        amps = 120 * load * (1 + 0.05 * k) * (1 + rng.normal(0, 0.01, MINUTES))
        pf = np.clip(0.92 + 0.03 * np.sin(day) + rng.normal(0, 0.004, MINUTES), 0, 1)
        va = volts * amps
        watts = va * pf
        v.append(put(f"voltage_l{k + 1}_n", -2, volts))
        i.append(put(f"current_l{k + 1}", -3, amps))
        p.append(put(f"active_power_l{k + 1}", 0, watts))
        q.append(put(f"reactive_power_l{k + 1}", 0, np.sqrt(np.maximum(va * va - watts * watts, 0))))
        s.append(put(f"apparent_power_l{k + 1}", 0, va))
        put(f"power_factor_l{k + 1}", -3, pf)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        put(f"voltage_l{a + 1}{b + 1}", -2, np.sqrt(3) * (v[a] + v[b]) / 200)
    out["current_n"] = (-3, np.abs(i[0] - i[2]))
    for name, parts in (("active", p), ("reactive", q), ("apparent", s)):
        total = parts[0] + parts[1] + parts[2]
        out[f"{name}_power"] = (0, total)
        out[f"{name}_energy_import" if name != "apparent" else "apparent_energy"] = (0, np.cumsum(total) // 60)
    put("frequency", -2, 50 + np.convolve(rng.normal(0, 0.02, MINUTES + 9), np.ones(10) / 10**0.5, "valid"))
    put("thd_voltage_l1", -2, np.clip(2.5 + 0.8 * np.sin(day) + rng.normal(0, 0.05, MINUTES), 0, None))
    assert len(out) == 30, len(out)
    return out


if __name__ == "__main__":
    for name, (exponent, values) in year(0).items():
        print(f"{name:26} 1e{exponent:<3} {values.min():>12} {values.max():>12}")
