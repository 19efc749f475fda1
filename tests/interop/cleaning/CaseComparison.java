// What Apache Kafka's cleaner has made of the cases of CleanerCases.java beside what kurier's has made of them: compressed batches
// by what is in them, everything else by its bytes.
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.utils.internals.BufferSupplier;

final class CaseComparison {
    private static final class Different extends Exception {
        Different(String what) {
            super(what);
        }
    }

    final Map<String, Integer> seen = new TreeMap<>();

    void compare(Path directory) throws IOException {
        for (Path each : CleanerCases.cases(directory)) {
            try {
                compareCase(each);
                System.out.println("ok\t" + each.getFileName());
            } catch (Different | IOException | RuntimeException different) {
                System.out.println("FAILED\t" + each.getFileName() + "\t" + different);
            }
        }
        seen.forEach((what, count) -> System.out.println("seen\t" + what + "\t" + count));
    }

    void saw(String what) {
        seen.merge(what, 1, Integer::sum);
    }

    void compareCase(Path directory) throws IOException, Different {
        Set<String> steps = new TreeSet<>();
        try (Stream<Path> found = Files.list(directory)) {
            found.map(each -> each.getFileName().toString()).filter(name -> name.matches("kafka\\.\\d+"))
                    .forEach(name -> steps.add(name.substring(name.indexOf('.'))));
        }
        List<String> theirs = Files.readAllLines(directory.resolve("trace.kafka"));
        List<String> ours = Files.readAllLines(directory.resolve("trace.kurier"));
        if (steps.isEmpty() && theirs.size() == ours.size()) throw new Different("nothing was cleaned");
        if (theirs.size() < ours.size()) saw("logs that Apache Kafka cannot clean");
        // How segments are merged depends on their sizes, and those on the compressors.
        boolean codecs = Files.readString(directory.resolve("script")).contains("\nset codecs ");
        for (int i = 0; i < theirs.size() && !codecs; ++i) {
            if (theirs.get(i).contains("clean") || theirs.get(i).equals(ours.get(i))) continue;
            throw new Different("segments " + theirs.get(i) + " but kurier " + ours.get(i) + "\nbefore that " + theirs.get(Math.max(i - 1, 0)));
        }
        if (Files.exists(directory.resolve("passed-marker"))) saw("logs with a passed marker");
        if (directory.endsWith(PassedMarker.NAME)) compareUnmended(directory, Collections.max(steps));
        for (String step : steps) {
            try {
                compareStep(directory.resolve("kafka" + step), directory.resolve("kurier" + step), snapshots(theirs, step), codecs);
            } catch (Different different) {
                throw new Different("step " + step + ": " + different.getMessage());
            }
        }
    }

    // The record that comes back is the only difference between Apache Kafka's own cleaner and the mended one.
    void compareUnmended(Path directory, String step) throws IOException, Different {
        List<String> unmended = records(directory.resolve("unmended" + step));
        List<String> wanted = new ArrayList<>(records(directory.resolve("kafka" + step)));
        wanted.add(0, PassedMarker.COMES_BACK);
        if (!unmended.equals(wanted)) throw new Different("Apache Kafka's own cleaner leaves " + unmended + " instead of " + wanted);
    }

    List<String> records(Path directory) throws IOException {
        List<String> all = new ArrayList<>();
        for (MutableRecordBatch batch : allBatches(directory)) {
            if (batch.isControlBatch()) continue;
            batch.forEach(record -> all.add(record.offset() + " " + text(record.key()) + "=" + text(record.value())));
        }
        return all;
    }

    static String text(ByteBuffer bytes) {
        return bytes == null ? "null" : StandardCharsets.UTF_8.decode(bytes).toString();
    }

    // Of producers' snapshots those count that a cleaner may touch: a start and a truncation keep others than Apache Kafka's.
    Set<String> names(Path directory, boolean snapshots) throws IOException {
        Set<String> names = new TreeSet<>();
        try (Stream<Path> found = Files.list(directory)) {
            for (Path each : found.toList()) {
                // A truncation may leave an empty index behind.
                boolean empty = each.toString().endsWith(".txnindex") && Files.size(each) == 0;
                if (!empty) names.add(each.getFileName().toString());
            }
        }
        if (!snapshots) names.removeIf(name -> name.endsWith(".snapshot"));
        return names;
    }

    static boolean snapshots(List<String> trace, String step) {
        return trace.stream().takeWhile(line -> Integer.parseInt(line.split(" ")[0]) <= Integer.parseInt(step.substring(1)))
                .noneMatch(line -> line.matches("\\d+ (restart|truncate|start|retain).*"));
    }

