#!/usr/bin/env python3
"""The server's protobuf port, spoken to with protoc's classes and the runtime of python3-protobuf.

    test_pb_server.py TINYKV SOURCE_DIR
"""
import os
import socket
import subprocess
import sys
import tempfile

SYSTEM_PYTHON = '/usr/bin/python3'  # Debian's packages are installed for this one

try:
    import google.protobuf  # noqa: F401
    from google.protobuf.internal.decoder import _DecodeVarint32
    from google.protobuf.internal.encoder import _VarintBytes
except ImportError:
    if os.access(SYSTEM_PYTHON, os.X_OK) and os.path.realpath(sys.executable) != \
            os.path.realpath(SYSTEM_PYTHON):
        os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv])
    print('ok 1 - protobuf # SKIP python3-protobuf is not installed\n1..1')
    sys.exit(0)

from tinykv_server import Client, Server, Tap, free_ports, has  # noqa: E402

PREAMBLE = b'\0TKVPB\1\n'


def load(source):
    with tempfile.TemporaryDirectory(prefix='tinykv-pb-') as folder:
        path = os.path.join(source, 'net', 'tinykv.proto')
        subprocess.run(['protoc', f'--python_out={folder}', '-I', os.path.dirname(path), path],
                       check=True)
        sys.path.insert(0, folder)
        sys.dont_write_bytecode = True
        import tinykv_pb2
        sys.path.pop(0)
    return tinykv_pb2


class Link:
    """A connection that speaks frames."""

    def __init__(self, pb, port, preamble=PREAMBLE):
        self.pb = pb
        self.socket = socket.create_connection(('127.0.0.1', port), timeout=20)
        self.socket.sendall(preamble)
        self.bytes = b''
        self.ids = 0

    def read(self, size):
        while len(self.bytes) < size:
            got = self.socket.recv(65536)
            if not got:
                raise ConnectionError('closed')
            self.bytes += got

    def greeting(self):
        self.read(8)
        first, self.bytes = self.bytes[:8], self.bytes[8:]
        return first

    def send(self, request, pieces=None):
        self.ids += 1
        request.id = self.ids
        body = request.SerializeToString()
        frame = _VarintBytes(len(body)) + body
        if pieces is None:
            self.socket.sendall(frame)
        else:
            for at in range(0, len(frame), pieces):
                self.socket.sendall(frame[at:at + pieces])
        return self.ids

    def receive(self):
        while True:
            try:
                size, at = _DecodeVarint32(self.bytes, 0)
                break
            except IndexError:
                self.read(len(self.bytes) + 1)
        self.read(at + size)
        response = self.pb.Response.FromString(self.bytes[at:at + size])
        self.bytes = self.bytes[at + size:]
        return response

    def call(self, **fields):
        self.send(self.pb.Request(**fields))
        return self.receive()

    def ended(self):
        try:
            self.read(len(self.bytes) + 1)
        except ConnectionError:
            return True
        return False


def operations(tap, pb, server):
    link = Link(pb, server.port)
    tap.check('both sides send the preamble', link.greeting() == PREAMBLE)
    r = link.call(put=pb.Put(key=b'k', value=b'v'))
    tap.check('put', r.id == 1 and r.code == pb.CODE_OK and r.put.done, r)
    r = link.call(put=pb.Put(key=b'k', value=b'w', previous=True))
    tap.check('previous', r.put.HasField('previous') and r.put.previous == b'v', r)
    r = link.call(get=pb.Get(key=b'k'))
    tap.check('get', r.WhichOneof('result') == 'get' and r.get.found and r.get.value == b'w', r)
    r = link.call(get=pb.Get(key=b'none'))
    tap.check('get of nothing', r.WhichOneof('result') == 'get' and not r.get.found, r)
    r = link.call(cas=pb.Cas(key=b'k', value=b'x'))
    tap.check('cas that expects nothing', r.code == pb.CODE_OK and not r.cas.done, r)
    r = link.call(incr=pb.Incr(key=b'k', delta=1))
    tap.check('incr of text', r.code == pb.CODE_NOT_INTEGER and r.message != '', r)
    r = link.call(append=pb.Append(key=b'k', value=bytes(300000)))
    tap.check('append', r.append.size == 300001, r.append.size)
    r = link.call(get=pb.Get(key=b'k'))
    tap.check('a large value', r.get.value == b'w' + bytes(300000))
    r = link.call(delete=pb.Delete(key=b'k'))
    tap.check('delete', r.delete.existed, r)
    r = link.call(batch=pb.Batch(ops=[pb.Op(put=pb.Put(key=b'n', value=b'7')),
                                      pb.Op(incr=pb.Incr(key=b'n', delta=-9)),
                                      pb.Op(get=pb.Get(key=b'n'))]))
    tap.check('batch', [x.WhichOneof('result') for x in r.batch.results] == ['put', 'incr', 'get']
              and r.batch.results[1].incr.value == -2 and r.batch.results[2].get.value == b'-2', r)
    for key in b'ra', b'rb', b'rc':
        link.call(put=pb.Put(key=key, value=b'v'))
    r = link.call(delete_range=pb.DeleteRange(start=b'r'))
    tap.check('a range without an end deletes nothing', r.code == pb.CODE_BAD_REQUEST, r)
    r = link.call(delete_range=pb.DeleteRange(start=b'ra', end=b'rc'))
    left = link.call(scan=pb.Scan(start=b'r', end=b's'))
    tap.check('delete_range', r.WhichOneof('result') == 'delete_range'
              and [p.key for p in left.scan.pairs] == [b'rc'], (r, left))
    r = link.call(ping=pb.Ping(payload=b'hello'))
    tap.check('ping', r.ping.payload == b'hello', r)
    r = link.call(status=pb.Status())
    tap.check('what is not done is said', r.code in (pb.CODE_OK, pb.CODE_UNSUPPORTED), r)
    resp = Client(server.port)
    tap.check('RESP sees the same', resp.call('GET', 'n') == '-2')
    resp.close()


