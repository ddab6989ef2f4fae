#!/usr/bin/env python3
"""The tally itself: a count that cannot fail would hide everything else."""
import json
import os
import subprocess
import sys
import tempfile

from tidylib import ROOT, Tap

TALLY = os.path.join(ROOT, 'tests', 'tally.py')


def run(*args):
    done = subprocess.run([sys.executable, TALLY, *args], text=True, capture_output=True,
                          check=False)
    return done.returncode, (done.stdout.splitlines() or [''])[-1]


def test(name, result, stdout='', code=0):
    return json.dumps({'name': name, 'result': result, 'stdout': stdout, 'returncode': code})


CASES = (
    ('all well', [test('a', 'OK', 'ok 1 - x\nok 2 - y\n1..2\n')], (0, '2 passed, 0 failed')),
    ('one failure', [test('a', 'FAIL', 'ok 1 - x\nnot ok 2 - y\n1..2\n', 1)],
     (1, '1 passed, 1 failed')),
    ('died after its tests', [test('a', 'ERROR', 'ok 1 - x\n', -6)], (1, '1 passed, 1 failed')),
    ('timed out', [test('a', 'TIMEOUT')], (1, '0 passed, 1 failed')),
    ('no TAP', [test('a', 'OK'), test('b', 'FAIL', '', 1)], (1, '1 passed, 1 failed')),
    ('a skip', [test('a', 'OK', 'ok 1 - x # SKIP no such thing\nok 2 - y\n')],
     (0, '1 passed, 0 failed, 1 skipped')),
    ('a failure that says skip', [test('a', 'FAIL', 'not ok 1 - x # SKIP no\n')],
     (1, '0 passed, 1 failed')),
    ('nothing ran', [], (1, '0 passed, 0 failed')),
)


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        def write(name, text):
            path = os.path.join(folder, name)
            with open(path, 'w', encoding='utf-8') as f:
                f.write(text)
            return path

        for name, lines, want in CASES:
            got = run(write('log', '\n'.join(lines) + '\n' if lines else ''))
            tap.rule(f'tally: {name}', [] if got == want else [f'{got}, not {want}'])

        log = write('log', test('t', 'OK', 'ok 1 - x # SKIP no such thing\n') + '\n')
        rows = os.path.join(folder, 'rows')
        got = run('--allow-skips', write('leave', 't x no such : because\n'), '--append', rows, log)
        tap.rule('tally: a skip with leave', [] if got[1] == '0 passed, 0 failed, 1 skipped' else [got])
        got = run('--allow-skips', write('leave', 'u x : because\n'), '--append', rows, log)
        tap.rule('tally: a skip without leave', [] if got == (1, '0 passed, 1 failed') else [got])
        got = run('--allow-skips', write('leave', 't x\n'), log)
        tap.rule('tally: leave without a reason', [] if got[0] != 0 else [got])
        script = write('out', 'text\n12 passed, 0 failed, 3 skipped\n')
        got = run('--output', script, '--status', '0', '--append', rows)
        tap.rule('tally: a script with a closing line',
                 [] if got == (0, '12 passed, 0 failed, 3 skipped') else [got])
        got = run('--output', script, '--status', '1')
        tap.rule('tally: a script that failed all the same',
                 [] if got == (1, '12 passed, 1 failed, 3 skipped') else [got])
        got = run('--sum', rows)
        tap.rule('tally: the sum', [] if got == (1, '12 passed, 1 failed, 4 skipped') else [got])
    tap.done()


if __name__ == '__main__':
    main()
