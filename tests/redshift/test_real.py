"""The same tests against whatever SMUG_TEST_REDSHIFT_DSN names: here, a stand-in under its DSN."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.redshift import fixtures
from tests.redshift.connection import Redshift

_HERE = Path(__file__).parent
_TESTS = ("test_parameters", "test_a_stand_in_says_so", "test_a_real_workgroup_does_not")


@pytest.mark.skipif(fixtures.REAL is not None, reason="it is what this test would do")
def test_the_suite_runs_on_what_the_environment_names(redshift_server: Redshift) -> None:
    """Those of the stand-in alone say why they don't; what is emulated is not taken for real."""
    at = redshift_server
    dsn = f"redshift://{at.user}:{at.password}@{at.host}:{at.port}/{at.database}?sslmode=disable"
    tests = [f"{_HERE / 'test_session.py'}::{name}" for name in _TESTS]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=_HERE.parents[1],
        env={**os.environ, "SMUG_TEST_REDSHIFT_DSN": dsn},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "is about the stand-in, and SMUG_TEST_REDSHIFT_DSN names a real workgroup" in done.stdout
    assert "1 failed, 1 passed, 1 skipped" in done.stdout
