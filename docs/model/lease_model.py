"""Looks at every state of the lease protocol, and says whether a promise breaks in one.

    uv run python docs/model/lease_model.py                    # all states, and what was checked in each
    uv run python docs/model/lease_model.py --without nonce    # the same with one rule left out: how it goes wrong

What a step is stands in `lease_protocol.py`, beside it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from lease_protocol import RULES, Bounds, Model, State, broken


class Report(NamedTuple):
    """What was found."""

    states: int
    steps: int
    problem: str
    trace: tuple[str, ...]
    """The shortest way to the problem."""
    stuck: int
    """States from which no way leads to the end of all jobs."""


def explore(model: Model, most: int = 2_000_000) -> Report:
    """Look at every state, nearest first, and stop at the first that breaks a promise.

    Raises:
        OverflowError: There are more than `most` states.
    """
    first = model.first()
    came: dict[State, tuple[State, str] | None] = {first: None}
    backwards: dict[State, list[State]] = {}
    queue = deque([first])
    steps = 0
    while queue:
        state = queue.popleft()
        for what, next_state in model.steps(state):
            steps += 1
            after = model.essence(next_state)
            backwards.setdefault(after, []).append(state)
            if after in came:
                continue
            came[after] = (state, what)
            if len(came) > most:
                raise OverflowError(f"more than {most:,} states")
            problem = broken(after)
            if problem:
                return Report(len(came), steps, problem, _way(came, after), 0)
            queue.append(after)
    return Report(len(came), steps, "", (), _stuck(model, came, backwards))


def _stuck(model: Model, states: Iterable[State], backwards: dict[State, list[State]]) -> int:
    """States from which the jobs cannot end any more, other than for the bounds of the model."""
    alive = [state for state in states if _is_over(state) or state.nonces >= model.bounds.nonces]
    reached = set(alive)
    queue = deque(alive)
    while queue:
        for before in backwards.get(queue.popleft(), ()):
            if before not in reached:
                reached.add(before)
                queue.append(before)
    return sum(state not in reached for state in states)


def _is_over(state: State) -> bool:
    return all(job.place in ("done", "dead") for job in state.jobs)


def _way(came: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    way: list[str] = []
    step = came[state]
    while step is not None:
        state, what = step
        way.append(what)
        step = came[state]
    return tuple(reversed(way))


def main() -> int:
    """Explore, and print what was found."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument(
        "--without", action="append", default=[], choices=list(RULES), help="a rule to leave out"
    )
    options.add_argument("--jobs", type=int, default=Bounds().jobs)
    options.add_argument("--nonces", type=int, default=Bounds().nonces, help="exchanges in all")
    options.add_argument("--deaths", type=int, default=Bounds().deaths, help="workers that die")
    options.add_argument("--lapses", type=int, default=Bounds().lapses, help="leases that run out")
    args = options.parse_args()
    bounds = Bounds(jobs=args.jobs, nonces=args.nonces, deaths=args.deaths, lapses=args.lapses)
    begun = time.monotonic()
    report = explore(Model(bounds, args.without))
    print(f"{report.states:,} states, {report.steps:,} steps, {time.monotonic() - begun:.1f} s")
    if report.problem:
        print(f"broken: {report.problem}")
        for number, what in enumerate(report.trace, start=1):
            print(f"{number:3}. {what}")
    elif report.stuck:
        print(f"broken: from {report.stuck:,} states no way leads to the end of all jobs")
    else:
        print("every promise holds in every state")
    return 1 if report.problem or report.stuck else 0


if __name__ == "__main__":
    sys.exit(main())
