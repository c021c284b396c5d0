"""Output files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from emdx_desktop.domain.errors import EnvironmentFault

STANDARD_OUTPUT = "-"


@contextlib.contextmanager
def open_output(target: str) -> Iterator[TextIO]:
    """Write a text file beside its place, then move it there; "-" is standard output.

    Raises:
        EnvironmentFault: It cannot be written; what was there before is untouched.
    """
    if target == STANDARD_OUTPUT:
        yield sys.stdout
        return
    path = Path(target)
    try:
        with open_part(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise EnvironmentFault(
            f"{path} cannot be written ({error.strerror}) - nothing was changed - choose another place."
        ) from error


@contextlib.contextmanager
def open_part(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when the block ends well."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)  # mkstemp makes it for its owner only; an exported file is for others, too
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
