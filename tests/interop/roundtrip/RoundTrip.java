// Random values through Apache Kafka's own message classes; roundtrip.cc is the same program on our side, and roundtrip.h
// says what is exchanged and what the two check.
//
//   RoundTrip generate JARS SEED COUNT FILE [NAME [VERSION]]
//   RoundTrip check JARS FILE
//
// The classes are found by the JSON definitions inside the jars, which also say what may be null, absent or unknown where.
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.*;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.RawTaggedField;

public class RoundTrip {
    static final int OK = 0, REFUSED_READING = 1, REFUSED_WRITING = 2;
    static final int FAILURES_SHOWN_MAX = 5;

    // ---- What the definitions say

    record Versions(int first, int last) {
        static final Versions NONE = new Versions(1, 0);
        static Versions of(JsonNode text) {
            if (text == null || text.asText().equals("none")) return NONE;
            String t = text.asText();
            if (t.endsWith("+")) return new Versions(Integer.parseInt(t.substring(0, t.length() - 1)), Short.MAX_VALUE);
            String[] parts = t.split("-");
            return new Versions(Integer.parseInt(parts[0]), Integer.parseInt(parts[parts.length - 1]));
        }
        boolean has(int version) { return first <= version && version <= last; }
    }

    static class Field {
        String name, type;  // name: as kurier writes it; type: of an element where it is an array
        boolean isArray, isIgnorable;
        Versions versions, nullable;
        Integer tag;
        Struct struct;
        Method getter, setter;
    }

    static class Struct {
        Class<?> type;
        List<Field> fields = new ArrayList<>();
        Set<Integer> tags = new HashSet<>();
    }

    static class Type {
        String name;
        Versions versions, flexible;
        Struct struct;
    }

    static String snake(String name) {
        return name.replaceAll("([a-z0-9])([A-Z])", "$1_$2").replaceAll("([A-Z]+)([A-Z][a-z])", "$1_$2").toLowerCase(Locale.ROOT);
    }

    static Method method(Class<?> type, String name, int parameters) {
        for (Method method : type.getMethods())
            if (method.getName().equalsIgnoreCase(name) && method.getParameterCount() == parameters) return method;
        throw new IllegalStateException(type + " has no " + name);
    }

    static Struct struct(Class<?> type, JsonNode fields, Class<?> message, Map<String, JsonNode> common) throws Exception {
        Struct struct = new Struct();
        struct.type = type;
        for (JsonNode definition : fields) {
            Field field = new Field();
            String name = definition.get("name").asText();
            field.name = snake(name);
            field.type = definition.get("type").asText();
            field.isArray = field.type.startsWith("[]");
            if (field.isArray) field.type = field.type.substring(2);
            field.isIgnorable = definition.path("ignorable").asBoolean(false);
            field.versions = Versions.of(definition.has("versions") ? definition.get("versions") : definition.get("taggedVersions"));
            field.nullable = Versions.of(definition.get("nullableVersions"));
            if (definition.has("tag")) struct.tags.add(field.tag = definition.get("tag").asInt());
            field.setter = method(type, "set" + name, 1);
            field.getter = method(type, name, 0);
            if (Character.isUpperCase(field.type.charAt(0))) {
                JsonNode inner = definition.has("fields") ? definition.get("fields") : common.get(field.type);
                field.struct = struct(Class.forName(message.getName() + "$" + field.type), inner, message, common);
            }
            struct.fields.add(field);
        }
        return struct;
    }

