/*
 * The N-way handshake, N = 3..8, between one initiator and one responder. README.md says what is modelled, what is
 * left out and within which bounds; check.py runs it. Written from the specification, not from the implementation.
 *
 * Two phases. In the first the channel does what it likes: what was once sent is in a set from which any member may
 * arrive at any time, any number of times, or never. That is loss, duplication, reordering and delay without a bound.
 * Either side may restart or give up at any moment. Then, at a moment that is chosen freely, the channel turns fair
 * (`calm`): the set is what is in flight, each member arrives once, and nobody restarts any more. Of what was in flight
 * at that moment at most one segment still arrives. From there both sides must end ESTABLISHED, or both CLOSED.
 *
 * A nonce is a function of (side, ISNs, N, step, flags), and from step 4 on of the connection's number at its side. A
 * responder's ISN is used for one connection only, so that `b`, the number of the responder's ISN, stands for the pair of
 * ISNs; pair_a[b] is the initiator's. Only under SYN cookies may a pair be that of several connections of the responder,
 * and `number` says which. The echo in a segment is right exactly if its pair, its N, the SHORT flag of the step that it
 * answers and (from step 5 on) that step's number are the receiver's own.
 */

/* ---- What check.py sets ---- */
#ifndef N
#define N 5          /* what the initiator proposes; 3: the ordinary handshake without options */
#endif
#ifndef LOW
#define LOW 0        /* nonzero: the responder may settle on this, less than N, instead */
#endif
#ifndef I_DURABLE
#define I_DURABLE 1
#endif
#ifndef R_DURABLE
#define R_DURABLE 1
#endif
#ifndef I_STRICT
#define I_STRICT 1
#endif
#ifndef R_STRICT
#define R_STRICT 0
#endif
#ifndef I_MIN
#define I_MIN 3      /* least ways that the caller takes */
#endif
#ifndef R_MIN
#define R_MIN 3      /* least ways that the service takes */
#endif
#ifndef CALLS
#define CALLS 2      /* initiator's ISNs: how often a caller asks (1..3) */
#endif
#ifndef ANSWERS
#define ANSWERS 2    /* responder's ISNs: how many SYNs it answers with one of their own (1..3) */
#endif
#ifndef TRIES
#define TRIES 3      /* repeats of one step once the channel is fair */
#endif
#ifndef OPTIONS
#define OPTIONS (ANSWERS == 1) /* the responder may agree to the options, or not: four times as many states with two answers */
#endif
#ifndef CHECKPOINTS
#define CHECKPOINTS 0 /* the record may be written again at any step */
#endif
#ifndef FORGER
#define FORGER 0     /* somebody knows addresses, ports and sequence numbers, but sees no segment */
#endif
#ifndef STRIP
#define STRIP 0      /* a middlebox takes the option off any segment that it likes */
#endif
#ifndef DATA
#define DATA 0       /* once the channel is fair, an ESTABLISHED side sends data */
#endif

#ifndef COOKIES
#define COOKIES 0    /* a SYN flood: the responder keeps nothing before step 3 */
#endif
#ifndef NUMBERS
#define NUMBERS 2    /* with COOKIES: how many connections they open at the responder (1..3) */
#endif
#ifndef REPLAY
#define REPLAY 0     /* with COOKIES: all that an earlier initiator sent comes again within a cookie's lifetime */
#endif
#ifndef REMEMBERED
#define REMEMBERED 0 /* with REPLAY: and the responder's process has lived since then */
#endif
#ifndef R_RESTARTS
#define R_RESTARTS 1 /* the responder may restart */
#endif
#ifndef ABORTS
#define ABORTS COOKIES /* an ESTABLISHED side may abort */
#endif
#ifndef COOKIE_FALLBACK
#define COOKIE_FALLBACK 2 /* an ACK without the option takes a cookie for more ways as one for three. 0: never; 1: unless
                             the responder was restarted since it gave the cookie; 2: always */
#endif

/* ---- Sides ---- */
#define I 0
#define R 1
#define OTHER(s) (1 - (s))
#define DURABLE(s) ((s) == I -> I_DURABLE : R_DURABLE)
#define STRICT(s) ((s) == I -> I_STRICT : R_STRICT)

/* States. CLOSED is the initiator without a connection and the responder in LISTEN. OPENING is SYN-SENT; SYN-RECEIVED
   and CONFIRMING are one here. */
#define CLOSED 0
#define OPENING 1
#define CONFIRMING 2
#define ESTABLISHED 3

/* Records. */
#define NOTHING 0
#define PROPOSED 1
#define SETTLED 2
/*      ESTABLISHED 3 */

/* Which N: as proposed, the responder's lesser one, three without options. */
#define AS_PROPOSED 0
#define LESSER 1
#define PLAIN_THREE 2

typedef Side {
  byte state;
  byte a;        /* initiator's ISN, 1.. ; 0: of an earlier incarnation */
  byte b;        /* responder's ISN, 1.. ; 0: not known yet */
  byte which;    /* which N */
  bit options;   /* stands for all that SYN and SYN-ACK negotiate */
  byte received; /* last step received */
  bit echo;      /* its SHORT flag: with pair and N it is the nonce to echo */
  byte sent;     /* last step sent; N+1: a segment without the option; 0: none since the (re)start */
  bit lacking;   /* the SHORT flag of that step */
  bit resumed;
  byte tries;    /* only once the channel is fair */
  bit quiet;     /* an answer to an older duplicate was kept back: the next one is not */
  bit talked;    /* DATA: has sent some */
#if COOKIES
  byte number;   /* of the responder's connection: its own; the initiator's: of the step received last */
  byte record_number;
#endif
  /* What is stored: survives a restart of a durable side. The ISNs are in it, too: a side has one connection. */
  byte record;
  byte record_received;
  bit record_echo;
  byte record_which;
  bit record_options
}
Side side[2];

