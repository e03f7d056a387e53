"""Few users, and for a while a hundred times as many."""

from typing import Any

from locust import LoadTestShape

SWING = 100
QUIET_S = 20
RUSH_S = 10
# Locust advises against more.
SPAWN_RATE_MAX = 100


def users_at(seconds: float, users: int) -> int:
    """Quiet at first; in a rush all of them."""
    rushing = seconds % (QUIET_S + RUSH_S) >= QUIET_S
    return users if rushing else max(1, users // SWING)


class Bursts(LoadTestShape):
    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        assert self.runner is not None
        options: Any = self.runner.environment.parsed_options
        seconds = self.get_run_time()
        if options.run_time and seconds >= options.run_time:
            return None
        users = options.num_users or 1
        return users_at(seconds, users), min(users, SPAWN_RATE_MAX)
