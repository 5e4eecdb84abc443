package simio

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

func mustAddr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// faultCases have each fault at rate 1 and look for what it does.
var faultCases = []struct {
	name   string
	faults Faults
	struck func(r *rig, fd int, p *Peer) bool
}{
	{"PartialRead", Faults{PartialRead: 1}, func(r *rig, fd int, p *Peer) bool {
		p.Send([]byte("a sentence of some length"))
		r.turn(time.Second)
		n, _ := r.recv(fd)
		return n > 0 && n < 25
	}},
	{"PartialWrite", Faults{PartialWrite: 1}, func(r *rig, fd int, _ *Peer) bool {
		n, err := r.TrySend(fd, [][]byte{make([]byte, 4000)})
		return n < 4000 && err == nil
	}},
	{"Reset", Faults{Reset: 1}, func(r *rig, fd int, p *Peer) bool {
		return r.send(fd, "x") < 0
	}},
	{"NoMemory", Faults{NoMemory: 1}, func(r *rig, fd int, _ *Peer) bool {
		return r.send(fd, "x") == -int(syscall.ENOMEM)
	}},
	{"NoSocket", Faults{NoSocket: 1}, func(r *rig, _ int, _ *Peer) bool {
		_, err := r.Socket(proactor.IPv4, proactor.Stream)
		return err != nil
	}},
	{"BindBusy", Faults{BindBusy: 1}, func(r *rig, _ int, _ *Peer) bool {
		fd, err := r.Socket(proactor.IPv4, proactor.Stream)
		r.must(err)
		err = r.Bind(fd, anywhere)
		r.must(r.CloseFD(fd))
		return errors.Is(err, syscall.EADDRINUSE)
	}},
	{"Accept", Faults{Accept: 1}, func(r *rig, _ int, _ *Peer) bool {
		l, addr := r.listener(1)
		p := r.Dial(addr)
		n := r.do(&proactor.Op{Code: proactor.Accept, FD: l})
		r.must(r.CloseFD(l))
		r.until("who waits is reset", p.WasReset)
		return n < 0
	}},
	{"Refuse", Faults{Refuse: 1}, func(r *rig, _ int, _ *Peer) bool {
		return r.dialListener() == -int(syscall.ECONNREFUSED)
	}},
	{"Timeout", Faults{Timeout: 1}, func(r *rig, _ int, _ *Peer) bool {
		return r.dialListener() == -int(syscall.ETIMEDOUT)
	}},
	{"SlowPeer", Faults{SlowPeer: 1}, func(r *rig, _ int, _ *Peer) bool {
		fd, p := r.accepted()
		p.PauseReading()
		op := &proactor.Op{Code: proactor.Send, FD: fd, Buf: make([]byte, 1<<20)}
		op.Handler = ignore
		r.Submit(op)
		before := r.Now()
		p.ResumeReading()
		for op.InFlight() {
			r.turn(time.Minute)
		}
		r.must(r.CloseFD(fd))
		r.turn(time.Hour)
		return r.Now()-before > time.Second && len(p.Received()) == 1<<20
	}},
	{"Delay", Faults{Delay: 1, DelayMax: 30 * time.Second}, func(r *rig, fd int, _ *Peer) bool {
		before := r.Now()
		return r.send(fd, "x") == 1 && r.Now()-before > time.Millisecond
	}},
	{"NoBuffers", Faults{NoBuffers: 1}, func(r *rig, fd int, p *Peer) bool {
		op := &proactor.Op{Code: proactor.RecvAny, FD: fd, Handler: ignore}
		r.Submit(op)
		p.Send([]byte("x"))
		r.turn(time.Second)
		r.Cancel(op)
		return r.finish(op) < 0 && r.Stats().BuffersExhausted > 0
	}},
	{"Spurious", Faults{Spurious: 1}, func(r *rig, _ int, _ *Peer) bool {
		before := r.Now()
		r.turn(time.Hour)
		return r.Now()-before < time.Second
	}},
	{"LateCancel", Faults{LateCancel: 1}, func(r *rig, fd int, p *Peer) bool {
		op := &proactor.Op{Code: proactor.Recv, FD: fd, Buf: make([]byte, 8)}
		op.Handler = ignore
		r.Submit(op)
		r.Cancel(op)
		r.turn(0)
		p.Send([]byte("x"))
		return r.finish(op) == 1
	}},
	{"Overflow", Faults{Overflow: 1}, func(r *rig, _ int, _ *Peer) bool {
		done := 0
		for range 8 {
			r.Submit(instant(func(*proactor.Op) { done++ }))
		}
		r.turn(0)
		first := done
		r.until("all are done", func() bool { return done == 8 })
		return first < 8 && r.Stats().Overflows > 0
	}},
}

