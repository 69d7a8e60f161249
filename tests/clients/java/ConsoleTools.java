import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.tools.ConsoleProducer;
import org.apache.kafka.tools.GetOffsetShell;
import org.apache.kafka.tools.TopicCommand;
import org.apache.kafka.tools.consumer.ConsoleConsumer;

/**
 * Kafka's command-line tools, run through their own {@code main} one after the other in one virtual
 * machine, so that hundreds of runs do not start hundreds of machines.
 */
public final class ConsoleTools {
    /** Thrown instead of ending the virtual machine. */
    private static final class Exited extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    /** The code of a tool's first exit: some tools catch what is thrown out of it, and exit again. */
    private static Integer exitCode;

    /** What the tools want done when the virtual machine ends: the producer flushes there. */
    private static final List<Runnable> HOOKS = new ArrayList<>();

    private interface Tool {
        void main(String[] arguments) throws Exception;
    }

    private record Output(int code, byte[] bytes) {
        String text() {
            return new String(bytes, StandardCharsets.UTF_8);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Exit.setExitProcedure((code, message) -> {
            if (exitCode == null) {
                exitCode = code;
            }
            throw new Exited();
        });
        Exit.setShutdownHookAdder((name, hook) -> HOOKS.add(hook));
        Job job = new Job(arguments[0]);
        if (job.role.equals("produce")) {
            topics(job);
            for (Job.Topic topic : job.topics) {
                long started = System.currentTimeMillis();
                String detail = produce(job, topic);
                job.add(topic.name(), started, detail, Job.rows(job.records).size());
            }
        } else {
            consume(job);
        }
        job.finish(arguments[1], "console");
        Runtime.getRuntime().halt(0);
    }

    private static Output run(Tool tool, byte[] input, String... arguments) throws Exception {
        InputStream in = System.in;
        PrintStream out = System.out;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream captured = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        exitCode = null;
        try {
            System.setIn(new ByteArrayInputStream(input));
            System.setOut(captured);
            tool.main(arguments);
        } catch (Exited exited) {
            // Its code is noted.
        } finally {
            System.setIn(in);
            System.setOut(out);
        }
        captured.flush();
        return new Output(exitCode == null ? 0 : exitCode, bytes.toByteArray());
    }

    private static Output topicCommand(Job job, String... arguments) throws Exception {
        List<String> all = new ArrayList<>(List.of("--bootstrap-server", job.bootstrap));
        all.addAll(List.of(arguments));
        return run(TopicCommand::main, new byte[0], all.toArray(new String[0]));
    }

    private static void expect(boolean holds, String what, Output output) {
        if (!holds) {
            throw new IllegalStateException("kafka-topics " + what + ": exit " + output.code() + ": " + output.text());
        }
    }

    /** Creates the job's topics with kafka-topics, and puts one more topic through its whole life. */
    private static void topics(Job job) throws Exception {
        String count = Integer.toString(job.partitions);
        for (Job.Topic topic : job.topics) {
            Output made = topicCommand(job, "--create", "--topic", topic.name(), "--partitions", count,
                "--replication-factor", "1");
            expect(made.code() == 0 && made.text().contains("Created topic"), "--create", made);
        }
        String name = "console-life";
        Output made = topicCommand(job, "--create", "--topic", name, "--partitions", "2", "--config",
            "retention.ms=123456789");
        expect(made.code() == 0, "--create with a config", made);
        Output described = topicCommand(job, "--describe", "--topic", name);
        expect(described.code() == 0 && described.text().contains("PartitionCount: 2")
            && described.text().contains("retention.ms=123456789"), "--describe", described);
        Output altered = topicCommand(job, "--alter", "--topic", name, "--partitions", "5");
        expect(altered.code() == 0, "--alter", altered);
        Output again = topicCommand(job, "--describe", "--topic", name);
        expect(again.text().contains("PartitionCount: 5"), "--describe after --alter", again);
        Output twice = topicCommand(job, "--create", "--topic", name);
        expect(twice.code() != 0 && twice.text().contains("already exists"), "--create of a topic that exists", twice);
        Output listed = topicCommand(job, "--list");
        expect(listed.text().lines().anyMatch(name::equals), "--list", listed);
        Output deleted = topicCommand(job, "--delete", "--topic", name);
        expect(deleted.code() == 0, "--delete", deleted);
        Output left = topicCommand(job, "--list");
        expect(left.code() == 0 && left.text().lines().noneMatch(name::equals), "--list after --delete", left);
    }

