#!/usr/bin/env python3
"""Our protobuf codec against the real one: protoc's classes and the runtime of python3-protobuf.

    test_pb.py PBTOOL SOURCE_DIR        PB_ROUNDS=N: messages of a kind (default 3000); PB_SEED=S

Messages are made at random on either side and read on the other: bytes must be the same, and so
must the value of every field. Then bytes that neither side would write: lists one by one, unknown
fields, messages joined and split, nesting, and damage of every kind. Both sides must refuse the
same of it, but for numbers with more bits than their type: there we are stricter (net/pb.h).
"""
import contextlib
import os
import random
import struct
import subprocess
import sys
import tempfile
import warnings

SYSTEM_PYTHON = '/usr/bin/python3'  # Debian's packages are installed for this one
STRICTER = b'a number is longer than its type allows'

try:
    import google.protobuf
    from google.protobuf.descriptor import FieldDescriptor as F
    from google.protobuf.message import DecodeError
except ImportError:
    if os.access(SYSTEM_PYTHON, os.X_OK) and os.path.realpath(sys.executable) != \
            os.path.realpath(SYSTEM_PYTHON):
        os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv])
    print('ok 1 - protobuf # SKIP python3-protobuf is not installed\n1..1')
    sys.exit(0)

sys.path.insert(0, os.path.join(sys.argv[2], 'tests', 'tidy'))
from tidylib import Tap  # noqa: E402

ROUNDS = int(os.environ.get('PB_ROUNDS', '3000'))
SEED = int(os.environ.get('PB_SEED', '1'))
ROOTS = ('Request', 'Response', 'PeerMessage', 'Kinds', 'Tree', 'Old')
EDGES = (0, 1, 127, 128, 2**14 - 1, 2**14, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63,
         2**64 - 1, 2**64 - 2**31)
TEXT = ('', 'a', 'testing', '\x00', '\x7f', '\x80', '\u07ff', '\u0800', '\ud7ff', '\ue000', '\uffff',
        '\U00010000', '\U0010ffff', 'é' * 40, 'x' * 200)
INTEGERS = {F.TYPE_INT32: (32, True), F.TYPE_SINT32: (32, True), F.TYPE_SFIXED32: (32, True),
            F.TYPE_INT64: (64, True), F.TYPE_SINT64: (64, True), F.TYPE_SFIXED64: (64, True),
            F.TYPE_UINT32: (32, False), F.TYPE_FIXED32: (32, False), F.TYPE_UINT64: (64, False),
            F.TYPE_FIXED64: (64, False), F.TYPE_ENUM: (32, True)}


# ---- the real thing ----

def load_classes(source):
    with tempfile.TemporaryDirectory(prefix='tinykv-pb-') as folder:
        for path in ('net/tinykv.proto', 'tests/net/pbtest.proto'):
            subprocess.run(['protoc', f'--python_out={folder}',
                            '-I', os.path.join(source, os.path.dirname(path)),
                            os.path.join(source, path)], check=True)
        sys.path.insert(0, folder)
        sys.dont_write_bytecode = True
        import pbtest_pb2
        import tinykv_pb2
        sys.path.pop(0)
    classes = {}
    for module in (pbtest_pb2, tinykv_pb2):
        for name in module.DESCRIPTOR.message_types_by_name:
            classes[name] = getattr(module, name)
    return classes


def dump_value(field, value):
    if field.type == F.TYPE_MESSAGE:
        return '{' + dump(value) + '}'
    if field.type == F.TYPE_STRING:
        return value.encode('utf-8').hex()
    if field.type == F.TYPE_BYTES:
        return value.hex()
    return str(int(value))


def dump(message):
    """As tests/net/pbdump.h."""
    parts = []
    for field, value in message.ListFields():
        text = ('[' + ','.join(dump_value(field, v) for v in value) + ']'
                if field.label == F.LABEL_REPEATED else dump_value(field, value))
        parts.append(f'{field.name}={text};')
    return ''.join(parts)


def canonical(message):
    message.DiscardUnknownFields()
    return message.SerializeToString(deterministic=True)


