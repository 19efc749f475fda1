// Configuration files. Input: y for YAML or p for .properties, in capitals to load it as a configuration (1 byte), the text.
#include "base/check.h"
#include "base/log.h"
#include "config/node_config.h"
#include "config/source.h"

using namespace kurier;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const bool is_yaml = data[0] == 'y' || data[0] == 'Y';
  const std::string path = is_yaml ? "fuzz.yaml" : "fuzz.properties";
  const std::string content(reinterpret_cast<const char*>(data) + 1, size - 1);
  const config::ReadSettings read = is_yaml ? config::read_yaml(path, content) : config::read_properties(path, content);
  for (const config::Setting& setting : read.settings) KURIER_CHECK(setting.where.starts_with(path));
  for (const std::string& fault : read.faults) KURIER_CHECK(!fault.empty());
  if (data[0] != 'Y' && data[0] != 'P') return 0;
  const auto loaded = config::load_config({.path = path, .content = content, .settings = {}});
  // Somebody must be able to find out what is wrong.
  KURIER_CHECK(loaded.has_value() ? read.faults.empty() : !loaded.error().context.empty());
  return 0;
}
