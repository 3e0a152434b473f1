#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "simulator/report.h"

namespace fathom::simulator {
namespace {

using Json = nlohmann::ordered_json;
constexpr int schema_version = 1;

Json json_of(const Cell& cell) {
  return std::visit(
      [](const auto& v) -> Json {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>) return nullptr;
        else if constexpr (std::is_same_v<T, double>) return std::isfinite(v) ? Json(v) : Json(nullptr);
        else return v;
      },
      cell);
}

Json json_of(const Table& t) {
  const bool named = !t.records.empty() && std::ranges::all_of(t.records, [](const Record& r) { return !r.name.empty(); });
  const bool single = t.form == Form::columns && t.records.size() == 1;
  Json out = named ? Json::object() : Json::array();
  for (const auto& r : t.records) {
    Json object = Json::object();
    for (std::size_t f = 0; f < t.fields.size(); ++f) object[t.fields[f].key] = json_of(r.cells[f]);
    if (named) out[r.name] = std::move(object);
    else if (single) return object;
    else out.push_back(std::move(object));
  }
  return out;
}

}  // namespace

std::string to_json(const Report& report) {
  Json out{{"schema_version", schema_version}, {"answer", report.answer}, {"feasible", report.feasible}};
  for (const auto& t : report.tables) out[t.key] = json_of(t);
  out["notes"] = report.notes;
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace fathom::simulator
