"""What passes over the way did, added up by stage."""

from collections import Counter
from dataclasses import dataclass, field

from smug_platform.sync import Synced

COLUMNS = ("in", "duplicates", "identical", "merged away", "rows out", "seconds")


@dataclass
class Tally:
    """Sums over passes. seconds: by stage."""

    passes: int = 0
    landed: Counter[str] = field(default_factory=Counter)
    merged: Counter[str] = field(default_factory=Counter)
    loaded: Counter[str] = field(default_factory=Counter)
    built: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)

    def add(self, synced: Synced) -> None:
        """Add a pass; one that moved nothing does not count."""
        if not synced.moved:
            return
        self.passes += 1
        for stage, seconds in synced.seconds.items():
            self.seconds[stage] += seconds  # type: ignore[assignment]  # Counter adds floats too
        for landed in synced.landed:
            self.landed.update(
                commits=landed.snapshot_id is not None,
                deltas=landed.deltas,
                copies=landed.copies,
                quarantined=landed.quarantined,
            )
        for merged in synced.merged:
            for name in (
                "deltas", "duplicates", "identical", "merged_away", "stale", "written",
                "quarantined", "commits",
            ):  # fmt: skip
                self.merged[name] += getattr(merged, name)
        for loaded in synced.loaded:
            self.loaded.update(loads=1, rows=loaded.rows)
        if synced.built:
            self.built.update(builds=1)
            self.built["nodes"] += len(synced.built.nodes)
            self.built["failed"] += len(synced.built.failed)
            self.built["warned"] += sum(node.status == "warn" for node in synced.built.nodes)

    def rows(self) -> list[tuple[str, ...]]:
        """The stage, then `COLUMNS`, as texts."""
        merged = self.merged
        failed, warned = self.built["failed"], self.built["warned"]
        said = [f"{n:,} {what}" for n, what in ((failed, "failed"), (warned, "warned")) if n]
        return [
            (
                "stream to raw",
                f"{self.landed['deltas'] + self.landed['copies']:,}",
                f"{self.landed['copies']:,}",
                "",
                "",
                f"{self.landed['deltas']:,}",
                f"{self.seconds['land']:.1f}",
            ),
            (
                "raw to lake",
                f"{merged['deltas']:,}",
                f"{merged['duplicates']:,}",
                f"{merged['identical']:,}",
                f"{merged['merged_away'] + merged['stale']:,}",
                f"{merged['written']:,}",
                f"{self.seconds['merge']:.1f}",
            ),
            (
                "lake to warehouse",
                f"{merged['written']:,}",
                "",
                "",
                f"{max(merged['written'] - self.loaded['rows'], 0):,}",
                f"{self.loaded['rows']:,}",
                f"{self.seconds['load']:.1f}",
            ),
            (
                f"dbt, {self.built['builds']} builds",
                f"{self.built['nodes']:,} nodes",
                "",
                "",
                "",
                ", ".join(said) or "all passed",
                f"{self.seconds['build']:.1f}",
            ),
        ]
