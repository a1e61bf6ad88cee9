// As much of XML as our drawings use: elements with attributes in double quotes, text, three entities.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast::lab {

// What is wrong with it; empty where nothing is.
inline std::string xml_error(std::string_view text) {
  std::vector<std::string> open;
  bool any = false;
  while (!text.empty()) {
    const auto at = text.find_first_of("<&>");
    if (at == std::string_view::npos) break;
    if (text[at] == '>') return "a bare >";
    text.remove_prefix(at);
    if (text.front() == '&') {
      if (!text.starts_with("&lt;") && !text.starts_with("&gt;") && !text.starts_with("&amp;")) return "a bare &";
      text.remove_prefix(1);
      continue;
    }
    const auto end = text.find('>');
    if (end == std::string_view::npos) return "an element without end";
    const std::string_view element = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    const std::string name(element.substr(element.starts_with('/'), element.find(' ') - element.starts_with('/')));
    if (element.starts_with('/')) {
      if (open.empty() || open.back() != name) return "</" + name + "> closes nothing";
      open.pop_back();
      continue;
    }
    if (open.empty() && any) return "a second root";
    any = true;
    std::size_t quotes = 0;
    for (const char c : element) quotes += c == '"';
    if (quotes % 2 != 0 || element.find('<') != std::string_view::npos) return "a bad attribute in " + name;
    if (!element.ends_with('/')) open.push_back(name);
  }
  if (!any) return "nothing";
  return open.empty() ? "" : "<" + open.back() + "> is not closed";
}

}  // namespace holdfast::lab
