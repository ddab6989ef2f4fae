#!/usr/bin/env python3
"""`meson install` gives a library, a header and a pkg-config file, and a program outside the
tree builds against them, shared and static, and runs.

    test_install.py SOURCE_DIR BUILD_DIR
"""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(sys.argv[1], 'tests', 'tidy'))
from tidylib import Tap  # noqa: E402


def run(*command, **more):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, **more)


def problems(done):
    return [] if done.returncode == 0 else done.stdout.splitlines()[-20:] or ['failed']


def remote(tap, source, prefix, root, env):
    """The installed client against the installed node."""
    found = run('pkg-config', '--cflags', '--libs', 'tkvc', env=env)
    program = os.path.join(root, 'remote')
    made = run('cc', '-Wall', '-Wextra', '-Werror', '-o', program,
               os.path.join(source, 'tests', 'install', 'remote.c'), *found.stdout.split())
    tap.rule('a program builds against the client', problems(made))
    node = subprocess.Popen(
        [os.path.join(prefix, 'bin', 'tinykv'), 'serve', '--data', os.path.join(root, 'node'),
         '--listen', '127.0.0.1:0', '--id', '1', '--log-level', 'error'],
        stdout=subprocess.PIPE, text=True)
    try:
        address = node.stdout.readline().split()[-1]
        said = run(program, address, env=dict(env, LD_LIBRARY_PATH=os.path.join(prefix, 'lib')))
        tap.rule('and says what it should',
                 [] if said.stdout == 'hello = world\nvisits = 3\n' else [said.stdout])
    finally:
        node.terminate()
        node.wait(timeout=30)
        node.stdout.close()


def main():
    source, build = sys.argv[1:3]
    tap = Tap()
    for tool in ('pkg-config', 'cc', 'meson', 'strip'):
        if shutil.which(tool) is None:
            tap.skip('install', f'{tool} is not installed')
            tap.done()
            return
    with tempfile.TemporaryDirectory(prefix='tinykv-install-') as root:
        plain = os.path.join(root, 'build')
        prefix = os.path.join(root, 'prefix')
        # a build of its own: the one under test may be instrumented
        made = run('meson', 'setup', plain, source, '--prefix', prefix, '--libdir', 'lib',
                   '-Dbuildtype=release')
        if made.returncode == 0:
            made = run('ninja', '-C', plain, 'engine/libtkv.so.0.1.0', 'engine/libtkv.a',
                       'net/libtkvc.so.0.1.0', 'net/libtkvc.a', 'node/tinykv')
        if made.returncode == 0:
            made = run('meson', 'install', '-C', plain, '--no-rebuild')
        tap.rule('the tree installs', problems(made))
        published = os.path.join(prefix, 'share', 'tinykv', 'tinykv.proto')
        tap.rule('the protocol file is among it',
                 [] if os.path.isfile(published) else [f'there is no {published}'])
        env = dict(os.environ, PKG_CONFIG_PATH=os.path.join(prefix, 'lib', 'pkgconfig'))
        for kind, flags in (('shared', []), ('static', ['--static'])):
            found = run('pkg-config', '--cflags', '--libs', *flags, 'tkv', env=env)
            program = os.path.join(root, kind)
            libs = found.stdout.split()
            if kind == 'static':
                libs = [os.path.join(prefix, 'lib', 'libtkv.a') if x == '-ltkv' else x
                        for x in libs]
            made = run('cc', '-Wall', '-Wextra', '-Werror', '-o', program,
                       os.path.join(source, 'tests', 'install', 'first.c'), *libs)
            tap.rule(f'a program outside the tree builds, {kind}', problems(made))
            said = run(program, os.path.join(root, 'data-' + kind),
                       env=dict(env, LD_LIBRARY_PATH=os.path.join(prefix, 'lib')))
            tap.rule(f'and says what it should, {kind}',
                     [] if said.stdout == 'hello, world\n' else [said.stdout])
        remote(tap, source, prefix, root, env)
        library = os.path.join(prefix, 'lib', 'libtkv.so.0')
        stripped = os.path.join(root, 'stripped')
        run('strip', '-o', stripped, library)
        size = os.path.getsize(stripped)
        tap.note(f'stripped: {size} bytes')
        tap.rule('the stripped library is below 400 KB', [] if size < 400_000 else [str(size)])
        listed = run('nm', '-D', '--defined-only', library).stdout.split()
        foreign = [n for n in listed[2::3] if not n.startswith(('tkv_', 'TKV_'))
                   or n.startswith('tkv_impl_')]
        tap.rule('nothing but tkv_* can be seen from outside', foreign)
        listed = run('nm', '-D', '--defined-only',
                     os.path.join(prefix, 'lib', 'libtkvc.so.0')).stdout.split()
        tap.rule('nor anything but tkvc_* of the client',
                 [n for n in listed[2::3] if not n.startswith(('tkvc_', 'TKVC_'))])
    tap.done()


if __name__ == '__main__':
    main()
