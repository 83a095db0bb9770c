"""Statements that capture need not read: those about no table, and those of tables of nobody's.

What grants, users, routines, views and sequences become changes no row that is captured: such a
statement is passed over before it is read. One of a table is put to Debezium's parser, for a table
that is not captured may take a captured one's place. Where the parser can't read it and no name in
it is a captured table's, it is passed over as well, and the tables that it names are forgotten: one
of them that comes to be captured by another name is not taken for what it was, but read anew.

Each is told to Python in a statement that begins with `PASSED`, which counts it. Of its text only a
beginning without values is kept, for passwords stand in some.
"""

PASSED = "/*smug: passed over: "
"""What stands before a statement that was not read, with the tables that it may have changed (as
`database.table`, with commas) and `*/`.
"""

ABOUT_NO_TABLE = (
    "(?is)(?:\\\\s++|/\\\\*M?![\\\\d?]*|\\\\*/)*+(?:SET\\\\s+STATEMENT\\\\s.*?\\\\sFOR\\\\s+)?"
    "(?:GRANT|REVOKE|SET\\\\s+(?:DEFAULT\\\\s+ROLE|PASSWORD)|RENAME\\\\s+USER"
    "|(?:CREATE|ALTER|DROP)\\\\s+(?:OR\\\\s+REPLACE\\\\s+)?(?:ALGORITHM\\\\s*=\\\\s*\\\\w+\\\\s+)?"
    "(?:DEFINER\\\\s*=\\\\s*[^\\\\s]+(?:\\\\s*@\\\\s*[^\\\\s]+)?\\\\s+)?(?:SQL\\\\s+SECURITY\\\\s+\\\\w+\\\\s+)?"
    "(?:AGGREGATE\\\\s+)?(?:USER|ROLE|VIEW|FUNCTION|PROCEDURE|PACKAGE|TRIGGER|EVENT"
    "|(?:TEMPORARY\\\\s+)?SEQUENCE|SERVER))\\\\b.*"
)
"""Of a statement that is about no table, as Java's source writes a pattern."""

