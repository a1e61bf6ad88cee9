"""The segments of handshakes of N ways in a capture: which step each is, and what is wrong with them. Nothing but lists of
frames comes in, so that steps_test.py can show what is found in captures made by hand."""

import frame as frames

EVERY_N = range(3, 75)


def last_steps(n):
    """(the responder's last step, the initiator's)."""
    return (n, n - 1) if n % 2 == 0 else (n - 1, n)


def step_of(frame, n):
    """Which step of a handshake of n ways a segment carries, 0 for none. Three ways carry no option: there the kind says it."""
    if n > 3:
        return frame.ways.step if frame.ways else 0
    return {"SYN": 1, "SYN-ACK": 2, "ACK": 3 if frame.destination_port == 7000 else 0}.get(frame.kind, 0)


def bare_step_of(frame, n):
    """The same of segments that have nothing else to say."""
    return 0 if frame.payload_length or frame.flags & frames.FIN else step_of(frame, n)


def has_option(frame):
    """Whatever is in it."""
    return any(kind == frames.WAYS_KIND for kind, _ in frame.each_option())


def is_again(segment, first, before_last):
    """Of a segment with the same step. Until the peer has shown that the last step arrived, window updates and data carry that too
    (rule 5)."""
    return before_last or (segment.window, segment.ack) == (first.window, first.ack)


def settled(n, segments):
    """(the segments of the handshake by step, those that came again, the others)."""
    steps, repeated, others = {}, [], []
    for segment in segments:
        step = bare_step_of(segment, n)
        first = steps.get(step)
        if step and not first:
            steps[step] = segment
        elif step and is_again(segment, first, step < n):
            repeated.append(segment)
        else:
            others.append(segment)
    return [steps[step] for step in sorted(steps)], repeated, others


def faults(n, segments):
    """In the capture of one connection that nothing has disturbed, a line for each thing that a handshake of exactly n ways does not
    show. It is the first n segments, step by step: so there is no other among them, in neither direction, least of all one without
    the option. No step comes twice. Behind it only the sender of step n says it still, until it knows that this arrived: so long
    before the close. Three ways carry no option anywhere."""
    found = [f"in the place of step {k}: {segment}" for k, segment in enumerate(segments[:n], 1) if bare_step_of(segment, n) != k]
    if len(segments) < n:
        found.append(f"only {len(segments)} segments")
    if n == 3:
        found += [f"an option, with three ways: {segment}" for segment in segments if has_option(segment)]
    found += [f"step {step_of(segment, n)} again: {segment}" for segment in settled(n, segments)[1]]
    closing = False
    for segment in segments[n:]:
        closing = closing or bool(segment.flags & frames.FIN)
        if n > 3 and has_option(segment) and (closing or step_of(segment, n) != n):
            found.append(f"the option, after {'the first FIN' if closing else 'the handshake'}: {segment}")
    return found


def unmarked(n, segments):
    """However often steps came again: the segments without the option before step n has arrived (with three ways: those with it). As
    the receivers saw them: what was lost on the way cannot have ended anything."""
    if n == 3:
        return [segment for segment in segments if has_option(segment)]
    end = next((at for at, segment in enumerate(segments) if step_of(segment, n) == n), len(segments))
    return [segment for segment in segments[:end] if not step_of(segment, n)]


def prompt_repetitions(n, segments, timer=1.0):
    """{k: how often steps came again between the first step k and the first step k + 1}, without those that a timer may have sent: of
    these the same step was sent no less than `timer` seconds before."""
    counts, firsts, sent_at, latest = {}, {}, {}, 0
    for segment in segments:
        step = bare_step_of(segment, n)
        if not step:
            continue
        if step not in firsts:
            firsts[step], latest, counts[step] = segment, step, 0
        elif is_again(segment, firsts[step], step < n):
            counts[latest] += segment.time - sent_at[step] < timer
        sent_at[step] = segment.time
    return counts
