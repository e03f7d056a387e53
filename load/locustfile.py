"""What `npm run load` gives to Locust. run.ts names the users that take part, and checks afterwards what was counted."""

import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import STATE_CLEANUP, STATE_INIT, STATE_STOPPED, WorkerRunner

from answer import Verdict, delay_s, judge
from model import Event, Form, Request, encode, random_event
from tally import Tally

if "MILLRACE_LOAD_BURSTS" in os.environ:
    # A shape of load that is in sight of Locust is one that it follows.
    from bursts import Bursts  # noqa: F401

TELL_EVERY_S = 5
tally = Tally()


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    add = parser.add_argument
    add("--pause", type=float, default=0.5, help="Mean pause of a user between two requests, in seconds")
    add("--batch-events", type=int, default=100, help="Most events of a batch")
    add("--usernames", type=int, default=1000, help="Different usernames, besides kodingbot")
    add("--metrics", type=int, default=20, help="Different metrics, besides kite_call")
    add("--run-id", default="load", include_in_web_ui=False, help="What the names of this run begin with")
    add("--tally-folder", default=".", include_in_web_ui=False, help="Where the tally is written to")


class Poster(FastHttpUser):
    """Posts, and repeats what was not taken until it knows what became of it."""

    abstract = True
    network_timeout = 30.0
    connection_timeout = 30.0
    forms: tuple[Form, ...] = ("event",)

    def wait_time(self) -> float:
        pause: float = self._options.pause
        return random.random() * 2 * pause

    @property
    def _options(self) -> Any:
        return self.environment.parsed_options

    @task
    def post(self) -> None:
        form = random.choice(self.forms)
        single = form in ("event", "binary", "structured")
        size = 1 if single else random.randint(1, self._options.batch_events)
        run = self._options.run_id
        made = [random_event(run, self._options.usernames, self._options.metrics) for _ in range(size)]
        delivery = gevent.spawn(self._deliver, encode(form, made, run))
        try:
            delivery.join()
        except gevent.GreenletExit:
            # At the stop, Locust ends a user who waits; by the time that the end comes, the user may be at work again.
            delivery.join(timeout=self.environment.stop_timeout)
            raise
        finally:
            delivery.kill()
        delivery.get()

    def _deliver(self, request: Request) -> None:
        known = False
        attempt = 0
        try:
            while not known:
                attempt += 1
                verdict = self._try(request)
                known = verdict.kind in ("taken", "refused")
                if known:
                    settle(request.events, verdict)
                else:
                    gevent.sleep(delay_s(attempt, verdict.after_s))
        finally:
            if not known:
                tally.leave_unknown(request.events)

    def _try(self, request: Request) -> Verdict:
        tally.requests += 1
        headers = dict(request.headers)
        key = os.environ.get("MILLRACE_WRITE_KEY")
        if key:
            headers["authorization"] = f"Bearer {key}"
        posted = self.client.post(
            request.path, data=request.body, headers=headers, name=request.name, catch_response=True
        )
        with posted as response:
            retry_after = response.headers.get("retry-after") if response.headers else None
            verdict = judge(
                response.status_code, retry_after, response.text or "", len(request.events), request.batch
            )
            if verdict.kind == "wait":
                tally.waits += 1
                response.request_meta["name"] = f"{request.name}: told to wait"
            if verdict.kind == "lost":
                tally.lost += 1
                response.request_meta["name"] = f"{request.name}: no answer"
            if verdict.fault is None:
                response.success()
            else:
                response.failure(verdict.fault)
        return verdict


class EventUser(Poster):
    """As in the original load test."""


class BatchUser(Poster):
    forms = ("array", "ndjson")


class CloudEventUser(Poster):
    forms = ("binary", "structured", "cloudevents")


def settle(posted: list[Event], verdict: Verdict) -> None:
    if verdict.kind == "refused":
        tally.refused += len(posted)
        return
    tally.acknowledge(event for index, event in enumerate(posted) if index not in verdict.rejected)
    tally.refused += len(verdict.rejected)


@events.init.add_listener
def tell_progress(environment: Environment, **_: Any) -> None:
    if not environment.parsed_options or not environment.parsed_options.headless:
        return
    begun = time.monotonic()

    def tell() -> None:
        while True:
            gevent.sleep(TELL_EVERY_S)
            runner = environment.runner
            if runner is None or runner.state in (STATE_INIT, STATE_STOPPED, STATE_CLEANUP):
                continue
            line = (
                f"load: {time.monotonic() - begun:4.0f} s  users {runner.user_count}, "
                f"acknowledged {tally.acknowledged}, told to wait {tally.waits}, no answer {tally.lost}, "
                f"failures {environment.stats.total.num_failures}"
            )
            print(line, file=sys.stderr, flush=True)

    gevent.spawn(tell)


@events.test_start.add_listener
def mark_running(environment: Environment, **_: Any) -> None:
    running(environment).touch()


@events.test_stop.add_listener
def write_tally(environment: Environment, **_: Any) -> None:
    statistics = {} if isinstance(environment.runner, WorkerRunner) else statistics_of(environment)
    tally.write(running(environment).parent, statistics)
    running(environment).unlink(missing_ok=True)


def running(environment: Environment) -> Path:
    """It is there while a test is under way."""
    assert environment.parsed_options is not None
    return Path(environment.parsed_options.tally_folder) / "running"


def statistics_of(environment: Environment) -> dict[str, Any]:
    """Locust's own figures of the test that has ended; times in milliseconds."""
    stats = environment.stats
    runner = environment.runner
    lines = [
        {
            "name": entry.name,
            "requests": entry.num_requests,
            "failures": entry.num_failures,
            "p50": entry.get_response_time_percentile(0.5),
            "p95": entry.get_response_time_percentile(0.95),
            "p99": entry.get_response_time_percentile(0.99),
            "max": round(entry.max_response_time),
        }
        for entry in sorted(stats.entries.values(), key=lambda one: one.name)
    ]
    failures = [
        {"name": one.name, "error": str(one.error), "times": one.occurrences} for one in stats.errors.values()
    ]
    raised = [] if runner is None else [str(one["msg"]) for one in runner.exceptions.values()]
    last = stats.total.last_request_timestamp
    seconds = 0.0 if last is None else last - stats.total.start_time
    return {"seconds": seconds, "lines": lines, "failures": failures, "raised": raised}