/* ---- The channel: sets of segments ---- */
/* Steps 2..8 of pair b: bit (which << 2 | SHORT << 1 | echoed SHORT); in a SYN-ACK the bit of SHORT is `options`. With
   cookies the responder's number as well: in its own steps as part of the nonce, in the initiator's as part of the echo,
   0 before step 4 and in the segments of an earlier incarnation. */
#define STEP(b, k) net[((b)-1) * 8 + (k)-1]
#if COOKIES
int net[24];
#define VARIANT(which, lacking, echo) ((which) << 4 | (lacking) << 1 | (echo))
#define NUMBERED(variant, number) ((variant) | (number) << 2)
#define WHICH(variant) ((variant) >> 4)
#define NUMBER(variant) ((variant) >> 2 & 3)
#else
byte net[24];
#define VARIANT(which, lacking, echo) ((which) << 2 | (lacking) << 1 | (echo))
#define NUMBERED(variant, number) (variant)
#define WHICH(variant) ((variant) >> 2)
#define NUMBER(variant) 0
#endif
/* The place of step 1 holds what has no option, of pair b: */
#define BARE(b) STEP(b, 1)
#define I_ACK 0         /* an ACK or data: only an ESTABLISHED side sends these */
#define R_ACK 1
#define I_RST 2
#define R_RST 3
#define SYN_ACK 4       /* + options */
byte syn = 1;           /* bit a: a SYN; the one of an earlier incarnation is there from the start */
byte refusal;           /* bit a: a RST with REFUSED */

byte pair_a[4];
byte calls, answers;    /* ISNs used so far */
#if COOKIES
byte cookie[4];         /* step 2 that pair b was given with, VARIANT(which, options, 0): nobody keeps it */
byte numbers;           /* of the responder's connections, used so far */
byte used;              /* bit b: a connection that this cookie has opened is over, which the process remembers */
byte inherited;         /* bit b: the cookie is from before the responder's restart */
byte worthless;         /* bit b: and the secret that it was made with is lost */
#endif
bit calm, finished;

/* ---- What only the properties look at ---- */
byte adopted;            /* bit b: the initiator has taken up the pair */
byte has_been[2];        /* bit b: has been ESTABLISHED */
#if COOKIES
byte answered;           /* bit n: the initiator has taken a step of the responder's connection n */
byte established_as[4];  /* the number of the responder's connection that was first ESTABLISHED with pair b */
#endif
byte copies[8];          /* copies of the record of pair b that exist: [side * 4 + b] */
bit excuse;              /* something happened that may end a handshake */

/* The properties, named so that a report says which one failed. */
hidden byte both_established_agree, certified_copies_exist, somebody_asked_for_it, ends_open_or_closed, no_error_without_cause;

/* What must be possible, for the rest to mean anything: check.py demands that each of these fails in its turn. */
hidden byte never_reached;
#define REACHED never_reached = 0; assert(never_reached)

/* Scratch within one atomic step. */
hidden byte mb, mk, mv, ask;
hidden byte bare, short_flag, go;

/* ---- Arithmetic of the specification ---- */
#define WAYS_OF(w) ((w) == AS_PROPOSED -> N : ((w) == LESSER -> LOW : 3))
#define WAYS(s) WAYS_OF(side[s].which)
#define ASKED(k) ((k) < 4 -> 0 : ((k) % 2 == 0 -> (k) / 2 - 1 : ((k)-3) / 2))
/* The last step of a side in a handshake of n. */
#define LAST_STEP(s, n) ((n) % 2 == ((s) == I -> 1 : 0) -> (n) : (n)-1)
#define NEXT(s) (side[s].received + 1)

#define OPEN(s) (side[s].state != CLOSED)
/* Has to answer: something is to be stored or sent. */
#define BUSY(s) (OPEN(s) && side[s].sent <= side[s].received)
/* Rule 5: has sent step N and has not seen that it arrived. */
#define UNCONFIRMED(s) (side[s].state == ESTABLISHED && WAYS(s) > 3 && side[s].sent == WAYS(s))

#define NEEDED_RECORD(s) \
  (side[s].received == 0 -> PROPOSED : (NEXT(s) >= WAYS(s) -> ESTABLISHED : SETTLED))
#ifdef BUG_NO_STORE_BEFORE_STEP_N
#define STORED_FOR_NEXT(s) \
  (!DURABLE(s) || side[s].record >= (NEXT(s) == WAYS(s) -> SETTLED : NEEDED_RECORD(s)))
#else
#ifdef BUG_NO_STORE_BEFORE_BARE_ACK
#define STORED_FOR_NEXT(s) \
  (!DURABLE(s) || side[s].record >= (NEXT(s) > WAYS(s) -> SETTLED : NEEDED_RECORD(s)))
#else
#ifdef BUG_NO_STORE_BEFORE_STEP_2
#define STORED_FOR_NEXT(s) (!DURABLE(s) || NEXT(s) == 2 || side[s].record >= NEEDED_RECORD(s))
#else
#define STORED_FOR_NEXT(s) (!DURABLE(s) || side[s].record >= NEEDED_RECORD(s))
#endif
#endif
#endif

/* ---- Properties ---- */
#define AGREE \
  (side[I].a == side[R].a && side[I].b == side[R].b && WAYS(I) == WAYS(R) && side[I].options == side[R].options)

#ifdef BUG_NONCES_NOT_FRESH
#define PROVEN_BY_NUMBER false
#define OWN_NUMBER(s) 0
#else
#define PROVEN_BY_NUMBER (WAYS(R) > 4)
#define OWN_NUMBER(s) side[s].number
#endif
#if COOKIES
#define SENT_NUMBER(s) (side[s].sent > 3 -> OWN_NUMBER(s) : 0)
#endif

