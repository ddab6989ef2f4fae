#!/usr/bin/env python3
"""Every header compiles alone, twice in a row, with gcc and with clang.

One that says in its first lines "Included by FILE only" (or "with their own" macros) is a part of
that file, and is left out.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess

from tidylib import ROOT, Tap, sources, text_of

FLAGS = ['-std=gnu11', '-fsyntax-only', '-Wall', '-Wextra', '-Werror', '-Wno-unused', '-I.',
         '-x', 'c', '-']
PART = re.compile(r'[Ii]ncluded by [\w./]+(?: and [\w./]+)* (?:only|with their own)')


def problem(compiler, header):
    source = f'#include "{header}"\n#include "{header}"\nextern int nothing;\n'
    run = subprocess.run([compiler, *FLAGS], input=source, cwd=ROOT, text=True,
                         capture_output=True, check=False)
    first = next((l for l in run.stderr.splitlines() if 'error:' in l), '?')
    return None if run.returncode == 0 else f'{header}: {first}'


def main():
    tap = Tap()
    headers = [h for h in sources('.h') if not PART.search(text_of(h)[:1000])]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for compiler in ('gcc', 'clang'):
            name = f'every header compiles alone with {compiler}'
            if shutil.which(compiler) is None:
                tap.skip(name, f'{compiler} is not installed')
                continue
            found = pool.map(lambda h, c=compiler: problem(c, h), headers)
            tap.rule(name, [p for p in found if p])
    tap.done()


if __name__ == '__main__':
    main()
