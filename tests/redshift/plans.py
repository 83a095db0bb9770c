"""What is to be done with a statement."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Passed:
    """Goes to PostgreSQL, by whichever protocol it came."""

    sql: str


@dataclass(frozen=True)
class Script:
    """One or more statements of PostgreSQL's for one of Redshift's.

    commits: ends the transaction, as TRUNCATE does. alone: refused within a transaction.
    """

    statements: list[str]
    tag: str
    commits: bool = False
    alone: bool = False


@dataclass(frozen=True)
class LateBindingView:
    """CREATE VIEW ... WITH NO SCHEMA BINDING; columns: the list in parentheses, or nothing."""

    view: str
    columns: str
    query: str
    replaces: bool


@dataclass(frozen=True)
class Copy:
    """COPY from S3. options: the words after FROM, by name."""

    table: list[str]
    columns: list[str]
    url: str
    options: dict[str, str | int | bool] = field(default_factory=dict)


Plan = Passed | Script | LateBindingView | Copy
