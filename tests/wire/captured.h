// Frames captured between two Linux 6.18 hosts on a veth pair, offloads off. 10.77.0.1 is 02:00:00:00:00:0a,
// 10.77.0.2 is 02:00:00:00:00:0b.
#pragma once

#include <string_view>

namespace holdfast::wire::testing {

inline constexpr std::string_view kArpRequestFrame =
    "ffff ffff ffff 0200 0000 000a 0806 0001 0800 0604 0001 0200 0000 000a 0a4d 0001"
    "0000 0000 0000 0a4d 0002";
inline constexpr std::string_view kArpReplyFrame =
    "0200 0000 000a 0200 0000 000b 0806 0001 0800 0604 0002 0200 0000 000b 0a4d 0002"
    "0200 0000 000a 0a4d 0001";
inline constexpr std::string_view kSynFrame =
    "0200 0000 000b 0200 0000 000a 0800 4500 003c 9248 4000 4006 93d7 0a4d 0001 0a4d"
    "0002 a252 0007 9fb7 389b 0000 0000 a002 faf0 abb2 0000 0204 05b4 0402 080a be15"
    "53fb 0000 0000 0103 030a";
inline constexpr std::string_view kSynAckFrame =
    "0200 0000 000a 0200 0000 000b 0800 4500 003c 0000 4000 4006 2620 0a4d 0002 0a4d"
    "0001 0007 a252 d9fa 95f4 9fb7 389c a012 fe88 c50f 0000 0204 05b4 0402 080a 8bc1"
    "e748 be15 53fb 0103 030a";
inline constexpr std::string_view kDataFrame =  // "hello"
    "0200 0000 000b 0200 0000 000a 0800 4500 0039 924a 4000 4006 93d8 0a4d 0001 0a4d"
    "0002 a252 0007 9fb7 389c d9fa 95f5 8018 003f ae49 0000 0101 080a be15 53fb 8bc1"
    "e748 6865 6c6c 6f";
inline constexpr std::string_view kFinFrame =
    "0200 0000 000a 0200 0000 000b 0800 4500 0034 cf57 4000 4006 56d0 0a4d 0002 0a4d"
    "0001 0007 a252 d9fa 95fb 9fb7 38a1 8011 0040 f219 0000 0101 080a 8bc1 e749 be15"
    "53fc";
inline constexpr std::string_view kUdpFrame =  // "hello" to port 9
    "0200 0000 000b 0200 0000 000a 0800 4500 0021 9ce5 4000 4011 894a 0a4d 0001 0a4d"
    "0002 d3d2 0009 000d d389 6865 6c6c 6f";
inline constexpr std::string_view kPortUnreachableFrame =  // in answer to kUdpFrame
    "0200 0000 000a 0200 0000 000b 0800 45c0 003d 6606 0000 4001 ff5d 0a4d 0002 0a4d"
    "0001 0303 11b8 0000 0000 4500 0021 9ce5 4000 4011 894a 0a4d 0001 0a4d 0002 d3d2"
    "0009 000d d389 6865 6c6c 6f";
inline constexpr std::string_view kEchoRequestFrame =
    "0200 0000 000b 0200 0000 000a 0800 4500 0028 2d6c 4000 4001 f8cc 0a4d 0001 0a4d"
    "0002 0800 c7a6 1234 0001 0001 0203 0405 0607 0809 0a0b";
inline constexpr std::string_view kEchoReplyFrame =  // in answer to kEchoRequestFrame
    "0200 0000 000a 0200 0000 000b 0800 4500 0028 d577 0000 4001 90c1 0a4d 0002 0a4d"
    "0001 0000 cfa6 1234 0001 0001 0203 0405 0607 0809 0a0b";
inline constexpr std::string_view kLastFragmentFrame =  // of an echo request, offset 1480
    "0200 0000 000b 0200 0000 000a 0800 4500 0030 2d6d 00b9 4001 380b 0a4d 0001 0a4d"
    "0002 c0c1 c2c3 c4c5 c6c7 c8c9 cacb cccd cecf d0d1 d2d3 d4d5 d6d7 d8d9 dadb";

}  // namespace holdfast::wire::testing
