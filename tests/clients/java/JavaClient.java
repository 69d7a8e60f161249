import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The Java client library: idempotent producer, consumer by assignment. */
public final class JavaClient {
    public static void main(String[] arguments) throws Exception {
        Job job = new Job(arguments[0]);
        if (job.role.equals("produce")) {
            create(job);
            for (Job.Topic topic : job.topics) {
                long started = System.currentTimeMillis();
                String detail = produce(job, topic);
                job.add(topic.name(), started, detail, Job.rows(job.records).size());
            }
        } else {
            consume(job);
        }
        job.finish(arguments[1], "java");
    }

    private static void create(Job job) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", job.bootstrap);
        try (Admin admin = Admin.create(settings)) {
            List<NewTopic> topics = new ArrayList<>();
            for (Job.Topic topic : job.topics) {
                topics.add(new NewTopic(topic.name(), job.partitions, (short) 1));
            }
            admin.createTopics(topics).all().get();
        }
    }

    private static String produce(Job job, Job.Topic topic) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", job.bootstrap);
        settings.put("compression.type", topic.codec());
        settings.put("linger.ms", "5");
        settings.put("key.serializer", ByteArraySerializer.class.getName());
        settings.put("value.serializer", ByteArraySerializer.class.getName());
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            List<Job.Row> rows = Job.rows(job.records);
            for (int index = 0; index < rows.size(); index++) {
                Job.Row row = rows.get(index);
                ProducerRecord<byte[], byte[]> record =
                    new ProducerRecord<>(topic.name(), row.place(), row.time(), row.key(), row.value());
                for (Job.Header header : Job.headers(topic.name(), index, true)) {
                    record.headers().add(header.name(), header.value());
                }
                sent.add(producer.send(record));
            }
            producer.flush();
            for (Future<RecordMetadata> future : sent) {
                future.get();
            }
            return null;
        } catch (Exception error) {
            return error.toString();
        }
    }

    private static void consume(Job job) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", job.bootstrap);
        settings.put("enable.auto.commit", "false");
        settings.put("auto.offset.reset", "none");
        settings.put("fetch.max.wait.ms", "50");
        settings.put("max.poll.records", "10000");
        settings.put("key.deserializer", ByteArrayDeserializer.class.getName());
        settings.put("value.deserializer", ByteArrayDeserializer.class.getName());
        Map<String, Job.Check> checks = job.checks();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings)) {
            List<TopicPartition> places = new ArrayList<>();
            for (Job.Topic topic : job.topics) {
                for (int partition = 0; partition < job.partitions; partition++) {
                    places.add(new TopicPartition(topic.name(), partition));
                }
            }
            consumer.assign(places);
            for (Map.Entry<TopicPartition, Long> end : consumer.endOffsets(places).entrySet()) {
                checks.get(end.getKey().topic()).ends[end.getKey().partition()] = end.getValue();
            }
            places.forEach(place -> consumer.seek(place, 0));
            long deadline = System.currentTimeMillis() + Job.PROGRESS_TIMEOUT_MS;
            while (!checks.values().stream().allMatch(Job.Check::complete)
                && System.currentTimeMillis() < deadline) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    deadline = System.currentTimeMillis() + Job.PROGRESS_TIMEOUT_MS;
                    List<Job.Header> headers = new ArrayList<>();
                    record.headers().forEach(h -> headers.add(new Job.Header(h.key(), h.value())));
                    checks.get(record.topic()).feed(record.partition(), record.offset(), record.key(),
                        record.value(), headers, record.timestamp());
                }
            }
        }
        checks.values().forEach(check -> check.report(job));
    }

    private JavaClient() {}
}
