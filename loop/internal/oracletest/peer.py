"""The other side of the subject's connection: a raw socket that never blocks."""

import socket
import struct

_BLOCK = 1 << 16
_blocks = {}


def pattern(seed, n):
    """n bytes that depend on seed and position; oracletest.Pattern in Go."""
    if seed not in _blocks:
        _blocks[seed] = bytes(
            (seed * 31 + i * 7 + (i >> 8) * 13) & 0xFF for i in range(_BLOCK)
        )
    block = _blocks[seed]
    return (block * (n // _BLOCK + 1))[:n]


class Peer:
    """One socket. Nothing here runs the loop: whoever calls does that."""

    def __init__(self, sock):
        sock.setblocking(False)
        self.sock = sock
        self.got = b""
        self.eof = False
        self.err = None

    def send(self, data):
        """Sends what the kernel takes and returns the rest."""
        try:
            return data[self.sock.send(data):]
        except BlockingIOError:
            return data

    def recv(self, n):
        """Receives up to n bytes into got. True means that something happened."""
        try:
            data = self.sock.recv(min(n, 1 << 20))
        except BlockingIOError:
            return False
        except OSError as exc:
            self.err = exc
            return True
        self.got += data
        self.eof = not data
        return True

    def peek(self):
        """What a receive would find: empty, data, eof or an error."""
        try:
            return "data" if self.sock.recv(1, socket.MSG_PEEK) else "eof"
        except BlockingIOError:
            return "empty"

    def shutdown_wr(self):
        """Sends EOF."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        """Closes the socket."""
        self.sock.close()

    def reset(self):
        """Closes a TCP socket with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
