#!/usr/bin/env python3
"""The tables of our codec are what the .proto files say: every message, field, number, type and
label, and the C enums. The files are read by a small parser; where protoc is installed it is asked
too, so that the parser cannot be wrong in our favour.

    proto.py PBTOOL
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from tidylib import ROOT, Tap, text_of

PROTOS = ('net/tinykv.proto', 'tests/net/pbtest.proto')
NO_TABLE = {'Unpacked'}  # see pbtest.proto
SCALARS = set('int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64 bool string '
              'bytes'.split())
# prefix of C's names, and what is cut off the .proto's
HEADERS = {'net/pbmsg.h': ('PBMSG_', ''), 'net/peermsg.h': ('PEERMSG_', 'PEER_'),
           'tests/net/pbtest.h': ('PBTEST_', '')}


def parse(text):
    """(messages, enums): {message: [(name, number, type, label)]}, {enum: {value name: number}}"""
    text = re.sub(r'//[^\n]*', '', text)
    tokens = re.findall(r'"[^"]*"|[\w.]+|-?\d+|[{}=;\[\]-]', text)
    messages, enums = {}, {}
    at = 0
    message = enum = None
    oneof = False
    while at < len(tokens):
        word = tokens[at]
        if word in ('syntax', 'package'):
            at = tokens.index(';', at) + 1
        elif word in ('message', 'enum') and tokens[at + 2] == '{':
            if word == 'message':
                message = messages.setdefault(tokens[at + 1], [])
            else:
                enum = enums.setdefault(tokens[at + 1], {})
            at += 3
        elif word == 'oneof':
            oneof = True
            at += 3
        elif word == '}':
            if oneof:
                oneof = False
            else:
                message = enum = None
            at += 1
        elif enum is not None:
            end = tokens.index(';', at)
            enum[word] = int(''.join(tokens[at + 2:end]))
            at = end + 1
        else:
            end = tokens.index(';', at)
            label = 'oneof' if oneof else 'plain'
            if word in ('optional', 'repeated'):
                label = word
                at += 1
            message.append((tokens[at + 1], int(tokens[at + 3]), tokens[at], label))
            at = end + 1
    return messages, enums


def row(enums, field):
    """A field as pbtool prints it."""
    name, number, kind, label = field
    if kind in SCALARS:
        sub = '-'
    elif kind in enums:
        kind, sub = 'enum', '-'
    else:
        kind, sub = 'message', kind
        label = 'optional' if label == 'plain' else label
    return f'{name} {number} {kind} {label} {sub}'


def tables(pbtool):
    run = subprocess.run([pbtool, 'tables'], text=True, capture_output=True, check=True)
    found = {}
    for line in run.stdout.splitlines():
        name, _, rest = line.partition(' ')
        found.setdefault(name, [])
        if rest:
            found[name].append(rest)
    return found


def compare_tables(want, have):
    problems = [f'there is no table for {name}' for name in want if name not in have]
    problems += [f'there is no message {name} in the .proto files' for name in have
                 if name not in want]
    for name in sorted(set(want) & set(have)):
        if sorted(want[name]) != sorted(have[name]):
            problems += [f'{name}: the file has {r}' for r in want[name] if r not in have[name]]
            problems += [f'{name}: the table has {r}' for r in have[name] if r not in want[name]]
    return problems


def c_enums(path):
    return {name: int(value) for name, value in
            re.findall(r'^    (P[A-Z]+_\w+) = (-?\d+),', text_of(path), re.M)}


def compare_enums(protos):
    problems = []
    for header, (prefix, cut) in HEADERS.items():
        have = c_enums(header)
        text = protos['tests/net/pbtest.proto' if 'pbtest' in header else 'net/tinykv.proto'][1]
        want = {}
        for enum, values in text.items():
            if header.startswith('tests') or enum.startswith('Peer') == bool(cut):
                want.update({prefix + v[len(cut):]: n for v, n in values.items()})
        messages = protos['net/tinykv.proto'][0]
        if not header.startswith('tests'):
            members = messages['PeerMessage' if cut else 'Request']
            want.update({prefix + name.upper(): number for name, number, _, label in members
                         if label == 'oneof'})
            want[prefix + 'NONE'] = 0
        problems += [f'{header} lacks {n} = {v}' for n, v in want.items() if have.get(n) != v]
        problems += [f'{header} has {n} = {v}' for n, v in have.items() if want.get(n) != v]
    return problems


def compare_results(messages):
    """A result has the number of its operation, also inside a batch."""
    ops = {n: i for n, i, _, label in messages['Request'] if label == 'oneof'}
    problems = []
    for name in ('Response', 'Op', 'OpResult'):
        problems += [f'{name}.{n} = {i}, but the operation has {ops.get(n)}'
                     for n, i, _, label in messages[name] if label == 'oneof' and ops.get(n) != i]
    missing = set(ops) - {n for n, _, _, _ in messages['Response']}
    return problems + [f'there is no result for {n}' for n in sorted(missing)]


def protoc_says(path, messages):
    """The same rows from protoc's own descriptor, decoded with protoc as text."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, 'set')
        made = subprocess.run(['protoc', f'--descriptor_set_out={out}', '-I', os.path.dirname(path),
                               path], cwd=ROOT, text=True, capture_output=True, check=False)
        if made.returncode != 0:
            return [made.stderr]
        with open(out, 'rb') as f:
            said = subprocess.run(['protoc', '-I/usr/include',
                                   '--decode=google.protobuf.FileDescriptorSet',
                                   'google/protobuf/descriptor.proto'],
                                  stdin=f, text=True, capture_output=True, check=False)
    if said.returncode != 0:
        return None  # without libprotobuf-dev protoc cannot decode its own set: the rest holds
    want = {}
    message = None
    for block in re.split(r'\n  (?=message_type|enum_type)', said.stdout):
        if not block.startswith('message_type'):
            continue
        message = re.search(r'\n    name: "(\w+)"', block).group(1)
        fields = re.findall(r'\n    field \{\n(.*?)\n    \}', block, re.S)
        want[message] = [descriptor_row(f) for f in fields]
    have = {name: [(n, i, k.split('.')[-1], label) for n, i, k, label in fields]
            for name, fields in messages.items()}
    return [f'{name}: protoc says {want.get(name)}, the parser {have[name]}' for name in have
            if want.get(name) != have[name]]


