import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Exit;

/**
 * Kafka's command-line tools in one virtual machine, one command after the other: Tools BOOTSTRAP.
 *
 * <p>A command is a line of standard input, its words between tabs; its answer is a line with the exit code and the
 * number of bytes that were printed on both streams, and then these bytes. {@code run CLASS ARGUMENT...} runs a tool.
 * {@code produce TOPIC PARTITION TIMESTAMP...}, {@code join PROTOCOL GROUP CLIENT TOPIC commit|watch [INSTANCE]} and {@code leave
 * GROUP} make what the tools then look at; {@code settle GROUP} waits until it is stable. {@code types KIND NAME} prints
 * what kafka-configs leaves out: the type of each config, and whether it can be changed.
 */
public final class Tools {
    private static final long PATIENCE_SECONDS = 60;

    /** Thrown instead of ending the virtual machine. */
    private static final class Exited extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    /** The code of a tool's first exit: some tools catch what is thrown out of it, and exit again. */
    private static Integer exitCode;

    /** The members of a group that run now. */
    private static final Map<String, List<Member>> MEMBERS = new LinkedHashMap<>();

    public static void main(String[] arguments) throws Exception {
        Exit.setExitProcedure((code, message) -> {
            if (exitCode == null) {
                exitCode = code;
            }
            throw new Exited();
        });
        PrintStream answers = System.out;
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            PrintStream captured = new PrintStream(bytes, true, StandardCharsets.UTF_8);
            System.setOut(captured);
            System.setErr(captured);
            exitCode = null;
            int code = 0;
            try {
                command(arguments[0], line.split("\t", -1));
            } catch (Exited exited) {
                // Its code is noted.
            } catch (Throwable thrown) {
                // What a tool does not catch ends it with 1.
                thrown.printStackTrace(captured);
                code = 1;
            }
            captured.flush();
            answers.println((exitCode == null ? code : exitCode) + " " + bytes.size());
            bytes.writeTo(answers);
            answers.flush();
        }
        Runtime.getRuntime().halt(0);
    }

    private static void command(String bootstrap, String[] words) throws Throwable {
        switch (words[0]) {
            case "run" -> run(words[1], Arrays.copyOfRange(words, 2, words.length));
            case "produce" -> produce(bootstrap, words);
            case "join" -> {
                Member member = new Member(bootstrap, words);
                MEMBERS.computeIfAbsent(words[2], group -> new ArrayList<>()).add(member);
                member.ready.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
            }
            case "leave" -> {
                for (Member member : MEMBERS.remove(words[1])) {
                    member.stopped = true;
                    member.thread.join();
                }
            }
            case "settle" -> settle(bootstrap, words[1]);
            case "types" -> types(bootstrap, words);
            default -> throw new IllegalArgumentException(words[0]);
        }
    }

    private static void run(String tool, String[] arguments) throws Throwable {
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) arguments);
        } catch (InvocationTargetException wrapped) {
            throw wrapped.getCause();
        }
    }

    private static void settle(String bootstrap, String group) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
            while (admin.describeConsumerGroups(List.of(group)).all().get().get(group).groupState()
                != GroupState.STABLE) {
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException(group + " does not become stable");
                }
                Thread.sleep(50);
            }
        }
    }

    private static void types(String bootstrap, String[] words) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.valueOf(words[1].toUpperCase()), words[2]);
        DescribeConfigsOptions options = new DescribeConfigsOptions().includeDocumentation(true);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.describeConfigs(List.of(resource), options).all().get().get(resource).entries().stream()
                .sorted(Comparator.comparing(ConfigEntry::name))
                .forEach(entry -> System.out.println(entry.name() + "=" + entry.type()
                    + (entry.isReadOnly() ? " read-only" : "")
                    + (entry.documentation() == null ? " undocumented" : "")));
        }
    }

    /** Every record is a batch of its own, so that both brokers hold the same bytes. */
    private static void produce(String bootstrap, String[] words) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("enable.idempotence", "false");
        settings.put("key.serializer", StringSerializer.class.getName());
        settings.put("value.serializer", StringSerializer.class.getName());
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings)) {
            for (int at = 3; at < words.length; at++) {
                producer.send(new ProducerRecord<>(words[1], Integer.valueOf(words[2]), Long.valueOf(words[at]),
                    "key", "value " + at)).get();
            }
        }
    }

    /** Reads what there is, commits that once if it is to, and stays in its group. */
    private static final class Member {
        final CompletableFuture<Void> ready = new CompletableFuture<>();
        final Thread thread;
        volatile boolean stopped;

        Member(String bootstrap, String[] words) {
            Properties settings = new Properties();
            settings.put("bootstrap.servers", bootstrap);
            settings.put("group.protocol", words[1]);
            settings.put("group.id", words[2]);
            settings.put("client.id", words[3]);
            if (words[1].equals("classic")) {
                settings.put("heartbeat.interval.ms", "200");
            }
            if (words.length > 6) {
                settings.put("group.instance.id", words[6]);
            }
            settings.put("enable.auto.commit", "false");
            settings.put("auto.offset.reset", "earliest");
            settings.put("key.deserializer", StringDeserializer.class.getName());
            settings.put("value.deserializer", StringDeserializer.class.getName());
            thread = new Thread(() -> {
                try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings)) {
                    consumer.subscribe(List.of(words[4]));
                    while (!stopped) {
                        consumer.poll(Duration.ofMillis(50));
                        if (!ready.isDone() && atEnd(consumer)) {
                            if (words[5].equals("commit")) {
                                consumer.commitSync();
                            }
                            ready.complete(null);
                        }
                    }
                } catch (RuntimeException error) {
                    ready.completeExceptionally(error);
                }
            });
            thread.setDaemon(true);
            thread.start();
        }

        private static boolean atEnd(KafkaConsumer<String, String> consumer) {
            Set<TopicPartition> owned = consumer.assignment();
            Map<TopicPartition, Long> ends = consumer.endOffsets(owned);
            return !owned.isEmpty() && owned.stream().allMatch(part -> consumer.position(part) >= ends.get(part));
        }
    }

    private Tools() {}
}
