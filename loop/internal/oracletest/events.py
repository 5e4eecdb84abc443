"""Traces: what a run of a scenario looks like, and its normal form.

An event is a dict. The keys that a file holds are, in this order, those of
KEYS; a key whose value is empty is left out. The normal form drops get_buffer,
merges adjacent deliveries of one protocol, and keeps of a delivery its size, a
hash and, where short, its bytes. oracletest.Normalise is the same in Go.
"""

import errno
import hashlib
import json
import re

KEYS = ("c", "p", "ev", "in", "op", "n", "h", "hex", "eof", "err", "msg", "label", "val", "st")
DELIVERIES = ("data_received", "buffer_updated")
HEX_MAX = 32

_CALLBACK = re.compile(
    r"connection_made|connection_lost|data_received|eof_received|get_buffer"
    r"|buffer_updated|pause_writing|resume_writing"
)

# What asyncio says in words, and the name that both sides give to it.
_TEXTS = (
    ("returned an empty buffer", "EMPTYBUFFER"),
    ("after write_eof", "EOFWRITTEN"),
    ("must be >=", "BADLIMITS"),
    ("already running", "RUNNING"),
    ("Cannot close a running", "RUNNING"),
    ("loop is closed", "LOOPCLOSED"),
    ("is closed", "SERVERCLOSED"),
)


class Boom(Exception):
    """What the action "raise" raises."""


def error_name(exc):
    """The name of an exception in a trace: errno, PANIC, or a word for it."""
    if exc is None:
        return None
    if isinstance(exc, Boom):
        return "PANIC"
    if isinstance(exc, OSError) and exc.errno in errno.errorcode:
        return errno.errorcode[exc.errno]
    for text, name in _TEXTS:
        if text in str(exc):
            return name
    return type(exc).__name__.removesuffix("Error").upper()


def message_name(message):
    """The callback that a message to the exception handler is about."""
    found = _CALLBACK.search(message)
    return found.group() if found else "callback"


def digest(event):
    """Replaces the bytes of an event by their size and hash."""
    data = event.pop("data", None)
    if data is None:
        return event
    event["n"] = len(data)
    if data:
        event["h"] = hashlib.sha1(data).hexdigest()[:8]
    if 0 < len(data) <= HEX_MAX:
        event["hex"] = data.hex()
    return event


def normalise(events, level):
    """The normal form of a trace. "partial" sorts it by connection first."""
    kept = [dict(e) for e in events if e["ev"] != "get_buffer"]
    for event in kept:
        if event["ev"] == "exception_handler":
            del event["in"]
    if level == "partial":
        kept.sort(key=lambda e: e.get("c", ""))
    merged = []
    for event in kept:
        if merged and mergeable(merged[-1], event):
            merged[-1]["data"] += event["data"]
        else:
            merged.append(event)
    return [line(digest(e)) for e in merged]


def mergeable(last, event):
    """Whether two events are one delivery, cut somewhere."""
    same = all(last.get(k) == event.get(k) for k in ("c", "p", "ev", "in"))
    return same and event["ev"] in DELIVERIES


def line(event):
    """An event as it is written to a file, one JSON object a line."""
    kept = {k: event[k] for k in KEYS if event.get(k) not in (None, "", False)}
    return json.dumps(kept, separators=(",", ":"))
