"""Tests of a service group: one group for all of a class, `group` there."""

import os
import sys
import unittest

import case
import lab
import takeover


class GroupCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
        cls.directory = lab.Directory(case.directory_of(name))
        cls.addClassCleanup(cls.directory.remove)
        cls.group = takeover.Group(cls.directory)
        cls.group.__enter__()
        cls.addClassCleanup(cls.group.close)
