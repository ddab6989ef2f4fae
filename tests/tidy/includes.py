#!/usr/bin/env python3
"""The include table of the architecture: fails on an edge that is not in it."""
import os
import re

from tidylib import ROOT, Tap, sources, text_of

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
FEATURE = re.compile(r'^\s*#\s*define\s+(_(?:GNU|DEFAULT|BSD|XOPEN|POSIX(?:_C)?)_SOURCE)\b', re.M)

# Who may see whom, beside itself. The longest matching folder counts.
TABLE = {
    'base': (),
    'env': ('base',),
    'engine': ('base', 'env'),
    'raft': ('base', 'env'),
    'net': ('base', 'env'),
    'node': ('base', 'env', 'engine', 'raft', 'net'),
    'fault': ('base', 'env'),
    'sim': ('base', 'env', 'fault'),
    'sim/lin': ('base',),
    'sim/cluster': ('base', 'env', 'fault', 'sim', 'sim/lin', 'engine', 'raft', 'net', 'node'),
    'sim/store': ('base', 'env', 'fault', 'sim', 'engine'),
    'sim/explore': ('base', 'sim', 'raft'),
    'sim/group': ('base', 'env', 'fault', 'sim', 'sim/lin', 'sim/cluster', 'engine', 'raft', 'net',
                  'node'),
    'sim/tool': ('base', 'env', 'fault', 'sim', 'sim/lin', 'sim/cluster', 'sim/group', 'sim/store', 'sim/explore',
                 'engine', 'raft', 'net', 'node'),
    'tests': None,  # everything
    'docs': ('base', 'env', 'sim', 'fault'),  # example programs
}
ABOVE_THE_SEAM = ('base', 'engine', 'raft', 'net', 'node')
# Headers with nothing in them that reads the world, and those of compilers.
HARMLESS = {'inttypes.h', 'limits.h', 'stdarg.h', 'stdatomic.h', 'stdbool.h', 'stddef.h',
            'stdint.h', 'stdio.h', 'stdnoreturn.h', 'string.h', 'arm_acle.h'}


def folder_of(path):
    parts = path.split('/')
    deep = '/'.join(parts[:2])
    return deep if deep in TABLE else parts[0]


def is_posix_side(path):
    """Files that are the real world, or that start a real program."""
    name = os.path.basename(path)
    return (path.startswith('env/env_posix') or path == 'env/ck_posix.c'
            or (path.startswith('node/') and re.match(r'(main|.*_main|main_.*)\.c$', name)))


# Files that bind a library to the real world, and are in none that the simulator runs.
BINDINGS = ('engine/tkv_env.c', 'net/tkvc_env.c')


def main():
    tap = Tap()
    edges, unrooted, posix, headers, features = [], [], [], [], []
    for path in sources():
        text = text_of(path)
        folder = folder_of(path)
        allowed = TABLE[folder]
        seam_side = folder in ABOVE_THE_SEAM or (folder == 'env' and not path.startswith('env/env_posix'))
        for kind, target in INCLUDE.findall(text):
            where = f'{path} includes {target}'
            if kind == '<':
                if seam_side and not is_posix_side(path) and target not in HARMLESS:
                    headers.append(where)
                continue
            if not os.path.isfile(os.path.join(ROOT, target)):
                unrooted.append(f'{where}: not a path from the root of the tree')
                continue
            seen = folder_of(target)
            if allowed is not None and seen != folder and seen not in allowed:
                edges.append(f'{where}: {folder} may not see {seen}')
            if target.startswith('env/env_posix_impl'):
                if not path.startswith('env/env_posix'):
                    posix.append(where)
            elif target.startswith('env/env_posix'):
                if not (is_posix_side(path) or folder in ('sim/tool', 'tests')
                        or path in BINDINGS):
                    posix.append(f'{where}: the world is reached through env.h')
        if FEATURE.search(text) and seam_side and not is_posix_side(path):
            features.append(f'{path} defines {FEATURE.search(text).group(1)}')
    tap.rule('includes are edges of the table', edges)
    tap.rule('includes name a file from the root', unrooted)
    tap.rule('the POSIX Env is seen by programs and tests only', posix)
    tap.rule('above the seam only harmless system headers', headers)
    tap.rule('feature macros in the POSIX files only', features)
    tap.done()


if __name__ == '__main__':
    main()
