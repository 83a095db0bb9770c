import io.debezium.connector.common.BaseSourceTask;
import io.debezium.data.Envelope.Operation;
import io.debezium.metrics.stats.MeasurementCollector;
import io.debezium.pipeline.ChangeEventSourceCoordinator;
import io.debezium.pipeline.meters.CommonEventMeter;
import io.debezium.pipeline.meters.StreamingMeter;
import io.debezium.pipeline.metrics.DefaultStreamingChangeEventSourceMetrics;
import io.debezium.pipeline.metrics.PipelineMetrics;
import io.debezium.pipeline.spi.OffsetContext;
import io.debezium.spi.schema.DataCollectionId;
import io.debezium.util.Clock;
import java.lang.reflect.Field;
import java.util.Map;
import org.apache.kafka.connect.data.Struct;

/**
 * Spares Debezium what it does for attributes of JMX that nobody reads.
 *
 * For each change it writes the whole row into a text, as the last event that was seen, and hands
 * its delay to another thread for quantiles: a fifth of what reading a change costs. No property
 * turns that off. The fields are private; where another version has others, the task does not start.
 */
public final class Quiet {
    private Quiet() {}

    /** task: one that was started; one that starts again as it is polled has no coordinator yet. */
    public static void hush(BaseSourceTask<?, ?> task) throws ReflectiveOperationException {
        Object coordinator = get(BaseSourceTask.class, "coordinator", task);
        if (coordinator == null) {
            return;
        }
        for (String name : new String[] {"snapshotMetrics", "streamingMetrics"}) {
            Object metrics = get(ChangeEventSourceCoordinator.class, name, coordinator);
            field(PipelineMetrics.class, "commonEventMeter").set(metrics, new Meter());
            if (metrics instanceof DefaultStreamingChangeEventSourceMetrics) {
                Object meter =
                        get(DefaultStreamingChangeEventSourceMetrics.class, "streamingMeter", metrics);
                Object collector = get(StreamingMeter.class, "measurementCollector", meter);
                ((Map<?, ?>) get(MeasurementCollector.class, "measurements", collector)).clear();
            }
        }
    }

    private static Object get(Class<?> of, String name, Object from)
            throws ReflectiveOperationException {
        return field(of, name).get(from);
    }

    private static Field field(Class<?> of, String name) throws ReflectiveOperationException {
        Field found = of.getDeclaredField(name);
        found.setAccessible(true);
        return found;
    }

    /** Takes no notice. */
    private static final class Meter extends CommonEventMeter {
        Meter() {
            super(Clock.system(), null);
        }

        @Override
        public void onEvent(
                DataCollectionId source,
                OffsetContext offset,
                Object key,
                Struct value,
                Operation operation) {}
    }
}
