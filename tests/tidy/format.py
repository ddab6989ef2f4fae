#!/usr/bin/env python3
"""The C files are as clang-format makes them; only version 14 is asked, for versions differ."""
import re
import shutil
import subprocess

from tidylib import ROOT, Tap, sources

VERSION = '14'


def formatter():
    for name in (f'clang-format-{VERSION}', 'clang-format'):
        if shutil.which(name):
            said = subprocess.run([name, '--version'], text=True, capture_output=True, check=False)
            if re.search(rf'version {VERSION}\.', said.stdout):
                return name
    return None


def main():
    tap = Tap()
    name = 'the C files are formatted (./dev fmt does it)'
    tool = formatter()
    if tool is None:
        tap.skip(name, f'clang-format {VERSION} is not installed')
    else:
        run = subprocess.run([tool, '--dry-run', '-Werror', *sources()], cwd=ROOT, text=True,
                             capture_output=True, check=False)
        files = {line.split(':')[0] for line in run.stderr.splitlines() if ': error:' in line}
        tap.rule(name, sorted(files) or ([run.stderr] if run.returncode else []))
    tap.done()


if __name__ == '__main__':
    main()
