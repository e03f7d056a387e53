import unittest
from collections import Counter

from answer import BACKOFF_MAX_S, DELAY_MAX_S, FIRST_DELAY_S, delay_s, judge
from bursts import QUIET_S, RUSH_S, users_at
from model import KITE_CALL, KODINGBOT, random_event


class Answers(unittest.TestCase):
    def test_says_what_became_of_the_events(self) -> None:
        good = '{"accepted":2,"rejected":0,"results":[]}'
        half = '{"accepted":1,"rejected":1,"results":[{"index":1,"status":"rejected","reason":"no"}]}'
        none = '{"accepted":1,"rejected":0,"results":[]}'
        cases = [
            # status, Retry-After, text, events, batch; kind, whether it is a failure, those rejected
            (200, None, "", 1, False, "taken", False, set()),
            (200, None, "<html>", 1, False, "refused", True, set()),
            (202, None, "", 1, False, "refused", True, set()),
            (400, None, "{}", 1, False, "refused", True, set()),
            (0, None, "", 1, False, "lost", False, set()),
            (503, "1", "", 1, False, "wait", False, set()),
            (429, "1", "", 1, False, "wait", False, set()),
            (503, "Wed, 21 Oct 2015 07:28:00 GMT", "", 1, False, "wait", False, set()),
            (503, None, "", 1, False, "lost", True, set()),
            (503, "soon", "", 1, False, "lost", True, set()),
            (500, "1", "", 1, False, "lost", True, set()),
            (408, None, "", 1, False, "lost", True, set()),
            (200, None, good, 2, True, "taken", False, set()),
            (200, None, half, 2, True, "taken", True, {1}),
            (200, None, none, 2, True, "refused", True, set()),
            (200, None, "", 2, True, "refused", True, set()),
            (413, None, good, 2, True, "refused", True, set()),
        ]
        for status, retry_after, text, size, batch, kind, fails, rejected in cases:
            with self.subTest(status=status, retry_after=retry_after, text=text):
                verdict = judge(status, retry_after, text, size, batch)
                self.assertEqual(verdict.kind, kind)
                self.assertEqual(verdict.fault is not None, fails)
                self.assertEqual(verdict.rejected, rejected)

    def test_the_delay_keeps_what_was_asked_for_and_its_bounds(self) -> None:
        for attempt in (1, 2, 5, 50, 5000):
            self.assertLessEqual(delay_s(attempt, None), BACKOFF_MAX_S)
            self.assertTrue(3 <= delay_s(attempt, 3.0) <= 3 + FIRST_DELAY_S)
            self.assertEqual(delay_s(attempt, 3600.0), DELAY_MAX_S)


class Model(unittest.TestCase):
    def test_one_event_in_twenty_one_is_of_the_account(self) -> None:
        made = [random_event("run", 100, 10) for _ in range(42_000)]
        names = Counter((event.username == KODINGBOT, event.metric == KITE_CALL) for event in made)
        self.assertEqual(set(names), {(True, True), (False, False)})
        # Of 2000 that are to be expected: beyond seven standard deviations.
        self.assertTrue(1700 < names[True, True] < 2300, names)
        self.assertEqual(len({event.id for event in made}), len(made))


class Bursts(unittest.TestCase):
    def test_users_swing_by_a_factor_of_a_hundred(self) -> None:
        self.assertEqual(
            [users_at(0, 200), users_at(QUIET_S, 200), users_at(QUIET_S + RUSH_S, 200)], [2, 200, 2]
        )
        self.assertEqual(users_at(0, 5), 1)


if __name__ == "__main__":
    unittest.main()
