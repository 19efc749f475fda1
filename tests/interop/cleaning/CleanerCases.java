// Compacted logs for compare_cleaners.py: random cases, what Apache Kafka's own cleaner makes of them, and a comparison with
// what kurier's has made.
//
//   generate DIRECTORY SEED COUNT   a directory a case, with a `script`: one step a line (CaseGenerator.java). The first cases have
//                                   one feature each, those behind them any; before them one that is written by hand (PassedMarker.java)
//   clean DIRECTORY                 performs every script in DIRECTORY/<case>/kafka (ApacheCleaner.java); what is there after each
//                                   `clean` step is kept in DIRECTORY/<case>/kafka.<step>
//   compare DIRECTORY               kafka.<step> with kurier.<step> of every case: a line "ok" or "FAILED"
//                                   for each, then what was seen (CaseComparison.java)
//
// Steps: set NAME VALUE; append NOW HEX; roll NOW; start NOW OFFSET (the log's start moves); truncate NOW OFFSET; expire NOW
// (producers); retain NOW (old segments go); restart NOW; clean NOW (again and again until nothing is due).
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.apache.kafka.common.TopicPartition;

public class CleanerCases {
    static final String TOPIC = "cleaned";
    static final TopicPartition PARTITION = new TopicPartition(TOPIC, 0);
    static final int PRODUCER_EXPIRATION_MS = 86_400_000;

    public static void main(String[] arguments) throws Exception {
        Path directory = Path.of(arguments[1]);
        switch (arguments[0]) {
            case "generate" -> generate(directory, Long.parseLong(arguments[2]), Integer.parseInt(arguments[3]));
            case "clean" -> {
                try {
                    for (Path each : cases(directory)) clean(each);
                } catch (Throwable failed) {  // threads are left that would keep the program running
                    failed.printStackTrace();
                    System.exit(1);
                }
            }
            case "compare" -> new CaseComparison().compare(directory);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
        System.exit(0);
    }

    static List<Path> cases(Path directory) throws IOException {
        try (Stream<Path> found = Files.list(directory)) {
            return found.filter(each -> Files.exists(each.resolve("script"))).sorted().toList();
        }
    }

    static void clean(Path directory) throws Exception {
        try {
            new ApacheCleaner(directory, "kafka", true).perform();
            if (directory.endsWith(PassedMarker.NAME)) new ApacheCleaner(directory, "unmended", false).perform();
        } catch (Exception failed) {
            throw new IllegalStateException(directory.toString(), failed);
        }
    }

    static void generate(Path directory, long seed, int count) throws IOException {
        write(directory, PassedMarker.NAME, PassedMarker.script());
        CaseGenerator.Feature[] all = CaseGenerator.Feature.values();
        for (int i = 0; i < count; ++i) {
            Random random = new Random(seed * 1_000_003 + i);
            EnumSet<CaseGenerator.Feature> features = EnumSet.noneOf(CaseGenerator.Feature.class);
            String name;
            if (i < all.length) {
                features.add(all[i]);
                name = String.format("%04d-%s", i, all[i].name().toLowerCase());
            } else {
                for (CaseGenerator.Feature feature : all) {
                    if (random.nextInt(3) == 0) features.add(feature);
                }
                name = String.format("%04d-random", i);
            }
            // The time of an empty segment's file, which kurier knows until the next start only.
            if (features.contains(CaseGenerator.Feature.MIN_LAG)) features.remove(CaseGenerator.Feature.RESTART);
            write(directory, name, new CaseGenerator(random, features).script());
        }
    }

    static void write(Path directory, String name, List<String> script) throws IOException {
        Files.write(Files.createDirectories(directory.resolve(name)).resolve("script"), script);
    }
}
