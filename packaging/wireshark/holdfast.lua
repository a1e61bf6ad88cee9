-- Wireshark and tshark: the TCP option of Holdfast's N-way handshake (src/wire/tcp.h, WaysOption).
--
--   kind 253 | length 16 | ExID "HF" (16 bits) | ways (8) | step (8) | copies (8) | flags (8) | nonce (32) | echo (32)
--
-- A postdissector that reads the TCP header itself. The other way, an entry of our own for kind 253 in the dissector
-- table "tcp.option", would take the kind from Wireshark's dissector of other experiments, sees one option where two
-- that contradict each other matter, and is not called for one whose length is impossible.
--
-- Nothing here depends on the Lua version: Wireshark has 5.2 up to 4.2, and 5.4 from 4.4 on.

local holdfast = Proto("holdfast", "Holdfast N-way Handshake")

-- ---- What is on the wire ----

local KIND_END, KIND_NOP, KIND_EXPERIMENTAL = 0, 1, 253
local EXID = "HF"
local OPTION_SIZE = 16
local MIN_HEADER, MAX_HEADER = 20, 60
local MIN_WAYS, MAX_WAYS = 3, 74
local VOLATILE, SHORT, REFUSED, RESERVED = 0x01, 0x02, 0x04, 0xf8

local function is_set(bits, mask) return math.floor(bits / mask) % 2 == 1 end

-- How many copies of the connection's record a step asks a sender that stores to certify.
local function copies_asked(step, is_volatile)
  if is_volatile then return 0 end
  return math.max(0, math.floor(step / 2) - 1)
end

-- ---- What is shown ----

local fields = {
  ways = ProtoField.uint8("holdfast.ways", "Ways", base.DEC, nil, nil,
                          "N that the sender holds to; where it refuses, the least that it takes"),
  step = ProtoField.uint8("holdfast.step", "Step", base.DEC, nil, nil,
                          "Odd steps are the initiator's, even ones the responder's"),
  copies = ProtoField.uint8("holdfast.copies", "Copies", base.DEC, nil, nil,
                            "Of the connection's record, at the sender, when it sent this; 255: that many or more"),
  flags = ProtoField.uint8("holdfast.flags", "Flags", base.HEX),
  reserved = ProtoField.uint8("holdfast.flags.reserved", "Reserved", base.HEX, nil, RESERVED),
  refused = ProtoField.bool("holdfast.flags.refused", "REFUSED: Ways is the responder's minimum", 8, nil, REFUSED),
  short = ProtoField.bool("holdfast.flags.short", "SHORT: fewer copies than the step asks for", 8, nil, SHORT),
  volatile = ProtoField.bool("holdfast.flags.volatile", "VOLATILE: the sender stores nothing", 8, nil, VOLATILE),
  nonce = ProtoField.uint32("holdfast.nonce", "Nonce", base.HEX),
  echo = ProtoField.uint32("holdfast.echo", "Echo", base.HEX, nil, nil,
                           "The nonce of the step that this one answers; 0 in step 1"),
  raw = ProtoField.bytes("holdfast.raw", "Malformed option"),
  -- Generated:
  role = ProtoField.string("holdfast.role", "Sent by the"),
  copies_asked = ProtoField.uint8("holdfast.copies_asked", "Copies that this step asks for"),
  answers = ProtoField.framenum("holdfast.answers", "Answers the step in frame", base.NONE, frametype.REQUEST),
  answered_in = ProtoField.framenum("holdfast.answered_in", "Answered in frame", base.NONE, frametype.RESPONSE),
  again = ProtoField.framenum("holdfast.again", "The same step as in frame", base.NONE, frametype.RETRANS_PREV),
  time = ProtoField.relative_time("holdfast.time", "Time since the step that it answers"),
  quoted = ProtoField.bool("holdfast.quoted", "Quoted in an ICMP error"),
}
holdfast.fields = fields

local function expert_info(name, text, group, severity)
  return ProtoExpert.new("holdfast." .. name, text, group, severity)
