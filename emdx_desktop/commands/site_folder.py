"""A data folder with everything the commands need from it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from emdx_desktop.app.clock import SystemClock, since_boot_s
from emdx_desktop.app.counter_book import SeriesKey
from emdx_desktop.app.paths import resource_folder
from emdx_desktop.app.runtime import AcquisitionRuntime
from emdx_desktop.attach.server import AttachServer
from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.counters import CounterSeed
from emdx_desktop.domain.errors import ConfigurationError, EnvironmentFault, Problem, StorageFault
from emdx_desktop.domain.history import MINUTE_MS, EventKind
from emdx_desktop.domain.installation import Device, Installation
from emdx_desktop.domain.ports import BusPollerFactory, HistoryReader, HistoryWriter, SupervisionPort
from emdx_desktop.domain.quantities import READ_OFFSET_PREFIX, QuantityKind
from emdx_desktop.domain.readings import DeviceId
from emdx_desktop.modbus.bus_poller import ModbusBusPoller
from emdx_desktop.modbus.profile_loader import load_catalogue
from emdx_desktop.storage.history_reader import SqliteHistoryReader
from emdx_desktop.storage.journal_copy import COPY_FILE_NAME
from emdx_desktop.storage.months import LIVE_FILE_NAME

logger = logging.getLogger(__name__)

OWN_PROFILES = "devices"
DEMO_MARK = "demo.json"
"""Beside the data of a simulated building: there, and only there, made-up register tables may be polled."""

_END_OF_TIME_MS = 2**62
_CHANGES = (EventKind.INSTALLATION_CHANGED, EventKind.METER_SWAPPED)
_SEED_REACHES_MS = (MINUTE_MS, 60 * MINUTE_MS, 2 * 1440 * MINUTE_MS, 40 * 1440 * MINUTE_MS)


@dataclass(frozen=True, slots=True)
class SiteFolder:
    """One site on disk.

    Attributes:
        path: Its data folder.
        catalogue: Profiles of the program and of the folder's own `devices`.
    """

    path: Path
    catalogue: ProfileCatalogue

    @property
    def is_demo(self) -> bool:
        """It belongs to the simulated building."""
        return (self.path / DEMO_MARK).is_file()

    def find_installation(self) -> Installation | None:
        """The stored installation, None for none."""
        if not (self.path / LIVE_FILE_NAME).is_file():
            return None
        reader = SqliteHistoryReader(self.path)
        try:
            return reader.load_installation()
        finally:
            reader.close()

    def load_installation(self) -> Installation:
        """The stored installation.

        Raises:
            ConfigurationError: No site was imported yet.
        """
        installation = self.find_installation()
        if installation is None:
            raise self._no_site()
        return installation

    def require_live_file(self) -> None:
        """Refuse a folder into which nothing was ever read.

        Raises:
            ConfigurationError: No site was imported yet.
        """
        if not (self.path / LIVE_FILE_NAME).is_file() and not (self.path / COPY_FILE_NAME).is_file():
            raise self._no_site()

    def _no_site(self) -> ConfigurationError:
        message = f'No site has been read into {self.path} yet; do it with "emdx-desktop site import FILE".'
        return ConfigurationError([Problem("", message)])

    def make_poller_factory(self) -> BusPollerFactory:
        """Makes pollers; only the demo's may read made-up register tables."""
        return partial(ModbusBusPoller, is_simulated=True) if self.is_demo else ModbusBusPoller

    def make_runtime(
        self, installation: Installation, writer: HistoryWriter, reader: HistoryReader
    ) -> AcquisitionRuntime:
        """Acquisition into this folder."""
        return AcquisitionRuntime(
            installation,
            self.catalogue,
            self.make_poller_factory(),
            writer,
            SystemClock(),
            seeds=load_counter_seeds(reader),
            boot_s=since_boot_s,
            polls_simulated_profiles=self.is_demo,
        )