def read(cls, data):
    """The message that the reference reads; None: it refuses. Where the runtime only warns that it
    has not read to the end (field number 0, the end of a group), C++'s ParseFromString refuses."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        try:
            message = cls.FromString(data)
        except DecodeError:
            return None
    return None if said else message


@contextlib.contextmanager
def quiet():
    """The runtime prints a line for every string that is no UTF-8."""
    saved = os.dup(2)
    with open(os.devnull, 'wb') as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


# ---- random messages ----

def random_value(g, field, depth):
    if field.type in INTEGERS:
        bits, signed = INTEGERS[field.type]
        v = g.choice(EDGES) if g.random() < 0.5 else g.getrandbits(g.randint(1, 64))
        v %= 2**bits
        return v - 2**bits if signed and v >= 2**(bits - 1) else v
    if field.type == F.TYPE_BOOL:
        return g.random() < 0.5
    if field.type == F.TYPE_STRING:
        return g.choice(TEXT)
    if field.type == F.TYPE_BYTES:
        return g.randbytes(g.choice((0, 1, 3, 20, 130, 300)))
    raise AssertionError(field.type)


def fill(g, message, depth=0):
    """Sets each field with some probability; of a oneof, the last one set stays."""
    dense = g.choice((0.1, 0.3, 0.8))
    for field in message.DESCRIPTOR.fields:
        if g.random() > (dense if field.containing_oneof is None else dense / 3):
            continue
        if field.label == F.LABEL_REPEATED:
            target = getattr(message, field.name)
            for _ in range(g.choice((1, 2, 5, 33))):
                if field.type != F.TYPE_MESSAGE:
                    target.append(random_value(g, field, depth))
                elif depth < 3 and len(target) < 5:
                    fill(g, target.add(), depth + 1)
        elif field.type == F.TYPE_MESSAGE:
            if depth < 3:
                getattr(message, field.name).SetInParent()
                fill(g, getattr(message, field.name), depth + 1)
        else:
            setattr(message, field.name, random_value(g, field, depth))
    return message


# ---- our codec ----

def strings(data):
    at = 0
    while at < len(data):
        size, = struct.unpack_from('<I', data, at)
        yield data[at + 4:at + 4 + size]
        at += 4 + size


def triples(data):
    items = list(strings(data))
    assert len(items) % 3 == 0
    return list(zip(items[0::3], items[1::3], items[2::3]))


def string(data):
    return struct.pack('<I', len(data)) + data


def exchange(pbtool, cases):
    """[(name, bytes)] to [(verdict, bytes or fault, dump or error)]"""
    data = b''.join(string(name.encode()) + string(data) for name, data in cases)
    run = subprocess.run([pbtool, 'exchange'], input=data, capture_output=True, check=False)
    if run.returncode != 0:
        raise SystemExit(f'Bail out! pbtool ended with {run.returncode}: {run.stderr[-500:]}')
    answers = triples(run.stdout)
    assert len(answers) == len(cases)
    return answers


def compare(classes, cases, answers, may_differ=False):
    """Problems, and how many were taken, refused, and refused by us alone."""
    problems, counts = [], [0, 0, 0]
    for (name, data), (verdict, written, text) in zip(cases, answers):
        message = read(classes[name], data)
        place = f'{name} {data.hex()[:300]}'
        if verdict != b'ok':
            alone = message is not None
            counts[1 + alone] += 1
            if alone and not (may_differ and written == STRICTER):
                problems.append(f'{place}: refused ({text.decode()}), the reference takes it')
        elif message is None:
            problems.append(f'{place}: taken, the reference refuses it')
        else:
            counts[0] += 1
            want = canonical(message)
            if dump(message) != text.decode():
                problems.append(f'{place}: means {text.decode()}, and to the reference '
                                f'{dump(message)}')
            elif want != written:
                problems.append(f'{place}: written as {written.hex()}, by the reference as '
                                f'{want.hex()}')
    return problems[:20], counts


# ---- bytes that nobody writes ----

def varint(v, longer=0):
    out = bytearray()
    while v >= 0x80:
        out.append(v & 0x7f | 0x80)
        v >>= 7
    out.append(v)
    for _ in range(longer):
        out[-1] |= 0x80
        out.append(0)
    return bytes(out)


def unknown_field(g, depth=0):
    number = g.choice((100, 127, 5000, 2**29 - 2))
    wire = g.choice((0, 1, 2, 3, 5) if depth < 4 else (0, 1, 2, 5))
    tag = varint(number << 3 | wire)
    if wire == 0:
        return tag + varint(g.getrandbits(g.randint(1, 64)), g.choice((0, 0, 1)) if g.random() < .1
                            else 0)
    if wire in (1, 5):
        return tag + g.randbytes(8 if wire == 1 else 4)
    if wire == 2:
        size = g.choice((0, 1, 130))
        return tag + varint(size) + g.randbytes(size)
    inner = b''.join(unknown_field(g, depth + 1) for _ in range(g.randint(0, 3)))
    return tag + inner + varint(number << 3 | 4)


def fields_of(data):
    """Cuts a message that the reference wrote into its fields."""
    at, fields = 0, []
    while at < len(data):
        start = at
        tag, at = get_varint(data, at)
        if tag & 7 == 0:
            _, at = get_varint(data, at)
        elif tag & 7 == 2:
            size, at = get_varint(data, at)
            at += size
        else:
            at += 8 if tag & 7 == 1 else 4
        fields.append(data[start:at])
    return fields


def get_varint(data, at):
    v = shift = 0
    while True:
        v |= (data[at] & 0x7f) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return v, at


def disorder(g, cls):
    """Fields of several messages, in any order, some twice, with unknown ones between."""
    fields = []
    for _ in range(g.randint(1, 3)):
        fields += fields_of(fill(g, cls()).SerializeToString(deterministic=True))
    fields += g.choices(fields, k=g.randint(0, 3)) if fields else []
    fields += [unknown_field(g) for _ in range(g.randint(0, 4))]
    g.shuffle(fields)
    return b''.join(fields)


def damage(g, data):
    data = bytearray(data)
    for _ in range(g.choice((1, 1, 1, 2, 5))):
        if not data:
            return g.randbytes(g.randint(0, 12))
        at = g.randrange(len(data))
        how = g.randrange(7)
        if how == 0:
            data[at] ^= 1 << g.randrange(8)
        elif how == 1:
            data[at] = g.choice((0, 1, 0x7f, 0x80, 0xff, g.randrange(256)))
        elif how == 2:
            del data[at:at + g.randint(1, 3)]
        elif how == 3:
            data[at:at] = g.randbytes(g.randint(1, 3))
        elif how == 4:
            del data[at:]
        elif how == 5:
            other = g.randrange(len(data))
            data[at:at] = data[other:other + g.randint(1, 30)]
        else:
            data[at:at + 1] = varint(data[at], g.randint(1, 10))
    return bytes(data)


def nested(messages, groups):
    """Groups inside messages inside a Tree."""
    data = varint(100 << 3 | 3) * groups + varint(100 << 3 | 4) * groups
    for _ in range(messages):
        data = b'\x12' + varint(len(data)) + data
    return data


# ---- tests ----

def test_ours(tap, pbtool, classes):
    run = subprocess.run([pbtool, 'random', str(SEED), str(2 * ROUNDS)], capture_output=True,
                         check=True)
    problems = []
    for name, data, text in triples(run.stdout):
        message = read(classes[name.decode()], data)
        if message is None:
            problems.append(f'{name} {data.hex()}: refused by the reference')
        elif dump(message) != text.decode():
            problems.append(f'{name} {data.hex()}: {text.decode()} is read as {dump(message)}')
        elif message.SerializeToString(deterministic=True) != data:
            problems.append(f'{name} {data.hex()}: is written otherwise by the reference')
    tap.rule(f'{2 * ROUNDS} messages of ours are read and written by the reference', problems[:20])


def rule(tap, name, pbtool, classes, cases, may_differ=False):
    answers = exchange(pbtool, cases)
    with quiet():
        problems, (taken, refused, alone) = compare(classes, cases, answers, may_differ)
    tap.note(f'{taken} taken, {refused} refused by both, {alone} by us alone')
    tap.rule(f'{len(cases)} {name}', problems)
    return taken, refused


def main():
    pbtool, source = sys.argv[1:3]
    tap = Tap()
    try:
        classes = load_classes(source)
    except FileNotFoundError:
        tap.skip('protobuf', 'protobuf-compiler is not installed')
        tap.done()
        return
    g = random.Random(SEED)
    tap.note(f'protobuf {google.protobuf.__version__}, seed {SEED}')
    test_ours(tap, pbtool, classes)
    made = [(name, fill(g, classes[name]()).SerializeToString(deterministic=True))
            for name in ROOTS for _ in range(ROUNDS // 3)]
    rule(tap, 'messages of the reference are read and written by us', pbtool, classes, made)
    rule(tap, 'lists that are not packed', pbtool, classes,
         [('Kinds', fill(g, classes['Unpacked']()).SerializeToString()) for _ in range(ROUNDS // 3)])
    rule(tap, 'new messages read by an old table', pbtool, classes,
         [('Old', data) for name, data in made if name == 'Kinds'])
    rule(tap, 'messages out of order, merged, with unknown fields', pbtool, classes,
         [(name, disorder(g, classes[name])) for name in ROOTS for _ in range(ROUNDS // 3)])
    taken, refused = rule(
        tap, 'damaged messages', pbtool, classes,
        [(name, damage(g, data)) for name, data in made for _ in range(4)], may_differ=True)
    tap.rule('damage is neither always fatal nor never',
             [] if min(taken, refused) > ROUNDS // 10 else [f'{taken} {refused}'])
    taken, refused = rule(
        tap, 'messages nested about as deep as may be', pbtool, classes,
        [('Tree', nested(depth - groups, groups)) for depth in range(95, 106)
         for groups in (0, 1, 40, depth)])
    tap.rule('the limit is among them', [] if (taken, refused) == (24, 20) else
             [f'{taken} taken, {refused} refused'])
    tap.done()


if __name__ == '__main__':
    main()
