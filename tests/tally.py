#!/usr/bin/env python3
"""Adds up meson test logs (testlog.json) by subtest, and prints one closing line.

    tally.py [--label TEXT] [--allow-skips FILE] [--append FILE] [--failures FILE] LOG...
    tally.py [--label TEXT] [--append FILE] [--failures FILE] --output FILE --status CODE
    tally.py --sum FILE

The second form reads what a script printed: its own closing line, or else TAP, or else the exit
code alone counts as one test. A TAP program counts each of its tests; one that died or printed no
plan counts one failure more; a test without TAP counts one. With --allow-skips a skip is a failure
unless a line `regex : reason` of the file matches `<meson test> <subtest> <reason>`. --append adds
the three numbers to a file as a line, which --sum adds up; --failures adds what failed, and what it
said, to another. Exit code: 0 nothing failed, 1 something did.
"""
import argparse
import json
import re
import sys

SUBTEST = re.compile(r'^(not ok|ok)\b\s*\d*\s*-?\s*(.*?)(?:\s+#\s*(SKIP|TODO)\b\s*(.*))?$', re.I)

CLOSING = re.compile(r'^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$', re.M)
DIAGNOSTICS = 20  # lines shown of what a failed test said


def read_allowed(path):
    """The patterns of a skip list; a line without a reason is an error."""
    patterns = []
    with open(path, encoding='utf-8') as lines:
        for line in lines:
            line = line.strip()
            if line and not line.startswith('#'):
                pattern, colon, reason = line.partition(' : ')
                if not colon or not reason.strip():
                    sys.exit(f'{path}: no reason given for: {line}')
                patterns.append(re.compile(pattern))
    return patterns


class Tally:
    def __init__(self, allowed):
        self.allowed = allowed
        self.passed, self.failed, self.skipped = 0, 0, 0
        self.notes = []

    def skip(self, what):
        if self.allowed is not None and not any(p.search(what) for p in self.allowed):
            self.failed += 1
            self.notes.append(f'skipped without leave: {what}')
        else:
            self.skipped += 1

    def fail(self, what, lines=()):
        self.failed += 1
        self.notes.append(f'failed: {what}')
        self.notes += [f'    {line}' for line in lines]

    def add_tap(self, name, text):
        """Counts the TAP lines of a text; returns how many there were, and how many failed."""
        bad = 0
        seen = 0
        said = []  # the diagnostics that come before a result belong to it
        for line in text.splitlines():
            m = SUBTEST.match(line)
            if m is None:
                said += [line] if line.startswith('#') else []
                continue
            seen += 1
            before, said = said[-DIAGNOSTICS:], []
            ok, sub, directive, reason = m.groups()
            if directive and directive.upper() == 'SKIP' and ok == 'ok':
                self.skip(f'{name} {sub} {reason}')
            elif ok == 'ok':
                self.passed += 1
            else:
                bad += 1
                self.fail(f'{name}: {sub}', before)
        return seen, bad

    def add_output(self, name, text, status):
        """What a script printed, and the exit code it gave."""
        closing = CLOSING.findall(text)
        if closing:
            passed, failed, skipped = (int(n or 0) for n in closing[-1])
            self.passed += passed
            self.skipped += skipped
            for _ in range(failed):
                self.fail(name)
            seen, bad = 1, failed
        else:
            seen, bad = self.add_tap(name, text)
        if status != 0 and bad == 0:
            self.fail(f'{name}: exit code {status}')
        elif seen == 0:
            self.passed += 1

    def add(self, test):
        name, result = test['name'], test['result']
        seen, bad = self.add_tap(name, test.get('stdout') or '')
        if result in ('OK', 'EXPECTEDFAIL'):
            self.passed += seen == 0
        elif result == 'SKIP':
            if seen == 0:
                self.skip(f'{name} as a whole')
        elif bad == 0:
            last = (test.get('stdout') or '').splitlines() + (test.get('stderr') or '').splitlines()
            self.fail(f'{name}: {result} (exit code {test.get("returncode")})', last[-DIAGNOSTICS:])


def closing_line(passed, failed, skipped):
    return f'{passed} passed, {failed} failed' + (f', {skipped} skipped' if skipped else '')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--label', default='')
    parser.add_argument('--allow-skips')
    parser.add_argument('--append')
    parser.add_argument('--failures')
    parser.add_argument('--sum')
    parser.add_argument('--output')
    parser.add_argument('--status', type=int, default=0)
    parser.add_argument('logs', nargs='*')
    args = parser.parse_args()
    if args.sum:
        with open(args.sum, encoding='utf-8') as lines:
            rows = [[int(n) for n in line.split()[:3]] for line in lines if line.strip()]
        totals = [sum(column) for column in zip(*rows)] if rows else [0, 0, 0]
        print(closing_line(*totals))
        return 1 if totals[1] or not totals[0] else 0
    tally = Tally(read_allowed(args.allow_skips) if args.allow_skips else None)
    if args.output:
        with open(args.output, encoding='utf-8', errors='replace') as text:
            tally.add_output(args.label, text.read(), args.status)
    for log in args.logs:
        with open(log, encoding='utf-8') as lines:
            for line in lines:
                tally.add(json.loads(line))
    for note in tally.notes:
        print(note)
    if args.failures and tally.notes:
        with open(args.failures, 'a', encoding='utf-8') as out:
            out.writelines(f'{args.label}: {note}\n' for note in tally.notes)
    if args.append:
        with open(args.append, 'a', encoding='utf-8') as out:
            out.write(f'{tally.passed} {tally.failed} {tally.skipped} {args.label}\n')
    print((args.label + ': ' if args.label else '') +
          closing_line(tally.passed, tally.failed, tally.skipped))
    return 1 if tally.failed or not tally.passed else 0


if __name__ == '__main__':
    sys.exit(main())
