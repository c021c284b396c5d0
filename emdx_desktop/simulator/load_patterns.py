"""How the users of the demo plant behave: power by local time, weekday, weather and chance, kW (own design).

Each pattern is a pure function of the minutes it is asked for, so that history and live values are one curve.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from emdx_desktop.simulator.local_time import LocalMinutes
from emdx_desktop.simulator.noise import Floats, hash_unit, smooth, white

Pattern = Callable[[LocalMinutes, int], Floats]
"""Power in kW (flows: m³/h) for minutes and a salt, never negative, shape (n,)."""

LATITUDE_RAD = np.radians(48.9)
PV_PEAK_KW = 30.0


def plateau(of_day: Floats, start: Floats | float, end: Floats | float, ramp_min: float) -> Floats:
    """0 outside [start, end] (minutes of the day), 1 inside, with straight ramps."""
    return np.clip(np.minimum((of_day - start) / ramp_min, (end - of_day) / ramp_min), 0.0, 1.0)


def work(time: LocalMinutes, start_h: float, end_h: float, ramp_min: float, elsewhere: float = 0.0) -> Floats:
    """1 in the working hours of a working day, `elsewhere` on Saturdays, 0 otherwise, with ramps."""
    share = np.where(time.is_workday, 1.0, np.where(time.weekday == 5, elsewhere, 0.0))
    return share * plateau(time.of_day, 60 * start_h, 60 * end_h, ramp_min)


def restless(time: LocalMinutes, salt: int, wander: float, jitter: float) -> Floats:
    """A factor around 1: wandering within a quarter of an hour and three hours, and a jitter each minute."""
    minutes = time.minutes
    return (
        1.0
        + wander * (0.6 * smooth(minutes, 17, salt) + 0.4 * smooth(minutes, 190, salt + 1))
        + jitter * white(minutes, salt + 2)
    )


def outdoor_temperature_c(time: LocalMinutes) -> Floats:
    """Weather: season, time of day, and spells of some days."""
    season = -8.5 * np.cos(time.year_angle - 0.35)
    daily = -3.2 * np.cos((time.of_day - 60 * 3.5) * (2 * np.pi / 1440))
    return 11.5 + season + daily + 4.0 * smooth(time.minutes, 4 * 1440, 9001)


def sun_elevation_sine(time: LocalMinutes) -> Floats:
    """Sine of the sun's height, from declination and hour angle (solar noon at 13:00 winter time is neglected)."""
    declination = np.radians(-23.44) * np.cos(time.year_angle + 2 * np.pi * 10 / 365.2425)
    utc_of_day = (time.minutes % 1440).astype(np.float64)
    hour_angle = (utc_of_day - 720.0 + 9.0) * (2 * np.pi / 1440)
    north = np.sin(LATITUDE_RAD) * np.sin(declination)
    return np.asarray(north + np.cos(LATITUDE_RAD) * np.cos(declination) * np.cos(hour_angle), np.float64)


def lighting(time: LocalMinutes, salt: int) -> Floats:
    """Halls and offices, dimmed by daylight; escape routes at night."""
    daylight = np.clip(2.2 * sun_elevation_sine(time), 0.0, 1.0)
    on = work(time, 5.3, 20.5, 25, elsewhere=0.35)
    return (1.1 + 15.2 * on * (1.0 - 0.3 * daylight)) * restless(time, salt, 0.02, 0.004)


def hvac(time: LocalMinutes, salt: int) -> Floats:
    """Roof unit: heats below 16 °C, cools above 21 °C, reduced outside working hours."""
    outside = outdoor_temperature_c(time)
    need = np.clip((16.0 - outside) * 2.1, 0, 34) + np.clip((outside - 21.0) * 3.2, 0, 38)
    return (1.8 + (5.5 + need) * (0.16 + 0.84 * work(time, 5, 19, 50))) * restless(time, salt, 0.07, 0.02)


def compressed_air(time: LocalMinutes, salt: int) -> Floats:
    """Loads and unloads; leaks all night; on some weekends somebody forgets to switch it off."""
    week = (time.day + 3) // 7
    is_left_on = (time.weekday >= 5) & (hash_unit(week, salt + 7) < 0.08)
    night = np.where(hash_unit(week, salt + 8) < 0.12, 17.0, 7.0)
    idle = np.where(time.weekday >= 5, np.where(is_left_on, 18.5, 1.2), night)
    cycle = 1.0 + 0.11 * np.sign(np.sin(time.minutes * (2 * np.pi / 11) + 2 * smooth(time.minutes, 60, salt + 9)))
    running = 40.0 * cycle * (0.9 + 0.1 * smooth(time.minutes, 45, salt + 4))
    on = work(time, 5.6, 18.2, 12, elsewhere=0.0)
    return np.asarray((idle + (running - idle) * on) * restless(time, salt, 0.02, 0.015), np.float64)


def machines(time: LocalMinutes, salt: int) -> Floats:
    """Two shifts with breaks."""
    of_day = time.of_day
    breaks = 1.0 - 0.55 * plateau(of_day, 575, 600, 4) - 0.7 * plateau(of_day, 722, 768, 5)
    on = work(time, 5.8, 18.4, 15, elsewhere=0.2)
    return np.asarray(1.6 + 33.0 * on * breaks * np.clip(restless(time, salt, 0.25, 0.09), 0.2, 1.6), np.float64)


