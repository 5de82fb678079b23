"""How many replicas does a studio need?

`python -m benchmarks.rack --seconds 0.31 --per-hour 3600 --wait 0.5`

Jobs come when people press a key, independently of each other (Poisson), and wait in one queue for
`replicas` equal ones. The probability of waiting is Erlang's C. Jobs differ less than in his model,
where their lengths are spread exponentially; for the mean wait that is corrected by Lee and
Longton's (1 + v²) / 2. Whoever waits is taken to wait exponentially long, which overstates the rare
long waits of even jobs. Source: D. Gross, C. M. Harris, "Fundamentals of Queueing Theory", chapters
on M/M/c and G/G/c. docs/cluster.md uses it.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

PERCENT = 95.0
MOST_REPLICAS = 1024  # as many as --max-replicas takes


@dataclass(frozen=True)
class Queue:
    """`replicas` that each need `seconds` for a job, of which `per_second` come. `variation`:
    standard deviation of a job's length divided by its mean; 0: all alike, 1: Erlang's model
    itself.
    """

    replicas: int
    seconds: float
    per_second: float
    variation: float = 1.0

    @property
    def load(self) -> float:
        """Replicas that would be busy if there were enough of them."""
        return self.seconds * self.per_second

    @property
    def is_stable(self) -> bool:
        """Whether the queue ends at all."""
        return self.load < self.replicas

    def waits(self) -> float:
        """Probability that a job waits (Erlang C), by way of Erlang B, whose recurrence does not
        overflow.
        """
        blocked = 1.0
        for count in range(1, self.replicas + 1):
            blocked = self.load * blocked / (count + self.load * blocked)
        busy = self.load / self.replicas
        return blocked / (1 - busy + busy * blocked)

    def wait_seconds(self) -> float:
        """Mean over all jobs, those that do not wait included."""
        exponential = self.waits() * self.seconds / (self.replicas - self.load)
        return exponential * (1 + self.variation**2) / 2

    def wait_seconds_of(self, percent: float = PERCENT) -> float:
        """What so many of all jobs do not exceed."""
        waits, late = self.waits(), 1 - percent / 100
        return 0.0 if waits <= late else self.wait_seconds() / waits * math.log(waits / late)


def smallest(seconds: float, per_second: float, variation: float, wait: float) -> Queue | None:
    """With as few replicas as keep the wait of PERCENT of all jobs below `wait` seconds."""
    first = max(1, math.ceil(seconds * per_second))
    queues = (
        Queue(replicas, seconds, per_second, variation)
        for replicas in range(first, MOST_REPLICAS + 1)
    )
    return next(
        (queue for queue in queues if queue.is_stable and queue.wait_seconds_of() <= wait), None
    )


def main() -> None:
    """A table: the smallest number of replicas that will do, one less, and one more."""
    parser = argparse.ArgumentParser(prog="benchmarks.rack", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--seconds", type=float, required=True, help="that one replica needs for a job"
    )
    parser.add_argument("--per-hour", type=float, required=True, help="jobs, in the busiest hour")
    parser.add_argument(
        "--variation", type=float, default=1.0, help="of a job's length: deviation / mean"
    )
    parser.add_argument(
        "--wait", type=float, default=1.0, help=f"seconds that {PERCENT:g} %% of all jobs may wait"
    )
    options = parser.parse_args()
    found = smallest(options.seconds, options.per_hour / 3600, options.variation, options.wait)
    if found is None:
        parser.error(f"{MOST_REPLICAS} replicas are not enough; expected fewer or shorter jobs")
    print(f"{'replicas':>8} {'busy':>6} {'wait':>6} {'mean':>8} {f'{PERCENT:g} %':>8}")
    for replicas in (found.replicas - 1, found.replicas, found.replicas + 1):
        queue = Queue(replicas, options.seconds, options.per_hour / 3600, options.variation)
        if queue.is_stable:
            print(
                f"{replicas:>8} {queue.load / replicas:>6.0%} {queue.waits():>6.1%} "
                f"{queue.wait_seconds():>6.2f} s {queue.wait_seconds_of():>6.2f} s"
            )


if __name__ == "__main__":
    main()
