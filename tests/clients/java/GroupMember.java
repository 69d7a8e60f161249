import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A member of a consumer group: GroupMember PROTOCOL BOOTSTRAP GROUP TOPIC, the protocol being classic or consumer.
 *
 * <p>It says on standard output what happens, a line each: "A" after an assignment, "R partition offset key" for a
 * record, "C" after a commit, "E reason" for an error that it goes on after. It leaves when standard input ends.
 */
public final class GroupMember {
    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[1]);
        settings.put("group.id", arguments[2]);
        settings.put("group.protocol", arguments[0]);
        if (arguments[0].equals("classic")) {
            settings.put("session.timeout.ms", "6000");
            settings.put("heartbeat.interval.ms", "500");
        }
        settings.put("enable.auto.commit", "false");
        settings.put("auto.offset.reset", "earliest");
        settings.put("key.deserializer", StringDeserializer.class.getName());
        settings.put("value.deserializer", StringDeserializer.class.getName());
        AtomicBoolean ended = new AtomicBoolean();
        Thread input = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (java.io.IOException closed) {
                // The same as its end.
            }
            ended.set(true);
        });
        input.setDaemon(true);
        input.start();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings)) {
            consumer.subscribe(List.of(arguments[3]), new ConsumerRebalanceListener() {
                @Override public void onPartitionsRevoked(Collection<TopicPartition> gone) { }

                @Override public void onPartitionsAssigned(Collection<TopicPartition> come) {
                    say("A");
                }
            });
            while (!ended.get()) {
                try {
                    ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
                    for (ConsumerRecord<String, String> record : records) {
                        say("R " + record.partition() + " " + record.offset() + " " + record.key());
                    }
                    if (!records.isEmpty()) {
                        consumer.commitSync();
                        say("C");
                    }
                } catch (KafkaException error) {
                    say("E " + error);
                }
            }
        }
    }

    private static void say(String line) {
        System.out.println(line);
    }
}