/* Called whenever a side becomes ESTABLISHED, or comes back so. */
inline established(s) {
  has_been[s] = has_been[s] | 1 << side[s].b;
  /* (1) */
  both_established_agree = side[OTHER(s)].state != ESTABLISHED || AGREE;
  assert(both_established_agree);
  /* (2) Every copy that the peer had to certify exists. */
  certified_copies_exist = !STRICT(s) || !DURABLE(OTHER(s)) || WAYS(s) == 3 ||
                           copies[OTHER(s) * 4 + side[s].b] >= ASKED(LAST_STEP(OTHER(s), WAYS(s)));
  assert(certified_copies_exist);
  /* (3) The initiator has taken up this very pair of ISNs. */
  somebody_asked_for_it = adopted >> side[s].b & 1;
#if COOKIES
  /* And where that may come again: it has answered this very connection of the responder; or (the last step that it
     answers has no number) is answered by one connection only, unless it is still at it. */
  if
  :: s == R && PROVEN_BY_NUMBER -> somebody_asked_for_it = somebody_asked_for_it && (answered >> side[R].number & 1)
  :: s == R && !PROVEN_BY_NUMBER && established_as[side[R].b] == 0 -> established_as[side[R].b] = side[R].number
  :: s == R && !PROVEN_BY_NUMBER && established_as[side[R].b] > 0 ->
     somebody_asked_for_it = somebody_asked_for_it && (established_as[side[R].b] == side[R].number ||
                                                       (OPEN(I) && side[I].b == side[R].b))
  :: s == I -> skip
  fi;
#endif
  assert(somebody_asked_for_it)
}

/* ---- Sending ---- */
inline forget(s) {
#if COOKIES
  if
  :: s == R && OPEN(R) -> used = used | 1 << side[R].b
  :: else -> skip
  fi;
  side[s].number = 0;
  side[s].record_number = 0;
#endif
  side[s].state = CLOSED;
  side[s].a = 0;
  side[s].b = 0;
  side[s].which = 0;
  side[s].options = 0;
  side[s].received = 0;
  side[s].echo = 0;
  side[s].sent = 0;
  side[s].lacking = 0;
  side[s].resumed = 0;
  side[s].tries = 0;
  side[s].quiet = 0;
  side[s].record = NOTHING;
  side[s].record_received = 0;
  side[s].record_echo = 0;
  side[s].record_which = 0;
  side[s].record_options = 0
}

inline send_reset(s, pair) {
  if
  :: pair > 0 -> BARE(pair) = BARE(pair) | 1 << (s == I -> I_RST : R_RST)
  :: else -> skip
  fi
}

/* Reset and error. That the close record is stored before the RST leaves is the gate's business, not this model's. */
inline fail(s) {
  send_reset(s, side[s].b);
  forget(s)
}

inline send_bare_ack(s) { BARE(side[s].b) = BARE(side[s].b) | 1 << (s == I -> I_ACK : R_ACK) }

/* The latest step once more, or what has no option once the handshake is through. While something is pending: silence. */
inline repeat(s) {
  if
  :: side[s].sent <= side[s].received -> skip
  :: else ->
     if
     :: side[s].sent == 1 -> syn = syn | 1 << side[s].a
     :: side[s].sent == 2 && side[s].which == PLAIN_THREE ->
        BARE(side[s].b) = BARE(side[s].b) | 1 << (SYN_ACK + side[s].options)
     :: side[s].sent == 2 && side[s].which != PLAIN_THREE ->
        STEP(side[s].b, 2) = STEP(side[s].b, 2) | 1 << VARIANT(side[s].which, side[s].options, 0)
     :: side[s].sent > 2 && side[s].sent <= WAYS(s) && side[s].which != PLAIN_THREE ->
        STEP(side[s].b, side[s].sent) =
            STEP(side[s].b, side[s].sent) |
            1 << NUMBERED(VARIANT(side[s].which, side[s].lacking, side[s].echo), SENT_NUMBER(s))
     :: side[s].sent > 2 && (side[s].sent > WAYS(s) || side[s].which == PLAIN_THREE) -> send_bare_ack(s)
     fi
  fi
}

/* RFC 5961's challenge ACK. Only an ESTABLISHED side sends anything without the option: before that, it is the latest
   step. */
inline challenge(s) {
#ifdef BUG_CHALLENGE_WITHOUT_OPTION
  send_bare_ack(s)
#else
  repeat(s)
#endif
}

inline store(s) {
  side[s].record = NEEDED_RECORD(s);
  side[s].record_received = side[s].received;
  side[s].record_echo = side[s].echo;
#if COOKIES
  side[s].record_number = side[s].number;
#endif
#ifdef BUG_RECORD_WITHOUT_SETTLED_N
  side[s].record_which = AS_PROPOSED;
#else
  side[s].record_which = side[s].which;
#endif
#ifdef BUG_RECORD_WITHOUT_OPTIONS
  side[s].record_options = 0
#else
  side[s].record_options = side[s].options
#endif
}

/* The next step leaves: with the copies that it asks for, which come in time, or SHORT after the roll-call time-out. */
inline send_next(s) {
  ask = ((DURABLE(s) && NEXT(s) <= WAYS(s)) -> ASKED(NEXT(s)) : 0);
  short_flag = 0;
  if
#ifdef BUG_CERTIFY_BEFORE_STORED
  :: ask > copies[s * 4 + side[s].b] -> skip
#endif
  :: ask > copies[s * 4 + side[s].b] -> copies[s * 4 + side[s].b] = ask
  :: ask > copies[s * 4 + side[s].b] -> short_flag = 1
  :: ask <= copies[s * 4 + side[s].b] -> skip
  fi;
  ask = 0;
  side[s].lacking = short_flag;
  short_flag = 0;
  side[s].sent = NEXT(s);
  if
  :: side[s].sent == WAYS(s) -> side[s].state = ESTABLISHED; established(s)
  :: else -> skip
  fi;
  repeat(s)
}

