"""Builds what scans JSON, in C, with the compiler that the package `ziglang` brings.

All else about the package stands in pyproject.toml. The library is no extension module: it is
loaded by ctypes, knows nothing of Python, and goes with every version of it.
"""

import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# `baseline`: an image that is built on one machine runs on others.
FLAGS = ("-O3", "-mcpu=baseline", "-std=c11", "-Wall", "-Wextra", "-fPIC", "-shared")
HIDDEN = "-fvisibility=hidden"


class BuildScanner(build_ext):
    """Compiles the library instead of an extension module."""

    def build_extension(self, ext: Extension) -> None:
        """Where `pip install` wants it: beside its sources for an editable install."""
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        compiler = [sys.executable, "-m", "ziglang", "cc"]
        subprocess.run([*compiler, *FLAGS, HIDDEN, "-o", str(target), *ext.sources], check=True)


SOURCES = [f"smug_platform/scan/{name}.c" for name in ("envelopes", "rows", "values", "words")]
HEADERS = ["smug_platform/scan/tokens.h"]

setup(
    ext_modules=[Extension("smug_platform.scan._scan", SOURCES, depends=HEADERS)],
    cmdclass={"build_ext": BuildScanner},
)