def paint_oven(time: LocalMinutes, salt: int) -> Floats:
    """Heats up hard in the morning, then holds its temperature in steps."""
    heating = 14.0 * plateau(time.of_day, 322, 412, 6) * time.is_workday
    hold = 50.0 + 5.5 * np.sign(np.sin(time.minutes * (2 * np.pi / 9)))
    return np.asarray(0.6 + (hold * work(time, 5.3, 17.3, 7) + heating) * restless(time, salt, 0.03, 0.01), np.float64)


def process_cooling(time: LocalMinutes, salt: int) -> Floats:
    """Follows production and the weather."""
    warm = np.clip(0.72 + 0.017 * outdoor_temperature_c(time), 0.55, 1.5)
    return (1.9 + 11.5 * warm * work(time, 6.0, 19.0, 45, elsewhere=0.25)) * restless(time, salt, 0.09, 0.03)


def office_sockets(time: LocalMinutes, salt: int) -> Floats:
    """Computers, printers and kettles."""
    on = work(time, 7.2, 18.6, 70, elsewhere=0.08)
    return (1.4 + 7.6 * on) * restless(time, salt, 0.08, 0.05)


def server_room(time: LocalMinutes, salt: int) -> Floats:
    """Day and night; its cooling follows the weather a little."""
    return (6.0 + 0.03 * np.clip(outdoor_temperature_c(time), 0, 35)) * restless(time, salt, 0.03, 0.012)


def kitchen(time: LocalMinutes, salt: int) -> Floats:
    """Ovens at noon, dish washer after it."""
    cooking = 9.5 * plateau(time.of_day, 645, 780, 18) + 5.0 * plateau(time.of_day, 790, 850, 6)
    chance = 0.65 + 0.35 * np.sign(smooth(time.minutes, 7, salt + 5))
    coffee = 1.8 * plateau(time.of_day, 430, 640, 30)
    return (0.45 + time.is_workday * (cooking * chance + coffee)) * restless(time, salt, 0.05, 0.04)


def ev_charging(time: LocalMinutes, salt: int) -> Floats:
    """Two cars on most working days, 7.2 kW each until they are full."""
    total = np.full(len(time.minutes), 0.02)
    for car in (0, 1):
        chance = hash_unit(time.day, salt + 10 + 3 * car)
        start = 470 + 260 * car + 70 * hash_unit(time.day, salt + 11 + 3 * car)
        length = 90 + 170 * hash_unit(time.day, salt + 12 + 3 * car)
        is_here = time.is_workday & (chance < 0.8)
        total += is_here * 7.2 * plateau(time.of_day, start, start + length, 2)
    return total * (1.0 + 0.004 * white(time.minutes, salt))


def hot_water(time: LocalMinutes, salt: int) -> Floats:
    """6 kW in the off-peak hours from 22:00 until it is hot, OFF from 05:30 at the latest."""
    until = 130 + 120 * hash_unit(time.day, salt + 3)
    on = plateau(time.of_day, 1320, 1500, 1) + plateau(time.of_day, -60, until, 1)
    return 6.0 * np.clip(on, 0, 1) * (1.0 + 0.006 * white(time.minutes, salt))


def welding(time: LocalMinutes, salt: int) -> Floats:
    """Bursts while somebody welds."""
    is_welding = smooth(time.minutes, 23, salt + 3) > 0.15
    burst = 4.0 + 9.0 * hash_unit(time.minutes, salt + 4)
    return 0.12 + work(time, 7.0, 16.5, 5) * is_welding * burst


def unmeasured_rest(time: LocalMinutes, salt: int) -> Floats:
    """Doors, gates, alarm system, losses: everything without a meter."""
    return (2.6 + 2.2 * work(time, 6.0, 18.5, 40, elsewhere=0.3)) * restless(time, salt, 0.06, 0.03)


def photovoltaics(time: LocalMinutes, salt: int) -> Floats:
    """30 kW peak on the roof; clouds pass in minutes, bad weather lasts days."""
    sine = sun_elevation_sine(time)
    clear = PV_PEAK_KW * np.clip(sine, 0, None) ** 1.15 * 0.96
    weather = np.clip(
        0.62 + 0.5 * smooth(time.minutes, 2200, salt) + 0.25 * smooth(time.minutes, 300, salt + 1), 0.08, 1
    )
    clouds = 1.0 - 0.45 * np.clip(smooth(time.minutes, 8, salt + 2) - 0.15, 0, 1) * (weather < 0.85)
    return clear * weather * clouds * (1.0 + 0.006 * white(time.minutes, salt + 3))


def cold_water(time: LocalMinutes, salt: int) -> Floats:
    """m³/h: wash rooms and kitchen by day, a drip at night."""
    on = work(time, 6.2, 19.0, 35, elsewhere=0.15)
    draw = np.clip(0.5 + 1.6 * smooth(time.minutes, 6, salt + 3), 0, None)
    return 0.012 + 0.62 * on * draw


def gas_boiler(time: LocalMinutes, salt: int) -> Floats:
    """m³/h: heating by the weather, reduced at night and at weekends."""
    need = np.clip((17.0 - outdoor_temperature_c(time)) / 20.0, 0.02, 1.0)
    level = 0.45 + 0.55 * work(time, 4.5, 18.5, 60)
    burner = 0.75 + 0.25 * np.sign(np.sin(time.minutes * (2 * np.pi / 14) + 3 * smooth(time.minutes, 120, salt + 3)))
    return 7.5 * need * level * burner * restless(time, salt, 0.03, 0.01)
