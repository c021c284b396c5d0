"""Who is told about each snapshot; any thread may come and go."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from emdx_desktop.domain.readings import SiteSnapshot

logger = logging.getLogger(__name__)

Listener = Callable[[SiteSnapshot], None]


class SnapshotListeners:
    """The listeners of a supervision port."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[int, Listener] = {}
        self._next_key = 0

    def add(self, listener: Listener) -> Callable[[], None]:
        """Tell it from now on; returns the way out, which may be taken more than once."""
        with self._lock:
            key = self._next_key
            self._next_key += 1
            self._listeners[key] = listener

        def leave() -> None:
            with self._lock:
                self._listeners.pop(key, None)

        return leave

    def tell(self, snapshot: SiteSnapshot) -> None:
        """Call each of them, in this thread."""
        with self._lock:
            listeners = list(self._listeners.items())
        for key, listener in listeners:
            try:
                listener(snapshot)
            except Exception:  # an edge: whoever watches must not be able to stop whoever tells
                logger.exception("a listener failed and hears nothing more")
                with self._lock:
                    self._listeners.pop(key, None)
