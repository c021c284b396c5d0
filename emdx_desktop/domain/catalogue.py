"""All profiles that could be loaded, and what was wrong with the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emdx_desktop.domain.errors import Problem
from emdx_desktop.domain.profiles import DeviceProfile


@dataclass(frozen=True, slots=True)
class ProfileCatalogue:
    """Profiles by id.

    Attributes:
        profiles: Loaded profiles.
        problems: One entry per mistake in a broken file; the other files loaded.
    """

    profiles: Mapping[str, DeviceProfile]
    problems: tuple[Problem, ...] = ()

    def find(self, model: str) -> DeviceProfile | None:
        """The profile for a catalogue number ("0 146 68", blanks do not matter) or a profile id.

        Where two profiles claim a number, the one loaded later is taken: a person's own before ours.
        """
        if model in self.profiles:
            return self.profiles[model]
        wanted = "".join(model.split()).casefold()
        for profile in reversed(tuple(self.profiles.values())):
            numbers = ("".join(number.split()).casefold() for number in profile.catalogue_numbers)
            if wanted == profile.id.casefold() or wanted in numbers:
                return profile
        return None
