"""Profile files from disk. A file that is too large, too deep or wrong never stops the others.

Rule A6: at most 1 MB, nested at most 8 deep, TOML only (it refuses duplicate keys and has no aliases).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.errors import ConfigurationError, Problem
from emdx_desktop.domain.profile_parsing import MAX_DEPTH, parse_profile
from emdx_desktop.domain.profiles import DeviceProfile

MAX_FILE_BYTES = 1_000_000

# Strings and comments are passed over; an unfinished string runs to the end, so that the scan stays linear.
_TOKENS = re.compile(
    r'"""(?:\\.|[^\\])*?(?:"""|\Z)'
    r"|'''.*?(?:'''|\Z)"
    r'|"(?:\\.|[^"\\\n])*(?:"|\n|\Z)'
    r"|'[^'\n]*(?:'|\n|\Z)"
    r"|#[^\n]*"
    r"|[\[\]{}.=,\n]",
    re.DOTALL,
)


def load_catalogue(directories: Sequence[Path]) -> ProfileCatalogue:
    """All profiles of the directories.

    Args:
        directories: Searched in this order for `*.toml`; a later profile takes the place of an earlier
            one with the same file name. A directory that does not exist is passed over.
    Returns:
        The profiles that are right, and one problem for each mistake in the others.
    """
    profiles: dict[str, DeviceProfile] = {}
    problems: list[Problem] = []
    for directory in directories:
        for path in sorted(directory.glob("*.toml")):
            try:
                profiles[path.stem] = load_profile(path)
            except ConfigurationError as error:
                problems += error.problems
    return ProfileCatalogue(profiles, tuple(problems))


def load_profile(path: Path) -> DeviceProfile:
    """One profile.

    Raises:
        ConfigurationError: The file cannot be read or is wrong; each problem names file and key.
    """
    try:
        return parse_profile(_read_tables(path), path.stem)
    except ConfigurationError as error:
        named = [
            Problem(f"{path.name}: {found.where}" if found.where else path.name, found.message)
            for found in error.problems
        ]
        raise ConfigurationError(named) from error


def _read_tables(path: Path) -> dict[str, object]:
    """The tables of a file whose size and depth were checked first."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError([Problem("", f"cannot be read ({error.strerror}).")]) from error
    if len(content) > MAX_FILE_BYTES:
        raise ConfigurationError([Problem("", f"is larger than {MAX_FILE_BYTES // 1000} kB; that is no profile.")])
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text (byte {error.start}); save it as UTF-8."
        raise ConfigurationError([Problem("", message)]) from error
    line = _line_nested_too_deep(text)
    if line is not None:
        message = f"line {line} is nested deeper than {MAX_DEPTH} levels."
        raise ConfigurationError([Problem("", message)])
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        raise ConfigurationError([Problem("", f"is not valid TOML: {str(error)[:200]}")]) from error


def _line_nested_too_deep(text: str) -> int | None:
    """First line nested too deep in brackets or dotted keys; the TOML parser recurses on the first and is
    slow on the second, so both are refused before it sees them."""
    depth = dots = 0
    for token in _TOKENS.finditer(text):
        mark = token.group()
        if mark in ("[", "{"):
            depth += 1
        elif mark in ("]", "}"):
            depth = max(0, depth - 1)
        elif mark == ".":
            dots += 1
        if mark in ("=", ",", "\n", "{", "}"):
            dots = 0
        if depth > MAX_DEPTH or dots > MAX_DEPTH:
            return text.count("\n", 0, token.start()) + 1
    return None
