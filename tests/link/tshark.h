// What tshark makes of a capture file.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <string>

namespace holdfast::link {

// One line a packet, fields (-e …) with tabs between them; fails the test where tshark is missing or complains.
inline std::string tshark(const std::string& file, const std::string& arguments) {
  const std::string command = "tshark -n -r " + file + " -T fields " + arguments + " 2>&1";
  FILE* const pipe = ::popen(command.c_str(), "r");
  std::string output;
  std::array<char, 4096> piece;
  while (const std::size_t count = std::fread(piece.data(), 1, piece.size(), pipe)) output.append(piece.data(), count);
  EXPECT_EQ(::pclose(pipe), 0) << command << "\n" << output;
  // It does not like to be run by root, and says so.
  const std::string complaint = "Running as user \"root\" and group \"root\". This could be dangerous.\n";
  if (output.starts_with(complaint)) output.erase(0, complaint.size());
  return output;
}

}  // namespace holdfast::link
