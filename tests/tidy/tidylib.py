"""tidylib - what the tidy tests share: the files of the tree, and TAP."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ('base', 'env', 'engine', 'raft', 'net', 'node', 'fault', 'sim', 'tests', 'docs')


def sources(*suffixes):
    """Paths from the root, sorted, of the C files (or those with the given suffixes)."""
    suffixes = suffixes or ('.c', '.h')
    found = []
    for folder in FOLDERS:
        for at, dirs, names in os.walk(os.path.join(ROOT, folder)):
            dirs[:] = sorted(d for d in dirs if not d.startswith('.'))
            found += [os.path.relpath(os.path.join(at, n), ROOT)
                      for n in names if n.endswith(suffixes)]
    return sorted(found)


def text_of(path):
    with open(os.path.join(ROOT, path), encoding='utf-8') as f:
        return f.read()


class Tap:
    """One test a rule; what breaks it is printed before its line."""

    def __init__(self):
        self.count = 0

    def rule(self, name, problems):
        self.count += 1
        for problem in problems:
            print(f'# {problem}')
        print(f'{"not ok" if problems else "ok"} {self.count} - {name}')
        sys.stdout.flush()

    def skip(self, name, reason):
        self.count += 1
        print(f'ok {self.count} - {name} # SKIP {reason}')

    def note(self, text):
        print(f'# {text}')

    def done(self):
        print(f'1..{self.count}')
