"""What has come of one visit to a device so far."""

from __future__ import annotations

from emdx_desktop.domain.errors import LinkFault
from emdx_desktop.domain.readings import QUALITY_OF_FAULT, FaultKind, Quality
from emdx_desktop.domain.registers import RegisterBlock
from emdx_desktop.modbus.planner import ReadBlock


class Visit:
    """Answers and faults of a visit.

    Attributes:
        answers: What came for each read that was done.
        has_answer: The device answered something, be it a refusal.
        is_silent: It stopped answering: the rest is not asked.
        is_busy: It said that it is busy.
        has_passing_fault: It refused for a reason that should pass by itself.
        partial: Why some values are missing, in words.
        fault: The last fault.
        moments_ms: UTC moment of each answer or fault, epoch milliseconds.
    """

    def __init__(self) -> None:
        self.answers: dict[ReadBlock, RegisterBlock] = {}
        self.has_answer = False
        self.is_silent = False
        self.is_busy = False
        self.has_passing_fault = False
        self.partial = ""
        self.fault: LinkFault | None = None
        self.moments_ms: dict[ReadBlock, int] = {}

    def take(self, block: ReadBlock, answer: RegisterBlock, ts_ms: int) -> None:
        """A read was done, well or not."""
        self.answers[block] = answer
        self.moments_ms[block] = ts_ms

    def moment_ms(self, group: str) -> int | None:
        """When the last read of a group was done, None when none was."""
        return max((ts_ms for block, ts_ms in self.moments_ms.items() if group in block.groups), default=None)

    def take_silence(self, other: Visit) -> None:
        """Another part of the same visit met silence."""
        self.is_silent, self.fault = True, other.fault

    def excuse(self) -> tuple[Quality, str]:
        """Quality and reason for reads that were not done."""
        if self.fault is None:
            return Quality.TIMEOUT, "It was not asked."
        return QUALITY_OF_FAULT[FaultKind(self.fault.kind)], f"It was not asked, because before {self.fault}."


def is_over(fault: LinkFault) -> bool:
    """Whether no reply to the failed request can come any more."""
    return fault.kind is not FaultKind.TIMEOUT and fault.retryable