/* ---- Receiving ---- */
#if COOKIES
#define NUMBER_RIGHT(s) (s == I || mk < 5 || NUMBER(mv) == OWN_NUMBER(R))
#else
#define NUMBER_RIGHT(s) true
#endif
/* A step of the side's own pair, with the option. echo_right: pair and nonce; a forger has neither. */
inline receive_step(s, echo_right) {
  short_flag = mv >> 1 & 1;
  if
#ifndef BUG_SETTLE_MISMATCH
  :: WHICH(mv) != side[s].which -> skip /* rule 6: another N */
#endif
  :: mk > WAYS(s) -> skip
  :: mk == side[s].received -> repeat(s)
  :: mk < side[s].received ->
     /* At most once a second: when the channel is fair, one of two may go unanswered. */
     if
     :: repeat(s); side[s].quiet = 0
     :: calm && !side[s].quiet -> side[s].quiet = 1
     fi
  :: else ->
#ifdef BUG_NO_ECHO_CHECK
     go = (mk == side[s].received + 2 && side[s].sent == mk - 1) || side[s].resumed;
#else
#ifdef BUG_ACCEPT_ANY_STEP
     go = mk > side[s].received;
#else
     /* A side that was resumed no longer knows the flag of what it had sent, and tries both. */
     go = echo_right && NUMBER_RIGHT(s) && (((mv & 1) == side[s].lacking && side[s].sent == mk - 1)
#ifndef BUG_RESUMED_TRIES_ONE_FLAG
                         || side[s].resumed
#else
                         || (side[s].resumed && (mv & 1) == 0)
#endif
                        );
#endif
#endif
     if
     :: !go -> skip
#ifndef BUG_STRICT_TAKES_SHORT
     :: go && short_flag && STRICT(s) -> excuse = 1; fail(s)
#endif
     :: else ->
        if
        :: go ->
#ifdef REACH_JUMP
           if
           :: mk > side[s].received + 2 -> REACHED
           :: else -> skip
           fi;
#endif
#ifdef REACH_SHORT_TAKEN
           if
           :: short_flag && mk >= WAYS(s) - 1 -> REACHED
           :: else -> skip
           fi;
#endif
           side[s].received = mk;
           side[s].echo = short_flag;
           side[s].tries = 0;
#if COOKIES
           if
           :: s == I -> side[I].number = NUMBER(mv); answered = answered | 1 << NUMBER(mv)
           :: else -> skip
           fi;
#endif
           if
           :: mk == WAYS(s) ->
              side[s].state = ESTABLISHED;
              if
              :: WAYS(s) == 3 -> side[s].sent = 4 /* the ordinary handshake: nothing answers the third segment */
              :: else -> skip
              fi;
              established(s)
           :: else -> skip
           fi
        :: else -> skip
        fi
     fi
  fi;
  go = 0;
  short_flag = 0
}

/* An ACK or data of the side's own pair, without the option. */
inline receive_bare_ack(s) {
  if
  :: UNCONFIRMED(s) -> side[s].sent = WAYS(s) + 1; side[s].tries = 0
  :: s == R && side[s].state == CONFIRMING && side[s].received == 1 && side[s].sent == 2 &&
     (WAYS(s) == 3 || (R_MIN == 3
#ifndef BUG_FALLBACK_AFTER_RESUME
                       && !side[s].resumed
#endif
                      )) ->
     /* The option was stripped: three ways. */
#ifdef REACH_FALLBACK
     if
     :: N > 3 && side[I].state == ESTABLISHED && side[I].b == side[s].b -> REACHED
     :: else -> skip
     fi;
#endif
     side[s].which = PLAIN_THREE;
     side[s].received = 3;
     side[s].sent = 4;
     side[s].tries = 0;
     side[s].state = ESTABLISHED;
     established(s)
#ifdef BUG_ACK_FOR_ACK
  :: side[s].state == ESTABLISHED && !UNCONFIRMED(s) -> send_bare_ack(s)
#endif
  :: else -> skip
  fi
}

/* ---- Restarts ---- */
inline restart(s) {
  if
  :: !DURABLE(s) || side[s].record == NOTHING ->
     /* A responder that had stored nothing had said nothing. */
     excuse = excuse || (OPEN(s) && (!DURABLE(s) || s == I));
#if COOKIES
     /* And its connection's number was never seen. */
     if
     :: s == R && OPEN(R) && DURABLE(R) -> numbers--
     :: else -> skip
     fi;
#endif
     forget(s)
  :: else ->
     side[s].sent = 0;
     side[s].lacking = 0;
     side[s].resumed = 1;
     side[s].received = side[s].record_received;
     side[s].echo = side[s].record_echo;
     side[s].which = side[s].record_which;
     side[s].options = side[s].record_options;
#if COOKIES
     side[s].number = side[s].record_number;
#endif
     if
     :: side[s].record == PROPOSED -> side[s].state = OPENING; side[s].b = 0
     :: side[s].record == SETTLED -> side[s].state = CONFIRMING
     :: side[s].record == ESTABLISHED -> side[s].state = ESTABLISHED; established(s)
     fi
  fi;
#if COOKIES
  if
  :: s == R ->
     used = 0;
     inherited = (1 << (answers + 1)) - 1;
     if
     :: !DURABLE(R) -> worthless = inherited; excuse = excuse || answers > 0
     :: else -> skip
     fi
  :: else -> skip
  fi
#else
  skip
#endif
}

