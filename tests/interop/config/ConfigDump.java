// Prints Apache Kafka's own tables of properties, one tab-separated line each, for compare_config.py:
//   broker  name  type  default  validator  importance  update mode  internal
//   topic   name  type  default  validator  importance  comma-separated broker synonyms, in order  internal
//   alias   name  comma-separated names that a broker looks at for this property, in order
// A default of \N means that there is none (Java's null or "required").
import java.lang.reflect.Method;
import java.util.*;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.server.config.AbstractKafkaConfig;
import org.apache.kafka.storage.internals.log.LogConfig;

public class ConfigDump {
    static String text(ConfigDef.ConfigKey key) {
        if (key.defaultValue == null || key.defaultValue == ConfigDef.NO_DEFAULT_VALUE) return "\\N";
        return ConfigDef.convertToString(key.defaultValue, key.type).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n");
    }
    static String validator(ConfigDef.ConfigKey key) {
        return key.validator == null ? "" : key.validator.toString().replace("\t", " ").replace("\n", " ");
    }
    public static void main(String[] args) throws Exception {
        Map<String, String> modes = new HashMap<>();
        Class<?> dynamic = Class.forName("org.apache.kafka.server.config.DynamicBrokerConfig");
        Method method = null;
        for (Method m : dynamic.getMethods()) if (m.getName().equals("dynamicConfigUpdateModes")) method = m;
        Object result = method.invoke(null);
        for (Map.Entry<?, ?> e : ((Map<?, ?>) result).entrySet()) modes.put((String) e.getKey(), (String) e.getValue());
        Method synonyms = null;
        for (Method m : dynamic.getMethods()) if (m.getName().equals("brokerConfigSynonyms")) synonyms = m;

        ConfigDef broker = AbstractKafkaConfig.CONFIG_DEF;
        for (String name : broker.names()) {
            ConfigDef.ConfigKey key = broker.configKeys().get(name);
            System.out.println(String.join("\t", "broker", name, key.type.toString(), text(key), validator(key),
                key.importance.toString(), modes.getOrDefault(name, "read-only"), Boolean.toString(key.internalConfig)));
            Object list = synonyms.invoke(null, name, false);
            List<String> names = new ArrayList<>();
            if (list instanceof scala.collection.Iterable)
                for (scala.collection.Iterator<?> i = ((scala.collection.Iterable<?>) list).iterator(); i.hasNext(); ) names.add((String) i.next());
            else for (Object o : (Collection<?>) list) names.add((String) o);
            if (names.size() > 1) System.out.println("alias\t" + name + "\t" + String.join(",", names));
        }
        LogConfig unused = new LogConfig(new HashMap<>());
        java.lang.reflect.Field field = LogConfig.class.getDeclaredField("CONFIG");
        field.setAccessible(true);
        ConfigDef topic = (ConfigDef) field.get(null);
        for (String name : topic.names()) {
            ConfigDef.ConfigKey key = topic.configKeys().get(name);
            List<String> names = new ArrayList<>();
            var map = org.apache.kafka.server.config.ServerTopicConfigSynonyms.ALL_TOPIC_CONFIG_SYNONYMS;
            if (map.containsKey(name)) for (var s : map.get(name)) names.add(s.name());
            System.out.println(String.join("\t", "topic", name, key.type.toString(), text(key), validator(key),
                key.importance.toString(), String.join(",", names), Boolean.toString(key.internalConfig)));
        }
    }
}