    private static String produce(Job job, Job.Topic topic) throws Exception {
        List<Job.Row> rows = Job.rows(job.records);
        ByteArrayOutputStream lines = new ByteArrayOutputStream();
        for (int index = 0; index < rows.size(); index++) {
            String separator = "";
            for (Job.Header header : Job.headers(topic.name(), index, true)) {
                lines.write(Job.bytes(separator + header.name() + ":"));
                lines.write(header.value());
                separator = ",";
            }
            lines.write('\t');
            lines.write(rows.get(index).key());
            lines.write('\t');
            lines.write(rows.get(index).value());
            lines.write('\n');
        }
        Output output = run(ConsoleProducer::main, lines.toByteArray(), "--bootstrap-server", job.bootstrap,
            "--topic", topic.name(), "--compression-codec", topic.codec(), "--reader-property",
            "parse.key=true", "--reader-property", "parse.headers=true");
        HOOKS.forEach(Runnable::run);
        HOOKS.clear();
        return output.code() == 0 ? null : "exit " + output.code() + ": " + output.text();
    }

    private static void consume(Job job) throws Exception {
        Map<String, Job.Check> checks = job.checks();
        ends(job, checks);
        for (Job.Topic topic : job.topics) {
            Job.Check check = checks.get(topic.name());
            for (int partition = 0; partition < job.partitions; partition++) {
                if (check.ends[partition] > 0) {
                    read(job, check, partition);
                }
            }
            check.report(job);
        }
    }

    private static void ends(Job job, Map<String, Job.Check> checks) throws Exception {
        String names = String.join(",", checks.keySet().stream().map(name -> name.replace(".", "\\.")).toList());
        Output output = run(GetOffsetShell::main, new byte[0], "--bootstrap-server", job.bootstrap,
            "--topic-partitions", names);
        for (String line : output.text().split("\n")) {
            String[] parts = line.split(":");
            if (parts.length == 3 && checks.containsKey(parts[0])) {
                checks.get(parts[0]).ends[Integer.parseInt(parts[1])] = Long.parseLong(parts[2].trim());
            }
        }
    }

    private static void read(Job job, Job.Check check, int partition) throws Exception {
        String end = Long.toString(check.ends[partition]);
        Output output = run(ConsoleConsumer::main, new byte[0], "--bootstrap-server", job.bootstrap,
            "--topic", check.topic.name(), "--partition", Integer.toString(partition), "--offset", "earliest",
            "--max-messages", end, "--timeout-ms", Long.toString(Job.PROGRESS_TIMEOUT_MS),
            "--command-property", "fetch.max.wait.ms=50",
            "--formatter-property", "print.timestamp=true", "--formatter-property", "print.offset=true",
            "--formatter-property", "print.headers=true", "--formatter-property", "print.key=true");
        if (output.code() != 0) {
            check.error = check.error == null ? "exit " + output.code() : check.error;
        }
        for (String line : output.text().split("\n")) {
            String[] parts = line.split("\t");
            if (parts.length != 5) {
                check.error = check.error == null ? "unexpected line: " + line : check.error;
                continue;
            }
            List<Job.Header> headers = new ArrayList<>();
            for (String header : parts[2].split(",")) {
                int colon = header.indexOf(':');
                headers.add(new Job.Header(header.substring(0, colon), Job.bytes(header.substring(colon + 1))));
            }
            check.feed(partition, Long.parseLong(parts[1].substring("Offset:".length())), Job.bytes(parts[3]),
                Job.bytes(parts[4]), headers, Long.parseLong(parts[0].substring("CreateTime:".length())));
        }
    }

    private ConsoleTools() {}
}
