"""The edge to the stream: opened at the first read, not when it is named."""

from functools import cached_property

from smug_platform.settings import Settings
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import kinesis_client
from smug_platform.stream.reader import Reader


class Stream:
    """The stream of an environment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def reader(self) -> Reader:
        """Reads it; for one thread at a time."""
        stream = self._settings.stream
        return Reader(kinesis_client(stream), stream.name, Claims(self._settings.claims))
