#!/usr/bin/env python3
"""Checks that the documentation says what is so.

  readme_test.py ROOT BUILD     ROOT: the repository; BUILD: where the programs are

- Relative links resolve, anchors included.
- Shell blocks parse; those marked with <!-- test --> name make targets and files that exist; those marked with
  <!-- run --> are run, with BUILD in the PATH.
- Each program, sub-command and flag of ours that a page, a unit file or the help's own examples name exists; each flag
  of `holdfast serve` is in docs/operating.md; keys in TOML examples are flags.
- The translated README has the same shell blocks and links.
- No path of one machine and nothing left for later is in a tracked file; each Python script parses.
"""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
import unicodedata
from functools import cache
from pathlib import Path

# In pieces, so that this file passes its own test.
LEFT_FOR_LATER = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
MACHINES = ["wo" + "rk", "fa" + "rm", "ro" + "ot", "ho" + "me/[a-z]"]
MACHINE_PATH = re.compile(r"(?<![\w.$/-])/(" + "|".join(MACHINES) + r")/")
# Each program that is ours, and how it is called in the documentation.
PROGRAMS = ("holdfast", "holdfast-sim", "holdfast-model")
# May stand in front of a command.
PREFIXES = ("sudo", "time", "exec")


class Checks:
    def __init__(self, root, build):
        self.root, self.build = root, build
        self.failures = []
        # New files count as soon as they are there; what is ignored does not.
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root,
                                capture_output=True, check=False)
        if listed.returncode == 0:
            names = [name for name in listed.stdout.decode().split("\0") if name]
        else:  # an unpacked archive
            names = [str(path.relative_to(root)) for path in root.rglob("*")]
            names = [name for name in names if not name.startswith(("build/", ".git/"))]
        self.files = sorted(root / name for name in names if (root / name).is_file())
        self.pages = [path for path in self.files if path.suffix == ".md"]

    def fail(self, path, line, message):
        self.failures.append(f"{path.relative_to(self.root)}:{line}: {message}")

    def run(self):
        for check in (self.links, self.shell_blocks, self.commands, self.inline_flags, self.documented_flags, self.toml,
                      self.translation, self.every_file):
            check()
        return self.failures

    # ---- Links ----

    def links(self):
        for page in self.pages:
            for number, text in prose_lines(page):
                for target in re.findall(r"\]\(([^()\s]+)\)", text):
                    self.link(page, number, target)

    def link(self, page, number, target):
        if re.match(r"[a-z]+:", target):
            return
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists():
            self.fail(page, number, f"link to {target}: there is no such file")
        elif anchor and anchor not in anchors(path):
            self.fail(page, number, f"link to {target}: there is no such heading")

    # ---- Shell blocks ----

    def shell_blocks(self):
        make_targets = targets_of(self.root / "Makefile")
        for page in self.pages:
            for block in blocks(page):
                if block.language != "sh":
                    continue
                parsed = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, check=False)
                if parsed.returncode != 0:
                    self.fail(page, block.line, f"shell block does not parse: {parsed.stderr.strip()}")
                if "test" in block.marks:
                    self.named_things_exist(page, block, make_targets)
                if "run" in block.marks:
                    self.execute(page, block)

    def named_things_exist(self, page, block, make_targets):
        for words in commands_in(block.text):
            if words[0] == "make":
                for target in (word for word in words[1:] if not word.startswith("-") and "=" not in word):
                    if target not in make_targets:
                        self.fail(page, block.line, f"make {target}: the Makefile has no such target")
            name = words[0]
            if "/" in name and not name.startswith(("/", "build/")) and not (self.root / name).exists():
                self.fail(page, block.line, f"{name}: there is no such file")

    def execute(self, page, block):
        ran = subprocess.run(["bash", "-eu", "-o", "pipefail", "-c", block.text], text=True, capture_output=True,
                             check=False, cwd=self.root, timeout=60,
                             env={"PATH": f"{self.build}:/usr/local/bin:/usr/bin:/bin"})
        if ran.returncode != 0:
            self.fail(page, block.line, f"shell block ended with {ran.returncode}: {(ran.stdout + ran.stderr).strip()}")

    # ---- Our programs: sub-commands and flags ----

    def commands(self):
        for path in self.pages:
            for block in blocks(path):
                for words in commands_in(block.text) if block.language == "sh" else ():
                    self.command(path, block.line, words)
            for number, text in prose_lines(path):
                for span in re.findall(r"`([^`]+)`", text):
                    for words in commands_in(span):
                        self.command(path, number, words)
        for path in self.files:
            if path.suffix == ".service":
                for number, text in enumerate(path.read_text().splitlines(), 1):
                    if text.startswith("ExecStart="):
                        self.command(path, number, shlex.split(text.removeprefix("ExecStart=")))
        # What the programs' help shows as examples.
        help_source = self.root / "src/node/help.cc"
        for level in ((), ("serve",), ("streams", "list"), ("streams", "cat"), ("streams", "tail"), ("send",)):
            text = self.help_of("holdfast", level)
            for words in commands_in(text or "", only_lines_that_start_with=("holdfast ", "sudo holdfast ")):
                self.command(help_source, 1, words)

    def command(self, path, line, words):
        program = words[0].rsplit("/", 1)[-1]
        if program not in PROGRAMS:
            return
        if self.help_of(program, ()) is None:
            self.fail(path, line, f"{program}: is not built: there is no {self.build / program}")
            return
        level, rest = (), words[1:]
        while rest and rest[0] in self.subcommands(program, level):
            level, rest = (*level, rest[0]), rest[1:]
        if rest and self.subcommands(program, level) and re.fullmatch(r"[a-z][a-z-]*", rest[0]):
            self.fail(path, line, f"{' '.join((program, *level))}: has no sub-command {rest[0]}")
            return
        for word in rest:
            flag = re.match(r"--[a-z][a-z-]*", word)
            if flag and flag.group() not in self.flags(program, level):
                self.fail(path, line, f"{' '.join((program, *level))}: has no flag {flag.group()}")

    # The benchmark's script and the programs that it runs.
    def bench_flags(self):
        known = set()
        for command in [[self.root / "bench/run.py"], *([path] for path in sorted(self.build.glob("bench_*")) if path.is_file())]:
            out = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False).stdout
            known |= set(re.findall(r"--[a-z][a-z-]*", out))
        return known

    # `--flag …` in running text, without a command: some program of ours has it.
    def inline_flags(self):
        known = {"--help"}
        for program in PROGRAMS:
            for level in self.levels(program, ()):
                known |= self.flags(program, level)
        known |= self.bench_flags()
        for page in self.pages:
            for number, text in prose_lines(page):
                for flag in re.findall(r"`(--[a-z][a-z-]*)", text):
                    if flag not in known:
                        self.fail(page, number, f"{flag}: no program has such a flag")

    def documented_flags(self):
        page = self.root / "docs/operating.md"
        text = page.read_text()
        for flag in sorted(self.flags("holdfast", ("serve",)) - {"--help"}):
            if f"`{flag}" not in text:
                self.fail(page, 1, f"{flag}: `holdfast serve` has this flag, the page does not")

    @cache
    def help_of(self, program, level):
        binary = self.build / program
        if not binary.exists():
            return None
        shown = subprocess.run([str(binary), *level, "--help"], text=True, capture_output=True, check=False, timeout=60)
        return shown.stdout if shown.returncode == 0 else ""

    @cache
    def flags(self, program, level):
        listed = re.findall(r"^ +(?:-\w, ?)?(--[a-z][a-z-]*)", self.help_of(program, level) or "", re.MULTILINE)
        return frozenset({*listed, "--help"})

    @cache
    def subcommands(self, program, level):
        text = self.help_of(program, level) or ""
        section = re.search(r"^subcommands:\n((?: +.*\n|\n(?= ))*)", text, re.MULTILINE | re.IGNORECASE)
        listed = re.findall(r"^ {1,4}([a-z][a-z-]*)", section.group(1), re.MULTILINE) if section else []
        return frozenset(listed)

    def levels(self, program, level):
        yield level
        for name in self.subcommands(program, level):
            yield from self.levels(program, (*level, name))

    # ---- The rest ----

    def toml(self):
        keys = {flag.removeprefix("--") for flag in self.flags("holdfast", ("serve",))} - {"help", "config"}
        for page in self.pages:
            for block in blocks(page):
                if block.language != "toml":
                    continue
                try:
                    unknown = tomllib.loads(block.text).keys() - keys
                except tomllib.TOMLDecodeError as error:
                    self.fail(page, block.line, f"TOML block does not parse: {error}")
                    continue
                for key in sorted(unknown):
                    self.fail(page, block.line, f"{key}: is no key of the configuration file")

    def translation(self):
        original = self.root / "README.md"
        for page in self.root.glob("README.*.md"):
            ours, theirs = ([list(commands_in(block.text)) for block in blocks(path) if block.language == "sh"]
                            for path in (original, page))
            if ours != theirs:
                self.fail(page, 1, "its shell blocks differ from README.md's in more than comments")
            ours, theirs = ({target for _, text in prose_lines(path) for target in re.findall(r"\]\(([^()\s]+)\)", text)
                             if not target.startswith("README")} for path in (original, page))
            for target in sorted(ours ^ theirs):
                self.fail(page, 1, f"link to {target}: is in only one of README.md and its translation")

    def every_file(self):
        for path in self.files:
            try:
                lines = path.read_text().splitlines()
            except UnicodeDecodeError:
                continue  # binary
            if path.suffix == ".py":
                self.parses(path)
            for number, text in enumerate(lines, 1):
                if found := MACHINE_PATH.search(text):
                    self.fail(path, number, f"a path of one machine: {text[found.start():found.start() + 40]}")
                if found := LEFT_FOR_LATER.search(text):
                    self.fail(path, number, f"left for later: {found.group()}")

    # Some scripts run in no test, but by hand or in the soak.
    def parses(self, path):
        try:
            ast.parse(path.read_text())
        except SyntaxError as error:
            self.fail(path, error.lineno or 1, f"does not parse: {error.msg}")


