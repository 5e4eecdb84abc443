package proactortest

import (
	"github.com/sluice-net/sluice/loop/internal/proactor"
)

var memoryTests = []test{
	{name: "AllocIsZeroedAndDisjoint", run: allocZeroed},
	{name: "FreeOfWhatIsNotAllocatedPanics", run: freePanics},
	{name: "RecvIntoAllocatedMemory", run: recvIntoAlloc},
}

func allocZeroed(r *rig) {
	sizes := []int{1, 63, 64, 65, 4095, 4096, 70_000, 1 << 20, 3 << 20, 7}
	for range 3 {
		var all [][]byte
		for i, size := range sizes {
			b := r.Alloc(size)
			if len(b) != size {
				r.Fatalf("%d bytes of %d", len(b), size)
			}
			for _, c := range b {
				if c != 0 {
					r.Fatalf("allocation of %d is not zeroed", size)
				}
			}
			for j := range b {
				b[j] = byte(i + 1)
			}
			all = append(all, b)
		}
		for i, b := range all {
			for _, c := range b {
				if c != byte(i+1) {
					r.Fatalf("allocation %d was overwritten", i)
				}
			}
			r.Free(b)
		}
	}
}

func freePanics(r *rig) {
	r.panics("free of foreign memory", func() { r.Free(make([]byte, 64)) })
	b := r.Alloc(128)
	r.panics("free of a part", func() { r.Free(b[:64]) })
	r.panics("free of the middle", func() { r.Free(b[64:]) })
	r.Free(b)
	r.panics("free twice", func() { r.Free(b) })
}

func recvIntoAlloc(r *rig) {
	client, server := r.pair(proactor.IPv4)
	want := pattern(200_000)
	send := r.send(client, want)
	whole := r.Alloc(16 << 10)
	var got []byte
	recv := r.probe(proactor.Recv, server)
	for i := 0; len(got) < len(want); i++ {
		recv.op.Buf = whole[i%100 : 8<<10]
		n := recv.submit().done().res
		if n <= 0 {
			r.Fatalf("result %d after %d bytes", n, len(got))
		}
		got = append(got, recv.op.Buf[:n]...)
	}
	r.same(got, want)
	send.want(len(want))
	r.Free(whole)
}
