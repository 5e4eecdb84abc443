"""Runs one scenario on asyncio, one loop iteration at a time.

The loop never runs on its own: a turn is one iteration of it, with a poll that
does not wait, and the peer acts between turns. A step ends when QUIET turns in
a row brought no event, so no result depends on how long anything takes.
"""

import asyncio
import logging
import select
import socket
import threading
import time

from peer import Peer, pattern
from subject import Subject
from events import error_name

QUIET = 16
PATIENCE = 1.0  # seconds without progress after which a peer's step gives up


class Runner:
    """One run of one scenario."""

    def __init__(self, scenario):
        logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
        self.scenario = scenario
        self.loop = asyncio.new_event_loop()
        self.subject = Subject(scenario, self.loop)
        self.held, self.late = [], []
        self.listener = self.failure = None

    def run(self):
        """Runs all steps and returns the events."""
        try:
            if self.scenario["transport"] == "tcp-server":
                self.serve()
            for step in self.scenario["steps"]:
                self.step(step)
        finally:
            self.clean()
        return self.subject.events

    def step(self, step):
        """Runs a step; with "hold", in the loop callback of the next one."""
        conn = self.subject.conn(step.get("c", "c1")) if uses_conn(self.scenario) else None
        waits = WAITS.get(step["step"])
        if waits:
            if self.held:
                raise RuntimeError(f"{step['step']} cannot follow a held step")
            waits(self, step, conn)
        else:
            self.held.append(lambda: STEPS[step["step"]](self, step, conn))
            if step.get("hold"):
                return
            self.loop.call_soon(self.do_held)
            self.turn()
            if self.failure:
                raise self.failure
        if self.scenario["transport"] != "loop":
            self.settle()
        late, self.late = self.late, []
        for ev, fields in late:
            self.subject.emit(ev, conn, **fields)

    def do_held(self):
        """Runs what was held, in one callback."""
        held, self.held = self.held, []
        try:
            for run in held:
                run()
        except Exception as exc:
            self.failure = exc

    def turn(self):
        """One iteration of the loop."""
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    def settle(self):
        """Turns until QUIET of them in a row brought no event."""
        quiet = 0
        while quiet < QUIET:
            before = len(self.subject.events)
            self.turn()
            quiet = quiet + 1 if before == len(self.subject.events) else 0

    def until(self, done):
        """Turns until done, or until PATIENCE without any progress."""
        last, seen = time.monotonic(), None
        while not done():
            self.turn()
            now = (len(self.subject.events), [len(c.peer.got) for c in self.peers()])
            if now != seen:
                last, seen = time.monotonic(), now
            if time.monotonic() - last > PATIENCE:
                return False
        return True

    def peers(self):
        """The connections that have a peer."""
        return [c for c in self.subject.conns.values() if c.peer]

    # Making connections.

    def serve(self):
        """Starts the server; the scenario may defer serving."""
        coroutine = self.loop.create_server(
            self.subject.factory, "127.0.0.1", 0,
            start_serving=not self.scenario.get("defer", False))
        task = self.loop.create_task(coroutine)
        self.until(task.done)
        self.subject.server = task.result()
        self.port = self.subject.server.sockets[0].getsockname()[1]

    def open(self, _step, conn):
        """Makes a socket pair; its near end is attached later."""
        near, far = socket.socketpair()
        near.setblocking(False)
        conn.near, conn.peer = near, Peer(far)

    def attach(self, step, conn):
        """Hands the near end to the loop."""
        self.create(self.loop.create_connection(self.subject.factory, sock=conn.near), step, conn)

    def connect(self, step, conn):
        """Opens and attaches, dials the server, or has the subject dial."""
        kind = self.scenario["transport"]
        if kind == "socketpair":
            self.open(step, conn)
            self.attach(step, conn)
        elif kind == "tcp-server":
            self.dial(step, conn)
        else:
            self.listen(step, conn)

    def dial(self, _step, conn):
        """Connects a peer to the server."""
        sock = socket.socket()
        try:
            sock.connect(("127.0.0.1", self.port))
        except OSError as exc:
            sock.close()
            self.late.append(("peer_connect", {"err": error_name(exc)}))
            return
        conn.peer = Peer(sock)
        self.late.append(("peer_connect", {}))

    def listen(self, step, conn):
        """Has the subject connect to a listener, or to nobody."""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        port = self.listener.getsockname()[1]
        if step.get("refused"):
            self.listener.close()
        self.create(
            self.loop.create_connection(self.subject.factory, "127.0.0.1", port), step, conn)

    def accept(self, _step, conn):
        """Accepts what the subject dialled."""
        self.listener.setblocking(True)
        self.listener.settimeout(PATIENCE)
        conn.peer = Peer(self.listener.accept()[0])

    def create(self, coroutine, step, conn):
        """Runs a create call; its end is recorded on demand, or if it made nothing."""
        def done(task):
            err = error_name(task.exception())
            if step.get("report") or conn.transport is None:
                self.subject.emit("created", conn, err=err)
        self.loop.create_task(coroutine).add_done_callback(done)

    # The peer.

    def send(self, step, conn):
        """Sends all, with turns in between where the kernel is full."""
        data = step.get("text", "").encode() or pattern(step.get("seed", 0), step.get("n", 0))
        try:
            while data := conn.peer.send(data):
                if not self.until(lambda: self.writable(conn)):
                    self.late.append(("peer_send", {"err": "TIMEOUT"}))
                    return
        except OSError as exc:
            self.late.append(("peer_send", {"err": error_name(exc)}))

    def writable(self, conn):
        """Whether the peer's socket takes more, in a moment's time."""
        return bool(select.select([], [conn.peer.sock], [], 0)[1])

    def send_now(self, step, conn):
        """Sends what must fit into the kernel, for a step that is held."""
        data = step.get("text", "").encode() or pattern(step.get("seed", 0), step.get("n", 0))
        if conn.peer.send(data):
            raise RuntimeError("a held peer_send must fit into the kernel's buffer")

    def recv(self, step, conn):
        """Receives n bytes, or until EOF; "uncounted" records only the end."""
        peer, n = conn.peer, step.get("n", 1 << 40)

        def done():
            while len(peer.got) < n and not peer.eof and not peer.err:
                if not peer.recv(n - len(peer.got)):
                    return False
            return True
        err = None if self.until(done) else "TIMEOUT"
        fields = {} if step.get("uncounted") else {"data": peer.got}
        peer.got = b""
        fields |= {"eof": peer.eof, "err": err or error_name(peer.err)}
        self.late.append(("peer_recv", fields))

    def peek(self, _step, conn):
        """Looks what is there for the peer, when all is quiet."""
        self.settle()
        try:
            self.late.append(("peer_peek", {"label": conn.peer.peek()}))
        except OSError as exc:
            self.late.append(("peer_peek", {"err": error_name(exc)}))

    # The user.

    def batch(self, step, conn):
        """Actions in one callback of the loop."""
        self.subject.inside("batch", step["do"], conn)

    def outside(self, step, _conn):
        """Actions while the loop does not run."""
        self.subject.inside("outside", step["do"], None)

    def threadsafe(self, step, _conn):
        """call_soon_threadsafe from another thread."""
        run = self.subject.labelled(step, None)
        thread = threading.Thread(target=self.loop.call_soon_threadsafe, args=(run,))
        thread.start()
        thread.join()

    def wait_event(self, step, conn):
        """Turns until an event was recorded that often."""
        def done():
            name = step["name"]
            return sum(e["ev"] == name for e in self.subject.events) >= step.get("count", 1)
        if not self.until(done):
            self.late.append(("wait_event", {"err": "TIMEOUT"}))

    def clean(self):
        """Closes whatever the scenario left open."""
        for conn in self.peers():
            conn.peer.close()
        if self.listener:
            self.listener.close()
        if self.loop.is_closed():
            return
        if self.subject.server:
            self.subject.server.close()
        for conn in self.subject.conns.values():
            if conn.transport and not conn.counts.get("connection_lost"):
                conn.transport.abort()
        kept = len(self.subject.events)
        self.scenario = {**self.scenario, "hooks": []}
        self.subject.scenario = self.scenario
        self.settle()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.settle()
        del self.subject.events[kept:]
        self.loop.close()


def uses_conn(scenario):
    """Whether the scenario has connections at all."""
    return scenario["transport"] not in ("loop", "none")


STEPS = {
    "open": Runner.open,
    "attach": Runner.attach,
    "connect": Runner.connect,
    "batch": Runner.batch,
    "peer_send": Runner.send_now,
    "peer_shutdown_wr": lambda r, s, c: c.peer.shutdown_wr(),
    "peer_close": lambda r, s, c: c.peer.close(),
    "peer_reset": lambda r, s, c: c.peer.reset(),
}

WAITS = {
    "accept": Runner.accept,
    "peer_recv": Runner.recv,
    "peer_peek": Runner.peek,
    "threadsafe": Runner.threadsafe,
    "wait_event": Runner.wait_event,
    "outside": Runner.outside,
    "peer_send_all": Runner.send,
}
