#!/usr/bin/env python3
"""Are the pictures in docs/handshake-lab.md what the commands there draw today?

    handshake_lab_test.py ROOT HOLDFAST            the ladders; and of a sweep small ones of each kind, kept in tests/lab/golden
    handshake_lab_test.py ROOT HOLDFAST --full     all of them: half a minute of an idle processor
    handshake_lab_test.py ROOT HOLDFAST --write    draws all of them anew. Then read the page: the sentences beside them say figures

Equal seeds give equal handshakes, so that each file is the same to the byte; and so that what changes a small picture has most likely
changed the large ones. A change of the handshake's timing, of what its steps certify, or of the drawings is what this finds.
"""

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# Folder below docs/images/handshake: the command's arguments, as the page gives them in front of "--svg plots".
SWEEPS = {
    "usual": "--runs 1000",
    "lossy": "--ways 3,4,5,8,16 --loss 10%,30%,50% --storage-latency 0 --runs 2000",
    "jitter": "--loss 0 --jitter 20ms --runs 1000",
}
LADDERS = {"ladder-3.svg": "--ladder 3", "ladder-5.svg": "--ladder 5", "ladder-8.svg": "--ladder 8 --loss 20% --seed 4"}
# Draw every kind of picture there is, and (SHORT) certify fewer copies than are asked for.
SMALL = "--ways 3,4,5,8,16 --loss 0,50% --jitter 20ms --storage-latency 5ms --runs 100"
KINDS = ["copies.svg", "failures.svg", "half-open.svg", "round-trip.svg", "segments.svg", "time-out.svg", "time.svg"]
SHORT = "--ways 8,16 --loss 0 --directories 3 --policy best-effort --runs 20"


class Check:
    def __init__(self, root, program, write):
        self.root, self.program, self.write = Path(root), program, write
        self.images = self.root / "docs" / "images" / "handshake"
        self.golden = self.root / "tests" / "lab" / "golden"
        self.compared, self.problems = 0, []

    def run(self, arguments, svg=None):
        command = [self.program, "lab", "handshake", "--quiet", *shlex.split(arguments), *(["--svg", str(svg)] if svg else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{shlex.join(command)}: status {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def compare(self, kept, new, arguments):
        self.compared += 1
        if self.write:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(new, encoding="utf-8")
        elif not kept.exists():
            self.problems.append(f"{kept.relative_to(self.root)} is not there")
        elif kept.read_text(encoding="utf-8") != new:
            self.problems.append(f"{kept.relative_to(self.root)} is not what `holdfast lab handshake {arguments}` gives")

    def drawn(self, arguments, folder, names):
        with tempfile.TemporaryDirectory() as scratch:
            plots = Path(scratch) / "made" / "with-its-parents"
            self.run(arguments, plots)
            for name in names:
                made = plots / name
                if made.exists():
                    self.compare(folder / name, made.read_text(encoding="utf-8"), arguments)
                else:
                    self.problems.append(f"`holdfast lab handshake {arguments}` draws no {name}")

    def page(self):
        """Each picture that the page shows is one that is compared, and the other way round; and each command is there."""
        page = (self.root / "docs" / "handshake-lab.md").read_text(encoding="utf-8")
        shown = set(re.findall(r"\(images/handshake/([^)]+)\)", page))
        kept = {str(path.relative_to(self.images)) for path in self.images.rglob("*") if path.is_file()}
        for name in sorted(shown ^ kept):
            self.problems.append(f"{name} is {'shown in' if name in shown else 'kept for'} docs/handshake-lab.md, and not the other")
        for name in sorted(shown):
            if name not in LADDERS and name.split("/")[0] not in SWEEPS:
                self.problems.append(f"{name}: no command here draws it")
        for arguments in SWEEPS.values():
            if f"    holdfast lab handshake {arguments} --svg plots\n" not in page:
                self.problems.append(f"docs/handshake-lab.md does not give `holdfast lab handshake {arguments} --svg plots`")
        for arguments in LADDERS.values():
            if f"`{arguments}`" not in page and f"    holdfast lab handshake {arguments} --svg plots\n" not in page:
                self.problems.append(f"docs/handshake-lab.md does not give `{arguments}`")
        return shown

    def all(self, full):
        shown = self.page()
        for name, arguments in LADDERS.items():
            self.drawn(arguments, self.images, [name])
        self.compare(self.golden / "ladder-5.txt", self.run("--ladder 5"), "--ladder 5")
        self.drawn(SMALL, self.golden / "small", KINDS)
        for name, arguments in (("small.csv", SMALL), ("short.csv", SHORT)):
            self.compare(self.golden / "small" / name, self.run(arguments + " --csv -"), arguments + " --csv -")
        if not full:
            return
        for folder, arguments in SWEEPS.items():
            names = sorted(name.split("/")[1] for name in shown if name.startswith(folder + "/"))
            self.drawn(arguments, self.images / folder, names)


def main():
    modes = [word for word in sys.argv[1:] if word.startswith("--")]
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    if len(words) != 2 or len(modes) > 1 or not set(modes) <= {"--full", "--write"} or not shutil.which(words[1]):
        sys.exit(__doc__)
    check = Check(*words, write=modes == ["--write"])
    check.all(full=bool(modes))
    for problem in check.problems:
        print(problem)
    if check.problems:
        print(f"{len(check.problems)} problems. Where the change is meant: tests/docs/handshake_lab_test.py . HOLDFAST --write draws "
              "everything anew; then docs/handshake-lab.md wants reading, for the figures in its sentences")
        sys.exit(1)
    print(f"{check.compared} {'written' if check.write else 'compared: each is what its command gives'}")


if __name__ == "__main__":
    main()
