"""What a bench is: rows with a bar, and a function that measures them in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One measure and its bar.

    Attributes:
        key: Short name in output and JSON.
        what: What is measured, in words.
        sense: Which side of the bar is met.
        bar: In `unit`.
        unit: Printed behind the numbers; empty for a ratio.
    """

    key: str
    what: str
    sense: Literal["<=", ">="]
    bar: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured value with what a reader needs to judge it."""

    number: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    """How to run.

    Attributes:
        is_quick: Shorter runs and less data; the result is labelled so and proves less.
        folder: Empty folder of this bench, removed afterwards.
        say: Prints a line of progress.
    """

    is_quick: bool
    folder: Path
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """Rows measured together in one run, so that ratios compare like with like."""

    name: str
    rows: tuple[Row, ...]
    run: Callable[[Setup], Mapping[str, Measured]]


class BenchError(Exception):
    """A bench could not measure; one sentence why. Its rows count as not met."""
