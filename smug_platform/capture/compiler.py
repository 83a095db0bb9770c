"""Java that Python would be too slow for, compiled in the virtual machine that runs it.

The sources lie in `java/`, the compiler (Eclipse's) comes with Debezium's jars: no development kit
is needed, and what runs is what can be read. Classes are kept in a folder under the hash of their
source and of the jars' names, so that one process alone compiles them: half a second.
"""

# mypy: disable-error-code="untyped-decorator"

import hashlib
import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jpype

from smug_platform.capture.jvm import CLASSES

_SOURCES = Path(__file__).parent / "java"
_JDT = "org.eclipse.jdt.internal.compiler"
_LEVEL = "1.8"  # the newest that this compiler knows


@cache
def java_class(name: str) -> Any:
    """The class of `java/<name>.java`, one in a process. Raises ValueError, with what the compiler
    says.
    """
    source = (_SOURCES / f"{name}.java").read_text()
    system = jpype.JClass("java.lang.System")
    mark = _mark(source, str(system.getProperty("java.class.path")))
    home = Path(str(system.getProperty(CLASSES))) / mark
    if not home.exists():
        _write(_compiled(name, source), home)
    urls = jpype.JArray(jpype.JClass("java.net.URL"))(
        [jpype.java.io.File(str(home)).toURI().toURL()]
    )
    loader = jpype.JClass("java.net.URLClassLoader")(
        urls, jpype.JClass("java.lang.ClassLoader").getSystemClassLoader()
    )
    return jpype.JClass(name, loader=loader)


def _mark(source: str, class_path: str) -> str:
    """What the classes of a source are kept under, which were compiled beside those jars.

    >>> _mark("class A {}", "/a/x-1.jar:/a/y.jar") == _mark("class A {}", "/b/y.jar:/b/x-1.jar")
    True
    """
    jars = sorted(Path(jar).name for jar in class_path.split(os.pathsep))
    return hashlib.sha256("\n".join([*jars, source]).encode()).hexdigest()[:16]


def _write(classes: dict[str, bytes], home: Path) -> None:
    """All at once, for another process may do the same."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=home.parent, ignore_cleanup_errors=True) as made:
        whole = Path(made) / "whole"
        whole.mkdir()
        for name, code in classes.items():
            (whole / f"{name}.class").write_bytes(code)
        try:
            whole.rename(home)
        except OSError:
            if not home.exists():
                raise


def _compiled(name: str, source: str) -> dict[str, bytes]:
    """The class files of one source, by name."""
    requestor = _requestor()
    options = jpype.JClass("java.util.HashMap")()
    for option in ("source", "compliance", "codegen.targetPlatform"):
        options.put(f"org.eclipse.jdt.core.compiler.{option}", _LEVEL)
    compiler = jpype.JClass(f"{_JDT}.Compiler")(
        _environment(),
        jpype.JClass(f"{_JDT}.DefaultErrorHandlingPolicies").proceedWithAllProblems(),
        jpype.JClass(f"{_JDT}.impl.CompilerOptions")(options),
        requestor,
        jpype.JClass(f"{_JDT}.problem.DefaultProblemFactory")(),
    )
    text = jpype.JClass("java.lang.String")(source).toCharArray()
    compiler.compile([jpype.JClass(f"{_JDT}.batch.CompilationUnit")(text, f"{name}.java", "UTF-8")])
    if requestor.errors:
        raise ValueError("\n".join(requestor.errors))
    classes: dict[str, bytes] = requestor.classes
    return classes


def _environment() -> Any:
    """Where the compiler finds other classes: what the virtual machine has loaded or could."""
    loader = jpype.JClass("java.lang.ClassLoader").getSystemClassLoader()
    answer = jpype.JClass(f"{_JDT}.env.NameEnvironmentAnswer")
    reader = jpype.JClass(f"{_JDT}.classfmt.ClassFileReader")

    @jpype.JImplements(f"{_JDT}.env.INameEnvironment")
    class Environment:
        @jpype.JOverride
        def findType(self, *parts: Any) -> Any:
            # The whole name, or the last part of it and those before.
            path = _path(parts[0]) if len(parts) == 1 else _path((*parts[1], parts[0]))
            file = loader.getResourceAsStream(f"{path}.class")
            return None if file is None else answer(reader.read(file, path), None)

        @jpype.JOverride
        def isPackage(self, parents: Any, name: Any) -> bool:
            del parents
            return not _text(name)[0].isupper()

        @jpype.JOverride
        def cleanup(self) -> None:
            pass

    return Environment()


def _requestor() -> Any:
    """Takes what comes out of the compiler: class files by name, and errors."""

    @jpype.JImplements(f"{_JDT}.ICompilerRequestor")
    class Requestor:
        def __init__(self) -> None:
            self.classes: dict[str, bytes] = {}
            self.errors: list[str] = []

        @jpype.JOverride
        def acceptResult(self, result: Any) -> None:
            self.errors += [
                f"line {one.getSourceLineNumber()}: {one.getMessage()}"
                for one in result.getErrors() or ()
            ]
            for one in result.getClassFiles():
                self.classes[_path(one.getCompoundName())] = bytes(one.getBytes())

    return Requestor()


def _path(parts: Any) -> str:
    return "/".join(map(_text, parts))


def _text(characters: Any) -> str:
    return str(jpype.JClass("java.lang.String")(characters))
