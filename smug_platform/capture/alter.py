"""Java classes that Javassist makes or alters before Debezium loads them; see decision 019."""

from typing import Any

import jpype


def class_pool() -> Any:
    """Where Javassist finds classes: what the virtual machine could load."""
    return jpype.JClass("javassist.ClassPool")(True)


def add(made: Any, *, fields: tuple[str, ...] = (), methods: tuple[str, ...] = ()) -> None:
    """Put members into a class, from their source: one may only use those before it."""
    for field in fields:
        made.addField(jpype.JClass("javassist.CtField").make(field, made))
    for method in methods:
        made.addMethod(jpype.JClass("javassist.CtNewMethod").make(method, made))


def load(made: Any, neighbour: str) -> None:
    """Load a class where the class loader finds it that Debezium asks: beside one of its own."""
    invoke = jpype.JPackage("java").lang.invoke
    beside = jpype.JClass("java.lang.Class").forName(neighbour)
    lookup = invoke.MethodHandles.privateLookupIn(beside, invoke.MethodHandles.lookup())
    lookup.defineClass(made.toBytecode())