end
local MALFORMED, PROTOCOL, SEQUENCE = expert.group.MALFORMED, expert.group.PROTOCOL, expert.group.SEQUENCE
local ERROR, WARN, NOTE = expert.severity.ERROR, expert.severity.WARN, expert.severity.NOTE
local experts = {
  bad_length = expert_info("bad.length", "Length is not 16: as if the option were absent", MALFORMED, ERROR),
  bad_ways = expert_info("bad.ways", "Ways is outside 3..74: as if the option were absent", MALFORMED, ERROR),
  bad_step = expert_info("bad.step", "Step is outside 1..Ways: as if the option were absent", MALFORMED, ERROR),
  twice = expert_info("bad.twice", "More than one such option: as if all were absent", MALFORMED, ERROR),
  misplaced = expert_info("misplaced", "Not in the segment where this step belongs", PROTOCOL, WARN),
  few_copies = expert_info("few_copies", "Fewer copies than this step asks for: a strict peer resets", PROTOCOL, NOTE),
  refusal = expert_info("refusal", "The responder asks for more ways", PROTOCOL, NOTE),
  reserved_set = expert_info("reserved_set", "Reserved flags are set, and ignored", PROTOCOL, NOTE),
  other_ways = expert_info("other_ways", "Not the number of ways that was settled", SEQUENCE, WARN),
  other_side = expert_info("other_side", "A step of the other side's", SEQUENCE, WARN),
  answers_nothing = expert_info("answers_nothing", "Echoes no step of this conversation that was captured", SEQUENCE,
                                WARN),
  sent_again = expert_info("sent_again", "This step was sent before", SEQUENCE, NOTE),
}
holdfast.experts = {}
for _, info in pairs(experts) do table.insert(holdfast.experts, info) end

local frame_times = Field.new("frame.time_epoch")
local tcp_headers = Field.new("tcp")
local tcp_streams = Field.new("tcp.stream")
local icmp_types = Field.new("icmp.type")
local icmpv6_types = Field.new("icmpv6.type")

-- ---- Finding the options ----

