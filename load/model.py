"""What users post: random events, and the requests that carry them."""

import gzip
import json
import random
import time
import uuid
from dataclasses import dataclass
from typing import Any, Literal

KODINGBOT = "kodingbot"
KITE_CALL = "kite_call"
# As in the original load test: to twenty random events comes one of this account.
RANDOM_TO_ONE = 20
COUNT_MAX = 1_000_000

Form = Literal["event", "array", "ndjson", "binary", "structured", "cloudevents"]


@dataclass(frozen=True, slots=True)
class Event:
    """The id is what a retry is counted once by."""

    id: str
    username: str
    metric: str
    count: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Request:
    """`name` is the line of the statistics that it is counted in."""

    name: str
    path: str
    headers: dict[str, str]
    body: bytes
    events: list[Event]
    # Whether the answer tells of each event.
    batch: bool


def random_event(run: str, usernames: int, metrics: int) -> Event:
    """The names of a run begin with it, so that they are nobody else's."""
    event_id = str(uuid.uuid4())
    count = random.randint(1, COUNT_MAX)
    at_ms = time.time_ns() // 1_000_000
    if random.randrange(RANDOM_TO_ONE + 1) == 0:
        return Event(event_id, KODINGBOT, KITE_CALL, count, at_ms)
    username = f"{run}-user-{random.randrange(usernames)}"
    metric = f"{run}-metric-{random.randrange(metrics)}"
    return Event(event_id, username, metric, count, at_ms)


def encode(form: Form, events: list[Event], run: str) -> Request:
    """The single forms take the first event alone."""
    first = events[0]
    match form:
        case "event":
            return Request("event", "/event", _json(), _bytes(_plain(first)), [first], False)
        case "binary":
            headers = _json() | {f"ce-{name}": value for name, value in _attributes(first, run).items()}
            return Request("CloudEvent, binary", "/event", headers, _bytes(_data(first)), [first], False)
        case "structured":
            headers = {"content-type": "application/cloudevents+json"}
            return Request(
                "CloudEvent, structured", "/event", headers, _bytes(_cloud(first, run)), [first], False
            )
        case "cloudevents":
            headers = {"content-type": "application/cloudevents-batch+json"}
            body = _bytes([_cloud(event, run) for event in events])
            return Request("CloudEvents, batch", "/events", headers, body, events, True)
        case "array":
            body = gzip.compress(_bytes([_plain(event) for event in events]), compresslevel=1)
            return Request(
                "batch, JSON, gzip", "/events", _json() | {"content-encoding": "gzip"}, body, events, True
            )
        case "ndjson":
            body = b"\n".join(_bytes(_plain(event)) for event in events)
            headers = {"content-type": "application/x-ndjson"}
            return Request("batch, NDJSON", "/events", headers, body, events, True)


def _json() -> dict[str, str]:
    return {"content-type": "application/json"}


def _bytes(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _data(event: Event) -> dict[str, Any]:
    return {
        "username": event.username,
        "metric": event.metric,
        "count": event.count,
        "timestamp": event.at_ms,
    }


def _plain(event: Event) -> dict[str, Any]:
    return {"id": event.id, **_data(event)}


def _attributes(event: Event, run: str) -> dict[str, str]:
    return {"specversion": "1.0", "id": event.id, "source": f"/load/{run}", "type": "io.millrace.load"}


def _cloud(event: Event, run: str) -> dict[str, Any]:
    return {**_attributes(event, run), "data": _data(event)}
