package pressure

import (
	"testing"
	"time"
	"unsafe"
)

// raw returns the bytes of records, as the iterator writes them.
func raw[T any](records ...T) []byte {
	var out []byte
	for i := range records {
		size := int(unsafe.Sizeof(records[i]))
		out = append(out, unsafe.Slice((*byte)(unsafe.Pointer(&records[i])), size)...)
	}
	return out
}

func tcpRecord() bpfTcpRecord {
	var r bpfTcpRecord
	r.Head.Kind, r.Head.Size = uint16(bpfRecordKindRECORD_TCP), uint16(unsafe.Sizeof(r))
	r.Head.Fd, r.Head.Cookie = 5, 55
	r.Ends.Family, r.Ends.Local, r.Ends.LocalPort = afInet, [16]byte{10, 1, 2, 3}, 80
	r.Ends.State = tcpEstablished
	r.Chrono = [3]uint32{1, 20, 300}
	return r
}

func TestRecordsAreDecoded(t *testing.T) {
	r := tcpRecord()
	v6 := tcpRecord()
	v6.Ends.Family = afInet6
	v6.Ends.Local = [16]byte{10: 0xff, 11: 0xff, 12: 10, 13: 1, 14: 2, 15: 3}
	v6.Ends.Flags = uint8(bpfRecordFlagFLAG_NOSPACE | bpfRecordFlagFLAG_OUT_OF_ORDER)
	var s Snapshot
	if _, err := decodeSnapshot(raw(r, v6), 4*time.Millisecond, &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Conns) != 2 {
		t.Fatalf("%d connections", len(s.Conns))
	}
	c := s.Conns[0]
	if c.FD != 5 || c.Cookie != 55 || c.Local.String() != "10.1.2.3:80" || c.NoSpace {
		t.Errorf("%+v", c)
	}
	if c.Busy != 1284*time.Millisecond || c.RwndLimited != 80*time.Millisecond ||
		c.SndbufLimited != 1200*time.Millisecond {
		t.Errorf("durations %v %v %v", c.Busy, c.RwndLimited, c.SndbufLimited)
	}
	if c := s.Conns[1]; c.Local.String() != "10.1.2.3:80" || !c.NoSpace || !c.OutOfOrder {
		t.Errorf("%+v", c)
	}
}

func TestAbstractUnixNames(t *testing.T) {
	var r bpfSocketRecord
	for path, want := range map[string]string{
		"": "", "/run/s\x00": "/run/s", "\x00name": "@name", "\x00a\xff": "@a?",
	} {
		r.Path = [104]int8{}
		for i, c := range []byte(path) {
			r.Path[i] = int8(c)
		}
		r.PathLen = uint16(len(path))
		if got := unixPath(&r); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		elapsed time.Duration
		jiffies uint64
		want    time.Duration
	}{
		{120 * time.Millisecond, 12, 10 * time.Millisecond},
		{50 * time.Millisecond, 12, 4 * time.Millisecond},
		{40 * time.Millisecond, 12, time.Second / 300},
		{13 * time.Millisecond, 12, time.Millisecond},
	} {
		if got := nearestTick(c.elapsed, c.jiffies); got != c.want {
			t.Errorf("%d in %v: %v, want %v", c.jiffies, c.elapsed, got, c.want)
		}
	}
}

// The fdinfo of a ring on Linux 6.18, without the lines that are of no use here.
func TestFdinfoOfARing(t *testing.T) {
	const text = "pos:\t0\nflags:\t02000002\nmnt_id:\t15\nSqMask:\t0x3\nSqHead:\t7\nSqTail:\t9\n" +
		"CachedSqHead:\t7\nCqMask:\t0x7\nCqHead:\t4294967290\nCqTail:\t2\nCachedCqTail:\t2\n" +
		"PollList:\nCqOverflowList:\n  user_data=1, res=0, flags=0\n"
	got := parseRing(4, text)
	if got.FD != 4 || got.SQPending != 2 || got.SQEntries != 4 || got.CQReady != 8 ||
		got.CQEntries != 8 || !got.Overflowing {
		t.Errorf("%+v", got)
	}
	if parseRing(4, text[:len(text)-len("  user_data=1, res=0, flags=0\n")]).Overflowing {
		t.Error("overflows with an empty list")
	}
}

func TestIntervalsKeepToTheBudget(t *testing.T) {
	for _, c := range []struct{ interval, took, want time.Duration }{
		{100 * time.Millisecond, time.Millisecond / 2, 100 * time.Millisecond},
		{100 * time.Millisecond, 3 * time.Millisecond, 300 * time.Millisecond},
		{100 * time.Millisecond, time.Second, time.Second},
		{5 * time.Second, time.Second, 5 * time.Second},
	} {
		if got := stretched(c.interval, c.took, 1); got != c.want {
			t.Errorf("every %v, takes %v: %v, want %v", c.interval, c.took, got, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(raw(tcpRecord()))
	var u bpfSocketRecord
	u.Head.Kind, u.Head.Size = uint16(bpfRecordKindRECORD_UNIX), uint16(unsafe.Sizeof(u))
	u.PathLen = 65535
	f.Add(raw(u))
	var r bpfRingRecord
	r.Head.Kind, r.Head.Size = uint16(bpfRecordKindRECORD_RING), uint16(unsafe.Sizeof(r))
	r.BuffersLen = 1 << 31
	f.Add(raw(r))
	f.Add([]byte{1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, buf []byte) {
		var s Snapshot
		if _, err := decodeSnapshot(buf, time.Millisecond, &s); err == nil {
			addZeroWindows(&s, buf)
		}
		decodeEvent(buf)
	})
}