def descriptor_row(text):
    def value(key):
        m = re.search(rf'^ +{key}: "?([^"\n]+)', text, re.M)
        return m.group(1) if m else None
    kind = value('type')[5:].lower()
    if kind in ('message', 'enum'):
        kind = value('type_name').split('.')[-1]
    label = 'plain'
    if value('label') == 'LABEL_REPEATED':
        label = 'repeated'
    elif value('proto3_optional'):
        label = 'optional'
    elif value('oneof_index'):
        label = 'oneof'
    return value('name'), int(value('number')), kind, label


def main():
    tap = Tap()
    have = tables(sys.argv[1])
    protos = {path: parse(text_of(path)) for path in PROTOS}
    want = {}
    for messages, enums in protos.values():
        want.update({name: [row(enums, f) for f in fields] for name, fields in messages.items()
                     if name not in NO_TABLE})
    tap.note(f'{len(want)} messages, {sum(map(len, want.values()))} fields')
    tap.rule('tables are what the .proto files say', compare_tables(want, have))
    tap.rule('so are the enums', compare_enums(protos))
    tap.rule('results have the numbers of their operations',
             compare_results(protos['net/tinykv.proto'][0]))
    for path, (messages, _) in protos.items():
        name = f'protoc reads {path} as we do'
        if shutil.which('protoc') is None:
            tap.skip(name, 'protoc is not installed')
            continue
        problems = protoc_says(path, messages)
        if problems is None:
            tap.skip(name, 'protoc has no descriptor.proto')
        else:
            tap.rule(name, problems)
    tap.done()


if __name__ == '__main__':
    main()