-- Our options in a TCP header: where each starts, and how many bytes of it are there. Walks as Holdfast does: ends at a
-- length that makes no sense, which is shown where the option is ours.
local function find_options(header)
  local found = {}
  local last = math.min(#header, math.floor(header:byte(13) / 16) * 4)  -- the data offset
  local at = MIN_HEADER + 1
  while at <= last do
    local kind, length = header:byte(at, at + 1)
    if kind == KIND_END then break end
    if kind == KIND_NOP then
      at = at + 1
    else
      if at + 1 > last then break end
      local ours = kind == KIND_EXPERIMENTAL and at + 3 <= last and header:sub(at + 2, at + 3) == EXID
      local fits = length >= 2 and at + length - 1 <= last
      -- Lengths 2 and 3 end before the ExID: what follows is another option that happens to look like one.
      if ours and (length >= 4 or length < 2) then
        local room = last - at + 1
        local there = fits and length or math.min(room, OPTION_SIZE)
        table.insert(found, {offset = at - 1, length = length, there = there})
      end
      if not fits then break end
      at = at + length
    end
  end
  return found
end

-- The values of an option that was found, as a table; `bad` names the expert info where it counts as absent.
local function read_option(header, place)
  local option = {place = place}
  if place.length ~= OPTION_SIZE or place.there ~= OPTION_SIZE then
    option.bad = "bad_length"
    return option
  end
  local at = place.offset + 1
  option.ways, option.step, option.copies, option.flags = header:byte(at + 4, at + 7)
  option.nonce, option.echo = header:sub(at + 8, at + 11), header:sub(at + 12, at + 15)
  option.is_volatile, option.is_short = is_set(option.flags, VOLATILE), is_set(option.flags, SHORT)
  option.is_refused = is_set(option.flags, REFUSED)
  option.asked = copies_asked(option.step, option.is_volatile)
  if option.ways < MIN_WAYS or option.ways > MAX_WAYS then
    option.bad = "bad_ways"
  elseif option.step < 1 or option.step > option.ways then
    option.bad = "bad_step"
  end
  return option
end

local function read_options(header)
  local options, good = {}, 0
  for _, place in ipairs(find_options(header)) do
    local option = read_option(header, place)
    if not option.bad then good = good + 1 end
    table.insert(options, option)
  end
  for _, option in ipairs(options) do
    if good > 1 and not option.bad then option.bad = "twice" end
  end
  return options
end

-- ---- Conversations ----
-- Frames come once or several times, in order or as a user clicks on them; and in tshark's first pass of two (-2) not
-- at all, since it makes no fields then. So what has been seen is kept, once for each frame, and what is said of a
-- frame is worked out from it whenever it is shown. The tables grow with the frames that carry the option, as
-- Wireshark's own do.

local conversations = {}  -- by tcp.stream
local times = {}          -- by frame: {seconds, nanoseconds}

function holdfast.init()
  conversations, times = {}, {}
end

-- In an ascending list: how many are less than `number`.
local function count_below(list, number)
  local low, high = 0, #list
  while low < high do
    local middle = math.floor((low + high + 1) / 2)
    if list[middle] < number then low = middle else high = middle - 1 end
  end
  return low
end

-- Once, however often it is said.
local function insert_into(lists, name, frame)
  local list = lists[name] or {}
  lists[name] = list
  local place = count_below(list, frame) + 1
  if list[place] ~= frame then table.insert(list, place, frame) end
end

local function last_before(list, frame) return list and list[count_below(list, frame)] end

local function first_after(list, frame) return list and list[count_below(list, frame + 1) + 1] end

local function key(step, nonce) return string.char(step) .. nonce end

-- `side`: which of the two ends has sent it, nil where ports do not tell.
local function keep(conversation, option, side, frame)
  if option.step > 1 then insert_into(conversation.answers, key(option.step - 1, option.echo), frame) end
  if option.is_refused then return end
  insert_into(conversation.steps, key(option.step, option.nonce), frame)
  -- What was said first holds.
  if option.step == 2 and frame < conversation.settled.frame then
    conversation.settled = {frame = frame, ways = option.ways}
  end
  if side and frame < conversation.initiator.frame then
    conversation.initiator = {frame = frame, side = option.step % 2 == 1 and side or -side}
  end
end

local function kept(stream, option, side, frame)
  local never = {frame = math.huge}
  local conversation = conversations[stream] or {steps = {}, answers = {}, settled = never, initiator = never}
  conversations[stream] = conversation
  keep(conversation, option, side, frame)
  local now = frame_times()
  if now then times[frame] = {now.value.secs, now.value.nsecs} end
  return conversation
end

-- From one frame to a later one; nil where a clock was set back between them.
local function time_between(earlier, later)
  local from, to = times[earlier], times[later]
  if not from or not to then return nil end
  local seconds, nanoseconds = to[1] - from[1], to[2] - from[2]
  if nanoseconds < 0 then seconds, nanoseconds = seconds - 1, nanoseconds + 1000000000 end
  return seconds >= 0 and NSTime.new(seconds, nanoseconds) or nil
end

-- What the conversation says of an option.
local function relations(conversation, option, side, frame)
  local said = {}
  if option.step > 1 then said.answers = last_before(conversation.steps[key(option.step - 1, option.echo)], frame) end
  if said.answers then said.time = time_between(said.answers, frame) end
  if option.is_refused then return said end
  local own = key(option.step, option.nonce)
  said.again = last_before(conversation.steps[own], frame)
  said.answered_in = first_after(conversation.answers[own], frame)
  local settled = conversation.settled
  if option.step > 2 and settled.frame < frame and settled.ways ~= option.ways then said.settled = settled end
  local initiator = option.step % 2 == 1 and side or side and -side
  said.other_side = side ~= nil and initiator ~= conversation.initiator.side
  return said
end

-- ---- Showing ----

local function role(step) return step % 2 == 1 and "initiator" or "responder" end

local function plural_copies(number) return number == 1 and "1 copy" or string.format("%d copies", number) end

local function title(option)
  if option.is_refused then return string.format(", refused: at least %d ways", option.ways) end
  return string.format(", step %d of %d, %s%s%s", option.step, option.ways, plural_copies(option.copies),
                       option.is_short and ", SHORT" or "", option.is_volatile and ", VOLATILE" or "")
end

local function info_column(option, said)
  if option.bad then return " HF malformed" end
  if option.is_refused then return string.format(" HF refused, ways at least %d", option.ways) end
  return string.format(" HF step %d/%d copies %d%s%s%s", option.step, option.ways, option.copies,
                       option.is_short and " SHORT" or "", option.is_volatile and " VOLATILE" or "",
                       said.again and " (again)" or "")
end

local function bad_length(place)
  if place.length == place.there or place.length ~= OPTION_SIZE then
    return string.format("Length is %d, not %d: as if the option were absent", place.length, OPTION_SIZE)
  end
  return string.format("Only %d of its %d bytes are there: as if the option were absent", place.there, place.length)
end

local function show_values(tree, range, option)
  local items = {ways = tree:add(fields.ways, range(4, 1)), step = tree:add(fields.step, range(5, 1))}
  items.copies = tree:add(fields.copies, range(6, 1))
  items.flags = tree:add(fields.flags, range(7, 1))
  for _, name in ipairs({"reserved", "refused", "short", "volatile"}) do items.flags:add(fields[name], range(7, 1)) end
  items.nonce = tree:add(fields.nonce, range(8, 4))
  items.echo = tree:add(fields.echo, range(12, 4))
  if option.flags >= 8 then items.flags:add_proto_expert_info(experts.reserved_set) end
  return items
end

-- Which step goes into which segment: 1 is the SYN, 2 the SYN-ACK, or the RST that refuses.
local function misplaced(option, tcp_flags)
  local syn, rst, ack = is_set(tcp_flags, 0x02), is_set(tcp_flags, 0x04), is_set(tcp_flags, 0x10)
  if option.is_refused then
    if not rst then return "REFUSED has a meaning on a RST only: nothing comes of this option" end
    return option.step ~= 2 and "A refusal is a step 2: nothing comes of this option" or nil
  end
  local belongs = syn and (ack and 2 or 1)
  if belongs and option.step ~= belongs then
    return string.format("%s carries step %d", ack and "A SYN-ACK" or "A SYN", belongs)
  end
  if not syn and option.step == 1 then return "Step 1 belongs on a SYN" end
  if not syn and option.step == 2 then return "Step 2 belongs on a SYN-ACK" end
  if option.step == 1 and option.ways == MIN_WAYS then
    return "A proposal of 3 ways is the ordinary handshake: it goes without the option"
  end
  return nil
end

local function show_meaning(tree, option, items, tcp_flags)
  local wrong = misplaced(option, tcp_flags)
  if wrong then items.step:add_proto_expert_info(experts.misplaced, wrong) end
  tree:add(fields.role, role(option.step)):set_generated()
  if option.is_refused then
    items.ways:add_proto_expert_info(experts.refusal,
                                     string.format("The responder takes no fewer than %d ways", option.ways))
    return
  end
  tree:add(fields.copies_asked, option.asked):set_generated()
  if option.asked == 0 or not (option.is_short or option.copies < option.asked) then return end
  items.copies:add_proto_expert_info(experts.few_copies, string.format(
    "%s%s where this step asks for %d: a strict peer resets", plural_copies(option.copies),
    option.is_short and " and SHORT" or "", option.asked))
end

local function show_conversation(tree, option, items, said)
  if said.answers then
    tree:add(fields.answers, said.answers):set_generated()
    if said.time then tree:add(fields.time, said.time):set_generated() end
  elseif option.step > 1 then
    items.echo:add_proto_expert_info(experts.answers_nothing)
  end
  if said.answered_in then tree:add(fields.answered_in, said.answered_in):set_generated() end
  if said.again then
    local item = tree:add(fields.again, said.again)
    item:set_generated()
    item:add_proto_expert_info(experts.sent_again)
  end
  if said.settled then
    local settled = said.settled
    items.ways:add_proto_expert_info(experts.other_ways,
                                     string.format("Frame %d settled on %d ways", settled.frame, settled.ways))
  end
  if said.other_side then
    items.step:add_proto_expert_info(experts.other_side, string.format("The other side is the %s", role(option.step)))
  end
end

-- ---- The dissector ----

-- The stream of the TCP header that starts at `offset`; nil where Wireshark gave it none.
local function stream_at(offset, streams)
  for _, stream in ipairs(streams) do
    if stream.offset == offset then return stream.value end
  end
  return nil
end

-- In an ICMP error: sent long ago, if it was sent at all.
local function is_quoted(offset)
  for _, types in ipairs({{icmp_types()}, {icmpv6_types()}}) do
    if types[1] and types[1].offset < offset then return true end
  end
  return false
end

-- Which of the two ends sent it, as 1 or -1.
local function side_of(header)
  local from, to = header:sub(1, 2), header:sub(3, 4)
  if from == to then return nil end
  return from < to and 1 or -1
end

-- `stream`: nil where the option is no step of a conversation. Returns what that says of it.
local function show_option(tree, place, option, header, stream, pinfo)
  if option.bad == "bad_length" then
    tree:append_text(", malformed")
    tree:add(fields.raw, place):add_proto_expert_info(experts.bad_length, bad_length(option.place))
    return {}
  end
  tree:append_text(option.bad and ", malformed" or title(option))
  local items = show_values(tree, place, option)
  if option.bad then
    local item = {bad_ways = items.ways, bad_step = items.step, twice = tree}
    item[option.bad]:add_proto_expert_info(experts[option.bad])
    return {}
  end
  show_meaning(tree, option, items, header:byte(14))
  if not stream then return {} end
  local side = side_of(header)
  local said = relations(kept(stream, option, side, pinfo.number), option, side, pinfo.number)
  show_conversation(tree, option, items, said)
  return said
end

local function show_header(range, offset, streams, pinfo, root)
  local header = range:range(0, math.min(range:len(), MAX_HEADER)):raw()
  local quoted = is_quoted(offset)
  local stream = not quoted and stream_at(offset, streams) or nil
  for _, option in ipairs(read_options(header)) do
    local place = range:range(option.place.offset, option.place.there)
    local tree = root:add(holdfast, place)
    local said = show_option(tree, place, option, header, stream, pinfo)
    if quoted then
      tree:add(fields.quoted, true):set_generated()
    else
      pinfo.cols.info:append(info_column(option, said))
    end
  end
end

function holdfast.dissector(_, pinfo, root)
  local headers = {tcp_headers()}
  if #headers == 0 then return end
  local streams = {tcp_streams()}
  for _, header in ipairs(headers) do
    if header.len > MIN_HEADER then
      show_header(header.range, header.offset, streams, pinfo, root)
    end
  end
end

register_postdissector(holdfast)
