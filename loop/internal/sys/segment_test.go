package sys

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// controlMessage is one with n bytes of data that begin with a number.
func controlMessage(level, kind int32, n int, number uint32) []byte {
	b := make([]byte, unix.CmsgSpace(n))
	e := binary.NativeEndian
	if unix.SizeofPtr == 8 {
		e.PutUint64(b, uint64(unix.CmsgLen(n)))
	} else {
		e.PutUint32(b, uint32(unix.CmsgLen(n)))
	}
	head := unix.SizeofCmsghdr
	e.PutUint32(b[head-8:], uint32(level))
	e.PutUint32(b[head-4:], uint32(kind))
	e.PutUint32(b[head:], number)
	return b
}

func TestSegmentSizeKnowsWhatItDoesNotKnow(t *testing.T) {
	stamp := controlMessage(unix.SOL_SOCKET, unix.SO_TIMESTAMPING, 48, 0)
	size := controlMessage(unix.IPPROTO_UDP, unix.UDP_GRO, 4, 300)
	info := controlMessage(unix.IPPROTO_IP, unix.IP_PKTINFO, 12, 0)
	for i, c := range []struct {
		control   []byte
		truncated bool
		size      int
		known     bool
	}{
		{nil, false, 0, true},
		{nil, true, 0, false},
		{stamp, false, 0, true},
		{stamp, true, 0, false},
		{append(stamp[:len(stamp):len(stamp)], size...), false, 300, true},
		{append(stamp[:len(stamp):len(stamp)], size...), true, 300, true},
		{append(stamp[:len(stamp):len(stamp)], info...), true, 0, true}, // the size would be before
		{size[:len(size)-8], true, 0, false},
	} {
		if n, known := SegmentSize(c.control, c.truncated); n != c.size || known != c.known {
			t.Errorf("%d: %d, %v, want %d, %v", i, n, known, c.size, c.known)
		}
	}
}