def pages(tap, pb, server):
    link = Link(pb, server.port)
    link.greeting()
    keys = [b'p%03d' % i for i in range(100)]
    for key in keys:
        link.send(pb.Request(put=pb.Put(key=key, value=key)))
    got = [link.receive() for _ in keys]
    tap.check('a pipeline is answered', [r.id for r in got] == list(range(1, 101))
              and all(r.put.done for r in got))
    for reverse in False, True:
        seen, rest = [], b''
        while True:
            r = link.call(scan=pb.Scan(start=b'p', end=b'q', limit=7, reverse=reverse,
                                       continuation=rest))
            seen += [(p.key, p.value) for p in r.scan.pairs]
            rest = r.scan.continuation
            if not rest:
                break
        want = [(k, k) for k in keys]
        tap.check(f'pages, reverse {reverse}', seen == (want[::-1] if reverse else want), seen[:9])
    link.send(pb.Request(get=pb.Get(key=b'p050')), pieces=1)
    tap.check('in pieces of a byte', link.receive().get.value == b'p050')


def refusals(tap, pb, server):
    link = Link(pb, server.port)
    link.greeting()
    link.socket.sendall(b'\x03\x0a\xff\xff')
    r = link.receive()
    tap.check('bytes that are no message', r.id == 0 and r.code == pb.CODE_BAD_REQUEST, r)
    tap.check('and the connection goes on', link.call(ping=pb.Ping()).code == pb.CODE_OK)
    unknown = pb.Request(get=pb.Get(key=b'p001')).SerializeToString() + b'\x98\x3f\x01'
    link.socket.sendall(_VarintBytes(len(unknown)) + unknown)
    tap.check('unknown fields are skipped', link.receive().get.value == b'p001')
    link.socket.sendall(b'\xff\xff\xff\xff\x0f')
    r = link.receive()
    tap.check('a length over the limit', r.id == 0 and r.code == pb.CODE_TOO_LARGE, r)
    tap.check('and the connection ends', link.ended())
    for name, preamble in (('another version', b'\0TKVPB\2\n'), ('a peer', b'\0TKVPR\1\n'),
                           ('rubbish', b'\0TKVxx\1\n')):
        link = Link(pb, server.port, preamble)
        hello = link.greeting()
        r = link.receive()
        tap.check(f'{name} at the port', hello == PREAMBLE and r.code == pb.CODE_BAD_REQUEST
                  and r.message != '' and link.ended(), r)


def sessions(tap, pb, server):
    link = Link(pb, server.port)
    link.greeting()
    r = link.call(open_session=pb.OpenSession())
    session = r.open_session.session
    tap.check('a session', r.code == pb.CODE_OK and session > 0, r)
    r = link.call(session=session, renew_session=pb.RenewSession())
    tap.check('renewed', r.code == pb.CODE_OK and r.renew_session.session == session, r)
    write = {'session': session, 'sequence': 1, 'answered': 1,
             'incr': pb.Incr(key=b'once', delta=5)}
    first = link.call(**write)
    other = Link(pb, server.port)
    other.greeting()
    again = other.call(**write)
    tap.check('a number is done once, and answered alike',
              first.incr.value == 5 and again.incr.value == 5, (first, again))
    batch = pb.Batch(ops=[pb.Op(incr=pb.Incr(key=b'once', delta=1)),
                          pb.Op(get=pb.Get(key=b'once'))])
    twice = [link.call(session=session, sequence=2, answered=2, batch=batch) for _ in range(2)]
    tap.check('so is a batch', all(r.batch.results[1].get.value == b'6' for r in twice), twice)
    r = link.call(**write)
    tap.check('what was answered is forgotten', r.code == pb.CODE_FORGOTTEN, r)
    r = link.call(session=session, put=pb.Put(key=b'k', value=b'v'))
    tap.check('a write in a session has a number', r.code == pb.CODE_BAD_REQUEST, r)
    r = link.call(session=session, close_session=pb.CloseSession())
    tap.check('it is closed', r.code == pb.CODE_OK, r)
    r = link.call(session=session, sequence=3, put=pb.Put(key=b'k', value=b'v'))
    tap.check('and gone', r.code == pb.CODE_SESSION_EXPIRED
              and not link.call(get=pb.Get(key=b'k')).get.found, r)
    r = link.call(status=pb.Status())
    tap.check('status', r.status.node == 1 and r.status.role == pb.ROLE_LEADER
              and r.status.applied_index > 0, r)
    r = link.call(members=pb.Members())
    tap.check('members', [(m.node, m.roles) for m in r.members.members] == [(1, 1)], r)
    first = link.call(put=pb.Put(key=b'i', value=b'1'))
    read = link.call(get=pb.Get(key=b'i'))
    second = link.call(put=pb.Put(key=b'i', value=b'2'))
    tap.check('responses tell their index', 0 < first.index <= read.index < second.index,
              (first, read, second))
    r = link.call(snapshot=pb.Snapshot())
    tap.check('a snapshot', r.code == pb.CODE_OK and r.snapshot.index >= second.index
              and r.snapshot.term > 0, r)
    r = link.call(transfer=pb.Transfer())
    tap.check('nobody else can lead', r.code == pb.CODE_NOT_FOUND, r)
    r = link.call(remove_member=pb.RemoveMember(node=9))
    tap.check('nobody of that name', r.code == pb.CODE_NOT_FOUND, r)


