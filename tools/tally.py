#!/usr/bin/env python3
"""tally.py FILE... - print "passed failed skipped", counted over JUnit XML files of meson and pytest."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree


def main(files: list[str]) -> None:
    passed = failed = skipped = 0
    for file in files:
        for case in ElementTree.parse(file).iter("testcase"):
            kinds = {child.tag for child in case}
            if kinds & {"failure", "error"}:
                failed += 1
            elif "skipped" in kinds:
                skipped += 1
            else:
                passed += 1
    print(passed, failed, skipped)


if __name__ == "__main__":
    main(sys.argv[1:])