_NAME = r"(`[^`]+`|\"[^\"]+\"|[\\w$]+)(?:\\s*\\.\\s*(`[^`]+`|\"[^\"]+\"|[\\w$]+))?"
FIELDS = (
    """private static final java.util.regex.Pattern ofTables = java.util.regex.Pattern.compile(
        "(?is)(?:\\\\s++|/\\\\*M?!\\\\d*|\\\\*/)*+(?:SET\\\\s+STATEMENT\\\\s.*?\\\\sFOR\\\\s+)?"
        + "(?:CREATE|ALTER|DROP|RENAME)\\\\s+(?:OR\\\\s+REPLACE\\\\s+)?"
        + "(?:(?:TEMPORARY|ONLINE|OFFLINE|IGNORE|UNIQUE|FULLTEXT|SPATIAL)\\\\s+)*"
        + "(?:TABLES?|INDEX)\\\\b");""",
    "private static final java.util.regex.Pattern names = java.util.regex.Pattern.compile("
    f'"{_NAME}");',
    "private static final java.util.regex.Pattern madeOfOther = java.util.regex.Pattern.compile("
    f'"(?i)(?:\\\\bRENAME\\\\s+(?:(?:AS|=)\\\\s*)?|\\\\bTO\\\\s+){_NAME}'
    f'|{_NAME}\\\\s*\\\\(?\\\\s*\\\\bLIKE\\\\b");',
)
# Any word may be a table's name, one of a text or a comment too: rather one too many is read anew.
_NAMED = r"""private java.util.Set named(String ddl) {
    String bare = ddl.replaceAll("(?s)/\\*(?!M?!).*?\\*/", " ");
    if (!ofTables.matcher(bare).lookingAt()) return null;
    String here = currentSchema() == null ? "" : currentSchema();
    java.util.Set found = new java.util.HashSet();
    java.util.regex.Matcher name = names.matcher(ddl.toLowerCase());
    while (name.find()) {
        String first = name.group(1).replaceAll("[`\"]", "");
        String second = name.group(2) == null ? null : name.group(2).replaceAll("[`\"]", "");
        found.add(new io.debezium.relational.TableId(here, null, first));
        if (second != null) found.add(new io.debezium.relational.TableId(first, null, second));
    }
    java.util.Iterator each = found.iterator();
    while (each.hasNext())
        if (tableFilter.isIncluded((io.debezium.relational.TableId) each.next())) return null;
    return found;
}"""
# Of a table that is made of one that it does not know Debezium says nothing, and goes on to read
# the rows of that name as those of the table that had it before.
_CHECK = r"""private void check(String ddl, io.debezium.relational.Tables tables) {
    String bare = ddl.replaceAll("(?s)/\\*(?!M?!).*?\\*/", " ");
    if (!ofTables.matcher(bare).lookingAt()) return;
    java.util.regex.Matcher made = madeOfOther.matcher(bare);
    while (made.find()) {
        int at = made.group(1) == null ? 3 : 1;
        String first = made.group(at).replaceAll("[`\"]", ""), second = made.group(at + 1);
        io.debezium.relational.TableId id = second == null
            ? new io.debezium.relational.TableId(currentSchema(), null, first)
            : new io.debezium.relational.TableId(first, null, second.replaceAll("[`\"]", ""));
        if (tableFilter.isIncluded(id) && tables.forTable(id) == null)
            throw new io.debezium.text.ParsingException(null,
                "DDL statement couldn't be parsed: it makes " + id
                + " of a table that is not known");
    }
}"""
_FORGET = r"""private static String forget(
        java.util.Set named, io.debezium.relational.Tables tables) {
    StringBuffer text = new StringBuffer();
    java.util.Iterator each = new java.util.ArrayList(tables.tableIds()).iterator();
    while (each.hasNext()) {
        io.debezium.relational.TableId id = (io.debezium.relational.TableId) each.next();
        String database = String.valueOf(id.catalog()).toLowerCase();
        if (!named.contains(
            new io.debezium.relational.TableId(database, null, id.table().toLowerCase()))) continue;
        tables.removeTable(id);
        text.append(text.length() == 0 ? "" : ",").append(database).append('.').append(id.table());
    }
    return text.toString();
}"""
_PASS_OVER = r"""private io.debezium.relational.ddl.DdlChanges passOver(
        String ddl, io.debezium.relational.Tables tables, RuntimeException unread) {
    java.util.Set named = named(ddl);
    if (named == null) throw unread;
    String begins = ddl.trim().replaceAll("(?s)['\"(].*", "");
    String told = "PASSED" + forget(named, tables) + "*/"
        + begins.substring(0, Math.min(begins.length(), 100));
    io.debezium.relational.ddl.DdlChanges changes = new io.debezium.relational.ddl.DdlChanges();
    changes.handle(new io.debezium.relational.ddl.DdlParserListener$DatabaseAlteredEvent(
        "", null, told));
    return changes;
}""".replace("PASSED", PASSED)
# What was passed over once stands so in the schema history, from which a start reads it again.
_PASSED_AGAIN = r"""private void passedAgain(String ddl, io.debezium.relational.Tables tables) {
    int from = "PASSED".length();
    String[] names = ddl.substring(from, ddl.indexOf("*/", from)).split(",");
    java.util.Set named = new java.util.HashSet();
    for (int i = 0; i < names.length; i++) {
        int dot = names[i].indexOf('.');
        if (dot >= 0) named.add(new io.debezium.relational.TableId(
            names[i].substring(0, dot), null, names[i].substring(dot + 1).toLowerCase()));
    }
    forget(named, tables);
}""".replace("PASSED", PASSED)
METHODS = (_NAMED, _CHECK, _FORGET, _PASS_OVER, _PASSED_AGAIN)


def is_passed(ddl: str) -> bool:
    """Whether a schema change stands for a statement that was not read."""
    return ddl.startswith(PASSED)


def passed(ddl: str) -> str:
    """The beginning of a statement that was not read.

    >>> passed(PASSED + "flickr.aside*/ALTER TABLE aside ADD")
    'ALTER TABLE aside ADD'
    """
    return ddl.partition("*/")[2].strip()
