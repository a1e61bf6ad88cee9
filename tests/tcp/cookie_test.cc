// SYN cookies: RFC 4987 section 3.6.
#include "tcp/cookie.h"

#include "solo.h"

namespace holdfast::tcp::test {
namespace {

constexpr std::uint64_t kTick = 26'000'000;

class SynCookie : public Solo {
 protected:
  SynCookie() {
    for (std::size_t i = 0; i < secret.key.size(); ++i) secret.key[i] = static_cast<std::byte>(i * 7 + 1);
  }

  // The peer's SYN is answered, and everything that follows goes by the cookie.
  wire::TcpHeader answer(std::uint64_t tick = kTick) {
    const wire::TcpHeader h = cookie_syn_ack(secret, e.config, kTuple, syn().header, tick, our_clock);
    our_iss = h.seq;
    if (h.options.timestamps) last_tsval = h.options.timestamps->value;
    return h;
  }
  std::optional<Cookie> verify(const SegmentIn& s, std::vector<std::uint64_t> ticks = {kTick, kTick - 1}) {
    return verify_cookie(secret, e.config, kTuple, s, ticks);
  }
  bool valid(const SegmentIn& s) { return verify(s).has_value(); }
  void modern() {
    peer_timestamps = peer_sack = true;
    peer_scale = 9;
  }
  void open(const SegmentIn& ack) {
    const auto v = verify(ack);
    ASSERT_TRUE(v);
    e.connection = Connection::accept_cookie(e, e.config, StreamId{1}, kTuple, v->syn, v->iss, ack, 100, now());
    arrive(ack);
  }

