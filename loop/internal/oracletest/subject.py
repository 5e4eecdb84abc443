"""Protocols that do what a scenario's hooks say, and the actions they do."""

import asyncio
import errno

from peer import pattern
from events import Boom, error_name, message_name


class Conn:
    """One connection of the scenario: its transport, its peer, its counts."""

    def __init__(self, name):
        self.name = name
        self.transport = None
        self.protocol = None
        self.peer = None
        self.counts = {}
        self.protocols = 0


class Hooked:
    """What plain and buffered protocols share: record, then run the hooks."""

    def __init__(self, subject, conn):
        conn.protocols += 1
        conn.protocol = self
        self.subject, self.conn, self.index = subject, conn, conn.protocols

    def fire(self, ev, **fields):
        """Records a callback and runs its hooks; returns what they return."""
        if self.index > 1:
            fields["p"] = self.index
        self.subject.emit(ev, self.conn, **fields)
        return self.subject.run_hooks(ev, self.conn)

    def connection_made(self, transport):
        self.conn.transport = transport
        self.fire("connection_made")

    def connection_lost(self, exc):
        self.fire("connection_lost", err=error_name(exc))

    def pause_writing(self):
        self.fire("pause_writing")

    def resume_writing(self):
        self.fire("resume_writing")

    def eof_received(self):
        return self.fire("eof_received")


class Plain(Hooked, asyncio.Protocol):
    """A Protocol."""

    def data_received(self, data):
        self.fire("data_received", data=bytes(data))


class Buffered(Hooked, asyncio.BufferedProtocol):
    """A BufferedProtocol with a buffer of a fixed size."""

    def __init__(self, subject, conn, size):
        super().__init__(subject, conn)
        self.buffer = bytearray(size)

    def get_buffer(self, sizehint):
        self.fire("get_buffer")
        return self.buffer

    def buffer_updated(self, nbytes):
        self.fire("buffer_updated", data=bytes(self.buffer[:nbytes]))


