#!/usr/bin/env python3
"""Sizes and names: functions, files, stems; says the median where people look for trends."""
import collections
import json
import os
import shutil
import subprocess

from tidylib import ROOT, Tap, sources, text_of

FUNCTION_MAX = 100  # lines, unless the function is marked /* dispatch */ on or above its first line
FILE_MAX = 1500
FILE_LARGE = 800  # listed, not refused


def functions(paths):
    """(path, name, first line, last line) of every function."""
    run = subprocess.run(
        ['ctags', '--output-format=json', '--fields=+ne', '--kinds-c=f', '--languages=C',
         '--langmap=C:.c.h', '-f', '-', '-L', '-'],
        input='\n'.join(paths), cwd=ROOT, text=True, capture_output=True, check=True)
    for line in run.stdout.splitlines():
        tag = json.loads(line)
        if 'end' in tag:
            yield tag['path'], tag['name'], tag['line'], tag['end']


def check_functions(tap, paths):
    name = f'no function is over {FUNCTION_MAX} lines'
    have = shutil.which('ctags') and 'Universal' in subprocess.run(
        ['ctags', '--version'], text=True, capture_output=True, check=False).stdout
    if not have:
        tap.skip(name, 'universal-ctags is not installed')
        return
    problems = []
    by_kind = collections.defaultdict(list)
    for path, function, first, last in functions(paths):
        size = last - first + 1
        by_kind['tests' if path.startswith('tests/') else 'product'].append(size)
        if size > FUNCTION_MAX:
            lines = text_of(path).splitlines()
            if not any('/* dispatch */' in l for l in lines[max(0, first - 3):first + 1]):
                problems.append(f'{path}:{first}: {function} has {size} lines')
    for kind, sizes in sorted(by_kind.items()):
        sizes.sort()
        tap.note(f'{kind}: {len(sizes)} functions, median {sizes[len(sizes) // 2]}, 95th '
                 f'percentile {sizes[len(sizes) * 95 // 100]}, largest {sizes[-1]} lines')
    tap.rule(name, problems)


def check_files(tap, paths):
    problems = []
    for path in paths:
        lines = text_of(path).count('\n')
        if lines > FILE_MAX:
            problems.append(f'{path} has {lines} lines')
        elif lines > FILE_LARGE:
            tap.note(f'large: {path} has {lines} lines')
    tap.rule(f'no file is over {FILE_MAX} lines', problems)


def check_stems(tap, paths):
    places = collections.defaultdict(set)
    for path in paths:
        places[os.path.splitext(os.path.basename(path))[0]].add(os.path.dirname(path))
    tap.rule('file stems are unique in the tree',
             [f'{stem} is in {", ".join(sorted(p))}' for stem, p in sorted(places.items())
              if len(p) > 1 and stem != 'main'])  # a program's main exports nothing


def check_text(tap, paths):
    problems = []
    for path in paths:
        text = text_of(path)
        for i, line in enumerate(text.splitlines(), 1):
            if '\t' in line or line != line.rstrip():
                problems.append(f'{path}:{i}: a tab, or space at the end of the line')
        if not text.endswith('\n') or text.endswith('\n\n'):
            problems.append(f'{path}: must end in one newline')
    tap.rule('no tabs, no space at line ends, one newline at the end', problems)


def main():
    tap = Tap()
    paths = sources()
    check_functions(tap, paths)
    check_files(tap, paths)
    check_stems(tap, paths)
    check_text(tap, paths)
    tap.done()


if __name__ == '__main__':
    main()
