"""What Debezium's own converters would change in values, put right inside the virtual machine.

They give NULL for a zero date, and 1970-01-01 in a column that takes none, true for any BOOLEAN
that is not 0, and the same sign for all bytes that Java's windows-1252 lacks and MySQL's latin1
has; a text whose charset is `binary` they decode; and 31 February, which a lax sql_mode lets in,
ends them.

Its parser takes no name in double quotes, no function as a default without parentheses, which is
how MariaDB writes one, and does not see that a text collated as `binary` is of bytes: such
statements are put into words that it knows.

The converters are Java classes, for a value must not cross into Python. Three classes of Debezium's
are altered, so Javassist, which comes with it, makes all of them as the machine starts.
"""

from typing import Any

import jpype

from smug_platform.capture import unread
from smug_platform.capture.alter import add, class_pool, load
from smug_platform.capture.events import MARK
from smug_platform.capture.zero_dates import NO_DAY, NO_INSTANT, NO_MOMENT

NAME = "io.debezium.spi.converter.SourceValues"
_PACKAGE, _NEIGHBOUR = NAME.rpartition(".")[0], "io.debezium.spi.converter.CustomConverter"
_CONVERTER = f"{_NEIGHBOUR}$Converter"
_ROWS = "io.debezium.connector.binlog.event.RowDeserializers"
_BESIDE_ROWS = "io.debezium.connector.binlog.event.StopEventData"
_CELLS = "io.debezium.connector.mysql.jdbc.MySqlTextProtocolFieldReader"
_OUR_CELLS = "io.debezium.connector.mysql.jdbc.CellsOfSource"
_CHOOSES_CELLS = "io.debezium.connector.mysql.jdbc.MySqlFieldReaderResolver"
_PARSER = "io.debezium.connector.mysql.antlr.MySqlAntlrDdlParser"
_BESIDE_PARSER = "io.debezium.connector.mysql.antlr.DdlNormalizer"

