#!/usr/bin/env python3
"""clang-tidy over the files of src/, several files of one folder at a time: most of its time goes into the headers, which files of one
folder share. Files that cannot stand in one translation unit (two of them give a name of their own to different things) are parted, by
halves, until they can. Prints what is found; ends with 1 if anything is.

  scripts/tidy.py BUILD CHECKS     a build directory with compile_commands.json; CHECKS as for clang-tidy's --checks"""

import collections
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOGETHER = 8  # files: twice as many save little more, and leave a processor idle at the end
COLLISION = "[clang-diagnostic-error"
# Including one .cc from another is what we do here, and nobody else.
TOGETHER_CHECKS = ",-bugprone-suspicious-include"


def commands(build):
    """The flags each file of src/ is compiled with. A file that is compiled twice, with and without seeded bugs, is looked at once."""
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"])
        if path.is_relative_to(ROOT / "src"):
            words = shlex.split(entry["command"])
            flags = words[1:words.index("-o")]
            if path not in found or len(flags) < len(found[path]):
                found[path] = flags
    return found


class Tidy:
    def __init__(self, build, checks):
        self.build, self.checks = build, checks
        self.flags = commands(build)
        self.scratch = build / "together"
        self.scratch.mkdir(exist_ok=True)

    def run(self, files):
        """What clang-tidy says of some files, and the one of them that stands in the way of reading them together, if one does."""
        single = len(files) == 1
        unit, checks, more = files[0], self.checks, []
        if not single:
            unit = self.scratch / (str(files[0].relative_to(ROOT)).replace("/", "-") + f".{len(files)}.cc")
            unit.write_text("".join(f'#include "{path}"\n' for path in files))
            checks, more = self.checks + TOGETHER_CHECKS, ["--extra-arg=-ferror-limit=1"]
        done = subprocess.run(["clang-tidy-19", "--quiet", f"--checks={checks}", "--extra-arg=-Wno-deprecated-declarations", *more,
                               f"--config-file={ROOT / '.clang-tidy'}", str(unit), "--", *self.flags[files[0]]],
                              capture_output=True, text=True)
        if not single and COLLISION in done.stdout:
            named = (pathlib.Path(line.split(":")[0]) for line in done.stdout.splitlines() if COLLISION in line)
            return "", next((path for path in named if path in files), files[-1])
        return done.stdout or (done.stderr if done.returncode else ""), None

    def look(self, files):
        apart = []
        while True:
            said, in_the_way = self.run(files)
            if in_the_way is None:
                return said + (self.look(apart) if apart else "")
            files = [path for path in files if path != in_the_way]
            apart.append(in_the_way)

    def groups(self):
        alike = collections.defaultdict(list)
        for path in sorted(self.flags):
            alike[path.parent, tuple(self.flags[path])].append(path)
        for files in alike.values():
            for first in range(0, len(files), TOGETHER):
                yield files[first:first + TOGETHER]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    tidy = Tidy(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2])
    groups = sorted(tidy.groups(), key=len, reverse=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        said = "".join(pool.map(tidy.look, groups))
    print(said, end="")
    sys.exit(1 if said.strip() else 0)


if __name__ == "__main__":
    main()
