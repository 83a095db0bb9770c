"""The edges that assets, checks and sensors are given. Naming them opens nothing."""

from collections.abc import Mapping

from smug_platform.archive.resources import ArchiveResource
from smug_platform.raw.resources import Lakehouse
from smug_platform.settings import Settings
from smug_platform.stream.resources import Stream
from smug_platform.tables.table import Source


def resources(settings: Settings, source: Source) -> Mapping[str, object]:
    """The resources of an environment, by the names under which functions ask for them."""
    return {
        "archive": ArchiveResource(settings),
        "settings": settings,
        "source": source,
        "stream": Stream(settings),
        "lakehouse": Lakehouse(settings),
    }
