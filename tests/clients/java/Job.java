import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

/** What the two Java programs share: the job, the records, and the check of what comes back. */
final class Job {
    static final long PROGRESS_TIMEOUT_MS = 30_000;
    static final ObjectMapper JSON = new ObjectMapper();

    record Row(byte[] key, byte[] value, long time, int place, int murmur2) {}

    record Header(String name, byte[] value) {}

    record Topic(String name, String codec, String records, boolean murmur2, boolean givenTime,
                 long from, long until, boolean seqHeader) {}

    final String role;
    final String bootstrap;
    final int partitions;
    final String records;
    final List<Topic> topics = new ArrayList<>();
    private final ArrayNode results = JSON.createArrayNode();
    private static final Map<String, List<Row>> LOADED = new HashMap<>();

    Job(String path) throws Exception {
        JsonNode job = JSON.readTree(new File(path));
        role = job.get("role").asText();
        bootstrap = job.get("bootstrap").asText();
        partitions = job.get("partitions").asInt();
        records = job.path("records").asText();
        for (JsonNode topic : job.get("topics")) {
            topics.add(new Topic(topic.get("topic").asText(), topic.path("codec").asText(),
                topic.path("records").asText(), topic.path("partitioner").asText().equals("murmur2"),
                topic.path("given_time").asBoolean(), topic.path("window").path(0).asLong(),
                topic.path("window").path(1).asLong(), topic.path("seq_header").asBoolean()));
        }
    }

    static List<Row> rows(String path) throws Exception {
        List<Row> rows = LOADED.get(path);
        if (rows == null) {
            rows = new ArrayList<>();
            for (String line : Files.readAllLines(Path.of(path))) {
                JsonNode row = JSON.readTree(line);
                rows.add(new Row(bytes(row.get("k").asText()), bytes(row.get("v").asText()),
                    row.get("t").asLong(), row.get("p").asInt(), row.get("m").asInt()));
            }
            LOADED.put(path, rows);
        }
        return rows;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static List<Header> headers(String topic, int index, boolean withSeq) {
        List<Header> headers = new ArrayList<>();
        headers.add(new Header("topic", bytes(topic)));
        headers.add(new Header("note", bytes("grüße")));
        if (withSeq) {
            headers.add(new Header("seq", bytes(Integer.toString(index))));
        }
        return headers;
    }

    void add(String topic, long startedMs, String detail, long records) {
        ObjectNode result = results.addObject();
        result.put("topic", topic).put("ok", detail == null).put("detail", detail == null ? "" : detail);
        result.put("records", records).put("ms", System.currentTimeMillis() - startedMs);
    }

    void finish(String path, String client) throws Exception {
        Properties about = new Properties();
        try (InputStream file = Job.class.getResourceAsStream("/kafka/kafka-version.properties")) {
            about.load(file);
        }
        String version = about.getProperty("version");
        ObjectNode whole = JSON.createObjectNode();
        whole.put("client", client).put("version", version).set("results", results);
        JSON.writeValue(new File(path), whole);
    }

    Map<String, Check> checks() throws Exception {
        Map<String, Check> checks = new LinkedHashMap<>();
        for (Topic topic : topics) {
            checks.put(topic.name(), new Check(topic, partitions));
        }
        return checks;
    }

    /** Compares what a consumer reads with what was sent: keys, values, headers, times, order, count. */
    static final class Check {
        final Topic topic;
        final List<Row> rows;
        final List<List<Integer>> expected = new ArrayList<>();
        final long[] seen;
        final long[] ends;
        final long started = System.currentTimeMillis();
        String error;

        Check(Topic topic, int partitions) throws Exception {
            this.topic = topic;
            rows = rows(topic.records());
            seen = new long[partitions];
            ends = new long[partitions];
            for (int partition = 0; partition < partitions; partition++) {
                expected.add(new ArrayList<>());
            }
            for (int index = 0; index < rows.size(); index++) {
                Row row = rows.get(index);
                expected.get(topic.murmur2() ? row.murmur2() : row.place()).add(index);
            }
        }

        void feed(int partition, long offset, byte[] key, byte[] value, List<Header> headers, long time) {
            long position = seen[partition]++;
            if (error != null) {
                return;
            }
            String where = "partition " + partition + " offset " + offset;
            if (offset != position) {
                error = where + ": expected offset " + position;
                return;
            }
            if (position >= expected.get(partition).size()) {
                error = where + ": more records than were sent";
                return;
            }
            int index = expected.get(partition).get((int) position);
            Row want = rows.get(index);
            if (!Arrays.equals(key, want.key())) {
                error = where + ": key " + text(key) + ", expected " + text(want.key());
            } else if (!Arrays.equals(value, want.value())) {
                error = where + ": value " + text(value) + ", expected " + text(want.value());
            } else if (!same(headers, headers(topic.name(), index, topic.seqHeader()))) {
                error = where + ": headers differ";
            } else if (topic.givenTime() && time != want.time()) {
                error = where + ": timestamp " + time + ", expected " + want.time();
            } else if (!topic.givenTime() && (time < topic.from() || time > topic.until())) {
                error = where + ": timestamp " + time + " outside the sending";
            }
        }

        private static boolean same(List<Header> a, List<Header> b) {
            if (a.size() != b.size()) {
                return false;
            }
            for (int i = 0; i < a.size(); i++) {
                if (!a.get(i).name().equals(b.get(i).name())
                    || !Arrays.equals(a.get(i).value(), b.get(i).value())) {
                    return false;
                }
            }
            return true;
        }

        private static String text(byte[] bytes) {
            return bytes == null ? "null" : new String(bytes, StandardCharsets.UTF_8);
        }

        boolean complete() {
            for (int partition = 0; partition < seen.length; partition++) {
                if (seen[partition] < ends[partition]) {
                    return false;
                }
            }
            return true;
        }

        void report(Job job) {
            long total = 0;
            for (int partition = 0; partition < seen.length; partition++) {
                total += seen[partition];
                long want = expected.get(partition).size();
                if (error == null && (seen[partition] != want || ends[partition] != want)) {
                    error = "partition " + partition + ": read " + seen[partition] + ", end offset "
                        + ends[partition] + ", sent " + want;
                }
            }
            job.add(topic.name(), started, error, total);
        }
    }
}
