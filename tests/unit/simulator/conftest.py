"""Profiles made by hand for the simulator's tests."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from emdx_desktop.domain.profiles import DeviceProfile, Evidence, PointDef, ValueType
from emdx_desktop.simulator.bench_profile import bench_profile

PointMaker = Callable[..., PointDef]
ProfileMaker = Callable[..., DeviceProfile]


@pytest.fixture
def make_point() -> PointMaker:
    def make(key: str, value_type: ValueType, words: int, **changes: Any) -> PointDef:
        return PointDef(
            **{
                "key": key,
                "quantity": key,
                "label": key,
                "address": 0,
                "document_register": "0",
                "words": words,
                "value_type": value_type,
                "function_code": 3,
                "scale": Fraction(1),
                "group": "live",
                "evidence": Evidence.OFFICIAL,
                "source": "test",
            }
            | changes
        )

    return make


@pytest.fixture
def make_profile() -> ProfileMaker:
    def make(*points: PointDef, **changes: Any) -> DeviceProfile:
        return replace(bench_profile(2), **{"points": points, "readable": (), "response_ms": 20} | changes)

    return make
