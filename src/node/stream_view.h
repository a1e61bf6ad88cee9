// A stored stream as people and programs see it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gate/connection_record.h"
#include "log/reader.h"

namespace holdfast::node {

struct StreamView {
  log::StreamInfo info;
  std::optional<gate::ConnectionRecord> record;  // empty: none kept, or of a version that this program does not know
  std::string state;                             // "ESTABLISHED", …, "CLOSED"; "UNKNOWN" without a record
  std::string service;                           // "store", "echo", "client"
  std::string closed_because;                    // empty while it lives
};

StreamView view(log::StreamInfo info);

// Ends in '\n'.
std::string table(const std::vector<StreamView>& streams);
std::string details(const StreamView& stream);
std::string json_list(const std::vector<StreamView>& streams);
std::string json_object(const StreamView& stream);

}  // namespace holdfast::node
