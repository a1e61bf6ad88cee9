/*
 * Who owns a log in RADOS: the head object with its epoch, the segment objects with theirs, the fence. README.md says what is
 * modelled and within which bounds; check.py runs it.
 *
 * A *tenure* is what a node is from its take on; a node that takes again has no memory of before, so it is another tenure. A
 * tenure is stopped by never being scheduled again, and is a zombie by being scheduled late. Time is nowhere: a taker may try
 * at any moment, as if every lease had run out, since nothing but the fence may be what makes it safe.
 *
 * An operation, once issued, may land at any moment from then on and any number of times (it is issued again after a time-out,
 * and the one before may be late), or never. Each operation on one object is atomic. One whose guard fails changes nothing;
 * its sender learns that it is fenced and stops, which is the same as never being scheduled again.
 */
#ifndef TENURES
#define TENURES 3
#endif
#ifndef SEGMENTS
#define SEGMENTS 2
#endif
#ifndef BATCHES
#define BATCHES 3     /* positions in the log */
#endif
#ifndef PER_SEGMENT
#define PER_SEGMENT 2
#endif
#ifndef WINDOW
#define WINDOW 2      /* writes in flight */
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 1
#endif
#ifndef BUG_NO_GUARD
#define BUG_NO_GUARD 0              /* writes do not compare the epoch */
#endif
#ifndef BUG_READ_BEFORE_RAISE
#define BUG_READ_BEFORE_RAISE 0     /* the end is read, then the segments are raised */
#endif
#ifndef BUG_RAISE_BEFORE_HEAD
#define BUG_RAISE_BEFORE_HEAD 0     /* the segments are raised, then the head */
#endif
#ifndef BUG_USED_BEFORE_MADE
#define BUG_USED_BEFORE_MADE 0      /* step (3) of making a segment is left out */
#endif
#ifndef BUG_HEAD_NOT_TOLD
#define BUG_HEAD_NOT_TOLD 0         /* steps (1) and (3) are left out; a taker looks for objects instead */
#endif
#ifndef BUG_UNSETTLED
#define BUG_UNSETTLED 0             /* a write that timed out holds up nothing */
#endif
#ifndef BUG_BLIND_TAKE
#define BUG_BLIND_TAKE 0            /* the head's epoch is set without comparing */
#endif
#ifndef BUG_LEASE_ONLY
#define BUG_LEASE_ONLY 0            /* no fence and no guards. 1: clocks agree exactly; 2: they drift */
#endif
#ifndef BUG_APPEND
#define BUG_APPEND 0                /* a write has no offset */
#endif
#ifndef BUG_MAKING_AGAIN
#define BUG_MAKING_AGAIN 0          /* `making` compares the head's epoch, but not that the name is new */
#endif
#ifndef BUG_REMOVE_ANY
#define BUG_REMOVE_ANY 0            /* a stranger's segment object is removed without comparing its epoch */
#endif
#ifndef RESTS
#define RESTS 0                     /* how often a segment is put at rest, over all tenures */
#endif
#ifndef BUG_REST_EARLY
#define BUG_REST_EARLY 0            /* a segment is put at rest with a write to it in flight or unknown */
#endif
#ifndef BUG_WRITE_ASLEEP
#define BUG_WRITE_ASLEEP 0          /* a segment at rest is written to without being woken */
#endif
#ifndef BUG_SKIP_AWAKE
#define BUG_SKIP_AWAKE 0            /* a taker raises one segment fewer than are awake */
#endif
#ifndef BUG_LIST_LATE
#define BUG_LIST_LATE 0             /* a taker takes what the head says for its own, though another has taken the log since */
#endif
#ifndef REACH_WOKEN
#define REACH_WOKEN 0               /* a batch is written to a segment that an older owner had put at rest */
#endif
#ifndef REACH_THIRD
#define REACH_THIRD 0               /* the last tenure acknowledges the last batch */
#endif
#ifndef REACH_STRANGER
#define REACH_STRANGER 0            /* a segment object is found that was created by an older owner, after it was forgotten */
#endif