  Secret secret;
  std::uint32_t our_clock = 123456;
};

TEST_F(SynCookie, SynAckSaysWhatAnOrdinaryOneWouldButForItsWindow) {
  modern();
  const wire::TcpHeader h = answer();
  EXPECT_TRUE(h.flags.syn && h.flags.ack && !h.flags.rst);
  EXPECT_EQ(h.source, kTuple.local.port);
  EXPECT_EQ(h.destination, kTuple.peer.port);
  EXPECT_EQ(h.ack, peer_iss + 1);
  EXPECT_EQ(h.window, 0) << "no room is reserved";
  EXPECT_EQ(h.options.mss, 1460);
  EXPECT_EQ(h.options.window_scale, 8);
  EXPECT_TRUE(h.options.sack_permitted);
  EXPECT_EQ(h.options.timestamps->echo_reply, peer_ts);
}

TEST_F(SynCookie, ComesBackWithTheOptionsOfTheSyn) {
  for (const bool sack : {false, true}) {
    for (int scale = -1; scale <= 14; ++scale) {
      peer_timestamps = true;
      peer_sack = sack;
      peer_scale = scale < 0 ? std::nullopt : std::optional<std::uint8_t>(scale);
      answer();
      const auto v = verify(segment(kAck, 0, 0));
      ASSERT_TRUE(v) << "scale " << scale;
      EXPECT_EQ(v->iss, our_iss);
      EXPECT_EQ(v->syn.seq, peer_iss);
      EXPECT_EQ(v->syn.options.mss, 1460);
      EXPECT_EQ(v->syn.options.sack_permitted, sack);
      EXPECT_EQ(v->syn.options.window_scale, peer_scale);
      EXPECT_EQ(v->syn.options.timestamps->value, peer_ts);
    }
  }
}

TEST_F(SynCookie, HasNeitherScaleNorSackWithoutTimestamps) {
  peer_sack = true;
  peer_scale = 7;
  const wire::TcpHeader h = answer();
  EXPECT_FALSE(h.options.window_scale || h.options.sack_permitted || h.options.timestamps);
  const auto v = verify(segment(kAck, 0, 0));
  ASSERT_TRUE(v);
  EXPECT_FALSE(v->syn.options.window_scale || v->syn.options.sack_permitted || v->syn.options.timestamps);
}

TEST_F(SynCookie, LeavesOutWhatIsSwitchedOff) {
  modern();
  e.config.sack = e.config.window_scale = false;
  wire::TcpHeader h = answer();
  EXPECT_FALSE(h.options.window_scale || h.options.sack_permitted);
  EXPECT_TRUE(valid(segment(kAck, 0, 0)));
  e.config.timestamps = false;
  h = answer();
  EXPECT_FALSE(h.options.timestamps);
  EXPECT_TRUE(valid(segment(kAck, 0, 0)));
}

TEST_F(SynCookie, RoundsTheMssDown) {
  const std::pair<int, int> rounded[] = {{1, 64},      {64, 64},     {255, 64},    {256, 256},   {535, 256},
                                         {536, 536},   {1199, 536},  {1200, 1200}, {1400, 1360}, {1452, 1440},
                                         {1459, 1440}, {1460, 1460}, {8959, 1460}, {8960, 8960}, {65535, 8960}};
  for (const auto& [offered, kept] : rounded) {
    peer_mss = static_cast<std::uint16_t>(offered);
    answer();
    EXPECT_EQ(verify(segment(kAck, 0, 0))->syn.options.mss, kept) << offered;
  }
  SegmentIn without = syn();
  without.header.options.mss.reset();
  our_iss = cookie_syn_ack(secret, e.config, kTuple, without.header, kTick, 0).seq;
  EXPECT_EQ(verify(segment(kAck, 0, 0))->syn.options.mss, 536) << "RFC 9293 MUST-15";
}

// The moment shown is never ahead of the clock, and moves with it.
TEST_F(SynCookie, TimestampIsNeverAheadOfTheClockNorGoesBack) {
  modern();
  for (const std::uint8_t scale : {std::uint8_t{0}, std::uint8_t{9}, std::uint8_t{14}}) {
    peer_scale = scale;
    for (const std::uint32_t start : {1000U, 0U - 100U}) {  // over the wrap
      std::uint32_t before = start - 64;
      for (our_clock = start; our_clock != start + 200; ++our_clock) {
        const std::uint32_t shown = answer().options.timestamps->value;
        ASSERT_LT(our_clock - shown, 32U) << our_clock;
        ASSERT_LT(shown - before, 96U) << "back from " << before << " to " << shown;
        before = shown;
        ASSERT_EQ(verify(segment(kAck, 0, 0))->syn.options.window_scale, scale);
      }
    }
  }
}

TEST_F(SynCookie, IsGoodInItsTickAndTheNextOne) {
  for (const int age : {0, 1, 2, 3, 4, 8}) {
    answer(kTick - static_cast<unsigned>(age));
    EXPECT_EQ(valid(segment(kAck, 0, 0)), age <= 1) << age;
  }
  answer(kTick + 1);
  EXPECT_FALSE(valid(segment(kAck, 0, 0))) << "from the future";
  answer(77);
  EXPECT_TRUE(verify(segment(kAck, 0, 0), {kTick, kTick - 1, 78, 77})) << "a predecessor's";
  EXPECT_FALSE(verify(segment(kAck, 0, 0), {}));
}

TEST_F(SynCookie, IsBoundToTheTupleThePeersNumberAndTheSecret) {
  answer();
  const SegmentIn good = segment(kAck, 0, 0);
  ASSERT_TRUE(valid(good));
  const std::vector<std::uint64_t> ticks{kTick, kTick - 1};
  std::vector<wire::FourTuple> others(4, kTuple);
  others[0].local.address.value ^= 1;
  others[1].peer.address.value ^= 1;
  others[2].local.port.value ^= 1;
  others[3].peer.port.value ^= 1;
  for (const auto& other : others) {
    EXPECT_FALSE(verify_cookie(secret, e.config, other, good, ticks)) << other.to_string();
  }
  SegmentIn elsewhere = good;
  elsewhere.header.seq += 2;
  EXPECT_FALSE(valid(elsewhere));
  Secret another = secret;
  another.key[15] ^= std::byte{1};
  EXPECT_FALSE(verify_cookie(another, e.config, kTuple, good, ticks));
}

// Options that the SYN did not have are not for the peer, or for whoever speaks for it, to choose.
TEST_F(SynCookie, OptionsCannotBeChanged) {
  modern();
  answer();
  for (std::uint32_t bit = 0; bit < 5; ++bit) {
    SegmentIn s = segment(kAck, 0, 0);
    s.header.options.timestamps->echo_reply ^= 1U << bit;
    EXPECT_FALSE(valid(s)) << bit;
  }
  SegmentIn without = segment(kAck, 0, 0);
  without.header.options.timestamps.reset();
  EXPECT_FALSE(valid(without));
  // The shift that was announced is not ours any more: every window would be misread.
  e.config.max_receive_window *= 4;
  EXPECT_FALSE(valid(segment(kAck, 0, 0)));
}

// 32 bits less those that a segment may choose (tick, MSS): 27 to guess.
TEST_F(SynCookie, NoSingleBitOfTheAckMayDiffer) {
  answer();
  for (unsigned bit = 0; bit < 32; ++bit) {
    SegmentIn s = segment(kAck, 0, 0);
    s.header.ack = SeqNum{((s.header.ack.value - 1) ^ (1U << bit)) + 1};
    EXPECT_FALSE(valid(s)) << bit;
  }
}

TEST_F(SynCookie, FirstDataAndAProbeAreAsGoodAsTheAck) {
  answer();
  const ByteVector data = pattern(100);
  const auto by_data = verify(segment(kPshAck, 0, 0, data));
  ASSERT_TRUE(by_data);
  EXPECT_EQ(by_data->syn.seq, peer_iss);
  const auto by_probe = verify(segment(kAck, -1, 0));
  ASSERT_TRUE(by_probe);
  EXPECT_EQ(by_probe->syn.seq, peer_iss);
  EXPECT_FALSE(valid(segment(kPshAck, -1, 0, data))) << "no probe has so much";
  EXPECT_FALSE(valid(segment(kPshAck, 100, 0, data)));
  EXPECT_TRUE(valid(segment(kFinAck, 0, 0)));
}

// Computed by hand from the header's layout and SipHash-2-4. A node of a later version, restarted in the place of one
// of this, must understand them.
TEST_F(SynCookie, Golden) {
  EXPECT_EQ(answer().seq.value, 0x3491dd2cU);
  modern();
  const wire::TcpHeader h = answer();
  EXPECT_EQ(h.seq.value, 0x37175876U);
  EXPECT_EQ(h.options.timestamps->value, 123449U);
  EXPECT_EQ(answer(kTick + 1).seq.value, 0x770c6784U);
}

// ---- The connection that it opens ----

TEST_F(SynCookie, ConnectionSaysNothingBeforeItsRecordIsStoredAndThenOpensTheWindow) {
  modern();
  answer();
  open(segment(kAck, 0, 0));
  EXPECT_EQ(c().state(), State::kEstablished);
  EXPECT_TRUE(e.transitions.empty());
  arrive(segment(kAck, -1, 0));  // a probe
  EXPECT_TRUE(silent());
  c().on_record_stored(now());
  const Sent s = take();
  EXPECT_TRUE(s.bare());
  EXPECT_EQ(seq_of(s), 0);
  EXPECT_EQ(ack_of(s), 0);
  EXPECT_GT(s.header.window, 0);
  EXPECT_EQ(s.header.options.timestamps->echo_reply, peer_ts);
  EXPECT_TRUE(silent());
  EXPECT_EQ(c().deadline(), kNever);
}

TEST_F(SynCookie, ConnectionHasTheNegotiatedOptions) {
  modern();
  peer_mss = 1300;
  answer();
  open(segment(kAck, 0, 0));
  const Snapshot s = c().snapshot();
  EXPECT_EQ(s.state, State::kEstablished);
  EXPECT_EQ(s.iss, our_iss);
  EXPECT_EQ(s.irs, peer_iss);
  EXPECT_EQ(s.send_mss, 1200);
  EXPECT_TRUE(s.timestamps && s.sack && s.window_scale);
  EXPECT_EQ(s.send_scale, 9);
  EXPECT_EQ(s.receive_scale, 8);
  EXPECT_EQ(s.snd_wnd, std::uint32_t{peer_window} << 9) << "the ACK's, scaled";
}

TEST_F(SynCookie, ConnectionTakesNoDataThatNobodyInvitedAndAllThatFollows) {
  answer();
  const ByteVector data = pattern(1000);
  open(segment(kPshAck, 0, 0, data));
  EXPECT_TRUE(e.received.empty());
  c().on_record_stored(now());
  EXPECT_EQ(ack_of(take()), 0);
  arrive(kPshAck, 0, 0, data);
  EXPECT_EQ(e.received, data);
  pass(100ms);
  EXPECT_EQ(ack_of(take()), 1000);
}

TEST_F(SynCookie, ConnectionTakesAFinThatCameInsteadOfTheAck) {
  answer();
  open(segment(kFinAck, 0, 0));
  EXPECT_EQ(c().state(), State::kCloseWait);
  EXPECT_TRUE(silent()) << "the record first";
  c().on_record_stored(now());
  EXPECT_EQ(ack_of(take()), 1);
}

TEST_F(SynCookie, ConnectionThatIsResetBeforeItsRecordIsStoredStaysSilent) {
  answer();
  open(segment(kAck, 0, 0));
  arrive(kRst, 0, 0);
  EXPECT_EQ(e.close_reason, CloseReason::kPeerReset);
  c().on_record_stored(now());
  EXPECT_TRUE(silent());
}

TEST_F(SynCookie, ConnectionAnswersARepeatedSynWithAChallenge) {
  answer();
  open(segment(kAck, 0, 0));
  c().on_record_stored(now());
  take();
  arrive(syn());
  EXPECT_TRUE(take().bare());
  EXPECT_EQ(c().state(), State::kEstablished);
}

TEST_F(SynCookie, ConnectionSendsOnceItMay) {
  answer();
  open(segment(kAck, 0, 0));
  const ByteVector data = pattern(5000);
  e.queue(data);
  EXPECT_TRUE(silent());
  c().on_record_stored(now());
  ByteVector sent;
  while (!silent()) {
    const Sent s = take();
    sent.insert(sent.end(), s.payload.begin(), s.payload.end());
  }
  EXPECT_EQ(sent, data);
}

}  // namespace
}  // namespace holdfast::tcp::test
