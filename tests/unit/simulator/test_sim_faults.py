import pytest

from emdx_desktop.domain.errors import ConfigurationError
from emdx_desktop.simulator.faults import FaultSwitches, InjectedFault


@pytest.fixture
def happened() -> list[InjectedFault]:
    return []


@pytest.fixture
def switches(happened: list[InjectedFault]) -> FaultSwitches:
    switches = FaultSwitches()
    switches.register(("QF1", "GW1"), happened.append)
    switches.register(("QF2", "GW1"), happened.append)
    return switches


def test_nothing_is_on_at_first(switches: FaultSwitches):
    assert switches.take("GW1", "QF1") == {}


def test_fault_of_the_line_and_of_the_device_both_count(switches: FaultSwitches):
    switches.obey({"target": "GW1", "fault": "late", "delay_ms": 700})
    switches.obey({"target": "QF1", "fault": "exception", "exception_code": 6})
    found = switches.take("GW1", "QF1")
    assert found[InjectedFault.LATE].delay_ms == 700
    assert found[InjectedFault.EXCEPTION].exception_code == 6
    assert list(switches.take("GW1", "QF2")) == [InjectedFault.LATE]


def test_fault_with_times_ends_by_itself(switches: FaultSwitches):
    switches.obey({"target": "QF1", "fault": "silent", "times": 2})
    assert [bool(switches.take("QF1")) for _ in range(3)] == [True, True, False]


def test_clear_ends_one_fault_or_all(switches: FaultSwitches):
    for kind in ("silent", "bad_crc", "garbage"):
        switches.obey({"target": "QF1", "fault": kind})
    switches.obey({"target": "QF1", "fault": "silent", "clear": True})
    assert set(switches.take("QF1")) == {InjectedFault.BAD_CRC, InjectedFault.GARBAGE}
    switches.obey({"target": "QF1", "clear": True})
    assert switches.take("QF1") == {}
    switches.switch_off("QF2", InjectedFault.LATE)


def test_counter_reset_of_a_line_reaches_each_of_its_devices_once(
    switches: FaultSwitches, happened: list[InjectedFault]
):
    switches.obey({"target": "GW1", "fault": "counter_reset"})
    assert happened == [InjectedFault.COUNTER_RESET] * 2
    assert switches.take("GW1", "QF1") == {}


@pytest.mark.parametrize(
    ("order", "where"),
    [
        ({"target": "QF9", "fault": "silent"}, "target"),
        ({"target": "QF1", "fault": "on fire"}, "fault"),
        ({"target": "QF1"}, "fault"),
        ({"target": "QF1", "fault": "late", "delay_ms": -1}, "delay_ms"),
        ({"target": "QF1", "fault": "late", "times": True}, "times"),
    ],
)
def test_order_with_a_mistake_is_refused_with_its_key(switches: FaultSwitches, order: dict[str, object], where: str):
    with pytest.raises(ConfigurationError) as refused:
        switches.obey(order)
    assert [problem.where for problem in refused.value.problems] == [where]
    assert switches.take("QF1") == {}