class Block:
    """A fenced block, with the words of the HTML comment in the line before it."""

    def __init__(self, language, line, marks):
        self.language, self.line, self.marks, self.lines = language, line, marks, []

    @property
    def text(self):
        return "\n".join(self.lines) + "\n"


@cache
def split(page):
    """A page's fenced blocks, and its other lines with their numbers."""
    fenced, prose, block, before = [], [], None, ""
    for number, text in enumerate(page.read_text().splitlines(), 1):
        if block is not None:
            if text.strip() == "```":
                fenced.append(block)
                block = None
            else:
                block.lines.append(text)
        elif text.lstrip().startswith("```"):
            marks = re.fullmatch(r"\s*<!--([\w ]*)-->\s*", before)
            block = Block(text.strip().removeprefix("```"), number, marks.group(1).split() if marks else [])
        else:
            prose.append((number, text))
        before = text
    return fenced, prose


def blocks(page):
    return split(page)[0]


def prose_lines(page):
    return split(page)[1]


@cache
def anchors(page):
    """The headings' ids, as GitHub makes them."""
    found = set()
    for _, text in prose_lines(page):
        if heading := re.match(r"#+ +(.*)", text):
            words = re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading.group(1)).strip().lower()
            kept = "".join(c for c in words if c in "-_ " or unicodedata.category(c)[0] in "LN")
            found.add(kept.replace(" ", "-"))
    return found


def targets_of(makefile):
    if not makefile.exists():
        return set()
    found = set()
    for line in makefile.read_text().splitlines():
        if rule := re.match(r"([\w./ -]+):(?!=)", line):
            found |= set(rule.group(1).split())
    return found


def commands_in(text, only_lines_that_start_with=None):
    """Each simple command of a shell text as its words, prefixes such as sudo left out."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if only_lines_that_start_with and not line.lstrip().startswith(only_lines_that_start_with):
            continue
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:
            continue  # prose with an apostrophe
        command, redirected = [], False
        for word in [*words, ";"]:
            if set(word) <= set("|&;()"):
                while command and command[0] in PREFIXES:
                    command = command[1:]
                if command:
                    yield command
                command = []
            elif set(word) <= set("<>"):
                redirected = True
            elif redirected:
                redirected = False
            else:
                command.append(word)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    failures = Checks(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()).run()
    for failure in failures:
        print(failure)
    print(f"{len(failures)} failures" if failures else "the documentation holds")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
