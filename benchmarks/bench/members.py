"""Many members at work on Flickr's counted tables, for as little of the machine as can be.

Of ten changes three are new photos, two retitled photos, one a favorite and one a favorite that is
taken back, one a comment, one a new order and one an order that is refunded. One thread a shard
writes those that are due by its clock in one transaction, a statement a kind; the server makes the
rows of a statement by itself. So the rate that is asked for is written, exactly, or the server is
at its limit.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from smug_platform.local.mariadb import DATABASE, connect
from smug_platform.settings import Shard

_TICK_SECONDS = 0.05
_TEN = 10
_FIRST_ID = 10**12
_STATEMENTS = (
    """INSERT INTO photos (id, account_id, title, description, license_id, tags, exif, content_hash,
         bytes, width, height, latitude, longitude, rating, taken_at, uploaded_at)
       SELECT {base} + 3 * seq + one.n, seq MOD 1000, CONCAT('sunset over the sea ', seq),
         'taken on the way down, "handheld", with the old lens', seq MOD 11,
         'sea sunset пляж summer evening',
         CONCAT('{{"camera":"X100","iso":', 100 + seq MOD 800, '}}'),
         UNHEX(MD5(seq)), 3000000 + seq MOD 1000, 6000, 4000, 52.1 + seq MOD 8000 / 10000,
         13.1 + seq MOD 8000 / 10000, 4.5, UTC_TIMESTAMP(6) - INTERVAL 1 DAY, UTC_TIMESTAMP(6)
       FROM seq_{first}_to_{last}, (SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2) AS one""",
    """UPDATE photos SET title = CONCAT('sunset over the sea at night ', id)
       WHERE id BETWEEN {base} + 3 * {first} AND {base} + 3 * {last} + 2 AND id MOD 3 < 2""",
    """INSERT INTO favorites SELECT {base} + seq, seq, UTC_TIMESTAMP(6)
       FROM seq_{first}_to_{last}""",
    """DELETE FROM favorites WHERE account_id BETWEEN {base} + {first} AND {base} + {last}""",
    """INSERT INTO comments (id, photo_id, account_id, body, created_at)
       SELECT {base} + seq, {base} + 3 * seq, seq MOD 9999,
         'what a light, and what a place to be in the evening', UTC_TIMESTAMP(6)
       FROM seq_{first}_to_{last}""",
    """INSERT INTO orders (id, account_id, total, tax_rate, currency, ship_to, placed_at)
       SELECT {base} + seq, seq MOD 9999, 10.5 + seq MOD 90, 0.08, IF(seq MOD 3, 'USD', 'EUR'),
         'Hauptstr. 1, Berlin', UTC_TIMESTAMP(6)
       FROM seq_{first}_to_{last}""",
    """UPDATE orders SET status = 'refunded'
       WHERE id BETWEEN {base} + {first} AND {base} + {last}""",
)


@dataclass(frozen=True)
class Commit:
    """Of one transaction: when it was committed, its changes, and the shard's changes by then."""

    at: float
    changes: int
    total: int


@dataclass
class Members:
    """Writes to one shard until it is stopped. rate: changes a second."""

    shard: Shard
    number: int
    rate: float
    commits: list[Commit] = field(default_factory=list)
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """End after the transaction under way. Raises what ended it before."""
        self._stop.set()
        self._thread.join()
        if self.failure:
            raise self.failure

    def _run(self) -> None:
        try:
            with connect(self.shard, database=DATABASE) as cursor:
                cursor.execute("SET autocommit = 0")
                began, tens = time.monotonic(), 0
                while not self._stop.wait(_TICK_SECONDS):
                    due = int((time.monotonic() - began) * self.rate / _TEN)
                    if due > tens:
                        self._write(cursor, tens, due - 1)
                        changes = _TEN * (due - tens)
                        tens = due
                        self.commits.append(Commit(time.time(), changes, _TEN * tens))
        except BaseException as error:  # noqa: BLE001  raised by `stop`
            self.failure = error

    def _write(self, cursor: object, first: int, last: int) -> None:
        base = _FIRST_ID * (1 + self.number)
        for statement in (*_STATEMENTS, "COMMIT"):
            cursor.execute(statement.format(base=base, first=first, last=last))  # type: ignore[attr-defined]


def written(members: Sequence[Members]) -> int:
    """Changes so far."""
    return sum(one.commits[-1].total for one in members if one.commits)
