"""What an answer of a collector means for the events of the request, by the rules of `millrace send`."""

import email.utils
import json
import random
import time
from dataclasses import dataclass, field
from typing import Literal

# Of the first retry; it doubles with each further one.
FIRST_DELAY_S = 0.2
BACKOFF_MAX_S = 30.0
DELAY_MAX_S = 60.0

# taken: durable, but for those that are rejected; wait: told to come again; lost: no answer, or none that says what became
# of the events; refused: none of them taken.
Kind = Literal["taken", "wait", "lost", "refused"]


@dataclass(frozen=True, slots=True)
class Verdict:
    kind: Kind
    # Why this is a failure; None where it is none.
    fault: str | None = None
    # What Retry-After asks for.
    after_s: float | None = None
    # By their places in the request.
    rejected: frozenset[int] = field(default_factory=frozenset)


def judge(status: int, retry_after: str | None, text: str, size: int, batch: bool) -> Verdict:
    """`status` is 0 where there was no answer."""
    if status == 0:
        return Verdict("lost")
    if status in (429, 503):
        after_s = _seconds(retry_after)
        if after_s is None:
            return Verdict("lost", f"{status} without Retry-After: {_short(text)}")
        return Verdict("wait", after_s=after_s)
    if status == 408 or status >= 500:
        return Verdict("lost", f"{status}: {_short(text)}")
    if not batch:
        if status == 200 and text == "":
            return Verdict("taken")
        return Verdict("refused", f"{status}: {_short(text)}")
    rejected = _rejected(text, size)
    if status not in (200, 400) or rejected is None:
        return Verdict("refused", f"{status}: {_short(text)}")
    fault = f"{len(rejected)} of {size} events rejected: {_short(text)}" if rejected else None
    return Verdict("taken", fault, rejected=rejected)


def delay_s(attempt: int, after_s: float | None) -> float:
    """Full jitter, so that users who were refused together do not come back together."""
    if after_s is not None:
        return min(DELAY_MAX_S, after_s + random.random() * FIRST_DELAY_S)
    return random.random() * min(BACKOFF_MAX_S, FIRST_DELAY_S * 2 ** min(attempt - 1, 16))


def _seconds(retry_after: str | None) -> float | None:
    """Seconds or an HTTP date."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None


def _rejected(text: str, size: int) -> frozenset[int] | None:
    """None where the answer does not account for every event."""
    try:
        body = json.loads(text)
        rejected = frozenset(int(one["index"]) for one in body["results"] if one["status"] == "rejected")
        adds_up = body["accepted"] + len(rejected) == size
    except (ValueError, KeyError, TypeError):
        return None
    return rejected if adds_up and all(0 <= index < size for index in rejected) else None


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"
