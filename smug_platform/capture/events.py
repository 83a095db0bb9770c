"""Events of the binlog that Debezium's client would pass over, or read without a look at their sum.

It counts no checksum, logs an INCIDENT (the server lost events) and goes on, and ignores types that
it does not know or has no handler for. Its connector leaves out a change of rows that is told as a
statement. All of that is lost rows in silence.

So the class that reads an event is altered as the virtual machine starts (see `alter`): each
event is held to its checksum, what is not known ends the connection, as does an incident, and a
statement that changes rows is marked, so that it comes as a schema change does: see `statements`.
"""

from smug_platform.capture.alter import add, class_pool, load
from smug_platform.capture.failures import DAMAGED, INCIDENT, UNKNOWN
from smug_platform.capture.unread import ABOUT_NO_TABLE, PASSED

# The classes that the cache of what Java loads would have for the sake of another are loaded before
# it can have them, though nothing in them is altered: what holds the reader, and its children.
_HOLDER = "io.debezium.connector.binlog.BinlogStreamingChangeEventSource"
_READER = f"{_HOLDER}$1"
_CHILD = "io.debezium.connector.mysql.MySqlStreamingChangeEventSource"
_BESIDE_CHILD = "io.debezium.connector.mysql.MySqlPartition"
_BESIDE = "io.debezium.connector.binlog.BinlogUnsignedIntegerConverter"
_PARENT = "com.github.shyiko.mysql.binlog.event.deserialization.EventDeserializer"

MARK = "/*smug: rows changed in "
"""What stands before a statement that changes rows, with the session's database and `*/`."""
CUT = " ..."
"""What stands after one that is longer than what is told of it."""

# By number. 17, 9, 11 hold the file of a LOAD DATA, which 18 names; what follows 164, by which
# MariaDB says that its file is encrypted, comes decrypted.
_KNOWN = (
    *(2, 3, 4, 5, 9, 11, 13, 14, 15, 16, 17, 18, 19, 23, 24, 25, 27, 28, 29, 30, 31, 32, 33, 34),
    *(35, 36, 37, 38, 40, 41, 42, 160, 161, 162, 163, 164),
)
_NAMES = {
    1: "START_V3",
    6: "LOAD",
    7: "SLAVE",
    8: "CREATE_FILE",
    10: "EXEC_LOAD",
    12: "NEW_LOAD",
    20: "PRE_GA_WRITE_ROWS",
    21: "PRE_GA_UPDATE_ROWS",
    22: "PRE_GA_DELETE_ROWS",
    39: "PARTIAL_UPDATE_ROWS",
    165: "QUERY_COMPRESSED",
    166: "WRITE_ROWS_COMPRESSED_V1",
    167: "UPDATE_ROWS_COMPRESSED_V1",
    168: "DELETE_ROWS_COMPRESSED_V1",
    169: "WRITE_ROWS_COMPRESSED",
    170: "UPDATE_ROWS_COMPRESSED",
    171: "DELETE_ROWS_COMPRESSED",
}

_WORDS = ", ".join(
    f"{sum(1 << number % 64 for number in _KNOWN if number // 64 == word)}L" for word in range(3)
)

