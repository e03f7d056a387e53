"""What the users of this process know of their events, for the check afterwards."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from model import Event

DAY_MS = 86_400_000


class Tally:
    """Only sums are kept, so a long run takes no more memory than a short one."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.refused = 0
        self.requests = 0
        # Requests that were told to come again, and those without an answer: each was repeated with the same ids.
        self.waits = 0
        self.lost = 0
        # Those whose fate nobody had told when their user was cut off.
        self._unknown: list[Event] = []
        # By username and metric: events, the sum of their counts, the least, the most, the earliest time.
        self._rows: dict[tuple[str, str], list[int]] = {}
        # By metric and UTC day.
        self._days: dict[tuple[str, int], int] = {}

    @property
    def unknown(self) -> int:
        return len(self._unknown)

    def acknowledge(self, events: Iterable[Event]) -> None:
        for event in events:
            self.acknowledged += 1
            row = self._rows.get((event.username, event.metric))
            if row is None:
                self._rows[event.username, event.metric] = [
                    1,
                    event.count,
                    event.count,
                    event.count,
                    event.at_ms,
                ]
            else:
                row[0] += 1
                row[1] += event.count
                row[2] = min(row[2], event.count)
                row[3] = max(row[3], event.count)
                row[4] = min(row[4], event.at_ms)
            day = event.metric, event.at_ms // DAY_MS
            self._days[day] = self._days.get(day, 0) + 1

    def leave_unknown(self, events: Iterable[Event]) -> None:
        self._unknown.extend(events)

    def write(self, folder: Path, statistics: dict[str, Any]) -> None:
        """The file is there whole, or as it was before."""
        content = {
            "acknowledged": self.acknowledged,
            "refused": self.refused,
            "requests": self.requests,
            "waits": self.waits,
            "lost": self.lost,
            "unknown": [[event.username, event.metric, event.at_ms // DAY_MS] for event in self._unknown],
            "rows": [[*names, *row] for names, row in self._rows.items()],
            "days": [[*of, events] for of, events in self._days.items()],
            "statistics": statistics,
        }
        partial = folder / f"tally-{os.getpid()}.partial"
        partial.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
        partial.replace(partial.with_suffix(".json"))
