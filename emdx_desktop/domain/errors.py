"""Faults a person is told about. A bug is not an EmdxError: it reaches the hooks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class EmdxError(Exception):
    """A fault with one clear sentence: cause, consequence, what to do."""


class EnvironmentFault(EmdxError):
    """The world is not as it should be: device silent, disk full, file damaged (exit code 3)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file or form.

    Attributes:
        where: Key or place as the person sees it, e.g. `device[3] "QF1".unit_id`.
        message: What is wrong and what is allowed, one sentence.
    """

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class ConfigurationError(EmdxError):
    """All mistakes of one input, collected, raised once; nothing was changed (exit code 2)."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnknownQuantityError(EmdxError):
    """A quantity id that `domain/quantities.py` does not list."""


class LinkFault(EnvironmentFault):
    """A request got no usable reply.

    Attributes:
        kind: Key of `readings.FaultKind`, e.g. `timeout`.
        retryable: Whether the same request may succeed if asked again.
        exception_code: Modbus exception code where kind is `exception`.
    """

    def __init__(self, message: str, *, kind: str, retryable: bool = True, exception_code: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retryable = retryable
        self.exception_code = exception_code


class StorageFault(EnvironmentFault):
    """The data folder cannot be used as asked: full, locked, damaged, refused."""