    static List<Type> types(String directory) throws Exception {
        ObjectMapper mapper = new ObjectMapper().configure(JsonParser.Feature.ALLOW_COMMENTS, true);
        Map<String, JsonNode> definitions = new TreeMap<>();
        Map<String, String> classes = new HashMap<>();
        File[] jars = new File(directory).listFiles((where, name) -> name.startsWith("kafka") && name.endsWith(".jar"));
        Arrays.sort(jars);
        for (File jar : jars) {
            try (ZipFile archive = new ZipFile(jar)) {
                for (ZipEntry entry : Collections.list(archive.entries())) {
                    String name = entry.getName();
                    if (name.endsWith(".class") && !name.contains("$")) {
                        String full = name.substring(0, name.length() - 6).replace('/', '.');
                        // The generated classes have packages of their own; *Request of common.requests is something else.
                        if (full.matches(".*\\.(generated|message|metadata)\\.[A-Za-z]+"))
                            classes.putIfAbsent(full.substring(full.lastIndexOf('.') + 1), full);
                    } else if (name.endsWith(".json")) {
                        JsonNode json;
                        try {
                            json = mapper.readTree(archive.getInputStream(entry));
                        } catch (IOException e) {
                            continue;  // not a definition
                        }
                        if (json.has("validVersions")) definitions.putIfAbsent(json.get("name").asText(), json);
                    }
                }
            }
        }
        List<Type> types = new ArrayList<>();
        for (Map.Entry<String, JsonNode> entry : definitions.entrySet()) {
            JsonNode json = entry.getValue();
            Type type = new Type();
            type.name = entry.getKey();
            type.versions = Versions.of(json.get("validVersions"));
            if (type.versions.first > type.versions.last) continue;  // removed
            type.flexible = Versions.of(json.get("flexibleVersions"));
            String className = classes.getOrDefault(type.name + "Data", classes.get(type.name));
            if (className == null) throw new IllegalStateException(type.name + " has no class");
            Map<String, JsonNode> common = new HashMap<>();
            for (JsonNode struct : json.path("commonStructs")) common.put(struct.get("name").asText(), struct.get("fields"));
            Class<?> message = Class.forName(className);
            type.struct = struct(message, json.get("fields"), message, common);
            types.add(type);
        }
        return types;
    }

    // ---- Random values

    static class Filler {
        final Random random;
        final int version;
        final boolean isFlexible;
        int depth = 0;

        Filler(Random random, Type type, int version) {
            this.random = random;
            this.version = version;
            this.isFlexible = type.flexible.has(version);
        }

        boolean oneIn(int n) { return random.nextInt(n) == 0; }

        String string() {
            if (oneIn(8)) return "";
            if (oneIn(2000)) return "x".repeat(32767);
            int length = oneIn(50) ? 100 + random.nextInt(200) : 1 + random.nextInt(8);
            boolean isPlain = !oneIn(5);
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < length; i++) {
                int point = isPlain ? 32 + random.nextInt(95) : random.nextInt(oneIn(2) ? 0x800 : 0x110000);
                text.appendCodePoint(point >= 0xd800 && point < 0xe000 ? 'x' : point);
            }
            return text.toString();
        }

        byte[] bytes() {
            byte[] bytes = new byte[oneIn(8) ? 0 : oneIn(50) ? 1 + random.nextInt(20000) : 1 + random.nextInt(10)];
            random.nextBytes(bytes);
            return bytes;
        }

        // Small, large, extreme, any.
        long integer(int bits) {
            switch (random.nextInt(5)) {
                case 0: return random.nextInt(3) - 1;
                case 1: return (1L << (bits - 1)) - 1;
                case 2: return -(1L << (bits - 1));
                default: return random.nextLong() >> (64 - bits);
            }
        }

        Object element(Field field, Class<?> target) throws Exception {
            switch (field.type) {
                case "bool": return random.nextBoolean();
                case "int8": return (byte) integer(8);
                case "int16": return (short) integer(16);
                case "uint16": return (int) integer(16) & 0xffff;
                case "int32": return (int) integer(32);
                case "uint32": return integer(32) & 0xffffffffL;
                case "int64": return integer(64);
                case "float64": return Double.longBitsToDouble(integer(64));
                case "string": return string();
                case "uuid": return new Uuid(integer(64), integer(64));
                case "bytes": return target == byte[].class ? (Object) bytes() : ByteBuffer.wrap(bytes());
                case "records": return org.apache.kafka.common.record.internal.MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
                default: return fill(field.struct);
            }
        }

        @SuppressWarnings("unchecked")
        Object value(Field field) throws Exception {
            if (field.nullable.has(version) && oneIn(4)) return null;
            Class<?> target = field.setter.getParameterTypes()[0];
            if (!field.isArray) return element(field, target);
            Collection<Object> elements =
                target == List.class ? new ArrayList<>() : (Collection<Object>) target.getConstructor().newInstance();
            int count = random.nextInt(depth < 3 ? 4 : 3);
            if (field.struct == null && oneIn(60)) count = 120 + random.nextInt(200);
            for (int i = 0; i < count; i++) elements.add(element(field, null));
            return elements;
        }

