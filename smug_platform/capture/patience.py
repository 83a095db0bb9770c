"""How long it is waited for a stream that is to stop, when a lane of it is refused.

A view of the server locks what is read, and a stream that stands brings nobody's changes. Neither
may last as long as one key waits: it is given up then, and tried again once the stream went on.
"""

import time

from smug_platform.capture.publisher import Publisher

_SECONDS = 2.0


class Patience:
    """With a publisher that was told to stop."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher, self._calls = publisher, publisher.calls
        self._until = time.monotonic() + _SECONDS

    @property
    def is_over(self) -> bool:
        """Whether something has not become durable for long, and nothing else was taken."""
        if not self._publisher.busy or self._publisher.calls != self._calls:
            self._calls = self._publisher.calls
            self._until = time.monotonic() + _SECONDS
        return time.monotonic() > self._until