#ifndef REACH_SETTLED
#define REACH_SETTLED 0             /* a write that timed out is known to be done */
#endif

#define UNGUARDED (BUG_NO_GUARD || BUG_LEASE_ONLY)
#define BIT(n) (1 << (n))
#define HAS(set, n) ((set) & BIT(n))
#define SEGMENT(p) ((p) / PER_SEGMENT)
#define BATCH(t, p) ((((t) + 1) << 3) + (p))   /* its bytes: nobody else's, and of this position */

#define NONE 0
#define MAKING 1
#define MADE 2   /* and awake */
#define REST 3
#define IN_USE(s) (head[s] == MADE || head[s] == REST)

/* ---- the objects ---- */
byte head_epoch;
byte head[SEGMENTS];         /* omap: NONE, MAKING, MADE, REST */
byte exists;                 /* bit s */
byte segment_epoch[SEGMENTS];
byte cell[BATCHES];          /* segment objects' bytes, 0: nothing */

/* ---- in the air: bit s or p of each tenure's ---- */
byte making[TENURES], creating[TENURES], made[TENURES], removing[TENURES], removing_epoch[TENURES];
byte writing[TENURES], again[TENURES];
/* Land once: a client's operations on one object do not overtake each other, and of one segment one change is made at a time. */
byte resting[TENURES], waking[TENURES];
byte rests, woken;          /* woken: bit t */
byte landed[TENURES];        /* results of writes that nobody has taken for lost yet */

/* ---- tenures ---- */
byte epoch[TENURES];         /* 0: has not taken */
byte taken;
byte issued[TENURES], done[TENURES], unknown[TENURES];
byte timeouts;
byte lease_over;             /* bit t: by its own clock. Only for BUG_LEASE_ONLY */

/* ---- what has been said to the outside, and what the newest owner takes for true ---- */
byte acknowledged[BATCHES];
byte view[BATCHES];
byte reader;                 /* the newest that has read the end, + 1 */

bit acknowledged_is_kept = 1, acknowledged_once = 1, old_writes_are_fenced = 1, never_reached = 1;

#define CHECK(name, condition) name = (condition); assert(name)

/* ---- landing ---- */
inline land_write(t, p) {
  d_step {
    i = p;
    if
    :: BUG_APPEND ->  /* lands once, behind what is there */
      i = SEGMENT(p) * PER_SEGMENT;
      do
      :: i < BATCHES && SEGMENT(i) == SEGMENT(p) && cell[i] != 0 -> i++
      :: else -> break
      od;
      if
      :: HAS(again[t], p) -> again[t] = again[t] & ~BIT(p)
      :: else -> writing[t] = writing[t] & ~BIT(p)
      fi
    :: else
    fi;
    landed[t] = landed[t] | BIT(p);
    CHECK(old_writes_are_fenced, t + 1 >= reader || !IN_USE(SEGMENT(p)));
    if
    :: i < BATCHES && SEGMENT(i) == SEGMENT(p) -> cell[i] = BATCH(t, p)
    :: else
    fi;
    i = 0
  }
}

inline clear(s) {  /* its bytes are gone with it */
  i = 0;
  do
  :: i < BATCHES -> if :: SEGMENT(i) == s -> cell[i] = 0 :: else fi; i++
  :: else -> break
  od;
  i = 0
}

#define WRITABLE(t, p) (HAS(exists, SEGMENT(p)) && (UNGUARDED || segment_epoch[SEGMENT(p)] == epoch[t]) && \
                        (HAS(writing[t], p) || HAS(again[t], p)) && (BUG_APPEND || cell[p] != BATCH(t, p) || !HAS(landed[t], p)))

