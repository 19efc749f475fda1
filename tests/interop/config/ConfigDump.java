// Prints Apache Kafka's own tables of properties, one tab-separated line each, for compare_config.py:
//   broker  name  type  default  validator  update mode  internal
//   topic   name  type  default  validator  comma-separated broker synonyms, in order  internal
//   alias   name  comma-separated names that a broker looks at for this property, in order
//   listed topic  name  default; listed broker  name: in the order in which DescribeConfigs answers
// A default of \N means that there is none (Java's null or "required").
import java.util.*;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.server.config.AbstractKafkaConfig;
import org.apache.kafka.server.config.DynamicBrokerConfig;
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
        Map<String, String> modes = DynamicBrokerConfig.dynamicConfigUpdateModes();

        ConfigDef broker = AbstractKafkaConfig.CONFIG_DEF;
        for (String name : broker.names()) {
            ConfigDef.ConfigKey key = broker.configKeys().get(name);
            System.out.println(String.join("\t", "broker", name, key.type.toString(), text(key), validator(key),
                modes.getOrDefault(name, "read-only"), Boolean.toString(key.internalConfig)));
            List<String> names = DynamicBrokerConfig.brokerConfigSynonyms(name, false);
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
                String.join(",", names), Boolean.toString(key.internalConfig)));
        }
        for (Map.Entry<String, ?> e : unused.nonInternalValues().entrySet()) {
            String value = e.getValue() == null ? "\\N" : ConfigDef.convertToString(e.getValue(), topic.configKeys().get(e.getKey()).type);
            System.out.println("listed topic\t" + e.getKey() + "\t" + value);
        }
        Map<String, String> required = Map.of("process.roles", "broker", "node.id", "1", "controller.listener.names", "C");
        for (String name : new AbstractConfig(broker, required, false).nonInternalValues().keySet())
            System.out.println("listed broker\t" + name);
    }
}
