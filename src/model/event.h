// One event at one side, and what comes of it: the shell around tcp::Ways. What it mirrors is named in README.md.
#pragma once

#include <vector>

#include "model/property.h"
#include "model/side.h"

namespace holdfast::model {

// What depends on time: an answer to a duplicate is left out where one is on its way, or came less than a second ago;
// challenge ACKs are limited.
struct Pace {
  bool on_its_way = false;
  bool seldom = true;
  bool challenge = true;
};

// A SYN with step 1 of more than three ways.
inline bool proposes(const Message& syn) { return syn.option && tcp::is_proposal(*syn.option); }

class Event {
 public:
  Event(const SideConfig& config, const Side& before, Pace pace = {});

  // The user
  static bool may_open(const SideConfig& config, const Side& side);
  void open();
  void abort();
  void speak();  // data, or a keepalive: of an established side
  // The network
  void arrives(const Message& m);
  // Time
  static bool timer_runs(const Side& side);
  void timeout();
  void copies_arrive();
  void roll_call_over();
  // Storage
  void write_completes();
  void checkpoint();
  void crash(std::uint8_t landed);  // so many of the writes on their way are durable; and the restart

  // Then: what was owed leaves, and the side as it is now.
  const Side& end();
  const std::vector<Message>& sent() const { return sent_; }
  Property broken() const { return broken_; }
  bool was_seldom() const { return was_seldom_; }  // an answer of those that are limited to one a second has left
  bool was_challenge() const { return was_challenge_; }

 private:
  // segments.cc
  bool too_few(const Message& syn);
  void unknown_arrives(const Message& m);
  void accept(const Message& syn);
  // cookies.cc
  void send_cookie(const Message& syn);
  bool is_cookie(const Message& m) const;
  void open_by_cookie(const Message& m);
  void syn_sent_arrives(const Message& m);
  bool syn_received_repeats(const Message& m);
  void segment_arrives(const Message& m);
  bool confirming_arrives(const Message& m);
  bool ack_arrives(const Message& m);
  void proving_arrives(const Message& m);
  void repeat_syn_ack(const Message& syn);
  tcp::Ways::Do feed(const Message& m);  // to Ways, with what is checked about it
  void refuse(const Message& m);
  void challenge();

  // sending.cc
  void follow(tcp::Ways::Do what);
  void transmit_step();
  void transmit_syn();
  void emit(bool probe, bool data = false);
  void flush();
  void send(Message m);
  bool is_stored(const Message& m) const;
  std::uint8_t copies() const;
  bool confirming() const { return s_.ways && s_.ways->confirming(); }

  // event.cc
  void opened();
  void handshake_over();
  void reset(tcp::CloseReason reason);
  void finish(tcp::CloseReason reason, bool with_reset);
  Record snapshot() const;
  void write(bool awaited);
  void push(const Write& write);
  void restore();
  void broke(Property property) {
    if (broken_ == Property::kNone) broken_ = property;
  }

  const SideConfig& config_;
  Pace pace_;
  Side s_;
  std::vector<Message> sent_;
  Property broken_ = Property::kNone;
  bool was_seldom_ = false, was_challenge_ = false;
};

}  // namespace holdfast::model