/* ---- Which segment arrives ---- */
#define OFFER(p, k, v) \
  :: (STEP(p, k) >> (v)&1) -> mb = p; mk = k; mv = v;
#if COOKIES
/* Steps 2 and 3 have no number. */
#if LOW
#define OFFER_UNNUMBERED(p, k) OFFER_THREE(p, k, 0) OFFER_THREE(p, k, VARIANT(LESSER, 0, 0))
#define OFFER_STEP(p, k) OFFER_EACH_NUMBER(p, k, 0) OFFER_EACH_NUMBER(p, k, VARIANT(LESSER, 0, 0))
#else
#define OFFER_UNNUMBERED(p, k) OFFER_THREE(p, k, 0)
#define OFFER_STEP(p, k) OFFER_EACH_NUMBER(p, k, 0)
#endif
#define OFFER_THREE(p, k, v) OFFER(p, k, (v)) OFFER(p, k, (v) + 2)
#define OFFER_FOUR(p, k, v) OFFER(p, k, (v)) OFFER(p, k, (v) + 1) OFFER(p, k, (v) + 2) OFFER(p, k, (v) + 3)
#if REPLAY || defined(BUG_NONCES_NOT_FRESH)
#define OFFER_NUMBER_0(p, k, v) OFFER_FOUR(p, k, v)
#else
#define OFFER_NUMBER_0(p, k, v)
#endif
#if NUMBERS == 1
#define OFFER_EACH_NUMBER(p, k, v) OFFER_NUMBER_0(p, k, v) OFFER_FOUR(p, k, (v) + 4)
#elif NUMBERS == 2
#define OFFER_EACH_NUMBER(p, k, v) OFFER_NUMBER_0(p, k, v) OFFER_FOUR(p, k, (v) + 4) OFFER_FOUR(p, k, (v) + 8)
#else
#define OFFER_EACH_NUMBER(p, k, v) \
  OFFER_NUMBER_0(p, k, v) OFFER_FOUR(p, k, (v) + 4) OFFER_FOUR(p, k, (v) + 8) OFFER_FOUR(p, k, (v) + 12)
#endif
#elif LOW
#define OFFER_UNNUMBERED(p, k) OFFER_STEP(p, k)
#define OFFER_STEP(p, k) OFFER(p, k, 0) OFFER(p, k, 1) OFFER(p, k, 2) OFFER(p, k, 3) \
                         OFFER(p, k, 4) OFFER(p, k, 5) OFFER(p, k, 6) OFFER(p, k, 7)
#else
#define OFFER_UNNUMBERED(p, k) OFFER_STEP(p, k)
#define OFFER_STEP(p, k) OFFER(p, k, 0) OFFER(p, k, 1) OFFER(p, k, 2) OFFER(p, k, 3)
#endif
#if N > 4
#define OFFER_5(p) OFFER_STEP(p, 5)
#else
#define OFFER_5(p)
#endif
#if N > 5
#define OFFER_6(p) OFFER_STEP(p, 6)
#else
#define OFFER_6(p)
#endif
#if N > 6
#define OFFER_7(p) OFFER_STEP(p, 7)
#else
#define OFFER_7(p)
#endif
#if N > 7
#define OFFER_8(p) OFFER_STEP(p, 8)
#else
#define OFFER_8(p)
#endif
#define OFFER_TO_R(p) OFFER(p, 1, I_ACK) OFFER(p, 1, I_RST) OFFER_UNNUMBERED(p, 3) OFFER_5(p) OFFER_7(p)
#define OFFER_TO_I(p) \
  OFFER(p, 1, R_ACK) OFFER(p, 1, R_RST) OFFER(p, 1, SYN_ACK) OFFER(p, 1, SYN_ACK + 1) \
  OFFER_UNNUMBERED(p, 2) OFFER_STEP(p, 4) OFFER_6(p) OFFER_8(p)
#define OFFER_SYN(x) :: (syn >> x & 1) -> mb = x; mk = 0; mv = 0;
#define OFFER_REFUSAL(x) :: (refusal >> x & 1) -> mb = x; mk = 9; mv = 0;

#if ANSWERS == 1
#define EACH_PAIR(what) what(1)
#elif ANSWERS == 2
#define EACH_PAIR(what) what(1) what(2)
#else
#define EACH_PAIR(what) what(1) what(2) what(3)
#endif
#if CALLS == 1
#define EACH_CALL(what) what(1)
#elif CALLS == 2
#define EACH_CALL(what) what(1) what(2)
#else
#define EACH_CALL(what) what(1) what(2) what(3)
#endif

#define PAIR_IN_FLIGHT(p) \
  || STEP(p, 1) || STEP(p, 2) || STEP(p, 3) || STEP(p, 4) || STEP(p, 5) || STEP(p, 6) || STEP(p, 7) || STEP(p, 8)
#define IN_FLIGHT (syn || refusal EACH_PAIR(PAIR_IN_FLIGHT))

/* What arrives on a fair channel is gone. */
inline taken() {
  if
  :: !calm -> skip
  :: calm && mk == 0 -> syn = syn & ~(1 << mb)
  :: calm && mk == 9 -> refusal = refusal & ~(1 << mb)
  :: calm && mk > 0 && mk < 9 -> STEP(mb, mk) = STEP(mb, mk) & ~(1 << mv)
  fi
}

/* Makes a bare segment of the one that was chosen, or not. */
inline middlebox() {
  bare = (N == 3);
#if STRIP
  if
  :: skip
  :: mk != 1 && mk != 9 -> bare = 1; excuse = 1
  fi
#endif
}

inline arrived() { mb = 0; mk = 0; mv = 0; bare = 0 }

