import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.io.SerializedString;
import com.fasterxml.jackson.core.util.ByteArrayBuilder;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.source.SourceTask;

/**
 * A batch of source records as bytes: the offset after it, then topic, key and value of each record,
 * with a tab after every one.
 *
 * Key and value are the JSON that Kafka's JsonConverter writes, byte for byte, but without a tree of
 * nodes for each: rows, numbers and text go from the record to the buffer at once, by the same
 * generator. What else there is goes through that converter. JSON holds no raw tab.
 */
public final class Lines {
    private static final int MOST_SCHEMAS = 4096;
    private static final int BLOCK_BYTES = 1 << 17;

    private final JsonConverter keys = new JsonConverter();
    private final JsonConverter values = new JsonConverter();
    private final JsonFactory factory = new JsonFactory();
    private final ObjectMapper mapper = new ObjectMapper();
    private final Map<Schema, Columns> known = new IdentityHashMap<>();

    /** settings: of the converter, without its prefix. */
    public Lines(Map<String, String> settings) {
        keys.configure(new HashMap<>(settings), true);
        values.configure(new HashMap<>(settings), false);
    }

    /** What a task has next, null when that is nothing now. */
    public byte[] next(SourceTask task) throws IOException, InterruptedException {
        List<SourceRecord> records = task.poll();
        return records == null || records.isEmpty() ? null : write(records);
    }

    public byte[] write(List<SourceRecord> records) throws IOException {
        ByteArrayBuilder buffer = new ByteArrayBuilder(BLOCK_BYTES);
        JsonGenerator to = factory.createGenerator(buffer);
        to.setRootValueSeparator(null);
        to.writeRaw(mapper.writeValueAsString(records.get(records.size() - 1).sourceOffset()));
        to.writeRaw('\t');
        for (SourceRecord record : records) {
            to.writeRaw(record.topic());
            to.writeRaw('\t');
            write(to, keys, record.topic(), record.keySchema(), record.key());
            to.writeRaw('\t');
            write(to, values, record.topic(), record.valueSchema(), record.value());
            to.writeRaw('\t');
        }
        to.close();
        if (known.size() > MOST_SCHEMAS) {
            known.clear(); // each change of a table makes new ones
        }
        return buffer.toByteArray();
    }

    private void write(
            JsonGenerator to, JsonConverter converter, String topic, Schema schema, Object value)
            throws IOException {
        if (value == null) {
            to.writeRaw("null");
        } else if (value instanceof Struct && columns(schema).isPlain) {
            struct(to, (Struct) value);
        } else {
            byte[] json = converter.fromConnectData(topic, schema, value);
            to.writeRaw(new String(json, StandardCharsets.UTF_8));
        }
    }

    private void struct(JsonGenerator to, Struct struct) throws IOException {
        Columns columns = columns(struct.schema());
        to.writeStartObject();
        for (int i = 0; i < columns.names.length; i++) {
            to.writeFieldName(columns.names[i]);
            Object value = columns.value(struct, i);
            if (value != null) {
                value(to, columns.kinds[i], value);
            } else if (columns.isOptional[i]) {
                to.writeNull();
            } else {
                throw new DataException("null for required field " + columns.names[i]);
            }
        }
        to.writeEndObject();
    }

    private void value(JsonGenerator to, Schema.Type kind, Object value) throws IOException {
        switch (kind) {
            case STRING:
                to.writeString(value.toString());
                break;
            case INT8:
            case INT16:
            case INT32:
                to.writeNumber(((Number) value).intValue());
                break;
            case INT64:
                to.writeNumber((long) (Long) value);
                break;
            case FLOAT32:
                to.writeNumber((float) (Float) value);
                break;
            case FLOAT64:
                to.writeNumber((double) (Double) value);
                break;
            case BOOLEAN:
                to.writeBoolean((Boolean) value);
                break;
            case BYTES: // a Decimal
                to.writeNumber((BigDecimal) value);
                break;
            default:
                struct(to, (Struct) value);
        }
    }

    private Columns columns(Schema schema) {
        Columns found = known.get(schema);
        if (found == null) {
            found = new Columns(schema);
            for (Field field : schema.fields()) {
                found.isPlain &= isPlain(field.schema());
            }
            known.put(schema, found);
        }
        return found;
    }

    /** Whether values of that schema are written here; the other kinds are the converter's. */
    private boolean isPlain(Schema schema) {
        String name = schema.name();
        switch (schema.type()) {
            case STRUCT:
                return columns(schema).isPlain;
            case BYTES:
                return Decimal.LOGICAL_NAME.equals(name);
            case ARRAY:
            case MAP:
                return false;
            default: // the converter has its own way with Connect's dates and times
                return name == null || !name.startsWith("org.apache.kafka.connect.data.");
        }
    }

    /** The columns of a struct: names as they are written, and types. */
    private static final class Columns {
        final SerializedString[] names;
        final Schema.Type[] kinds;
        final Field[] fields;
        final boolean[] isOptional;
        boolean isPlain = true;

        Columns(Schema schema) {
            fields = schema.fields().toArray(new Field[0]);
            names = new SerializedString[fields.length];
            kinds = new Schema.Type[fields.length];
            isOptional = new boolean[fields.length];
            for (Field field : fields) {
                names[field.index()] = new SerializedString(field.name());
                kinds[field.index()] = field.schema().type();
                isOptional[field.index()] = field.schema().isOptional();
            }
        }

        /** What stands there, never the default: by index, where there is none. */
        Object value(Struct struct, int i) {
            return fields[i].schema().defaultValue() == null
                    ? struct.get(fields[i])
                    : struct.getWithoutDefault(fields[i].name());
        }
    }
}
