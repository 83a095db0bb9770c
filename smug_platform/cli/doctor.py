"""`smug doctor`: what stands in the way of capturing the source shards, and what to do about it."""

import json
from dataclasses import asdict

import typer
from rich.markup import escape

from smug_platform.capture.doctor import examine_all
from smug_platform.capture.finding import SEVERITIES, Finding, by_severity
from smug_platform.cli.console import console, grid
from smug_platform.errors import SettingsError
from smug_platform.settings import Settings
from smug_platform.tables.flickr import FLICKR

_COLORS = {"blocking": "red", "warning": "yellow", "note": "dim"}


def show_doctor(settings: Settings, *, as_json: bool) -> bool:
    """Print the findings; whether the shards can be captured."""
    if not settings.shards:
        raise SettingsError("no source shard is set", remedy="set SMUG_SHARDS")
    findings = by_severity(examine_all(settings.shards, FLICKR))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _show(findings, len(settings.shards))
    return all(finding.severity != "blocking" for finding in findings)


def _show(findings: list[Finding], shards: int) -> None:
    out, made = console(), grid("", "check", "found", "what to do", left=4)
    for column in made.columns[-2:]:
        column.no_wrap, column.overflow = False, "fold"
    for finding in findings:
        color = _COLORS[finding.severity]
        made.add_row(
            f"[{color}]{finding.severity}[/]",
            finding.check,
            escape(finding.problem),
            escape(finding.remedy),
        )
    if findings:
        out.print(made)
        out.print()
    counts = [sum(finding.severity == each for finding in findings) for each in SEVERITIES]
    words = ", ".join(f"{count} {each}" for count, each in zip(counts, SEVERITIES, strict=True))
    verdict = "[red]can't be captured[/]" if counts[0] else "[green]can be captured[/]"
    out.print(f"{shards} shards {verdict}: {words}")