class Subject:
    """The side under test: the loop, its connections, and the trace."""

    def __init__(self, scenario, loop):
        self.scenario, self.loop = scenario, loop
        self.events, self.stack, self.conns, self.handles = [], [], {}, {}
        self.server = None
        loop.set_exception_handler(self.exception)

    # The trace.

    def emit(self, ev, conn=None, **fields):
        """Appends an event; "in" is the call or callback that it is inside."""
        event = {"ev": ev, "in": self.stack[-1] if self.stack else "", **fields}
        if conn is not None:
            event["c"] = conn.name
            conn.counts[ev] = conn.counts.get(ev, 0) + 1
        self.events.append(event)

    def exception(self, _loop, context):
        """The loop's exception handler."""
        owner = context.get("protocol")
        self.emit(
            "exception_handler", getattr(owner, "conn", None),
            err=error_name(context.get("exception")), msg=message_name(context["message"]),
        )

    # Protocols and hooks.

    def conn(self, name):
        """The connection of that name, made on first use."""
        return self.conns.setdefault(name, Conn(name))

    def factory(self):
        """The protocol of the next connection that has none."""
        conn = next((c for c in self.conns.values() if c.protocol is None), None)
        conn = conn or self.conn(f"c{len(self.conns) + 1}")
        kind = self.scenario.get("protocol", {"kind": "plain"})
        if kind["kind"] == "raise":
            conn.protocol = self
            raise Boom("boom")
        return self.protocol(conn, kind)

    def protocol(self, conn, kind):
        """A protocol of the kind that the scenario or an action asks for."""
        if kind["kind"] == "buffered":
            return Buffered(self, conn, kind.get("n", 0))
        return Plain(self, conn)

    def run_hooks(self, ev, conn):
        """Runs the hooks of a callback, inside it."""
        result = None
        for hook in self.scenario.get("hooks", ()):
            if hook["on"] != ev or hook.get("c", conn.name) != conn.name:
                continue
            if hook.get("nth", conn.counts[ev]) != conn.counts[ev]:
                continue
            result = self.inside(ev, hook["do"], conn)
        return result

    def inside(self, where, actions, conn):
        """Runs actions; what they cause at once is recorded as "in" there."""
        self.stack.append(where)
        try:
            result = None
            for action in actions:
                result = self.act(action, self.conns.get(action.get("c"), conn))
            return result
        finally:
            self.stack.pop()

    # Actions.

    def act(self, action, conn):
        """Runs one action. Its error, if any, is recorded and not raised."""
        op = action["do"]
        if op == "raise":
            raise Boom("boom")
        if op == "raise_errno":
            raise ConnectionResetError(errno.ECONNRESET, "scripted")
        if op == "return":
            return action.get("val", False)
        if op in OBSERVATIONS:
            OBSERVATIONS[op](self, action, conn)
            return None
        self.stack.append(op)
        err = None
        try:
            CALLS[op](self, action, conn)
        except (Exception, asyncio.CancelledError) as exc:
            err = error_name(exc)
        finally:
            self.stack.pop()
        self.emit("ret", conn if op in ON_TRANSPORT else None, op=op, err=err)
        return None

    def limits(self, action, conn):
        """set_write_buffer_limits; "rel" adds what is buffered now to high."""
        marks = {k: action[k] for k in ("high", "low") if k in action}
        if action.get("rel"):
            marks["high"] += conn.transport.get_write_buffer_size()
        conn.transport.set_write_buffer_limits(**marks)

    def set_protocol(self, action, conn):
        """set_protocol with a new protocol, or with None."""
        new = None if action["kind"] == "nil" else self.protocol(conn, action)
        conn.transport.set_protocol(new)

    def write_mutate(self, action, conn):
        """Writes, then changes the caller's buffer."""
        data = bytearray(pattern(action.get("seed", 0), action["n"]))
        conn.transport.write(data)
        data[:] = bytes(len(data))

    def writelines(self, action, conn):
        """One slice a size; the pattern goes on from slice to slice."""
        sizes = action.get("sizes", [action.get("n", 0)] * action.get("count", 0))
        data, lines = pattern(action.get("seed", 0), sum(sizes)), []
        for size in sizes:
            lines.append(data[:size])
            data = data[size:]
        conn.transport.writelines(lines)

    def labelled(self, action, conn):
        """A callback that records its label and runs the actions in "then"."""
        def run():
            self.emit("callback", label=action["label"])
            self.inside("callback", action.get("then", ()), conn)
        return run

    def call_soon(self, action, conn):
        self.handles[action["label"]] = self.loop.call_soon(self.labelled(action, conn))

    def call_later(self, action, conn):
        self.handles[action["label"]] = self.loop.call_later(
            action.get("ms", 0) / 1000, self.labelled(action, conn))

    def call_at(self, action, conn):
        """Milliseconds after the first call_at of the scenario."""
        self.base = getattr(self, "base", None) or self.loop.time()
        self.handles[action["label"]] = self.loop.call_at(
            self.base + action.get("ms", 0) / 1000, self.labelled(action, conn))

    def wait(self, coroutine, ev):
        """Records ev when the coroutine is done."""
        def done(task):
            exc = asyncio.CancelledError() if task.cancelled() else task.exception()
            self.emit(ev, err=error_name(exc))
        self.loop.create_task(coroutine).add_done_callback(done)

    def sync(self, coroutine):
        """Runs a coroutine that never waits and returns or raises as it does."""
        try:
            while True:
                coroutine.send(None)
        except StopIteration as stop:
            return stop.value

    # Observations.

    def state(self, action, conn):
        """What the transport says of itself; "of" names what to ask for."""
        t = conn.transport
        st = {
            "closing": t.is_closing(), "reading": t.is_reading(),
            "buffered": t.get_write_buffer_size() > 0, "paused": t._protocol_paused,
        }
        asked = action.get("of", ",".join(st)).split(",")
        self.emit("state", conn, st=" ".join(k for k in asked if st[k]) or "none")

    def has_protocol(self, _action, conn):
        t = conn.transport
        self.emit("has_protocol", conn, val=t.get_protocol() is not None)

    def is_protocol(self, _action, conn):
        t = conn.transport
        self.emit("is_protocol", conn, val=t.get_protocol() is conn.protocol)

    def info(self, action, conn):
        found = conn.transport.get_extra_info(action["label"]) is not None
        self.emit("info", conn, label=action["label"], val=found)

    def can_write_eof(self, _action, conn):
        self.emit("can_write_eof", conn, val=conn.transport.can_write_eof())

    def limits_are(self, _action, conn):
        low, high = conn.transport.get_write_buffer_limits()
        self.emit("limits_are", conn, label=f"{high},{low}")

    def server_state(self, _action, _conn):
        st = {"serving": self.server.is_serving(), "sockets": bool(self.server.sockets)}
        self.emit("server_state", st=" ".join(k for k, v in st.items() if v) or "none")


ON_TRANSPORT = {
    "write": lambda s, a, c: c.transport.write(pattern(a.get("seed", 0), a.get("n", 0))),
    "write_mutate": Subject.write_mutate,
    "writelines": Subject.writelines,
    "write_eof": lambda s, a, c: c.transport.write_eof(),
    "close": lambda s, a, c: c.transport.close(),
    "abort": lambda s, a, c: c.transport.abort(),
    "pause_reading": lambda s, a, c: c.transport.pause_reading(),
    "resume_reading": lambda s, a, c: c.transport.resume_reading(),
    "limits": Subject.limits,
    "set_protocol": Subject.set_protocol,
}

CALLS = ON_TRANSPORT | {
    "call_soon": Subject.call_soon,
    "call_later": Subject.call_later,
    "call_at": Subject.call_at,
    "cancel": lambda s, a, c: s.handles[a["label"]].cancel(),
    "stop": lambda s, a, c: s.loop.stop(),
    "run_forever": lambda s, a, c: s.loop.run_forever(),
    "close_loop": lambda s, a, c: s.loop.close(),
    "server_close": lambda s, a, c: s.server.close(),
    "server_start": lambda s, a, c: s.sync(s.server.start_serving()),
    "server_close_clients": lambda s, a, c: s.server.close_clients(),
    "server_abort_clients": lambda s, a, c: s.server.abort_clients(),
    "server_wait_closed": lambda s, a, c: s.wait(s.server.wait_closed(), "wait_closed"),
    "server_serve_forever": lambda s, a, c: s.wait(s.server.serve_forever(), "serve_forever"),
}

OBSERVATIONS = {
    "state": Subject.state,
    "has_protocol": Subject.has_protocol,
    "is_protocol": Subject.is_protocol,
    "info": Subject.info,
    "can_write_eof": Subject.can_write_eof,
    "limits_are": Subject.limits_are,
    "server_state": Subject.server_state,
}
