"""The errors that people see.

Whatever a person can put right is a `SmugError`: one line that says what is wrong and what to do.
The command line prints that line and no traceback; anything else that escapes is a bug.
"""


class SmugError(Exception):
    """A failure with a remedy.

    passes: it may go away by itself, so that trying again a moment later makes sense.

    >>> str(SmugError("port 13306 is in use", remedy="set SMUG_MYSQL_PORT to a free one"))
    'port 13306 is in use: set SMUG_MYSQL_PORT to a free one'
    """

    def __init__(self, problem: str, *, remedy: str, passes: bool = False) -> None:
        super().__init__(f"{problem}: {remedy}")
        self.passes = passes
        self.problem = problem
        self.remedy = remedy


class SettingsError(SmugError):
    """The environment says something that can't be."""


class SourceError(SmugError):
    """A source shard can't be reached, read, or does not hold what the contract declares."""


class StateError(SmugError):
    """What capture's workers share can't be read or written, or is not theirs any more."""


class NewerState(SmugError):
    """Something was written by a newer release, in a format that this one can't read."""


class StreamError(SmugError):
    """The stream can't be reached, or holds something that no retry will put right."""


class LakeError(SmugError):
    """A lake table is not what its metadata says, or a commit can't be made."""


class QueryError(SmugError):
    """A query of the lake can't be answered as it is put."""


class WarehouseError(SmugError):
    """The warehouse can't be opened, loaded or built."""


class ArchiveError(SmugError):
    """The archive can't be read or written, or is not what was sealed."""