@contextlib.contextmanager
def opened_to_others(port: SupervisionPort, folder: SiteFolder, purpose: str) -> Iterator[None]:
    """Let other programs attach while the block runs; acquisition goes on where that is not possible."""
    try:
        server = AttachServer(port, folder.path, purpose)
    except EnvironmentFault as fault:
        logger.warning("%s", fault)
        yield
        return
    try:
        yield
    finally:
        server.close()


def open_site_folder(path: Path) -> SiteFolder:
    """Load what belongs to a data folder; nothing is written."""
    catalogue = load_catalogue([resource_folder() / "devices", path / OWN_PROFILES])
    for problem in catalogue.problems:
        logger.warning("device profile: %s", problem)
    return SiteFolder(path, catalogue)


def load_counter_seeds(reader: HistoryReader) -> Mapping[SeriesKey, CounterSeed]:
    """The last reading of every counter, so that acquisition goes on from it.

    A counter whose history is damaged starts anew: acquisition does not wait for a repair. So does one whose device
    was changed since: what its counter says now is no continuation.
    """
    seeds: dict[SeriesKey, CounterSeed] = {}
    try:
        known = reader.series()
    except StorageFault as fault:
        logger.warning("all counters start anew: %s", fault)
        return seeds
    for info in known:
        if info.column.kind is not QuantityKind.COUNTER or info.column.quantity.startswith(READ_OFFSET_PREFIX):
            continue
        end_ms = info.last_ms + MINUTE_MS
        for reach_ms in _SEED_REACHES_MS:
            try:
                series = reader.load_counts(info.device_id, info.column.quantity, end_ms - reach_ms, end_ms)
            except StorageFault as fault:
                logger.warning("%s of device %d starts anew: %s", info.column.quantity, info.device_id, fault)
                break
            if len(series.ts_ms):
                factor = series.epochs[-1].factor if series.epochs else None
                if factor is not None:
                    seeds[info.device_id, info.column.quantity] = CounterSeed(
                        int(series.ts_ms[-1]), int(series.counts[-1]), factor
                    )
                break
    changed_ms = _load_changes(reader, min(seed.ts_ms for seed in seeds.values())) if seeds else {}
    return {key: seed for key, seed in seeds.items() if changed_ms.get(key[0], 0) <= seed.ts_ms}


def _load_changes(reader: HistoryReader, since_ms: int) -> Mapping[DeviceId, int]:
    """When each device was last read as something else, or exchanged."""
    try:
        events = reader.load_events(since_ms, _END_OF_TIME_MS)
    except StorageFault as fault:
        logger.warning("whether devices were changed is not known: %s", fault)
        return {}
    return {event.device_id: event.ts_ms for event in events if event.device_id is not None and event.kind in _CHANGES}


def find_device(installation: Installation, wanted: str) -> Device:
    """The device a person means: its name, or its id.

    Raises:
        ConfigurationError: There is none of that name.
    """
    alive = [device for device in installation.devices if not device.is_archived]
    for device in alive:
        if device.name == wanted or str(device.id) == wanted:
            return device
    near = [device for device in alive if device.name.casefold() == wanted.casefold()]
    if len(near) == 1:
        return near[0]
    names = ", ".join(f'"{device.name}"' for device in alive[:20]) + (" …" if len(alive) > 20 else "")
    raise ConfigurationError(
        [Problem("device", f'"{wanted}" is not a device of this site; there are {names or "none"}.')]
    )


def site_zone(installation: Installation) -> ZoneInfo:
    """The site's time zone."""
    return ZoneInfo(installation.site.timezone)


def require_devices(installation: Installation) -> None:
    """Refuse to poll nothing.

    Raises:
        ConfigurationError: The site has no device.
    """
    if not any(not device.is_archived for device in installation.devices):
        raise ConfigurationError(
            [Problem("", "The site has no devices; add them to the site file and import it again.")]
        )


def require_folder(path: Path) -> None:
    """Make the data folder.

    Raises:
        EnvironmentFault: It cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"The data folder {path} cannot be made ({error.strerror}) - nothing can be stored - choose another one."
        ) from error
