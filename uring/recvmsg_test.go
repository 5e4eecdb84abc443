//go:build linux

package uring

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRecvMsgOutWithNameAndControl(t *testing.T) {
	buf := make([]byte, recvMsgHeader, 64)
	for i, v := range []uint32{2, 3, 5, unix.MSG_TRUNC} {
		binary.NativeEndian.PutUint32(buf[4*i:], v)
	}
	buf = append(buf, "nm..ctl.....data!"...)
	msg := &unix.Msghdr{Namelen: 4}
	msg.SetControllen(8)
	var out RecvMsgOut
	if !out.Parse(buf, msg) {
		t.Fatal("not parsed")
	}
	if string(out.Name) != "nm" || string(out.Control) != "ctl" ||
		string(out.Payload) != "data!" || out.Len != 5 || out.Flags != unix.MSG_TRUNC {
		t.Errorf("%+v", out)
	}
}

func FuzzRecvMsgOut(f *testing.F) {
	f.Add([]byte("0123456789abcdef0123456789"), uint32(4), uint16(4))
	f.Add([]byte{}, uint32(0), uint16(0))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff0000data"), uint32(0), uint16(0))
	f.Fuzz(func(t *testing.T, buf []byte, namelen uint32, controllen uint16) {
		msg := &unix.Msghdr{Namelen: namelen}
		msg.SetControllen(int(controllen))
		var out RecvMsgOut
		ok := out.Parse(buf, msg)
		room := recvMsgHeader + uint64(namelen) + uint64(controllen)
		if ok != (uint64(len(buf)) >= room) {
			t.Fatalf("%v: %d bytes, needs %d", ok, len(buf), room)
		}
		if uint64(len(out.Name)) > uint64(namelen) || len(out.Control) > int(controllen) ||
			len(out.Name)+len(out.Control)+len(out.Payload) > len(buf) {
			t.Fatalf("%+v out of %d bytes", out, len(buf))
		}
	})
}