/* Steps (1) to (3) of making segment s, and the removal of a stranger's. */
#define LAND_SEGMENT(s) \
  :: atomic { HAS(making[t], s) && head_epoch == epoch[t] && \
              (head[s] == NONE || (BUG_MAKING_AGAIN && head[s] == MADE)) -> head[s] = MAKING } \
  :: atomic { HAS(resting[t], s) && head_epoch == epoch[t] && head[s] == MADE -> head[s] = REST; resting[t] = resting[t] & ~BIT(s) } \
  :: atomic { HAS(waking[t], s) && head_epoch == epoch[t] && head[s] == REST -> head[s] = MADE; waking[t] = waking[t] & ~BIT(s) } \
  :: atomic { HAS(creating[t], s) && !HAS(exists, s) -> exists = exists | BIT(s); segment_epoch[s] = epoch[t] } \
  :: atomic { HAS(made[t], s) && head_epoch == epoch[t] && head[s] == MAKING -> head[s] = MADE } \
  :: atomic { HAS(removing[t], s) && HAS(exists, s) && (BUG_REMOVE_ANY || segment_epoch[s] == removing_epoch[t]) -> \
              exists = exists & ~BIT(s); segment_epoch[s] = 0; clear(s) }

proctype Store(byte t) {
  byte i;
end:
  do
  :: atomic { WRITABLE(t, 0) -> land_write(t, 0) }
  :: atomic { WRITABLE(t, 1) -> land_write(t, 1) }
#if BATCHES > 2
  :: atomic { WRITABLE(t, 2) -> land_write(t, 2) }
#endif
#if BATCHES > 3
  :: atomic { WRITABLE(t, 3) -> land_write(t, 3) }
#endif
  LAND_SEGMENT(0)
  LAND_SEGMENT(1)
  od
}

/* ---- a tenure ---- */
inline list() {  /* segments that are to be read, and those of them that are to be raised */
  d_step {
    mine = 0; awake = 0; i = 0;
    do
    :: i < SEGMENTS ->
      if
      :: head[i] == MADE || (BUG_HEAD_NOT_TOLD && HAS(exists, i)) -> mine = mine | BIT(i); awake = awake | BIT(i)
      :: head[i] == REST -> mine = mine | BIT(i)
      :: else
      fi;
      i++
    :: else -> break
    od;
    i = 0
  }
}

inline raise(to) {  /* each on its own; other things happen in between */
  left = (BUG_SKIP_AWAKE -> awake & ~1 : awake);
  do
  :: left == 0 -> break
  :: atomic { HAS(left, 0) && segment_epoch[0] <= to -> segment_epoch[0] = to; left = left & ~1 }
  :: atomic { HAS(left, 1) && segment_epoch[1] <= to -> segment_epoch[1] = to; left = left & ~2 }
  od
}

/* Up to the first hole. A tenure that reads once a newer one has read sees what it likes: it is fenced already.
 * What an older owner left behind a newer one's batch is told by the log's own epochs. */
inline read_end() {
  d_step {
    next = 0;
    do
    :: next < BATCHES && HAS(mine, SEGMENT(next)) && cell[next] != 0 &&
       (next == 0 || (cell[next] >> 3) >= (cell[next - 1] >> 3)) -> next++
    :: else -> break
    od;
    reader = (reader > t + 1 -> reader : t + 1);
    acknowledged_is_kept = 1; i = 0;
    do
    :: i < BATCHES ->
      if
      :: reader == t + 1 && acknowledged[i] != 0 && (i >= next || cell[i] != acknowledged[i]) -> acknowledged_is_kept = 0
      :: else
      fi;
      if
      :: reader == t + 1 -> view[i] = (i < next -> cell[i] : 0)
      :: else
      fi;
      i++
    :: else -> break
    od;
    i = 0;
    assert(acknowledged_is_kept);
    told = next
  }
}

inline forget() {  /* what was never used */
  d_step {
    i = 0;
    do
    :: i < SEGMENTS -> if :: head[i] == MAKING && head_epoch == epoch[t] -> head[i] = NONE :: else fi; i++
    :: else -> break
    od;
    i = 0
  }
}

