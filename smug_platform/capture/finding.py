"""One thing that was found at a source shard, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["blocking", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("blocking", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """What was found. check: its name, the same on every shard; shard: where. table: the one that
    it is about where it stops no other, else "".

    blocking: capture can't begin, or would lose changes. warning: some changes would not come, or
    a mishap can't be made good. note: to know.
    """

    severity: Severity
    check: str
    shard: str
    problem: str
    remedy: str
    table: str = ""


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, the worst first; otherwise in the order in which they came."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