        Object fill(Struct struct) throws Exception {
            ++depth;
            Object filled = struct.type.getConstructor().newInstance();
            for (Field field : struct.fields) {
                boolean isPresent = field.versions.has(version);
                boolean isGiven = isPresent ? field.tag == null || oneIn(2) : field.isIgnorable && oneIn(2);
                if (isGiven) field.setter.invoke(filled, value(field));
            }
            if (isFlexible && oneIn(6)) {
                TreeSet<Integer> tags = new TreeSet<>();
                for (int i = random.nextInt(3); i >= 0; i--) tags.add(random.nextInt(oneIn(2) ? 12 : Integer.MAX_VALUE));
                tags.removeAll(struct.tags);
                for (int tag : tags) ((Message) filled).unknownTaggedFields().add(new RawTaggedField(tag, bytes()));
            }
            --depth;
            return filled;
        }
    }

    // ---- The text of a value, the same on both sides

    static class Text {
        final ByteArrayOutputStream out = new ByteArrayOutputStream();

        void add(String text) { out.writeBytes(text.getBytes(StandardCharsets.UTF_8)); }

        void hex(byte[] bytes) { add("#" + HexFormat.of().formatHex(bytes)); }

        void element(Field field, Object value) throws Exception {
            if (value == null) {
                add("null");
            } else if (field.struct != null) {
                struct(field.struct, value);
            } else if (value instanceof String) {
                byte[] bytes = ((String) value).getBytes(StandardCharsets.UTF_8);
                add(bytes.length + ":");
                out.writeBytes(bytes);
            } else if (value instanceof byte[] bytes) {
                hex(bytes);
            } else if (value instanceof ByteBuffer || value instanceof org.apache.kafka.common.record.internal.MemoryRecords) {
                ByteBuffer buffer = value instanceof ByteBuffer ? ((ByteBuffer) value).duplicate()
                    : ((org.apache.kafka.common.record.internal.MemoryRecords) value).buffer();
                byte[] bytes = new byte[buffer.remaining()];
                buffer.get(bytes);
                hex(bytes);
            } else if (value instanceof Double) {
                add(String.format("%016x", Double.doubleToRawLongBits((Double) value)));
            } else if (value instanceof Uuid) {
                Uuid uuid = (Uuid) value;
                add(String.format("%016x%016x", uuid.getMostSignificantBits(), uuid.getLeastSignificantBits()));
            } else {
                add(value.toString());
            }
        }

        void struct(Struct struct, Object value) throws Exception {
            add("{");
            for (Field field : struct.fields) {
                add(field.name + "=");
                Object its = field.getter.invoke(value);
                if (field.isArray && its != null) {
                    add("[");
                    for (Object element : (Collection<?>) its) {
                        element(field, element);
                        add(",");
                    }
                    add("]");
                } else {
                    element(field, its);
                }
                add(";");
            }
            for (RawTaggedField unknown : ((Message) value).unknownTaggedFields()) {
                add("?" + Integer.toUnsignedString(unknown.tag()) + "=");
                hex(unknown.data());
                add(";");
            }
            add("}");
        }
    }

    // ---- One frame

    static class Frame {
        char kind;
        String name;
        int version, toVersion, outcome;
        byte[] input = {}, text = {}, output = {};

        void write(DataOutputStream out) throws IOException {
            out.writeByte(kind);
            out.writeUTF(name);
            out.writeShort(version);
            out.writeShort(toVersion);
            out.writeByte(outcome);
            for (byte[] bytes : List.of(input, text, output)) {
                out.writeInt(bytes.length);
                out.write(bytes);
            }
        }

        static Frame read(DataInputStream in) throws IOException {
            int kind = in.read();
            if (kind < 0) return null;
            Frame frame = new Frame();
            frame.kind = (char) kind;
            frame.name = in.readUTF();
            frame.version = in.readShort();
            frame.toVersion = in.readShort();
            frame.outcome = in.readByte();
            frame.input = in.readNBytes(in.readInt());
            frame.text = in.readNBytes(in.readInt());
            frame.output = in.readNBytes(in.readInt());
            return frame;
        }
    }

    static byte[] encode(Object message, int version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(((Message) message).size(cache, (short) version));
        ((Message) message).write(new ByteBufferAccessor(buffer), cache, (short) version);
        if (buffer.hasRemaining()) throw new IllegalStateException("less was written than was announced");
        return buffer.array();
    }

    static Frame evaluate(char kind, Type type, int version, int toVersion, byte[] input) throws Exception {
        Frame frame = new Frame();
        frame.kind = kind;
        frame.name = type.name;
        frame.version = version;
        frame.toVersion = toVersion;
        frame.input = input;
        Message message = (Message) type.struct.type.getConstructor().newInstance();
        ByteBuffer buffer = ByteBuffer.wrap(input);
        try {
            message.read(new ByteBufferAccessor(buffer), (short) version);
        } catch (RuntimeException e) {
            frame.outcome = REFUSED_READING;
            frame.text = e.toString().getBytes(StandardCharsets.UTF_8);
            return frame;
        }
        Text text = new Text();
        text.struct(type.struct, message);
        text.add("+" + buffer.remaining());
        frame.text = text.out.toByteArray();
        try {
            frame.output = encode(message, toVersion);
        } catch (RuntimeException e) {
            frame.outcome = REFUSED_WRITING;
            frame.output = e.toString().getBytes(StandardCharsets.UTF_8);
        }
        return frame;
    }

    static byte[] damage(Random random, byte[] bytes) {
        if (bytes.length == 0) return new byte[random.nextInt(3)];
        int at = random.nextInt(Math.min(bytes.length, 200));
        byte[] damaged = bytes.clone();
        switch (random.nextInt(6)) {
            case 0: return Arrays.copyOf(bytes, at);
            case 1: damaged[at] ^= (byte) (1 << random.nextInt(8)); return damaged;
            case 2: damaged[at] = new byte[] {0, 1, 0x7f, -128, -1}[random.nextInt(5)]; return damaged;
            case 3: {
                int value = new int[] {Integer.MAX_VALUE, -1, Integer.MIN_VALUE, 1_000_001, 0}[random.nextInt(5)];
                for (int i = 0; i < 4 && at + i < damaged.length; i++) damaged[at + i] = (byte) (value >> (24 - 8 * i));
                return damaged;
            }
            case 4:
                System.arraycopy(bytes, at + 1, damaged, at, bytes.length - at - 1);
                return Arrays.copyOf(damaged, bytes.length - 1);
            default:
                damaged = Arrays.copyOf(bytes, bytes.length + 1);
                System.arraycopy(bytes, at, damaged, at + 1, bytes.length - at);
                damaged[at] = (byte) random.nextInt(256);
                return damaged;
        }
    }

    static void generate(List<Type> types, long seed, int count, String file, String onlyName, int onlyVersion) throws Exception {
        try (DataOutputStream out = new DataOutputStream(new BufferedOutputStream(new FileOutputStream(file), 1 << 20))) {
            for (Type type : types) {
                if (onlyName != null && !type.name.equals(onlyName)) continue;
                int versions = type.versions.last - type.versions.first + 1;
                for (int version = type.versions.first; version <= type.versions.last; version++) {
                    if (onlyVersion >= 0 && version != onlyVersion) continue;
                    Random random = new Random(seed * 1_000_003 + type.name.hashCode() * 31L + version);
                    for (int i = 0; i < count; i++) {
                        // The first is as a new one is.
                        byte[] bytes = encode(i == 0 ? type.struct.type.getConstructor().newInstance()
                                                     : new Filler(random, type, version).fill(type.struct), version);
                        Frame whole = evaluate('r', type, version, version, bytes);
                        if (whole.outcome != OK || !Arrays.equals(whole.output, bytes))
                            throw new IllegalStateException(type.name + " " + version + " does not come back: " + outcome(whole));
                        whole.write(out);
                        int other = type.versions.first + random.nextInt(versions);
                        evaluate('x', type, version, other, bytes).write(out);
                        for (int j = 0; j < 2; j++) evaluate('m', type, version, version, damage(random, bytes)).write(out);
                    }
                }
            }
        }
    }

    // ---- Checking

    static String text(byte[] bytes) { return new String(bytes, StandardCharsets.UTF_8); }

    static String outcome(Frame frame) {
        return frame.outcome == OK ? "accepted" : frame.outcome == REFUSED_READING ? "refused when read: " + text(frame.text)
            : "refused when written: " + text(frame.output);
    }

    // "" if both sides come to the same end; see roundtrip.cc.
    static String difference(Frame theirs, Frame ours) {
        boolean isReadable = theirs.outcome != REFUSED_READING && ours.outcome != REFUSED_READING;
        if (theirs.kind == 'm' && theirs.outcome == REFUSED_READING) {
            if (text(theirs.text).startsWith("a length or count of 2^31 or more")) return "";
            if (text(theirs.text).startsWith("a string is too long as UTF-8") && ours.outcome == REFUSED_WRITING
                && text(ours.output).contains("too long to be serialized"))
                return "";
        }
        if (theirs.outcome != ours.outcome) return outcome(theirs) + "\n  here " + outcome(ours);
        if (!isReadable) return "";
        if (theirs.kind == 'r' && !Arrays.equals(theirs.input, ours.output))
            return "came back as " + HexFormat.of().formatHex(ours.output);
        if (!Arrays.equals(theirs.text, ours.text)) return "read as " + text(theirs.text) + "\n  here    " + text(ours.text);
        if (ours.outcome == OK && !Arrays.equals(theirs.output, ours.output))
            return "written as " + HexFormat.of().formatHex(theirs.output) + "\n  here       " + HexFormat.of().formatHex(ours.output);
        return "";
    }

    static void check(List<Type> types, String file) throws Exception {
        Map<String, Type> byName = new HashMap<>();
        for (Type type : types) byName.put(type.name, type);
        Map<String, int[]> tally = new TreeMap<>();  // passed, failed by type, version and kind
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(new FileInputStream(file), 1 << 20))) {
            for (Frame frame; (frame = Frame.read(in)) != null; ) {
                Type type = byName.get(frame.name);
                String wrong = "Apache Kafka has no such message";
                if (type != null && type.versions.has(frame.version) && type.versions.has(frame.toVersion))
                    wrong = difference(frame, evaluate(frame.kind, type, frame.version, frame.toVersion, frame.input));
                int[] counts = tally.computeIfAbsent(frame.name + "\t" + frame.version + "\t" + frame.kind, key -> new int[2]);
                if (++counts[wrong.isEmpty() ? 0 : 1] <= FAILURES_SHOWN_MAX && !wrong.isEmpty())
                    System.out.println("FAILED: " + frame.name + " " + frame.version + " to " + frame.toVersion + " " + frame.kind
                        + " " + HexFormat.of().formatHex(frame.input) + "\n  " + wrong);
            }
        }
        for (Map.Entry<String, int[]> entry : tally.entrySet())
            System.out.println("tally\t" + entry.getKey() + "\t" + entry.getValue()[0] + "\t" + entry.getValue()[1]);
    }

    // As roundtrip.cc has it: what Apache Kafka reads is new String(bytes, UTF_8).
    static void strings() throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 16));
        for (String line; (line = in.readLine()) != null; ) {
            byte[] bytes = HexFormat.of().parseHex(line);
            String read = new org.apache.kafka.common.protocol.ByteBufferAccessor(ByteBuffer.wrap(bytes)).readString(bytes.length);
            out.println(HexFormat.of().formatHex(read.getBytes(StandardCharsets.UTF_8)));
        }
        out.flush();
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("strings")) {
            strings();
            return;
        }
        List<Type> types = types(arguments[1]);
        if (arguments[0].equals("check")) {
            check(types, arguments[2]);
        } else {
            generate(types, Long.parseLong(arguments[2]), Integer.parseInt(arguments[3]), arguments[4],
                arguments.length > 5 ? arguments[5] : null, arguments.length > 6 ? Integer.parseInt(arguments[6]) : -1);
        }
    }
}