inline acknowledge() {
  d_step {
    CHECK(acknowledged_once, acknowledged[told] == 0 || acknowledged[told] == BATCH(t, told));
    acknowledged[told] = BATCH(t, told);
    CHECK(acknowledged_is_kept, view[told] == BATCH(t, told));
    if
    :: REACH_THIRD && t == TENURES - 1 && told == BATCHES - 1 -> CHECK(never_reached, 0)
    :: else
    fi;
    told++
  }
}

#define IN_FLIGHT (issued[t] & ~done[t] & ~unknown[t])
#define FEWER_THAN_WINDOW (WINDOW > 1 -> (next < BATCHES && (next < 2 || !HAS(IN_FLIGHT, next - 2))) : IN_FLIGHT == 0)
#define LEASE_GOOD (!BUG_LEASE_ONLY || !HAS(lease_over, t))
#define TO_BE_DONE(s) (IN_SEGMENT(s) & issued[t] & ~done[t])
#define IN_SEGMENT(s) ((BIT(PER_SEGMENT) - 1) << ((s) * PER_SEGMENT))
#define MINE_TO_MAKE (next < BATCHES && !HAS(mine, SEGMENT(next)) && unknown[t] == 0)

proctype Tenure(byte t) {
  byte seen, mine, awake, left, next, told, making_now = 9, i;

  /* take */
  do
  :: atomic { epoch[t] == 0 -> seen = head_epoch };
    if
    :: BUG_RAISE_BEFORE_HEAD -> list(); raise(seen + 1)
    :: else
    fi;
    atomic {
      taken == t && (t == 0 || BUG_LEASE_ONLY != 1 || HAS(lease_over, t - 1));
      if
      :: head_epoch == seen || BUG_BLIND_TAKE -> head_epoch = seen + 1; epoch[t] = seen + 1; taken++; seen = 0; break
      :: else -> seen = 0
      fi
    }
  od;
  /* fence: what the head says now counts if it is still ours. A newer owner may have woken a segment that it has not raised yet */
  atomic { head_epoch == epoch[t] || BUG_LIST_LATE || BUG_LEASE_ONLY -> list(); forget() };
  if
  :: BUG_READ_BEFORE_RAISE -> read_end(); raise(epoch[t])
  :: BUG_RAISE_BEFORE_HEAD || BUG_LEASE_ONLY -> read_end()
  :: else -> raise(epoch[t]); read_end()
  fi;
  /* own */
end:
  do
  /* the next segment: (1), (2), (3) */
  :: atomic { MINE_TO_MAKE && making_now == 9 && LEASE_GOOD ->
      making_now = SEGMENT(next);
      if
      :: BUG_HEAD_NOT_TOLD -> creating[t] = creating[t] | BIT(making_now)
      :: else -> making[t] = making[t] | BIT(making_now)
      fi }
  :: atomic { making_now != 9 && !BUG_HEAD_NOT_TOLD && head_epoch == epoch[t] && head[making_now] == MAKING &&
              !HAS(creating[t], making_now) -> creating[t] = creating[t] | BIT(making_now) }
  :: atomic { making_now != 9 && HAS(creating[t], making_now) && HAS(exists, making_now) ->
      if
      :: segment_epoch[making_now] == epoch[t] ->
        if
        :: BUG_HEAD_NOT_TOLD || BUG_USED_BEFORE_MADE -> mine = mine | BIT(making_now); awake = awake | BIT(making_now); making_now = 9
        :: !(BUG_HEAD_NOT_TOLD || BUG_USED_BEFORE_MADE) && !HAS(made[t], making_now) -> made[t] = made[t] | BIT(making_now)
        :: !(BUG_HEAD_NOT_TOLD || BUG_USED_BEFORE_MADE) && HAS(made[t], making_now) && head[making_now] == MADE ->
          mine = mine | BIT(making_now); awake = awake | BIT(making_now); making_now = 9
        fi
      :: segment_epoch[making_now] < epoch[t] && !HAS(removing[t], making_now) ->  /* somebody's, forgotten, landed late */
        if
        :: REACH_STRANGER -> CHECK(never_reached, 0)
        :: else
        fi;
        removing_epoch[t] = segment_epoch[making_now]; removing[t] = removing[t] | BIT(making_now)
      :: segment_epoch[making_now] < epoch[t] && HAS(removing[t], making_now) && removing_epoch[t] != segment_epoch[making_now] ->
        removing_epoch[t] = segment_epoch[making_now]
      fi }
#if RESTS
  /* rest, and what ends it: the head says so, then the object has our epoch */
  :: atomic { rests < RESTS && HAS(awake, 0) && IN_SEGMENT(0) & issued[t] && (TO_BE_DONE(0) == 0 || BUG_REST_EARLY) ->
      rests++; awake = awake & ~1; resting[t] = resting[t] | 1 }
  :: atomic { next < BATCHES && SEGMENT(next) == 0 && HAS(mine, 0) && !HAS(awake, 0) && head[0] == REST && !HAS(resting[t], 0) &&
              !HAS(waking[t], 0) && head_epoch == epoch[t] -> waking[t] = waking[t] | 1 }
  :: atomic { HAS(mine, 0) && !HAS(awake, 0) && head[0] == MADE && !HAS(resting[t], 0) && head_epoch == epoch[t] &&
              segment_epoch[0] <= epoch[t] -> segment_epoch[0] = epoch[t]; awake = awake | 1; woken = woken | BIT(t) }
#endif
  /* batches, in order */
  :: atomic { next < BATCHES && HAS(mine, SEGMENT(next)) && (HAS(awake, SEGMENT(next)) || BUG_WRITE_ASLEEP) && FEWER_THAN_WINDOW && (unknown[t] == 0 || BUG_UNSETTLED) && LEASE_GOOD ->
      if
      :: REACH_WOKEN && SEGMENT(next) == 0 && HAS(woken, t) && t > 0 && issued[t] == 0 -> CHECK(never_reached, 0)
      :: else
      fi;
      issued[t] = issued[t] | BIT(next); writing[t] = writing[t] | BIT(next);
      if
      :: reader == t + 1 -> view[next] = BATCH(t, next)
      :: else
      fi;
      next++ }
  :: atomic { IN_FLIGHT & landed[t] ->
      done[t] = done[t] | (IN_FLIGHT & landed[t]) }
  :: atomic { timeouts < TIMEOUTS && IN_FLIGHT ->
      timeouts++;
      i = 0;
      do
      :: HAS(IN_FLIGHT, i) -> break
      :: (IN_FLIGHT >> i) > 1 -> i++  /* or one behind it */
      od;
      unknown[t] = unknown[t] | BIT(i); landed[t] = landed[t] & ~BIT(i); i = 0 }
  /* settling: the lowest unknown one, once nothing is in flight */
  :: atomic { unknown[t] && IN_FLIGHT == 0 && !BUG_UNSETTLED && LEASE_GOOD ->
      i = 0;
      do
      :: HAS(unknown[t], i) -> break
      :: !HAS(unknown[t], i) -> i++
      od;
      if
      :: HAS(landed[t], i) && HAS(again[t], i) ->
        unknown[t] = unknown[t] & ~BIT(i); done[t] = done[t] | BIT(i);
        if
        :: REACH_SETTLED -> CHECK(never_reached, 0)
        :: else
        fi
      :: !HAS(again[t], i) -> landed[t] = landed[t] & ~BIT(i); again[t] = again[t] | BIT(i)
      fi;
      i = 0 }
  :: atomic { told < next && HAS(done[t], told) && LEASE_GOOD -> acknowledge() }
  :: atomic { BUG_UNSETTLED && told < next && HAS(unknown[t], told) -> told++ }
  :: atomic { BUG_LEASE_ONLY && !HAS(lease_over, t) -> lease_over = lease_over | BIT(t) }
  od
}

init {
  byte n;
  atomic {
    do
    :: n < TENURES -> run Store(n); run Tenure(n); n++
    :: else -> break
    od
  }
}