func TestFaultsStrike(t *testing.T) {
	for _, tt := range faultCases {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Options{Seed: 7})
			fd, p := r.PeerPair()
			r.SetFaults(tt.faults)
			if !tt.struck(r, fd, p) {
				t.Errorf("it did not:\n%.2000s", r.History())
			}
			r.SetFaults(Faults{})
			r.must(r.CloseFD(fd))
			p.Close()
			r.tidy()
		})
	}
}

// dialListener connects to a listener of ours and returns the result.
func (r *rig) dialListener() int {
	r.Helper()
	l, addr := r.listener(1)
	fd, err := r.Socket(proactor.IPv4, proactor.Stream)
	r.must(err)
	op := &proactor.Op{Code: proactor.Connect, FD: fd,
		Message: &proactor.Message{Addr: addr}, Handler: ignore}
	r.Submit(op)
	for op.InFlight() {
		r.turn(time.Minute)
	}
	r.must(r.CloseFD(fd))
	r.must(r.CloseFD(l))
	return int(op.Res)
}

func TestReorderKeepsTheOrderOfADescriptor(t *testing.T) {
	swapped := false
	for seed := range uint64(20) {
		r := newRig(t, Options{Seed: seed, Faults: Faults{Reorder: 1},
			Config: proactor.Config{BufferSize: 1}})
		var order []byte
		var fds []int
		var all []*proactor.Op
		for i := range 3 {
			fd, p := r.PeerPair()
			op := &proactor.Op{Code: proactor.RecvAny, FD: fd}
			op.Handler = ops(func(op *proactor.Op) { order = append(order, op.Data...) })
			r.Submit(op)
			p.Send([]byte{byte(10 * i), byte(10*i + 1), byte(10*i + 2)})
			fds, all = append(fds, fd), append(all, op)
		}
		r.until("all is there", func() bool { return len(order) == 9 })
		next := [3]byte{0, 10, 20}
		for i, b := range order {
			if next[b/10] != b {
				t.Errorf("seed %d: order %v", seed, order)
			}
			next[b/10]++
			swapped = swapped || i > 0 && b < order[i-1]
		}
		for i, op := range all {
			r.Cancel(op)
			r.finish(op)
			r.must(r.CloseFD(fds[i]))
		}
		r.tidy()
	}
	if !swapped {
		t.Error("nothing was ever reordered")
	}
}

func TestDatagramFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		faults Faults
		ok     func(got []Packet) bool
	}{
		{"None", Faults{}, func(got []Packet) bool { return inOrder(got) && len(got) == 50 }},
		{"Drop", Faults{Drop: 0.5}, func(got []Packet) bool {
			return inOrder(got) && len(got) > 0 && len(got) < 50
		}},
		{"Duplicate", Faults{Duplicate: 0.5}, func(got []Packet) bool { return len(got) > 50 }},
		{"Overtake", Faults{Overtake: 0.5}, func(got []Packet) bool {
			return !inOrder(got) && len(got) == 50
		}},
	} {
		r := newRig(t, Options{Seed: 3, Faults: tt.faults})
		p, err := r.ServePackets(anywhere)
		r.must(err)
		fd, err := r.Socket(proactor.IPv4, proactor.Datagram)
		r.must(err)
		for i := range 50 {
			op := &proactor.Op{Code: proactor.SendMsg, FD: fd,
				Message: &proactor.Message{Addr: p.Addr()}}
			op.Bufs = [][]byte{{byte(i)}}
			if n := r.do(op); n != 1 {
				t.Errorf("sent %d", n)
			}
		}
		r.turn(time.Minute)
		if !tt.ok(p.Received()) {
			t.Errorf("%s: received %d datagrams: %v", tt.name, len(p.Received()), p.Received())
		}
		r.must(r.CloseFD(fd))
		p.Close()
		r.tidy()
	}
}

func inOrder(packets []Packet) bool {
	for i := 1; i < len(packets); i++ {
		if packets[i].Data[0] < packets[i-1].Data[0] {
			return false
		}
	}
	return true
}

func TestRandomFaultsDiffer(t *testing.T) {
	seen := map[Faults]bool{}
	off := 0
	for seed := range uint64(100) {
		f := RandomFaults(seed)
		if f != RandomFaults(seed) {
			t.Errorf("seed %d gives different faults", seed)
		}
		seen[f] = true
		if f.PartialRead == 0 {
			off++
		}
	}
	if len(seen) != 100 || off < 25 || off > 75 {
		t.Errorf("%d different faults; one is off %d times", len(seen), off)
	}
}