/* ---- Timers, on a fair channel: the RTO is longer than a round trip, so nothing is in flight when one expires ---- */
#define IDLE (calm && !finished && !BUSY(I) && !BUSY(R) && !IN_FLIGHT)
#ifdef BUG_NO_RETRANSMIT
#define TIMER(s) UNCONFIRMED(s)
#else
#ifdef BUG_NO_PROBE
#define TIMER(s) (side[s].state == OPENING || side[s].state == CONFIRMING)
#else
#define TIMER(s) (side[s].state == OPENING || side[s].state == CONFIRMING || UNCONFIRMED(s))
#endif
#endif
#define HAS_DATA(s) (DATA && side[s].state == ESTABLISHED && !side[s].talked)

inline timer(s) {
  if
#ifdef BUG_NO_LIMIT_OF_TRIES
  :: true -> repeat(s)
#else
  :: side[s].tries < TRIES -> side[s].tries++; repeat(s)
  :: else -> fail(s)
#endif
  fi
}

#if COOKIES
/* What is open or not: a restart forgets which cookies were used. */
#define MAY_RESTART(s) (OPEN(s) || (s == R && answers > 0)) && (s == I || R_RESTARTS)
#else
#define MAY_RESTART(s) OPEN(s)
#endif

/* What both sides do of themselves. */
#define OF_ITSELF(s) \
  :: atomic { DURABLE(s) && OPEN(s) && (side[s].record < NEEDED_RECORD(s) || \
              (CHECKPOINTS && !calm && side[s].record_received != side[s].received)) -> store(s) } \
  :: atomic { BUSY(s) && STORED_FOR_NEXT(s) -> send_next(s) } \
  :: atomic { !calm && MAY_RESTART(s) -> restart(s) } \
  :: atomic { !calm && (side[s].state == OPENING || side[s].state == CONFIRMING || UNCONFIRMED(s) || \
                        (ABORTS && side[s].state == ESTABLISHED)) -> \
              excuse = 1; fail(s) } \
  :: atomic { IDLE && TIMER(s) -> timer(s) } \
  :: atomic { IDLE && HAS_DATA(s) -> side[s].talked = 1; repeat(s) }

/* Forged steps bear the right pair and any number and flag; what they echo is a guess. */
#if FORGER
#define FORGED(s) :: atomic { !calm && side[s].b > 0 -> choose_forged(); receive_step(s, false); arrived() }
inline choose_forged() {
  if
  :: mk = 2
  :: mk = 3
  :: mk = 4
#if N > 4
  :: mk = 5
#endif
#if N > 5
  :: mk = 6
#endif
#if N > 6
  :: mk = 7
#endif
#if N > 7
  :: mk = 8
#endif
  fi;
  if
  :: mv = VARIANT(AS_PROPOSED, 0, 0)
  :: mv = VARIANT(AS_PROPOSED, 0, 1)
  :: mv = VARIANT(AS_PROPOSED, 1, 0)
  fi
}
#else
#define FORGED(s)
#endif

#if FORGER && COOKIES
#define FORGED_COOKIE(p) \
  :: atomic { !calm && !OPEN(R) && answers >= p -> \
       mb = p; mk = 3; mv = VARIANT(AS_PROPOSED, 1, 0); judge_cookie(); \
       if \
       :: go -> open_by_cookie() \
       :: else -> skip /* no forged resets */ \
       fi; \
       arrived() }
#else
#define FORGED_COOKIE(p)
#endif

active proctype Initiator() {
end:
  do
  OF_ITSELF(I)
  :: atomic { !calm && side[I].state == CLOSED && calls < CALLS ->
       calls++;
       side[I].a = calls;
       side[I].state = OPENING
     }
  :: atomic {
       if
       EACH_PAIR(OFFER_TO_I)
       OFFER_REFUSAL(0)
       EACH_CALL(OFFER_REFUSAL)
       fi;
       taken();
       middlebox();
       if
       :: mk == 9 ->
          if
          :: side[I].state == OPENING && side[I].a == mb ->
#ifdef REACH_REFUSAL
             REACHED;
#endif
             excuse = 1;
             forget(I)
          :: else -> skip
          fi
       :: mk == 1 && mv == R_RST ->
          if
          :: (side[I].state == OPENING -> pair_a[mb] == side[I].a : (OPEN(I) && mb == side[I].b)) -> forget(I)
          :: else -> skip
          fi
       :: side[I].state == CLOSED && mk != 9 && !(mk == 1 && mv == R_RST) -> send_reset(I, mb)
       :: side[I].state == OPENING && pair_a[mb] != side[I].a && mk != 9 && !(mk == 1 && mv == R_RST) ->
          send_reset(I, mb)
       :: side[I].state == OPENING && pair_a[mb] == side[I].a && (mk == 2 || (mk == 1 && mv >= SYN_ACK)) ->
          if
          :: side[I].sent == 0 && !side[I].resumed -> skip /* its SYN has not left */
          :: (bare || mk == 1 || WAYS_OF(WHICH(mv)) < I_MIN) && I_MIN > 3 -> excuse = 1; side[I].b = mb; fail(I)
          :: else ->
             side[I].b = mb;
             side[I].received = 2;
             side[I].tries = 0;
             side[I].state = CONFIRMING;
             adopted = adopted | 1 << mb;
             if
             :: mk == 1 -> side[I].which = PLAIN_THREE; side[I].options = mv - SYN_ACK
             :: mk == 2 && bare -> side[I].which = PLAIN_THREE; side[I].options = mv >> 1 & 1
             :: mk == 2 && !bare ->
#ifdef BUG_SETTLE_MISMATCH
                side[I].which = AS_PROPOSED;
#else
                side[I].which = WHICH(mv);
#endif
                side[I].options = mv >> 1 & 1
             fi
          fi
       :: side[I].state == OPENING && pair_a[mb] == side[I].a && !(mk == 2 || (mk == 1 && mv >= SYN_ACK)) &&
          mk != 9 && !(mk == 1 && mv == R_RST) -> skip
       :: side[I].state >= CONFIRMING && mk != 9 && !(mk == 1 && mv == R_RST) ->
          if
          :: mb != side[I].b -> challenge(I)
          :: mb == side[I].b && (mk == 2 || (mk == 1 && mv >= SYN_ACK)) -> repeat(I)
          :: mb == side[I].b && ((mk == 1 && mv == R_ACK) || (mk > 2 && bare)) -> receive_bare_ack(I)
          :: mb == side[I].b && mk > 2 && !bare -> receive_step(I, true)
          fi
       fi;
       arrived()
     }
  FORGED(I)
  od
}