# What is read where there is a date that is none, until it is converted.
_NONE = "java.time.LocalDate.MIN"
# Text is among the values of a time only where a schema is made, as the default of its column.
_TIME = f"""public Object convert(Object value) {{{{
    if (value == null || value instanceof String) return null;
    if (value == {_NONE}) return {{0}};
    {{1}}
}}}}"""
_NO_DAY, _NO_MOMENT = f"Integer.valueOf({NO_DAY})", f"Long.valueOf({NO_MOMENT}L)"
_VALUES = {
    "Days": _TIME.format(
        _NO_DAY,
        f"""int day = value instanceof Integer ? ((Integer) value).intValue()
            : io.debezium.time.Date.toEpochDay(value, null);
        return day < -719162 ? {_NO_DAY} : Integer.valueOf(day);""",
    ),
    "Moments": _TIME.format(
        _NO_MOMENT,
        f"""long micros = value instanceof Long ? ((Long) value).longValue()
            : io.debezium.time.MicroTimestamp.toEpochMicros(value, null);
        return micros < -62135596800000000L ? {_NO_MOMENT} : Long.valueOf(micros);""",
    ),
    "Instants": _TIME.format(
        f'"{NO_INSTANT}"',
        """return io.debezium.time.ZonedTimestamp.toIsoString(
            value, java.time.ZoneOffset.UTC, null, Integer.valueOf(length));""",
    ),
    "Flags": """public Object convert(Object value) {
        if (value instanceof Number) return Short.valueOf(((Number) value).shortValue());
        if (value instanceof Boolean)
            return Short.valueOf((short) (((Boolean) value).booleanValue() ? 1 : 0));
        return null;
    }""",
    "Latin1": """public Object convert(Object value) {
        if (!(value instanceof byte[])) return value;
        byte[] bytes = (byte[]) value;
        String text = new String(bytes, "windows-1252");
        if (text.indexOf(65533) < 0) return text;
        char[] signs = text.toCharArray();
        for (int i = 0; i < signs.length; i++)
            if (signs[i] == 65533) signs[i] = (char) (bytes[i] & 255);
        return new String(signs);
    }""",
    "Bytes": """public Object convert(Object value) {
        if (!(value instanceof byte[])) return value;
        byte[] bytes = (byte[]) value;
        if (bytes.length < length) bytes = java.util.Arrays.copyOf(bytes, length);
        return java.util.Base64.getEncoder().encodeToString(bytes);
    }""",
}
_CHOICE = """public void converterFor(io.debezium.spi.converter.ConvertedField field,
        io.debezium.spi.converter.CustomConverter$ConverterRegistration registration) {
    io.debezium.spi.converter.RelationalColumn column =
        (io.debezium.spi.converter.RelationalColumn) field;
    String type = column.typeName().toUpperCase(), charset = column.charsetName();
    org.apache.kafka.connect.data.SchemaBuilder schema = null;
    io.debezium.spi.converter.ValuesOfSource values = null;
    if (type.equals("DATE")) {
        schema = io.debezium.time.Date.builder();
        values = new io.debezium.spi.converter.Days();
    } else if (type.equals("DATETIME")) {
        schema = io.debezium.time.MicroTimestamp.builder();
        values = new io.debezium.spi.converter.Moments();
    } else if (type.equals("TIMESTAMP")) {
        schema = io.debezium.time.ZonedTimestamp.builder();
        values = new io.debezium.spi.converter.Instants();
        values.length = column.length().orElse(-1);
    } else if (type.equals("BOOLEAN") || type.equals("BOOL")) {
        schema = org.apache.kafka.connect.data.SchemaBuilder.int16();
        values = new io.debezium.spi.converter.Flags();
    } else if (charset != null && (type.indexOf("CHAR") >= 0 || type.indexOf("TEXT") >= 0)) {
        schema = org.apache.kafka.connect.data.SchemaBuilder.string();
        if (charset.equalsIgnoreCase("latin1"))
            values = new io.debezium.spi.converter.Latin1();
        else if (charset.equalsIgnoreCase("binary")) {
            values = new io.debezium.spi.converter.Bytes();
            if (type.equals("CHAR") || type.equals("CHARACTER"))
                values.length = column.length().orElse(1);
        }
    }
    if (values != null) registration.register(schema.optional(), values);
}"""
_READ_CELL = f"""public Object readField(java.sql.ResultSet row, int place,
        io.debezium.relational.Column column, io.debezium.relational.Table table)
        throws java.sql.SQLException {{
    Object value = super.readField(row, place, column, table);
    String type = column.typeName().toUpperCase();
    if (value == null && (type.startsWith("DATE") || type.startsWith("TIMESTAMP"))
        && row.getBlob(place) != null) value = {_NONE};
    return value;
}}"""
# A text of the collation `binary` gets that charset, beside its type, where alone it is read. As it
# was given such a statement is not tried again: its bytes would be taken for signs.
_COLLATED = r"""private static String collated(String ddl) {
    String binary = "(?:\\s*=\\s*|\\s+)binary\\b", collate = "\\bCOLLATE" + binary;
    if (!java.util.regex.Pattern.compile("(?i)" + collate).matcher(ddl).find()) return ddl;
    String quoted = "'(?:[^'\\\\]++|\\\\.)*+'|\"(?:[^\"\\\\]++|\\\\.)*+\"",
        bracketed = "\\((?:" + quoted + "|[^()'\"])*+\\)",
        charset = "\\bCHAR(?:ACTER)?\\s*SET\\b",
        type = "\\b(?:(?:(?:VAR)?CHAR(?:ACTER)?(?!\\s*SET)|(?:TINY|MEDIUM|LONG)?TEXT)\\b(?:\\s*"
            + "\\([\\d\\s]+\\))?|(?:ENUM|SET)\\s*" + bracketed + ")",
        between = "(?:" + quoted + "|" + bracketed + "|(?!" + type + "|" + charset
            + ")[^,()'\"`])*?" + collate,
        kept = quoted + "|`[^`]*+`|/\\*(?!!).*?\\*/|--\\s[^\\n]*|#[^\\n]*|"
            + charset + binary + between,
        all = "(?is)(" + kept + ")|((" + type + ")(" + between + "))|" + collate;
    java.util.regex.Matcher found = java.util.regex.Pattern.compile(all).matcher(ddl);
    StringBuffer text = new StringBuffer();
    while (found.find()) {
        String as = "CHARACTER SET binary";
        if (found.group(1) != null) as = found.group();
        else if (found.group(2) != null)
            as = found.group(3) + " " + as + found.group(4).replaceAll("(?i)" + collate + "$", "");
        found.appendReplacement(text, java.util.regex.Matcher.quoteReplacement(as));
    }
    return found.appendTail(text).toString();
}"""
# Other words are tried only for what can't be read, for a text may stand in double quotes too.
_READABLE = r"""private io.debezium.relational.ddl.DdlChanges readable(
        String ddl, String known, io.debezium.relational.Tables tables) {
    try {
        return parseKnown(known, tables);
    } catch (RuntimeException unread) {
        String function = "(?!CURRENT_TIMESTAMP|NOW|LOCALTIME)[a-z_]\\w*\\s*"
            + "\\((?:'(?:[^'\\\\]|\\\\.)*'|[^()']|\\([^()]*\\))*\\)";
        String other = known.replaceAll("\"(?=(?:[^']*'[^']*')*[^']*$)", "`")
            .replaceAll("(?i)\\bDEFAULT\\s+(" + function + ")", "DEFAULT ($1)");
        if (other.equals(known)) return passOver(ddl, tables, unread);
        try {
            return parseKnown(other, tables);
        } catch (RuntimeException again) {
            return passOver(ddl, tables, unread);
        }
    }
}"""
# What is marked changes no schema.
_PARSE = r"""public io.debezium.relational.ddl.DdlChanges parse(
        String ddl, io.debezium.relational.Tables tables) {
    if (ddl.startsWith("PASSED")) passedAgain(ddl, tables);
    if (ddl.startsWith("MARK") || ddl.startsWith("PASSED"))
        return new io.debezium.relational.ddl.DdlChanges();
    String known = collated(ddl);
    io.debezium.relational.ddl.DdlChanges changes = readable(ddl, known, tables);
    check(ddl, tables);
    return changes;
}""".replace("MARK", MARK).replace("PASSED", unread.PASSED)