    void compareStep(Path kafka, Path kurier, boolean snapshots, boolean codecs) throws IOException, Different {
        String rounds = Files.readString(kafka.resolve("rounds"));
        if (!rounds.equals(Files.readString(kurier.resolve("rounds"))))
            throw new Different("cleaned to\n" + rounds + "but kurier\n" + Files.readString(kurier.resolve("rounds")));
        if (rounds.lines().count() > 2) saw("several rounds");
        if (rounds.lines().count() == 1) saw("nothing due");
        Set<String> names = names(kafka, snapshots);
        Set<String> missing = new TreeSet<>(names);
        Set<String> more = names(kurier, snapshots);
        missing.removeAll(more);
        more.removeAll(names);
        if (codecs && (!missing.isEmpty() || !more.isEmpty())) {
            compareBatches("all segments", allBatches(kafka), allBatches(kurier));
            saw("logs that were merged differently because they were compressed differently");
            return;
        }
        if (!missing.isEmpty() || !more.isEmpty()) throw new Different("without " + missing + " but with " + more);
        Map<String, Boolean> same = new HashMap<>();
        for (String name : names) {
            if (name.endsWith(".log")) {
                same.put(name.replace(".log", ""), compareBatches(name, batches(kafka.resolve(name)), batches(kurier.resolve(name))));
            }
        }
        for (String name : names) {
            byte[] ours = Files.readAllBytes(kurier.resolve(name));
            byte[] theirs = trimmed(name, Files.readAllBytes(kafka.resolve(name)));
            boolean isIndex = name.endsWith("index") && !name.endsWith(".txnindex");
            if (name.endsWith(".log") || name.endsWith(".snapshot")) continue;
            if (isIndex && !same.get(name.substring(0, name.indexOf('.')))) {
                saw("indexes of segments that were compressed differently");
                continue;
            }
            if (!Arrays.equals(ours, theirs)) throw new Different(name + ": " + hex(theirs) + " but kurier " + hex(ours));
            saw("files " + name.replaceAll("\\d+", ""));
        }
    }

    // Apache Kafka does not always cut off what it has mapped in advance.
    static byte[] trimmed(String name, byte[] bytes) {
        int entry = name.endsWith(".index") ? 8 : name.endsWith(".timeindex") ? 12 : bytes.length;
        int length = bytes.length;
        while (bytes.length > 1_000_000 && length >= entry && isZero(bytes, length - entry, length)) length -= entry;
        return Arrays.copyOf(bytes, length);
    }

    static boolean isZero(byte[] bytes, int from, int to) {
        for (int i = from; i < to; ++i) {
            if (bytes[i] != 0) return false;
        }
        return true;
    }

    static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes, 0, Math.min(bytes.length, 240));
    }

    static List<MutableRecordBatch> batches(Path path) throws IOException {
        List<MutableRecordBatch> batches = new ArrayList<>();
        MemoryRecords.readableRecords(ByteBuffer.wrap(Files.readAllBytes(path))).batches().forEach(batches::add);
        return batches;
    }

    static byte[] bytes(MutableRecordBatch batch) {
        ByteBuffer buffer = ByteBuffer.allocate(batch.sizeInBytes());
        batch.writeTo(buffer);
        return buffer.array();
    }

    static byte[] decompressed(MutableRecordBatch batch, byte[] bytes) throws IOException {
        ByteBuffer payload = ByteBuffer.wrap(bytes, 61, bytes.length - 61).slice();
        if (!batch.isCompressed() || batch.countOrNull() == 0) return Arrays.copyOfRange(bytes, 61, bytes.length);
        try (InputStream in = Compression.of(batch.compressionType()).build().wrapForInput(payload, batch.magic(),
                BufferSupplier.NO_CACHING)) {
            return in.readAllBytes();
        }
    }

    List<MutableRecordBatch> allBatches(Path directory) throws IOException {
        List<MutableRecordBatch> all = new ArrayList<>();
        for (String name : names(directory, false)) {
            if (name.endsWith(".log")) all.addAll(batches(directory.resolve(name)));
        }
        return all;
    }

    // Whether all bytes are the same.
    boolean compareBatches(String where, List<MutableRecordBatch> theirs, List<MutableRecordBatch> ours) throws IOException, Different {
        boolean same = true;
        for (int i = 0; i < Math.max(theirs.size(), ours.size()); ++i) {
            if (i >= theirs.size() || i >= ours.size()) {
                List<MutableRecordBatch> longer = i >= theirs.size() ? ours : theirs;
                throw new Different(where + ": only " + (i >= theirs.size() ? "kurier" : "Apache Kafka") + " has " + longer.get(i));
            }
            byte[] theirBytes = bytes(theirs.get(i));
            byte[] ourBytes = bytes(ours.get(i));
            note(theirs.get(i));
            if (Arrays.equals(theirBytes, ourBytes)) continue;
            same = false;
            boolean compressed = theirs.get(i).isCompressed();
            if (!ours.get(i).isValid() || !compressed || !headersAgree(theirBytes, ourBytes)
                    || !Arrays.equals(decompressed(theirs.get(i), theirBytes), decompressed(ours.get(i), ourBytes)))
                throw new Different(where + ": batch " + theirs.get(i) + "\n" + hex(theirBytes) + "\nbut kurier "
                        + ours.get(i) + "\n" + hex(ourBytes));
            saw("batches compressed differently");
        }
        return same;
    }

    // But for length and checksum.
    static boolean headersAgree(byte[] theirs, byte[] ours) {
        return Arrays.equals(theirs, 0, 8, ours, 0, 8) && Arrays.equals(theirs, 12, 17, ours, 12, 17)
                && Arrays.equals(theirs, 21, 61, ours, 21, 61);
    }

    void note(MutableRecordBatch batch) {
        saw("batches");
        if (batch.countOrNull() == 0) saw(batch.isControlBatch() ? "empty markers" : "empty batches");
        if (batch.deleteHorizonMs().isPresent()) saw(batch.isControlBatch() ? "markers with a horizon" : "batches with a horizon");
        if (batch.isCompressed()) saw("batches of " + batch.compressionType());
        if (batch.countOrNull() < batch.lastOffset() - batch.baseOffset() + 1) saw("batches that have lost records");
    }
}
