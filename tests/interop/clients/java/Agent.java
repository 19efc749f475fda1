// Apache Kafka's Java producer, assigned consumer and admin client doing what tests/interop/clients.py asks for: the commands
// are in tests/interop/README.md.
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.internals.AppInfoParser;

public class Agent {
    private static final PrintWriter OUT =
        new PrintWriter(new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.US_ASCII)), false);

    private final String address;
    private final Admin admin;
    private KafkaProducer<byte[], byte[]> producer;
    private KafkaConsumer<byte[], byte[]> consumer;
    private final List<Future<RecordMetadata>> sent = new ArrayList<>();
    private final ArrayDeque<ConsumerRecord<byte[], byte[]>> polled = new ArrayDeque<>();

    private Agent(String address) {
        this.address = address;
        this.admin = Admin.create(Map.of("bootstrap.servers", address));
    }

    private static byte[] toBytes(String word) {
        return word.equals("~") ? null : HexFormat.of().parseHex(word, 1, word.length());
    }

    private static String toWord(byte[] bytes) {
        return bytes == null ? "~" : "=" + HexFormat.of().formatHex(bytes);
    }

    private static Map<String, String> settings(List<String> words) {
        Map<String, String> given = new HashMap<>();
        for (String word : words) {
            String[] parts = word.split("=", 2);
            given.put(parts[0], parts[1]);
        }
        return given;
    }

    private static String failure(Throwable error) {
        Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
        Errors known = cause instanceof OffsetOutOfRangeException ? Errors.OFFSET_OUT_OF_RANGE : Errors.forException(cause);
        return (known == Errors.UNKNOWN_SERVER_ERROR ? "local" : String.valueOf(known.code())) + " " + cause;
    }

    private void startProducer(Map<String, String> given) {
        if (producer != null) producer.close();
        Map<String, Object> configs = new HashMap<>(Map.of("bootstrap.servers", address, "acks", given.get("acks"),
            "enable.idempotence", given.get("idempotence"), "compression.type", given.get("codec"), "linger.ms", given.get("linger_ms"),
            "batch.size", given.get("batch_bytes"), "buffer.memory", 200_000_000L));
        if (!given.get("size_max").equals("0")) configs.put("max.request.size", given.get("size_max"));
        producer = new KafkaProducer<>(configs, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private void send(List<String> words) {
        String topic = words.get(0);
        Integer partition = words.get(1).equals("-1") ? null : Integer.valueOf(words.get(1));
        Long timestamp = words.get(2).equals("-1") ? null : Long.valueOf(words.get(2));
        ProducerRecord<byte[], byte[]> record =
            new ProducerRecord<>(topic, partition, timestamp, toBytes(words.get(3)), toBytes(words.get(4)));
        for (int i = 5; i < words.size(); i += 2) {
            record.headers().add(new String(toBytes(words.get(i)), StandardCharsets.UTF_8), toBytes(words.get(i + 1)));
        }
        sent.add(producer.send(record));
    }

    private void flush() throws InterruptedException {
        producer.flush();
        for (Future<RecordMetadata> each : sent) {
            try {
                OUT.println("sent " + each.get().partition() + " " + each.get().offset());
            } catch (ExecutionException error) {
                OUT.println("failed " + failure(error));
            }
        }
        sent.clear();
    }

    private void startConsumer(Map<String, String> given) {
        if (consumer != null) consumer.close(CloseOptions.timeout(Duration.ZERO));  // a fetch of its may wait long
        polled.clear();
        int waitMs = Integer.parseInt(given.get("fetch_wait_ms"));
        consumer = new KafkaConsumer<>(Map.of("bootstrap.servers", address, "isolation.level", given.get("isolation"),
            "auto.offset.reset", given.get("reset"), "fetch.min.bytes", given.get("fetch_min_bytes"), "fetch.max.wait.ms", waitMs,
            "request.timeout.ms", waitMs + 30_000, "enable.auto.commit", false),
            new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private void seek(TopicPartition partition, String position) {
        polled.clear();
        switch (position) {
            case "begin" -> consumer.seekToBeginning(Set.of(partition));
            case "end" -> consumer.seekToEnd(Set.of(partition));
            default -> consumer.seek(partition, Long.parseLong(position));
        }
    }

    private void assign(List<String> words) {
        Map<TopicPartition, String> positions = new HashMap<>();
        for (int i = 0; i < words.size(); i += 3) positions.put(partition(words.subList(i, i + 2)), words.get(i + 2));
        consumer.assign(positions.keySet());
        positions.forEach(this::seek);
    }

    private boolean read(int count, long timeoutMs) {
        long deadline = System.nanoTime() + timeoutMs * 1_000_000;
        for (int i = 0; i < count; ++i) {
            while (polled.isEmpty()) {
                long left = deadline - System.nanoTime();
                if (left <= 0) return false;
                consumer.poll(Duration.ofNanos(left)).forEach(polled::add);
            }
            ConsumerRecord<byte[], byte[]> record = polled.remove();
            StringBuilder line = new StringBuilder("record ").append(record.topic()).append(' ').append(record.partition()).append(' ')
                .append(record.offset()).append(record.timestampType() == TimestampType.CREATE_TIME ? " create " : " append ")
                .append(record.timestamp()).append(' ').append(toWord(record.key())).append(' ').append(toWord(record.value()));
            for (Header header : record.headers()) {
                line.append(' ').append(toWord(header.key().getBytes(StandardCharsets.UTF_8))).append(' ').append(toWord(header.value()));
            }
            OUT.println(line);
        }
        return true;
    }

    private static TopicPartition partition(List<String> words) {
        return new TopicPartition(words.get(0), Integer.parseInt(words.get(1)));
    }

    private int partitions(String topic) throws ExecutionException, InterruptedException {
        try {
            return admin.describeTopics(Set.of(topic)).allTopicNames().get().get(topic).partitions().size();
        } catch (ExecutionException error) {
            if (error.getCause() instanceof UnknownTopicOrPartitionException) return 0;
            throw error;
        }
    }

    /** What stands after "ok". */
    private String run(String command, List<String> words) throws ExecutionException, InterruptedException {
        switch (command) {
            case "version" -> {
                return "kafka-clients " + AppInfoParser.getVersion();
            }
            case "create_topic" -> admin.createTopics(Set.of(new NewTopic(words.get(0), Integer.parseInt(words.get(1)), (short) 1)
                .configs(settings(words.subList(2, words.size()))))).all().get();
            case "delete_topic" -> admin.deleteTopics(Set.of(words.get(0))).all().get();
            case "grow_topic" ->
                admin.createPartitions(Map.of(words.get(0), NewPartitions.increaseTo(Integer.parseInt(words.get(1))))).all().get();
            case "partitions" -> {
                return String.valueOf(partitions(words.get(0)));
            }
            case "producer" -> startProducer(settings(words));
            case "flush" -> flush();
            case "consumer" -> startConsumer(settings(words));
            case "assign" -> assign(words);
            case "seek" -> seek(partition(words), words.get(2));
            case "offset_for_time" -> {
                TopicPartition partition = partition(words);
                OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, Long.parseLong(words.get(2)))).get(partition);
                return found == null ? "-1" : String.valueOf(found.offset());
            }
            case "watermarks" -> {
                TopicPartition partition = partition(words);
                return consumer.beginningOffsets(Set.of(partition)).get(partition) + " " + consumer.endOffsets(Set.of(partition)).get(partition);
            }
            default -> throw new IllegalArgumentException(command);
        }
        return "";
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        Agent agent = new Agent(arguments[0]);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            List<String> words = Arrays.asList(line.split(" "));
            String command = words.get(0);
            List<String> rest = words.subList(1, words.size());
            try {
                if (command.equals("send")) {
                    agent.send(rest);
                    continue;  // its report comes with the flush
                }
                if (command.equals("read")) {
                    OUT.println(agent.read(Integer.parseInt(rest.get(0)), Long.parseLong(rest.get(1))) ? "ok" : "timeout");
                } else {
                    OUT.println(("ok " + agent.run(command, rest)).strip());
                }
            } catch (ExecutionException | KafkaException error) {
                OUT.println("error " + failure(error).replace('\n', ' '));
            }
            OUT.flush();
        }
        System.exit(0);  // what the clients still hold is of no interest
    }
}
