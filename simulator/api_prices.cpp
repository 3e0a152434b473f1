#include "simulator/api_prices.h"

#include <algorithm>

#include "model_spec/embedded.h"
#include "model_spec/toml.h"

namespace fathom::simulator {

using namespace model_spec;

std::optional<ApiPrice> api_price(const ModelSpec& model) {
  const auto files = embedded::published();
  const auto file = std::ranges::find(files, "api_prices.toml", &embedded::File::name);
  if (file == files.end()) return std::nullopt;
  const auto name = "published/" + std::string(file->name);
  const auto root = parse_toml(file->text, name);
  Problems problems;
  TomlReader reader(root, name, "", problems);
  reader.integer("schema", 1, 1);
  std::optional<ApiPrice> found;
  reader.tables("price", [&](TomlReader& t, std::size_t) {
    const auto models = t.strings("models");
    const ApiPrice price{t.number("input_miss_usd"), t.number("input_hit_usd"), t.number("output_usd"), t.string("source")};
    if (std::ranges::find(models, model.name) != models.end()) found = price;
  });
  reader.finish();
  problems.throw_if_any();
  return found;
}

}  // namespace fathom::simulator
