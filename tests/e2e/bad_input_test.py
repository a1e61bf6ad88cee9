#!/usr/bin/env python3
"""Everything that a person can get wrong: one line that says what, where and what to do; exit status 2 for usage, 1 for the rest;
nothing damaged."""

import hashlib
import os
import shutil
import subprocess
import tempfile

import case
import lab


def digest(directory, names=None):
    """Of all that is in a directory, or of the files of these names."""
    sums = {}
    for folder, _, files in os.walk(directory):
        for name in files:
            if name == "lock" or (names and name not in names):  # whoever tries writes its process id there
                continue
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                sums[path] = hashlib.sha256(file.read()).hexdigest()
    return sums


class BadInputTest(case.Case):
    def refuse(self, arguments, status, *words, timeout=30, **options):
        done = subprocess.run([lab.BINARY, *arguments], capture_output=True, text=True, timeout=timeout, check=False, **options)
        lines = [line for line in done.stderr.splitlines() if line.startswith("holdfast: ")]
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(len(lines), 1, done.stderr)
        for word in words:
            self.assertIn(word, lines[0])
        return lines[0]

    def serve(self, *more, data=None, link=lab.LINK):
        words = ["serve", "--link", f"tap:{link}", "--address", f"{lab.NODE}/24", "--service", "store:7000", *more]
        return words + ["--data", data or self.directory.make("data")]

    def test_usage(self):
        for arguments, words in [
                ([], ["--help"]),
                (["frobnicate"], ["frobnicate"]),
                (self.serve("--frobnicate"), ["--frobnicate"]),
                (self.serve("--no-keeper=maybe"), ["--no-keeper"]),
                (self.serve("--prepared-segments", "1"), ["--prepared-segments 1"]),
                (self.serve("--segment-size", "1"), ["--segment-size 1"]),
                (self.serve("--gateway", "1.2.3.4"), ["--gateway 1.2.3.4"]),
                (self.serve("surplus"), ["surplus"]),
                (self.serve("--volatile"), ["--volatile", "--data"]),
                (self.serve("--stored-on", "2"), ["--stored-on 2"]),
                (self.serve("--service", "echo:7000"), ["7000", "in use"]),
                (self.serve("--host-address", "10.1.0.1/24"), ["--host-address"]),
                (["serve", "--link", "tap:hf0"], ["--address"]),
                (["serve", "--config", "/does/not/exist.toml"], ["/does/not/exist.toml"]),
                (["streams", "cat", "x", "--data", "/tmp"], ["ID x"]),
                (["send", "--link", "tap:hf0", "--address", "10.77.0.3/24", "--to", "nowhere"], ["--to nowhere"])]:
            with self.subTest(" ".join(arguments)):
                self.refuse(arguments, 2, *words)

    def test_configuration_errors_name_file_line_and_key(self):
        path = self.directory.file("bad.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write('link = "tap:hf0"\ncolour = "red"\n')
        self.refuse(["serve", "--config", path], 2, path, "line 2", "colour")

    def test_an_address_of_this_host_is_in_use(self):
        self.node()
        arguments = ["serve", "--link", "tap:hf7", "--address", f"{lab.HOST}/24", "--service", "store:7000", "--volatile"]
        self.refuse(arguments, 1, lab.HOST, "in use", lab.LINK)

    def test_a_device_of_another_node_is_in_use(self):
        self.node()
        self.refuse(self.serve(), 1, lab.LINK, "in use")

    def test_no_permission_for_the_device(self):
        with open("/proc/self/uid_map", encoding="ascii") as file:
            if file.read().split()[2] == "1":
                self.skipTest("only root can become somebody else")
        # A copy, where anybody can read it.
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            binary = shutil.copy(lab.BINARY, folder)
            done = subprocess.run([binary, "serve", "--link", "tap:hf7", "--address", "10.77.0.9/24", "--service", "store:1",
                                   "--volatile"], capture_output=True, text=True, user=65534, group=65534, cwd="/", timeout=30,
                                  check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r"^holdfast: .*/dev/net/tun: Permission denied: .*\n$")

    def test_a_missing_directory(self):
        self.refuse(self.serve(data="/does/not/exist"), 1, "/does/not/exist")
        self.refuse(["streams", "list", "--data", "/does/not/exist"], 1, "/does/not/exist")

    def test_a_file_in_place_of_a_directory(self):
        path = self.directory.file("file")
        with open(path, "w", encoding="ascii") as file:
            file.write("mine")
        self.refuse(self.serve(data=path), 1, path)
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), "mine")

    def test_a_foreign_directory_is_left_alone(self):
        path = self.directory.make("foreign")
        for name in ("segment-0000000000000001", "thesis.tex"):
            with open(os.path.join(path, name), "w", encoding="ascii") as file:
                file.write("not a log" * 1000)
        before = digest(path)
        self.refuse(self.serve(data=path), 1, path)
        after = digest(path)
        self.assertEqual({name: after.get(name) for name in before}, before)

    def test_an_empty_directory_holds_no_streams(self):
        path = self.directory.make("empty")
        done = subprocess.run([lab.BINARY, "streams", "list", "--data", path], capture_output=True, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(path, done.stderr)
        self.assertEqual(os.listdir(path), [])

    def test_a_directory_with_something_else_in_it_is_left_alone(self):
        path = self.directory.make("thesis")
        with open(os.path.join(path, "thesis.tex"), "w", encoding="ascii") as file:
            file.write("my life")
        self.refuse(self.serve(data=path), 1, path, "thesis.tex")
        self.assertEqual(os.listdir(path), ["thesis.tex"])

    def a_log(self):
        """A directory with a stream in it, and no node."""
        node = self.node()
        self.upload(b"mine" * 1000)
        self.assertEqual(node.stop(), 0)
        return node.data[0]

    def refuse_log(self, path, *words):
        before = digest(path)
        self.refuse(self.serve(data=path), 1, path, *words)
        self.assertEqual(digest(path), before)

    def test_a_log_of_a_newer_format_is_left_alone(self):
        path = self.a_log()
        with open(os.path.join(path, "identity.blob"), "r+b") as file:
            content = bytearray(file.read())
            content[8] = 99
            content[-4:] = case.crc32c(content[:-4]).to_bytes(4, "little")
            file.seek(0)
            file.write(content)
        self.refuse_log(path, "format 99", "use a newer holdfast")
        self.refuse(["streams", "list", "--data", path], 1, path, "format 99")

    def test_a_damaged_identity_is_left_alone(self):
        path = self.a_log()
        with open(os.path.join(path, "identity.blob"), "r+b") as file:
            file.seek(40)
            file.write(b"XXXX")
        self.refuse_log(path, "damaged")

    def test_directories_of_two_logs_are_left_alone(self):
        one, other = self.a_log(), self.a_log()
        before = digest(one), digest(other)
        self.refuse(self.serve("--data", one, data=other), 1, one, other, "one log")
        self.assertEqual((digest(one), digest(other)), before)

    def test_a_log_on_a_read_only_file_system_is_left_alone(self):
        path, view = self.a_log(), self.directory.make("view")
        if subprocess.run(["mount", "--bind", path, view], check=False, capture_output=True).returncode != 0:
            self.skipTest("can't mount")
        self.addCleanup(subprocess.run, ["umount", view], check=False)
        subprocess.run(["mount", "-o", "remount,ro,bind", view], check=True)
        self.refuse_log(view, "ead-only")
        self.assertIn("3.9 KiB", lab.holdfast("streams", "list", "--data", view))

    def test_a_directory_in_use_by_another_node(self):
        node = self.node()
        arguments = ["serve", "--link", "tap:hf8", "--address", "10.79.0.2/24", "--service", "store:7000", "--data", node.data[0]]
        self.upload(b"works")
        names = ("identity.blob", "promise.blob")  # what else is there the node goes on writing
        before = digest(node.data[0], names)
        self.refuse(arguments, 1, node.data[0], "in use")
        self.assertEqual(digest(node.data[0], names), before)
        self.upload(b"still works")

    def test_a_read_only_directory(self):
        path = self.directory.make("read-only")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", path], check=False, capture_output=True).returncode != 0:
            self.skipTest("can't mount")
        self.addCleanup(subprocess.run, ["umount", path], check=False)
        self.refuse(self.serve(data=path), 1, path, "ead-only")

    def test_a_full_file_system(self):
        path = self.directory.make("full")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", path], check=False, capture_output=True).returncode != 0:
            self.skipTest("can't mount")
        self.addCleanup(subprocess.run, ["umount", path], check=False)
        self.refuse(self.serve(data=path), 1, path)

    def test_no_such_stream(self):
        node = self.node()
        self.upload(b"x")
        self.refuse(["streams", "cat", "99", *node.data_flags()], 2, "99")
        self.refuse(["streams", "cat", "1", "--from", "1000", *node.data_flags()], 2, "1000")


if __name__ == "__main__":
    case.main()
