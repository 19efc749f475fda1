// Apache Kafka's Java consumer as members of groups by the classic protocol, one thread each: README.md has the commands.
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class GroupAgent {
    private static final Map<String, Class<? extends ConsumerPartitionAssignor>> ASSIGNORS = Map.of("range", RangeAssignor.class,
        "roundrobin", RoundRobinAssignor.class, "sticky", StickyAssignor.class, "cooperative-sticky", CooperativeStickyAssignor.class);

    private static String line(String kind, String member, String rest) {
        return ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now()) + " " + kind + " " + member + rest + "\n";
    }

    private static synchronized void say(String lines) {
        System.out.print(lines);
        System.out.flush();
    }

    private static final class Member extends Thread implements ConsumerRebalanceListener {
        private final String name;
        private final String topic;
        private final KafkaConsumer<byte[], byte[]> consumer;
        private final Set<Integer> owned = new TreeSet<>();
        private volatile boolean leaving;

        Member(String address, String name, String group, String topic, String assignor, String instance, int sessionMs) {
            this.name = name;
            this.topic = topic;
            Map<String, Object> configs = new HashMap<>(Map.of("bootstrap.servers", address, "group.id", group, "client.id", name,
                "group.protocol", "classic", "partition.assignment.strategy", List.of(ASSIGNORS.get(assignor)),
                "session.timeout.ms", sessionMs, "heartbeat.interval.ms", 300, "auto.offset.reset", "earliest",
                "enable.auto.commit", false));
            configs.put("max.poll.interval.ms", 60_000);
            // Otherwise a leader that finds its only node gone forgets the topic's partitions, and may take that for a change of the
            // topic: it asks for a rebalance, whatever the node does.
            configs.put("metadata.recovery.strategy", "none");
            configs.put("retry.backoff.ms", 50);
            configs.put("reconnect.backoff.max.ms", 200);
            if (!instance.equals("-")) configs.put("group.instance.id", instance);
            consumer = new KafkaConsumer<>(configs, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        }

        private void owns() {
            StringBuilder rest = new StringBuilder();
            owned.forEach(partition -> rest.append(' ').append(partition));
            say(line("owns", name, rest.toString()));
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            partitions.forEach(partition -> owned.add(partition.partition()));
            owns();
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            partitions.forEach(partition -> owned.remove(partition.partition()));
            owns();
        }

        private void read(ConsumerRecords<byte[], byte[]> records) {
            StringBuilder lines = new StringBuilder();
            StringBuilder committed = new StringBuilder();
            Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
            for (TopicPartition partition : records.partitions()) {
                long last = 0;
                for (ConsumerRecord<byte[], byte[]> record : records.records(partition)) {
                    last = record.offset();
                    lines.append(line("got", name, " " + partition.partition() + " " + last + " " + new String(record.value(), StandardCharsets.US_ASCII)));
                }
                positions.put(partition, new OffsetAndMetadata(last + 1));
            }
            say(lines.toString());  // before the commit: what is committed has been seen
            try {
                consumer.commitSync(positions);
            } catch (CommitFailedException | RebalanceInProgressException | RetriableException error) {
                return;  // whoever has the partitions next reads these again, or the next commit covers them
            }
            positions.forEach((partition, position) ->
                committed.append(line("committed", name, " " + partition.partition() + " " + position.offset())));
            say(committed.toString());
        }

        @Override
        public void run() {
            try {
                consumer.subscribe(Set.of(topic), this);
                while (!leaving) {
                    try {
                        ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(100));
                        if (!records.isEmpty()) read(records);
                    } catch (WakeupException ignored) {  // it is to leave
                    }
                }
                consumer.close();
                say(line("left", name, ""));
            } catch (RuntimeException error) {
                say(line("failed", name, " " + error.toString().replace('\n', ' ')));
            }
        }

        void leave() {
            leaving = true;
            consumer.wakeup();
        }
    }

    public static void main(String[] arguments) throws IOException {
        Map<String, Member> members = new HashMap<>();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String command = in.readLine(); command != null; command = in.readLine()) {
            String[] words = command.split(" ");
            if (words[0].equals("join")) {
                Member member = new Member(arguments[0], words[1], words[2], words[3], words[4], words[5], Integer.parseInt(words[6]));
                members.put(words[1], member);
                member.start();
            } else {
                members.get(words[1]).leave();
            }
        }
        System.exit(0);
    }
}
