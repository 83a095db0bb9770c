"""dbt's artifacts, kept beside the lake: results of builds, with the manifest that they speak of.

dbt itself overwrites them at the next build. Here they lie as

    <version>/manifest.json
    <version>/run_results/<time>-<invocation id>.json

where the version is a hash of the project's files, so that a manifest is kept once and tools that
read the two (dbt's own `--state`, elementary, a diff) find them together. Bounded: the oldest
results go.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pyarrow.fs as pafs

from smug_platform.errors import WarehouseError

if TYPE_CHECKING:
    from dbt.artifacts.schemas.run import RunExecutionResult

MOST = 200
"""Results that are kept: some days of hourly builds."""
_RESULTS = "run_results"
_OUTPUT = frozenset({"target", "logs", "dbt_packages"})


def read_by_dbt(project: Path) -> Iterator[Path]:
    """The project, and all files and folders in it but those that dbt writes."""
    yield project
    for top in project.iterdir():
        if top.name not in _OUTPUT and not top.name.startswith("."):
            yield from (top, *top.rglob("*"))


@lru_cache(maxsize=4)
def version_of(project: Path, changed_at: float) -> str:
    """A hash of the project's files: its name, where builds of the same project lie together.

    changed_at: when one of them last changed; it is read anew only then.
    """
    del changed_at  # of the cache's key
    digest = hashlib.sha256()
    for path in sorted(read_by_dbt(project)):
        if path.suffix in {".sql", ".yml"}:
            digest.update(str(path.relative_to(project)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def as_artifact(results: "RunExecutionResult") -> tuple[str, bytes]:
    """What dbt writes as run_results.json, with a name that tells when and by which invocation."""
    from dbt.artifacts.schemas.run import RunResultsArtifact

    made = RunResultsArtifact.from_execution_results(
        results.results, results.elapsed_time, results.generated_at, results.args
    )
    name = f"{results.generated_at:%Y%m%dT%H%M%S.%f}-{made.metadata.invocation_id}"
    return name, orjson.dumps(made.to_dict(omit_none=False))


def keep(uri: str, version: str, *, name: str, results: bytes, manifest: Path) -> str:
    """Keep a build's results under that name, and the manifest unless it is there; their URI.

    Raises WarehouseError when the place can't be written.
    """
    try:
        filesystem, root = pafs.FileSystem.from_uri(uri)
        folder = f"{root.rstrip('/')}/{version}"
        filesystem.create_dir(f"{folder}/{_RESULTS}", recursive=True)
        if filesystem.get_file_info(f"{folder}/manifest.json").type == pafs.FileType.NotFound:
            _write(filesystem, f"{folder}/manifest.json", manifest.read_bytes())
        _write(filesystem, f"{folder}/{_RESULTS}/{name}.json", results)
        _thin_out(filesystem, root)
    except OSError as error:
        raise WarehouseError(
            f"dbt's results can't be kept at {uri}: {error}",
            remedy="make that place writable and build again",
        ) from error
    return f"{uri}/{version}/{_RESULTS}/{name}.json"


def _write(filesystem: pafs.FileSystem, path: str, data: bytes) -> None:
    """Under another name first: nobody reads half of it."""
    with filesystem.open_output_stream(f"{path}.tmp") as file:
        file.write(data)
    filesystem.move(f"{path}.tmp", path)


def _thin_out(filesystem: pafs.FileSystem, root: str) -> None:
    """Delete the oldest results beyond so many, and what is left of a version without any."""
    found = filesystem.get_file_info(pafs.FileSelector(root, recursive=True))
    results = [each.path for each in found if f"/{_RESULTS}/" in each.path]
    results.sort(key=lambda path: path.rpartition("/")[2])
    folders = {path.rpartition(f"/{_RESULTS}/")[0] for path in results}
    for path in results[:-MOST]:
        filesystem.delete_file(path)
    left = {path.rpartition(f"/{_RESULTS}/")[0] for path in results[-MOST:]}
    for folder in sorted(folders - left):
        filesystem.delete_dir(folder)