_FIELDS = (
    "private java.lang.reflect.Field length;",
    "private static final java.util.BitSet known ="
    f" java.util.BitSet.valueOf(new long[] {{{_WORDS}}});",
    f'private static final String names = ",{",".join(f"{n}={v}" for n, v in _NAMES.items())},";',
    """private static final java.util.regex.Pattern changesRows = java.util.regex.Pattern.compile(
        "(?is)(?:\\\\s++|/\\\\*M?![\\\\d?]*|\\\\*/|\\\\()*+(?:SET\\\\s+STATEMENT\\\\s.*?\\\\sFOR\\\\s+)?"
        + "(?:INSERT|UPDATE|DELETE|REPLACE|LOAD|WITH|SELECT|VALUES|CALL|DO|EXECUTE)\\\\b");""",
    "private static final java.util.regex.Pattern aboutNoTable ="
    f' java.util.regex.Pattern.compile("{ABOUT_NO_TABLE}");',
)
# The bytes of one event. Numbers are little-endian; of 19 bytes of head the type is the fifth,
# the length from the tenth on, the place of the next event from the 14th on.
_WHOLE = """private static byte[] whole(com.github.shyiko.mysql.binlog.io.ByteArrayInputStream from)
        throws java.io.IOException {
    byte[] head = from.read(19);
    byte[] event = java.util.Arrays.copyOf(head, (int) number(head, 9));
    from.fill(event, 19, event.length - 19);
    return event;
}"""
_NUMBER = """private static long number(byte[] bytes, int at) {
    return (bytes[at] & 255) | ((bytes[at + 1] & 255) << 8) | ((bytes[at + 2] & 255) << 16)
        | ((long) (bytes[at + 3] & 255) << 24);
}"""
_SUM_LENGTH = f"""private int sumLength() throws java.io.IOException {{
    try {{
        if (length == null) {{
            length = {_PARENT}.class.getDeclaredField("checksumLength");
            length.setAccessible(true);
        }}
        return length.getInt(this);
    }} catch (ReflectiveOperationException error) {{
        throw new java.net.SocketException(error.toString());
    }}
}}"""
# The client goes on with the next event after any other exception than one of its connection.
_CHECK = f"""private void check(byte[] event) throws java.io.IOException {{
    int type = event[4] & 255, end = event.length - 4;
    boolean isSummed = type == 15 ? event[end - 1] == 1 : sumLength() == 4;
    String problem = null;
    if (isSummed) {{
        java.util.zip.CRC32 sum = new java.util.zip.CRC32();
        sum.update(event, 0, end);
        if (sum.getValue() != number(event, end)) problem = "{DAMAGED}";
    }}
    if (problem == null && type == 26) problem = "{INCIDENT}";
    if (problem == null && !known.get(type)) {{
        int at = names.indexOf("," + type + "=");
        problem = "{UNKNOWN}: " + (at < 0 ? Integer.toString(type)
            : names.substring(at + 1, names.indexOf(",", at + 1)));
    }}
    if (problem != null) throw new java.net.SocketException("the event of the binlog that ends at "
        + number(event, 13) + " " + problem);
}}"""
# What executes a LOAD DATA is a query with 13 bytes more, of the file that it loads.
_QUERY = """private static byte[] query(byte[] event) {
    byte[] query = new byte[event.length - 13];
    System.arraycopy(event, 0, query, 0, 32);
    System.arraycopy(event, 45, query, 32, event.length - 45);
    query[4] = 2;
    for (int i = 0; i < 4; i++) query[9 + i] = (byte) (query.length >> 8 * i);
    return query;
}"""
# A statement without comments and without its values, which may be personal. Its beginning does.
_MASKED = r"""private static String masked(String sql) {
    StringBuffer text = new StringBuffer();
    int i = 0, end = sql.length();
    while (i < end && text.length() < 4000) {
        char sign = sql.charAt(i);
        if (sign == '\'' || sign == '"') {
            for (i++; i < end && sql.charAt(i) != sign; i++) if (sql.charAt(i) == '\\') i++;
            text.append(sign).append('?').append(sign);
            i++;
        } else if (sign == '`') {
            int from = i, to = sql.indexOf('`', i + 1);
            i = to < 0 ? end : to + 1;
            text.append(sql.substring(from, i));
        } else if (sign == '#' || sql.startsWith("-- ", i)) {
            int to = sql.indexOf('\n', i);
            i = to < 0 ? end : to;
        } else if (sql.startsWith("/*", i) && !sql.startsWith("/*!", i)
                && !sql.startsWith("/*M!", i)) {
            int to = sql.indexOf("*/", i + 2);
            i = to < 0 ? end : to + 2;
            text.append(' ');
        } else if (Character.isDigit(sign)
                && (i == 0 || !Character.isJavaIdentifierPart(sql.charAt(i - 1)))) {
            while (i < end && (Character.isJavaIdentifierPart(sql.charAt(i))
                || sql.charAt(i) == '.')) i++;
            text.append('?');
        } else {
            text.append(sign);
            i++;
        }
    }
    return i < end ? text.append("CUT").toString() : text.toString();
}""".replace("CUT", CUT)
_MARK = f"""private static void mark(com.github.shyiko.mysql.binlog.event.Event event) {{
    if (!(event.getData() instanceof com.github.shyiko.mysql.binlog.event.QueryEventData)) return;
    com.github.shyiko.mysql.binlog.event.QueryEventData data =
        (com.github.shyiko.mysql.binlog.event.QueryEventData) event.getData();
    String told = masked(data.getSql());
    if (changesRows.matcher(told).lookingAt()) {{
        data.setSql("{MARK}" + data.getDatabase() + "*/" + told.trim());
        data.setDatabase("");
    }} else if (aboutNoTable.matcher(told).matches()) {{
        told = told.trim().replaceAll("\\\\s+", " ");
        data.setSql("{PASSED}*/" + told.substring(0, Math.min(told.length(), 100)));
        data.setDatabase("");
    }}
}}"""
_NEXT = f"""public com.github.shyiko.mysql.binlog.event.Event nextEvent(
        com.github.shyiko.mysql.binlog.io.ByteArrayInputStream from) throws java.io.IOException {{
    if (from.peek() == -1) return null;
    byte[] bytes = whole(from);
    check(bytes);
    boolean isLoad = bytes[4] == 18;
    com.github.shyiko.mysql.binlog.event.Event event = nextKnown(
        new com.github.shyiko.mysql.binlog.io.ByteArrayInputStream(isLoad ? query(bytes) : bytes));
    if (isLoad) ((com.github.shyiko.mysql.binlog.event.EventHeaderV4) event.getHeader())
        .setEventLength((long) bytes.length);
    mark(event);
    if (event.getData()
            instanceof com.github.shyiko.mysql.binlog.event.TransactionPayloadEventData) {{
        java.util.Iterator packed = ((com.github.shyiko.mysql.binlog.event
            .TransactionPayloadEventData) event.getData()).getUncompressedEvents().iterator();
        while (packed.hasNext()) {{
            com.github.shyiko.mysql.binlog.event.Event one =
                (com.github.shyiko.mysql.binlog.event.Event) packed.next();
            String type = one.getHeader().getEventType().name();
            if (type.equals("UNKNOWN") || type.startsWith("PARTIAL_UPDATE"))
                throw new java.net.SocketException("an event in a packed transaction {UNKNOWN}: "
                    + type);
            mark(one);
        }}
    }}
    return event;
}}"""
_METHODS = (_NUMBER, _WHOLE, _SUM_LENGTH, _CHECK, _QUERY, _MASKED, _MARK, _NEXT)


def define_events() -> None:
    """Alter the class, once in a virtual machine, before an engine is built."""
    pool = class_pool()
    reader = pool.get(_READER)
    reader.getDeclaredMethod("nextEvent").setName("nextKnown")
    add(reader, fields=_FIELDS, methods=_METHODS)
    load(reader, _BESIDE)
    load(pool.get(_HOLDER), _BESIDE)
    load(pool.get(_CHILD), _BESIDE_CHILD)
