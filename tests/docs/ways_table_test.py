#!/usr/bin/env python3
"""The table of every N in docs/handshake.md, which tests/e2e/ways_table.py writes: is it whole, and does it say that all held?

    ways_table_test.py ROOT
"""

import re
import sys
from pathlib import Path

COLUMNS = 10


def problems(page):
    if page.count("<!-- ways-table: begin -->") != 1 or page.count("<!-- ways-table: end -->") != 1:
        return ["the table's markers are not there, once each"]
    table = page.split("<!-- ways-table: begin -->")[1].split("<!-- ways-table: end -->")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines() if re.match(r"\| *\d", line)]
    found = [row[0] for row in rows]
    wanted = [str(n) for n in range(3, 75)]
    if found != wanted:
        return [f"rows for {', '.join(found) or 'nothing'}; wanted: each of 3 to 74, in order"]
    return [f"N = {row[0]}: {problem}" for row in rows for problem in problems_of(row)]


def problems_of(row):
    if len(row) != COLUMNS or not all(row):
        yield f"not {COLUMNS} cells that say something: {row}"
        return
    number, segments, repeated, established, stored, closed, responder, initiator, *kills = row
    n = int(number)
    if segments != number:
        yield f"{segments} segments"
    if repeated != "0":
        yield f"{repeated} steps came again"
    if (established, stored) != ("both sides", "both sides"):
        yield f"established: {established}; stored: {stored}"
    if closed != "FIN, ACK, FIN, ACK":
        yield f"closed by {closed}"
    for who, certified, asked in (("responder", responder, n // 2 - 1 if n % 2 == 0 else (n - 3) // 2),
                                  ("initiator", initiator, (n - 4) // 2 if n % 2 == 0 else (n - 3) // 2)):
        if asked == 0 and certified == "none asked":
            continue
        numbers = re.fullmatch(r"(\d+) of (\d+)", certified)
        if not numbers or int(numbers[2]) != asked or int(numbers[1]) < asked:
            yield f"the {who} certifies {certified}, where {asked} are asked for"
    for who, survived in zip(("node", "initiator"), kills):
        if survived != f"{n} + {n}":
            yield f"deaths of the {who} that were survived: {survived}, not after each step, delivered and lost"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = problems((Path(sys.argv[1]) / "docs" / "handshake.md").read_text(encoding="utf-8"))
    for problem in found:
        print(f"docs/handshake.md: {problem}: tests/e2e/ways_table.py writes the table")
    print(f"{len(found)} problems" if found else "every N from 3 to 74 is there, and held")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