def members(tap, pb):
    ports = free_ports(2)
    first = Server().start('--id', '1', '--peer-listen', f'127.0.0.1:{ports[0]}')
    second = Server().start('--id', '2', '--join', '--peers', f'1=127.0.0.1:{ports[0]}',
                            '--peer-listen', f'127.0.0.1:{ports[1]}')
    try:
        link, new = Link(pb, first.port), Link(pb, second.port)
        link.greeting(), new.greeting()
        link.call(put=pb.Put(key=b'before', value=b'1'))
        who = new.call(status=pb.Status()).status
        alone = link.call(status=pb.Status()).status
        tap.check('status tells all', alone.cluster == who.cluster != 0 and who.node == 2
                  and alone.incarnation != 0 and alone.uptime_ms > 0 and alone.version != ''
                  and alone.sessions == 0 and [p.node for p in alone.progress] == [1], alone)
        add = pb.AddMember(node=2, peer_address=f'127.0.0.1:{ports[1]}')
        r = link.call(add_member=add)
        tap.check('a node without its incarnation', r.code == pb.CODE_BAD_REQUEST, r)
        add.incarnation = who.incarnation
        r = link.call(add_member=add)
        while r.code in (pb.CODE_UNKNOWN, pb.CODE_UNAVAILABLE):  # it may be sent again
            r = link.call(add_member=add)
        tap.check('add_member: it has caught up, and votes', r.code == pb.CODE_OK
                  and r.add_member.index > 0, r)
        shown = link.call(members=pb.Members())
        tap.check('members', [(m.node, m.roles) for m in shown.members.members] == [(1, 1), (2, 1)]
                  and shown.members.index == r.add_member.index
                  and shown.members.members[1].peer_address == add.peer_address, shown)
        again = link.call(add_member=add)
        tap.check('again: it is there', again.code == pb.CODE_OK
                  and again.add_member.index == r.add_member.index, again)
        add.incarnation += 1
        r = link.call(add_member=add)
        tap.check('under another disk: no', r.code == pb.CODE_NOT_FOUND, r)
        r = new.call(get=pb.Get(key=b'before'))
        tap.check('it has it all', r.get.value == b'1' and r.index > 0, r)
        r = new.call(remove_member=pb.RemoveMember(node=1))
        tap.check('who leads is said', r.code == pb.CODE_NOT_LEADER and r.leader.node == 1, r)
        r = link.call(transfer=pb.Transfer())
        tap.check('transfer to whoever is furthest', r.code == pb.CODE_OK
                  and r.transfer.leader == 2, r)
        r = new.call(remove_member=pb.RemoveMember(node=1))
        while r.code == pb.CODE_CONFLICT:  # it has to commit something of its own first
            r = new.call(remove_member=pb.RemoveMember(node=1))
        tap.check('remove_member', r.code == pb.CODE_OK and r.remove_member.index > 0, r)
        shown = new.call(members=pb.Members())
        tap.check('one is left', [m.node for m in shown.members.members] == [2], shown)
        tap.check('both end well', [first.stop(), second.stop()] == [0, 0])
    finally:
        first.clean()
        second.clean()


def main():
    tap = Tap()
    if not has('protoc'):
        tap.skip('protobuf', 'protoc is not installed')
        tap.end()
    pb = load(sys.argv[2])
    server = Server().start()
    try:
        operations(tap, pb, server)
        pages(tap, pb, server)
        refusals(tap, pb, server)
        tap.check('the server ends well', server.stop() == 0)
    finally:
        server.clean()
    server = Server().start('--id', '1')
    try:
        operations(tap, pb, server)
        pages(tap, pb, server)
        sessions(tap, pb, server)
        tap.check('a member ends well', server.stop() == 0)
    finally:
        server.clean()
    members(tap, pb)
    tap.end()


main()
