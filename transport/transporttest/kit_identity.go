package transporttest

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sluice-net/sluice/transport"
)

// notAStream is a protocol that lacks what a stream needs.
type notAStream struct{}

func (notAStream) ConnectionLost(error) {}
func (notAStream) PauseWriting()        {}
func (notAStream) ResumeWriting()       {}

// identityCases are cases of section A: the protocol, and what is known.
var identityCases = []kitCase{
	{"S001_transport_has_the_protocol_that_was_given", func(k *kit) {
		k.connect()
		k.do(func() {
			if k.tr().Protocol() != transport.BaseProtocol(k.rec) {
				k.Error("Protocol() is another")
			}
		})
	}},
	{"S021_set_protocol_from_the_next_callback_on", func(k *kit) {
		var next *Recorder
		k.rec.On.Data = func([]byte) {
			next = Successor(k.T, k.tr())
			if err := k.tr().SetProtocol(next); err != nil {
				k.Error(err)
			}
		}
		k.connect()
		k.send("a")
		k.wait("first byte", func() bool { return k.rec.Received() == 1 })
		k.send("b")
		k.wait("second byte", func() bool { return next.Received() == 1 })
		k.do(func() { k.tr().Close() })
		k.wait("the successor's ConnectionLost", func() bool {
			lost, err := next.Lost()
			return lost && err == nil
		})
		if got := k.rec.Trace(); got != "made, data 1" {
			k.Errorf("the old protocol saw %s", got)
		}
	}},
	{"S022_set_protocol_replays_nothing", func(k *kit) {
		k.connect()
		k.clog()
		var next *Recorder
		k.do(func() {
			next = Successor(k.T, k.tr())
			if err := k.tr().SetProtocol(next); err != nil {
				k.Error(err)
			}
			if !k.tr().WritePaused() {
				k.Error("WritePaused() is false on a clogged transport")
			}
			if got := next.Trace(); got != "" {
				k.Errorf("SetProtocol called %s", got)
			}
		})
		k.unclog()
		k.wait("ResumeWriting", func() bool { return next.Trace() == "resume" })
	}},
	{"S023_set_protocol_nil_is_an_error", func(k *kit) {
		k.connect()
		k.do(func() {
			if err := k.tr().SetProtocol(nil); !errors.Is(err, transport.ErrNilProtocol) {
				k.Errorf("SetProtocol(nil): %v", err)
			}
			if err := k.tr().SetProtocol(notAStream{}); !errors.Is(err,
				transport.ErrProtocolKind) {
				k.Errorf("SetProtocol of another kind: %v", err)
			}
			if k.tr().Protocol() != transport.BaseProtocol(k.rec) {
				k.Error("the old protocol did not stay")
			}
		})
	}},
	{"S024_Protocol_is_the_current_one", func(k *kit) {
		k.connect()
		k.do(func() {
			next := Successor(k.T, k.tr())
			if err := k.tr().SetProtocol(next); err != nil {
				k.Error(err)
			}
			if k.tr().Protocol() != transport.BaseProtocol(next) {
				k.Error("Protocol() is not what SetProtocol set")
			}
		})
	}},
	{"S025_ExtraInfo_of_an_unknown_name_is_nil", func(k *kit) {
		k.connect()
		k.do(func() {
			if v := k.tr().ExtraInfo("no such thing"); v != nil {
				k.Errorf("ExtraInfo: %v", v)
			}
		})
	}},
	{"S026_names_survive_the_connection", func(k *kit) {
		k.connect()
		var peer, sock string
		k.do(func() {
			if transport.PeerName(k.tr()) == nil || transport.SockName(k.tr()) == nil {
				return
			}
			peer = transport.PeerName(k.tr()).String()
			sock = transport.SockName(k.tr()).String()
		})
		if peer == "" && sock == "" {
			k.lacks("a transport with addresses")
		}
		k.do(func() { k.tr().Abort() })
		k.waitLostNil()
		k.do(func() {
			if p := transport.PeerName(k.tr()); p == nil || p.String() != peer {
				k.Errorf("peername %v, was %s", p, peer)
			}
			if s := transport.SockName(k.tr()); s == nil || s.String() != sock {
				k.Errorf("sockname %v, was %s", s, sock)
			}
			if pt := transport.SockName(k.pt()); pt != nil && pt.String() != peer {
				k.Errorf("peername %s, but the peer's sockname is %v", peer, pt)
			}
		})
	}},
	{"S027_socket_lends_the_descriptor_until_the_end", func(k *kit) {
		k.connect()
		s, ok := transport.Socket(k.tr())
		if !ok {
			k.lacks("a transport with a socket of its own")
		}
		k.do(func() {
			seen := false
			err := s.Control(func(fd uintptr) { seen = int(fd) > 0 })
			if err != nil || !seen {
				k.Errorf("Control: %v, called %v", err, seen)
			}
			if _, ok := s.(io.Closer); ok {
				k.Error("the socket can be closed")
			}
			k.tr().Abort()
		})
		k.waitLostNil()
		k.do(func() {
			called := false
			err := s.Control(func(uintptr) { called = true })
			if !errors.Is(err, transport.ErrClosed) || called {
				k.Errorf("Control after ConnectionLost: %v, called %v", err, called)
			}
		})
	}},
	{"S034_String_tells_the_state", func(k *kit) {
		k.connect()
		k.do(func() {
			k.describes("open", " open ", "fd=", "read=polling", "write=<idle, bufsize=0>")
			k.tr().PauseReading()
			k.describes("paused", " open ", "read=idle")
			k.tr().Abort()
			k.describes("aborted", "read=idle", "write=<idle, bufsize=0>")
			if strings.Contains(fmt.Sprint(k.tr()), " open ") {
				k.Errorf("%v is aborted", k.tr())
			}
		})
		k.waitLostNil()
		k.do(func() { k.describes("lost", " closed ", "read=idle") })
	}},
	{"S034_String_tells_what_is_buffered", func(k *kit) {
		k.connect()
		if _, err := k.tr().Write(nil); err != nil {
			k.lacks("a transport that writes")
		}
		k.clog()
		k.do(func() {
			k.describes("clogged",
				fmt.Sprintf("write=<polling, bufsize=%d>", k.tr().WriteBufferSize()))
			k.tr().Close()
			k.describes("closing", " closing ", "read=idle", "write=<polling, bufsize=")
		})
	}},
}

// describes checks that String has each of the parts.
func (k *kit) describes(when string, parts ...string) {
	k.Helper()
	text := fmt.Sprint(k.tr())
	for _, part := range parts {
		if !strings.Contains(text, part) {
			k.Errorf("%s: %q does not say %q", when, text, part)
		}
	}
}
