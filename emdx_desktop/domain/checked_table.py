"""One table of a file a person wrote: typed reads that collect every mistake instead of stopping at the first."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from emdx_desktop.domain.errors import Problem

MAX_NAME_LENGTH = 64
"""Longest name of a panel, gateway, device, circuit or zone (own design, so that tables and file names hold)."""

MAX_DESCRIPTION_LENGTH = 500

_KIND_WORDS = {str: "a text in quotes", int: "a whole number", bool: "true or false", dict: "a table", list: "a list"}
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

StrEnumT = TypeVar("StrEnumT", bound=StrEnum)


def check_text(text: str, max_length: int = MAX_NAME_LENGTH) -> str | None:
    """What is wrong with a name, or None.

    Control, format (bidirectional marks included) and unassigned characters are refused: they can make
    a name look like another one or break a line of a report.
    """
    if len(text) > max_length:
        return f"has {len(text)} characters; at most {max_length} are allowed."
    for character in text:
        if unicodedata.category(character) in _REFUSED_CATEGORIES:
            return f"holds the invisible character U+{ord(character):04X}; type the text again without it."
    if text != text.strip():
        return "begins or ends with a blank; take it away."
    return None


def nearest(word: str, allowed: Iterable[str]) -> str:
    """` Did you mean "…"?` for the closest allowed word, empty when none is close."""
    choices = {candidate.casefold(): candidate for candidate in allowed}
    matches = difflib.get_close_matches(word.casefold(), choices, n=1)
    return f' Did you mean "{choices[matches[0]]}"?' if matches else ""


def kind_word(found: object) -> str:
    """How a person calls the type of a TOML value."""
    return _KIND_WORDS.get(type(found), "a number with a decimal point" if isinstance(found, float) else "a date")


class CheckedTable:
    """Reads keys of one table; mistakes go to a shared list, each with its place.

    A read that fails returns the default, so that reading goes on and all mistakes are found at once.
    """

    def __init__(self, table: Mapping[str, object], where: str, problems: list[Problem]) -> None:
        self._table = table
        self._problems = problems
        self.where = where

    def report(self, key: str, message: str) -> None:
        """Note a mistake at `key` ("" for the table itself)."""
        self._problems.append(Problem(f"{self.where}.{key}" if self.where and key else self.where or key, message))

    def check_keys(self, allowed: Sequence[str]) -> None:
        """Name every key that is not allowed, with the nearest that is."""
        for key in self._table:
            if key not in allowed:
                hint = nearest(key, allowed) or f" Allowed are: {', '.join(allowed)}."
                self.report(key, f"is not known here.{hint}")

    def raw(self, key: str) -> object:
        """The value as parsed, None when the key is missing."""
        return self._table.get(key)

    def refuse_type(self, key: str, found: object, expected: str) -> None:
        """Note a value of the wrong type."""
        self.report(key, f"must be {expected}, not {kind_word(found)}.")

    def text(self, key: str, default: str = "", *, max_length: int = MAX_NAME_LENGTH, is_required: bool = False) -> str:
        """A checked text."""
        found = self._table.get(key)
        if found is None:
            if is_required:
                self.report(key, "is missing.")
            return default
        if not isinstance(found, str):
            self.refuse_type(key, found, _KIND_WORDS[str])
            return default
        if is_required and not found.strip():
            self.report(key, "must not be empty.")
            return default
        mistake = check_text(found, max_length)
        if mistake is not None:
            self.report(key, mistake)
            return default
        return found

    def integer(self, key: str, lowest: int, highest: int) -> int | None:
        """A whole number in a range; None when missing or wrong."""
        found = self._table.get(key)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int):
            self.refuse_type(key, found, f"a whole number from {lowest} to {highest}")
            return None
        if not lowest <= found <= highest:
            self.report(key, f"is {found}; allowed are {lowest} to {highest}.")
            return None
        return found

    def choice(self, key: str, default: StrEnumT) -> StrEnumT:
        """One word of an enumeration."""
        found = self._table.get(key)
        kind = type(default)
        words = [member.value for member in kind]
        if found is None:
            return default
        if not isinstance(found, str) or found not in words:
            shown = f'"{found}"' if isinstance(found, str) else kind_word(found)
            hint = nearest(found, words) if isinstance(found, str) else ""
            self.report(key, f"is {shown}; allowed are {', '.join(words)}.{hint}")
            return default
        return kind(found)

    def number_of(self, key: str, allowed: Sequence[int], default: int) -> int:
        """One number of a short list."""
        found = self._table.get(key)
        if found is None:
            return default
        if isinstance(found, bool) or not isinstance(found, int) or found not in allowed:
            shown = str(found) if isinstance(found, int) and not isinstance(found, bool) else kind_word(found)
            self.report(key, f"is {shown}; allowed are {', '.join(map(str, allowed))}.")
            return default
        return found

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        found = self._table.get(key)
        if found is None:
            return default
        if not isinstance(found, bool):
            self.refuse_type(key, found, _KIND_WORDS[bool])
            return default
        return found

    def names(self, key: str) -> tuple[str, ...]:
        """A list of different names."""
        found = self._table.get(key)
        if found is None:
            return ()
        if not isinstance(found, list):
            self.refuse_type(key, found, "a list of names in brackets")
            return ()
        names: list[str] = []
        for name in found:
            if not isinstance(name, str) or not name.strip():
                self.report(key, "must hold names in quotes only.")
            elif (mistake := check_text(name)) is not None:
                self.report(key, mistake)
            elif name in names:
                self.report(key, f'names "{name}" twice.')
            else:
                names.append(name)
        return tuple(names)

    def table(self, key: str) -> CheckedTable | None:
        """A table inside this one; None when missing or wrong."""
        found = self._table.get(key)
        if found is None:
            return None
        if not isinstance(found, dict):
            self.refuse_type(key, found, "a table in braces")
            return None
        return CheckedTable(found, f"{self.where}.{key}", self._problems)

    def items(self) -> Iterable[tuple[str, object]]:
        """All keys with their values."""
        return self._table.items()