def define_converters() -> None:
    """Make the classes, once in a virtual machine, before an engine is built."""
    pool = class_pool()
    base = pool.makeClass(f"{_PACKAGE}.ValuesOfSource")
    base.addInterface(pool.get(_CONVERTER))
    add(base, fields=("public int length;",))
    _define(base, "public abstract Object convert(Object value);")
    for name, convert in _VALUES.items():
        _define(pool.makeClass(f"{_PACKAGE}.{name}", base), convert)
    chooser = pool.makeClass(NAME)
    chooser.addInterface(pool.get(_NEIGHBOUR))
    _define(chooser, "public void configure(java.util.Properties given) {}", _CHOICE)
    _mark_zero_dates(pool)
    parser = pool.get(_PARSER)
    parser.getDeclaredMethod("parse").setName("parseKnown")
    add(parser, fields=unread.FIELDS, methods=(*unread.METHODS, _COLLATED, _READABLE, _PARSE))
    load(parser, _BESIDE_PARSER)


def _mark_zero_dates(pool: Any) -> None:
    """Have the readers of cells, of which none is asked for NULL but the last, give `_NONE`."""
    rows = pool.get(_ROWS)  # what it does where a day is none of its month
    rows.getDeclaredMethod("handleException").setBody("return null;")
    for kind in ("Date", "Datetime", "DatetimeV2", "Timestamp", "TimestampV2"):
        method = rows.getDeclaredMethod(f"deserialize{kind}")
        method.insertAfter(f"if ($_ == null) $_ = {_NONE};")
    load(rows, _BESIDE_ROWS)
    text = pool.get(_CELLS)
    cells = pool.makeClass(_OUR_CELLS, text)
    (given,) = text.getConstructors()
    cells.addConstructor(
        jpype.JClass("javassist.CtNewConstructor").make(given.getParameterTypes(), None, cells)
    )
    add(cells, methods=(_READ_CELL,))
    load(cells, _CELLS)
    chooser = pool.get(_CHOOSES_CELLS)
    choose = f"if (!$1.useCursorFetch()) return new {_OUR_CELLS}($1);"
    chooser.getDeclaredMethod("resolve").insertBefore(choose)
    load(chooser, _CELLS)


def _define(made: Any, *methods: str) -> None:
    """Put methods into a class, and load it."""
    add(made, methods=methods)
    made.addConstructor(jpype.JClass("javassist.CtNewConstructor").defaultConstructor(made))
    load(made, _NEIGHBOUR)
