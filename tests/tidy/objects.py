#!/usr/bin/env python3
"""What the libraries above the seam are made of, read from the object files of a release build
without instrumentation: no call into libc beyond an allow-list, nothing writable, and exported
names that begin with the stem of their file.

    objects.py BUILD_ROOT     keeps its build in BUILD_ROOT/tidy-objects
"""
import json
import os
import re
import shutil
import subprocess
import sys

from tidylib import ROOT, Tap

FOLDERS = ('base', 'env', 'engine', 'raft', 'net', 'node')
REAL_WORLD = ('env_posix', 'ck_posix', 'tkv', 'tkvc')  # libraries of these folders that are the other side

ALLOWED = set('''
    memcpy memmove memset memcmp memchr strlen strcmp strncmp strchr strrchr strstr strspn strcspn
    snprintf vsnprintf ck_fail _GLOBAL_OFFSET_TABLE_ __stack_chk_fail
    __memcpy_chk __memmove_chk __memset_chk __snprintf_chk __vsnprintf_chk
'''.split())

# A stem whose exports begin with another word than itself, and why that is right.
PREFIXES = {
    'tkv': 'the public header',
}


def run(*command, cwd=ROOT):
    return subprocess.run(command, cwd=cwd, text=True, capture_output=True, check=False)


def build(directory):
    """The static libraries above the seam as (name, path); exits when they do not build."""
    environment = {k: v for k, v in os.environ.items() if k not in ('CC', 'CFLAGS', 'LDFLAGS')}
    os.environ.clear()
    os.environ.update(environment)
    made = os.path.isfile(os.path.join(directory, 'build.ninja'))
    setup = run('meson', 'setup', *(['--reconfigure'] if made else []), directory,
                '-Dbuildtype=release')
    if setup.returncode != 0:
        sys.exit(f'Bail out! meson setup: {setup.stdout[-2000:]}')
    targets = json.loads(run('meson', 'introspect', directory, '--targets').stdout)
    libraries = []
    for target in targets:
        folder = os.path.relpath(os.path.dirname(target['defined_in']), ROOT)
        if (target['type'] == 'static library' and folder in FOLDERS
                and target['name'] not in REAL_WORLD):
            libraries.append((target['name'], target['filename'][0]))
    ninja = run('ninja', *(os.path.relpath(path, directory) for _, path in libraries),
                cwd=directory)
    if ninja.returncode != 0:
        sys.exit(f'Bail out! ninja: {ninja.stdout[-2000:]}')
    return libraries


def symbols(library):
    """(object file, type letter, name) of every symbol."""
    member = '?'
    for line in run('nm', '-P', library).stdout.splitlines():
        m = re.match(r'^.*\[(.*)\]:$', line)
        if m:
            member = os.path.basename(m.group(1))
        elif line:
            name, kind = line.split()[:2]
            yield member, kind, name


def writable_sections(library):
    """(object file, section, size) of what could be written to at run time."""
    member = '?'
    for line in run('readelf', '-S', '-W', library).stdout.splitlines():
        m = re.match(r'^File: .*[(\[](.*)[)\]]$', line)
        if m:
            member = os.path.basename(m.group(1))
            continue
        m = re.match(r'^\s*\[\s*\d+\]\s+(\S+)\s+\S+\s+\S+\s+\S+\s+(\S+)\s+\S+\s+([A-Za-z]*)\s', line)
        if m and 'W' in m.group(3) and 'A' in m.group(3) and int(m.group(2), 16) > 0 \
                and not m.group(1).startswith('.data.rel.ro'):
            yield member, m.group(1), int(m.group(2), 16)


def stem_of(member):
    return re.sub(r'(\.c)?\.o$', '', os.path.basename(member))


def main():
    tap = Tap()
    if shutil.which('readelf') is None or shutil.which('nm') is None:
        tap.skip('objects', 'binutils are not installed')
        tap.done()
        return
    libraries = build(os.path.join(os.path.abspath(sys.argv[1]), 'tidy-objects'))
    tap.note('libraries: ' + ' '.join(name for name, _ in libraries))
    rows = [(name, *row) for name, path in libraries for row in symbols(path)]
    defined = {symbol for _, _, kind, symbol in rows if kind in 'TDBRVWC'}
    foreign = sorted({f'{lib}: {member} needs {symbol}' for lib, member, kind, symbol in rows
                      if kind == 'U' and symbol not in defined and symbol not in ALLOWED})
    written = sorted({f'{name}: {member} has {size} bytes in {section}'
                      for name, path in libraries
                      for member, section, size in writable_sections(path)})
    names = sorted({f'{lib}: {member} exports {symbol}' for lib, member, kind, symbol in rows
                    if kind in 'TDBRVWC'
                    and not symbol.startswith(stem_of(member) + '_')
                    and symbol != stem_of(member)
                    and not any(symbol.startswith(p + '_') for p in PREFIXES)})
    tap.rule('there are libraries to look at',
             [] if len(libraries) >= 2 and len(defined) > 20 else ['none found'])
    tap.rule('no symbol is needed beyond the allow-list', foreign)
    tap.rule('nothing is writable', written)
    tap.rule('exports begin with the stem of their file', names)
    tap.done()


if __name__ == '__main__':
    main()