#if COOKIES
/* SYN cookies. The responder's ISN is a function of the SYN: of pair and options; step 2's nonce of it and of N. Nothing is
   kept: what the model has in `cookie`, the ACK must show. */
#define GOOD_COOKIE(b) (!(worthless >> (b)&1) && !(used >> (b)&1))
inline send_cookie(pair) {
  if
  :: WHICH(cookie[pair]) == PLAIN_THREE -> BARE(pair) = BARE(pair) | 1 << (SYN_ACK + (cookie[pair] >> 1 & 1))
  :: else -> STEP(pair, 2) = STEP(pair, 2) | 1 << cookie[pair]
  fi
}

/* Whether the segment is the ACK of a cookie, and opens a connection: `go`. */
inline judge_cookie() {
  if
  :: !GOOD_COOKIE(mb) || mv == I_RST && mk == 1 -> go = false
  /* Step 3 says N; the echo that it was settled. */
#ifdef BUG_COOKIE_ECHO_UNCHECKED
  :: GOOD_COOKIE(mb) && mk == 3 && !bare -> go = true
#else
  :: GOOD_COOKIE(mb) && mk == 3 && !bare -> go = (mv == VARIANT(WHICH(cookie[mb]), 0, 0))
#endif
  :: GOOD_COOKIE(mb) && ((mk == 1 && mv == I_ACK) || (mk > 1 && bare)) ->
     go = (WHICH(cookie[mb]) == PLAIN_THREE ||
           (R_MIN == 3 && (COOKIE_FALLBACK == 2 || (COOKIE_FALLBACK == 1 && !(inherited >> mb & 1)))))
  :: GOOD_COOKIE(mb) && mk > 3 && !bare -> go = false
  fi
}

inline open_by_cookie() {
  go = false;
  if
  :: numbers == NUMBERS -> excuse = 1; send_reset(R, mb) /* the model's bound: the cookie is too old */
  :: else ->
     numbers++;
     side[R].number = numbers;
     side[R].a = pair_a[mb];
     side[R].b = mb;
     side[R].which = (mk == 3 && !bare -> WHICH(mv) : PLAIN_THREE);
     side[R].options = cookie[mb] >> 1 & 1;
     side[R].received = 3;
     side[R].state = CONFIRMING;
     if
     :: WAYS(R) == 3 ->
        side[R].sent = 4;
        side[R].state = ESTABLISHED;
        established(R)
     :: else -> skip
     fi
  fi
}

/* A segment of no connection. */
inline receive_with_cookie() {
  judge_cookie();
  if
  :: go -> open_by_cookie()
  :: else -> send_reset(R, mb)
  fi
}
#ifdef BUG_ANY_COOKIE_OVERTAKES
#define OVERTAKES true
#else
#define OVERTAKES false
#endif
#define HAS_COOKIE(p) :: p <= answers && pair_a[p] == mb && !(worthless >> p & 1) -> send_cookie(p)
#define NO_COOKIE(p) && !(p <= answers && pair_a[p] == mb && !(worthless >> p & 1))
#endif

