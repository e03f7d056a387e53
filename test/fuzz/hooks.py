"""What schemathesis cannot read in the descriptions, each with the reason."""

import json
import os
import re
from datetime import datetime, timezone

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.parameters import ParameterLocation

EARLIEST = datetime(1970, 1, 2)
# An event's time may not be far ahead of the server's clock, which no schema can say.
LATEST = datetime.now(timezone.utc).replace(tzinfo=None)

schemathesis.openapi.format(
    "date-time",
    st.datetimes(min_value=EARLIEST, max_value=LATEST).map(lambda at: at.isoformat(timespec="milliseconds") + "Z"),
)


# schemathesis has none for NDJSON; the schema says that it is text.
@schemathesis.serializer("application/x-ndjson")
def ndjson(context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes of requests that the description allows such as the server can take."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    query = case.query or {}
    # Which words a page before has given, no schema can say; test/query/query.test.ts follows real ones.
    query.pop("cursor", None)
    # Their form goes by another parameter, and not every month has so many days.
    form = 7 if query.get("granularity") == "month" else 10
    for bound in ("from", "to"):
        if bound in query:
            query[bound] = "2026-11-24"[:form]
    at_present(case.body)
    # The schema of NDJSON is text, and that each line of it is an event, only the words beside it can say.
    if case.media_type == "application/x-ndjson":
        name = str(case.body).replace("\0", "")[:256] or "u"
        case.body = json.dumps({"username": name, "metric": "fuzz", "count": 1}) + "\n"


def at_present(value):
    """A number of milliseconds may lie as far ahead as a text, and the generator knows no clock."""
    if isinstance(value, list):
        for one in value:
            at_present(one)
    elif isinstance(value, dict):
        at_present(value.get("data"))
        if isinstance(value.get("timestamp"), (int, float)):
            value["timestamp"] = min(value["timestamp"], int(datetime.now().timestamp() * 1000))


# What the key that is sent allows, and whether anything asks for a key at all: api.ts says so.
KEY = os.environ.get("MILLRACE_FUZZ_KEY", "")
ACCESS = os.environ.get("MILLRACE_FUZZ_ACCESS", "").split(",")

# As docs/keys.md has it; the descriptions only say which operations ask for a key.
NEEDS = (
    ("/event", "write"),
    ("/events", "write"),
    ("/console/event", "write"),
    ("/metrics/", "read"),
    ("/accounts", "read"),
    ("/console/live", "read"),
    ("/dead-letters", "admin"),
)

# Whether a page of another site asks, by the content type as well, comes before the key.
SAME_SITE_FIRST = ("/console/event", "/dead-letters/replay")


def need_of(path):
    needs = [access for start, access in NEEDS if path == start or path.startswith(start.rstrip("/") + "/")]
    assert len(needs) == 1, f"hooks.py knows no access that {path} asks for"
    return needs[0]


def expected(case, sent):
    """The statuses that the key calls for; None where the others of the description count."""
    if not case.operation.definition.raw.get("security"):
        return None
    key = re.fullmatch(r"Bearer +(\S+)", sent or "", re.IGNORECASE)
    if key is None:
        return 401
    if key[1] != KEY or need_of(case.operation.path) not in ACCESS:
        return 403
    return None


@schemathesis.check
def key_decides(context, response, case):
    """Whoever has no key, or not the right one, is told so and nothing else; whoever has it is not."""
    if response.request.method != case.operation.method.upper():
        return
    # Node's parser refuses what has more than 16 KiB before the body, whoever sends it.
    if len(response.request.url) + sum(len(text) for pair in response.request.headers.items() for text in pair) > 16_000:
        return
    # Such a path may lead to no operation at all, or to another.
    if case.meta is not None and case.meta.is_negative_at(ParameterLocation.PATH):
        return
    must = expected(case, response.request.headers.get("Authorization"))
    status = response.status_code
    if must is None:
        assert status not in (401, 403), f"the key allows it, and the answer is {status}"
    elif not (status == 415 and case.operation.path in SAME_SITE_FIRST):
        assert status == must, f"the key calls for {must}, and the answer is {status}"
