#include "node/config_file.h"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace holdfast::node {
namespace {

std::unexpected<Error> fail_at(const std::string& path, const toml::source_position& at, const std::string& what) {
  return fail(Error::Kind::kUsage, fmt::format("{}: line {}: {}", path, at.line, what));
}

const Setting* find_setting(std::string_view name) {
  for (const auto& setting : serve_settings()) {
    if (name == setting.name) return &setting;
  }
  return nullptr;
}

// A scalar as it would be written behind the flag.
std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  return std::nullopt;
}

Result<void> apply_scalar(const Setting& setting, const toml::node& node, const std::string& path,
                          ServeOptions& options) {
  const auto at = node.source().begin;
  const auto text = scalar_text(node);
  if (!text) return fail_at(path, at, fmt::format("{}: must be a string, a whole number or true/false", setting.name));
  if (auto applied = setting.apply(options, *text); !applied) {
    return fail_at(path, at, fmt::format("{} = {}: {}", setting.name, *text, applied.error()));
  }
  return {};
}

Result<void> apply_key(const Setting& setting, const toml::node& node, const std::string& path, ServeOptions& options) {
  const auto* array = node.as_array();
  if (array == nullptr) return apply_scalar(setting, node, path, options);
  if (!setting.repeatable) {
    return fail_at(path, node.source().begin, fmt::format("{}: takes one value, not a list", setting.name));
  }
  for (const auto& element : *array) {
    if (auto applied = apply_scalar(setting, element, path, options); !applied) return applied;
  }
  return {};
}

}  // namespace

Result<void> apply_config(std::string_view text, const std::string& path, const std::set<std::string>& overridden,
                          ServeOptions& options) {
  const toml::parse_result parsed = toml::parse(text, path);
  if (!parsed) {
    return fail_at(path, parsed.error().source().begin,
                   fmt::format("{} (text stands in quotes: key = \"value\")", parsed.error().description()));
  }
  for (const auto& [key, node] : parsed.table()) {
    const auto* setting = find_setting(key.str());
    if (setting == nullptr) {
      return fail_at(path, key.source().begin,
                     fmt::format("unknown key '{}': the keys are the flags of `holdfast serve --help`", key.str()));
    }
    if (overridden.contains(setting->name)) continue;
    if (auto applied = apply_key(*setting, node, path, options); !applied) return applied;
  }
  return {};
}

}  // namespace holdfast::node
