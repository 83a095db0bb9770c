"""The same tests against whatever SMUG_TEST_REDSHIFT_DSN names: here, a stand-in under its DSN."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.redshift import fixtures
from tests.redshift.connection import Redshift

_HERE = Path(__file__).parent


@pytest.mark.skipif(fixtures.REAL is not None, reason="it is what this test would do")
def test_the_suite_runs_on_what_the_environment_names(redshift_server: Redshift) -> None:
    """Those of the stand-in alone say why they don't."""
    at = redshift_server
    dsn = f"redshift://{at.user}:{at.password}@{at.host}:{at.port}/{at.database}?sslmode=disable"
    tests = [str(_HERE / "test_merge.py"), f"{_HERE / 'test_session.py'}::test_a_stand_in_says_so"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=_HERE.parents[1],
        env={**os.environ, "SMUG_TEST_REDSHIFT_DSN": dsn},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "is about the stand-in, and SMUG_TEST_REDSHIFT_DSN names a real workgroup" in done.stdout
    assert "16 passed, 1 skipped" in done.stdout
