"""Whether a connection still leads anywhere (rule P4), and how much of what comes is damaged (C14)."""

from __future__ import annotations

from collections import deque

from emdx_desktop.domain.readings import FaultKind

UNITS_TO_SUSPECT = 2
TIMEOUTS_TO_SUSPECT = 3
DAMAGE_WINDOW_S = 3600.0
MIN_REQUESTS_TO_JUDGE = 100


class LineHealth:
    """Time-outs in a row, and damage within the last hour."""

    def __init__(self) -> None:
        self._silent_units: list[int] = []
        self._silent_s = 0.0
        self._seen_bytes = 0
        self._damage: deque[float] = deque(maxlen=100_000)
        self._window_start: tuple[float, int] | None = None

    def note_opened(self) -> None:
        """A new connection."""
        self._silent_units.clear()
        self._silent_s = 0.0
        self._seen_bytes = 0

    def note_good(self) -> None:
        """An answer came."""
        if self._silent_units or self._silent_s:
            self._silent_units.clear()
            self._silent_s = 0.0

    def is_connection_suspect(self, unit_id: int, timeout_s: float, received_bytes: int, *, is_counted: bool) -> bool:
        """A request timed out: should the connection be closed?

        Two time-outs in a row of different units, or no byte for three time-outs.

        Args:
            unit_id: Who did not answer.
            timeout_s: How long it was waited for.
            received_bytes: Bytes the connection has brought so far.
            is_counted: The unit was expected to answer.
        """
        if not is_counted:
            return False
        if received_bytes != self._seen_bytes:
            self._seen_bytes = received_bytes
            self._silent_s = 0.0
        self._silent_s += timeout_s
        self._silent_units.append(unit_id)
        return (
            len(set(self._silent_units)) >= UNITS_TO_SUSPECT
            or self._silent_s >= (TIMEOUTS_TO_SUSPECT - 0.001) * timeout_s
        )

    def note_bad(self, kind: str, now_s: float) -> None:
        """A request failed."""
        if kind in (FaultKind.CRC, FaultKind.PROTOCOL):
            self._damage.append(now_s)

    def damage_ratio(self, now_s: float, requests: int) -> float | None:
        """Share of damaged replies within the last hour, None while there are too few to judge.

        Args:
            now_s: Monotonic, seconds.
            requests: Requests of the line since start.
        """
        while self._damage and self._damage[0] < now_s - DAMAGE_WINDOW_S:
            self._damage.popleft()
        if self._window_start is None or now_s - self._window_start[0] > DAMAGE_WINDOW_S:
            self._window_start = (now_s, requests)
        in_window = requests - self._window_start[1]
        if in_window < MIN_REQUESTS_TO_JUDGE:
            return None
        return min(1.0, sum(1 for at in self._damage if at >= self._window_start[0]) / in_window)