active proctype Responder() {
#if REPLAY
  d_step {
    answers = 1; /* pair 1 is of the earlier incarnation: pair_a[1] is 0 */
    BARE(1) = 1 << I_ACK;
    if
    :: N == 3 -> cookie[1] = VARIANT(PLAIN_THREE, 0, 0)
    :: else ->
       STEP(1, 3) = 1 << VARIANT(AS_PROPOSED, 0, 0);
       STEP(1, 5) = (N > 4 -> 1 << VARIANT(AS_PROPOSED, 0, 0) : 0);
       STEP(1, 7) = (N > 6 -> 1 << VARIANT(AS_PROPOSED, 0, 0) : 0)
    fi;
    used = REMEMBERED << 1;
    inherited = !REMEMBERED << 1
  }
#endif
end:
  do
  OF_ITSELF(R)
  /* A SYN */
  :: atomic {
       if
       OFFER_SYN(0)
       EACH_CALL(OFFER_SYN)
       fi;
       taken();
       middlebox();
       if
       :: side[R].state == CLOSED && (bare || N < R_MIN) && R_MIN > 3 -> refusal = refusal | 1 << mb; excuse = 1
#if COOKIES
       :: side[R].state == CLOSED && !((bare || N < R_MIN) && R_MIN > 3) ->
          if
          EACH_PAIR(HAS_COOKIE) /* the same SYN, the same cookie */
          :: answers < ANSWERS EACH_PAIR(NO_COOKIE) ->
             answers++;
             pair_a[answers] = mb;
             if
             :: bare -> cookie[answers] = VARIANT(PLAIN_THREE, 0, 0)
             :: bare && OPTIONS -> cookie[answers] = VARIANT(PLAIN_THREE, 1, 0)
             :: !bare -> cookie[answers] = VARIANT(AS_PROPOSED, 0, 0)
             :: !bare && OPTIONS -> cookie[answers] = VARIANT(AS_PROPOSED, 1, 0)
             :: !bare && LOW -> cookie[answers] = VARIANT(LESSER, 0, 0)
             fi;
             send_cookie(answers)
          :: answers == ANSWERS EACH_PAIR(NO_COOKIE) -> excuse = 1
          fi
#else
       :: side[R].state == CLOSED && !((bare || N < R_MIN) && R_MIN > 3) && answers == ANSWERS -> excuse = 1
       :: side[R].state == CLOSED && !((bare || N < R_MIN) && R_MIN > 3) && answers < ANSWERS ->
          answers++;
          pair_a[answers] = mb;
          side[R].a = mb;
          side[R].b = answers;
          side[R].state = CONFIRMING;
          side[R].received = 1;
          if
          :: side[R].options = 0
          :: OPTIONS -> side[R].options = 1
          fi;
          if
          :: bare -> side[R].which = PLAIN_THREE
          :: !bare -> side[R].which = AS_PROPOSED
          :: !bare && LOW -> side[R].which = LESSER
          fi
#endif
       :: OPEN(R) && side[R].a != mb -> challenge(R)
       :: OPEN(R) && side[R].a == mb ->
          if
          :: side[R].state == CONFIRMING && side[R].received > 1 ->
             /* Always the SYN-ACK, at most once a second. */
             if
             :: STEP(side[R].b, 2) = STEP(side[R].b, 2) | 1 << VARIANT(side[R].which, side[R].options, 0);
                side[R].quiet = 0
             :: calm && !side[R].quiet -> side[R].quiet = 1
             fi
          :: else -> repeat(R)
          fi
       fi;
       arrived()
     }
  :: atomic {
       if
       EACH_PAIR(OFFER_TO_R)
       fi;
       taken();
       middlebox();
       if
       :: mk == 1 && mv == I_RST ->
          if
          :: OPEN(R) && pair_a[mb] == side[R].a -> forget(R)
          :: else -> skip
          fi
       :: side[R].state == CLOSED && !(mk == 1 && mv == I_RST) ->
#if COOKIES
          receive_with_cookie()
#else
          send_reset(R, mb)
#endif
       :: OPEN(R) && !(mk == 1 && mv == I_RST) && mb != side[R].b ->
#if COOKIES
          judge_cookie();
          if
          /* What has answered with step 3 does not give way to another cookie, which is an old one. */
          :: go && side[R].state == CONFIRMING && OVERTAKES -> forget(R); open_by_cookie()
          :: !(go && side[R].state == CONFIRMING && OVERTAKES) ->
             go = false;
             if
             :: side[R].state == CONFIRMING && pair_a[mb] == side[R].a -> send_reset(R, mb)
             :: else -> challenge(R)
             fi
          fi
#else
          if
          :: side[R].state == CONFIRMING && pair_a[mb] == side[R].a -> send_reset(R, mb)
          :: else -> challenge(R)
          fi
#endif
       :: OPEN(R) && mb == side[R].b && ((mk == 1 && mv == I_ACK) || (mk > 1 && bare)) -> receive_bare_ack(R)
       :: OPEN(R) && mb == side[R].b && mk > 1 && !bare -> receive_step(R, true)
       fi;
       arrived()
     }
  FORGED(R)
  EACH_PAIR(FORGED_COOKIE)
  od
}

/* ---- (4) ---- */
/* What is left of a connection that one side has been told of: it stays until that side says something (README.md). */
#define REMAINS(s) \
  (!DATA && side[s].state == ESTABLISHED && !OPEN(OTHER(s)) && !UNCONFIRMED(s) && \
   (WAYS(s) == 3 || has_been[OTHER(s)] >> side[s].b & 1))
#define GOOD_END \
  ((side[I].state == ESTABLISHED && side[R].state == ESTABLISHED && AGREE) || (!OPEN(I) && !OPEN(R)) || \
   REMAINS(I) || REMAINS(R))

active proctype Environment() {
#if REPLAY
  answers > 0;
#endif
  atomic {
    if
    :: mk = 10 /* nothing of old is still on its way */
    OFFER_SYN(0)
    EACH_CALL(OFFER_SYN)
    EACH_CALL(OFFER_REFUSAL)
    EACH_PAIR(OFFER_TO_I)
    EACH_PAIR(OFFER_TO_R)
    fi;
    syn = 0;
    refusal = 0;
    for (ask : 0 .. 23) { net[ask] = 0 }
    ask = 0;
    if
    :: mk == 10 -> skip
    :: mk == 0 -> syn = 1 << mb
    :: mk == 9 -> refusal = 1 << mb
    :: mk > 0 && mk < 9 -> STEP(mb, mk) = 1 << mv
    fi;
    arrived();
    calm = 1
  }
  atomic {
    IDLE && !TIMER(I) && !TIMER(R) && !HAS_DATA(I) && !HAS_DATA(R) ->
    ends_open_or_closed = GOOD_END;
    assert(ends_open_or_closed);
    /* (5) */
    no_error_without_cause = excuse || calls == 0 || (side[I].state == ESTABLISHED && side[R].state == ESTABLISHED);
    assert(no_error_without_cause);
#ifdef REACH_BOTH_ESTABLISHED
    if
    :: side[I].state == ESTABLISHED && side[R].state == ESTABLISHED && !UNCONFIRMED(I) && !UNCONFIRMED(R) && WAYS(I) == N ->
       REACHED
    :: else -> skip
    fi;
#endif
#ifdef REACH_LESSER
    if
    :: side[I].state == ESTABLISHED && side[R].state == ESTABLISHED && WAYS(I) < N -> REACHED
    :: else -> skip
    fi;
#endif
#ifdef REACH_REMAINS
    if
    :: REMAINS(I) || REMAINS(R) -> REACHED
    :: else -> skip
    fi;
#endif
    finished = 1
  }
}

#ifdef LIVENESS
ltl ends { [] (calm -> <> finished) }
#endif
