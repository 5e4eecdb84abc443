package pressure

import (
	"slices"
	"testing"
	"time"
)

// two returns two snapshots a second apart, made by f from 0 and 1.
func two(f func(i uint64) Snapshot) []*Snapshot {
	var out []*Snapshot
	for i := range uint64(2) {
		s := f(i)
		s.Time = time.Duration(i+1) * time.Second
		out = append(out, &s)
	}
	return out
}

func TestDiagnose(t *testing.T) {
	for _, c := range []struct {
		name     string
		snapshot func(i uint64) Snapshot
		want     []string
		severity Severity
	}{
		{"nothing", func(uint64) Snapshot { return Snapshot{} }, nil, 0},
		{"drops of long ago", func(uint64) Snapshot {
			return Snapshot{
				Datagrams: []Datagram{{Cookie: 1, Drops: 9}},
				Listeners: []Listener{{Cookie: 2, Drops: 9, Backlog: 4}},
				Rings:     []Ring{{FD: 3, Overflow: 4, Edges: RingEdges{Punts: 9, Overflows: 4}}},
				Counts:    Counts{EventMemoryLimit: 5},
			}
		}, nil, 0},
		{"udp drops", func(i uint64) Snapshot {
			return Snapshot{Datagrams: []Datagram{{Cookie: 1, Drops: 9 + i}}}
		}, []string{findUDPDrops}, Critical},
		{"accept queue", func(i uint64) Snapshot {
			return Snapshot{Listeners: []Listener{{Cookie: 1, Queue: int(4 * i), Backlog: 4}}}
		}, []string{findAcceptQueue}, Critical},
		{"lost completions", func(i uint64) Snapshot {
			return Snapshot{Rings: []Ring{{FD: 3, Overflow: i}}}
		}, []string{findCQOverflow}, Critical},
		{"overflows", func(i uint64) Snapshot {
			return Snapshot{Rings: []Ring{{FD: 3, Edges: RingEdges{Overflows: i}}}}
		}, []string{findCQOverflow}, Warning},
		{"a punt now and then", func(i uint64) Snapshot {
			return Snapshot{Rings: []Ring{{FD: 3, Edges: RingEdges{Punts: i}}}}
		}, []string{findPunts}, Info},
		{"many punts", func(i uint64) Snapshot {
			return Snapshot{Rings: []Ring{{FD: 3, Edges: RingEdges{Punts: 500 * i}}}}
		}, []string{findPunts}, Warning},
		{"ENOBUFS now and then", func(i uint64) Snapshot {
			return Snapshot{Rings: []Ring{{FD: 3, Edges: RingEdges{NoBuffers: 3 * i}}}}
		}, nil, 0},
		{"ENOBUFS", func(i uint64) Snapshot {
			return Snapshot{Rings: []Ring{{FD: 3, Edges: RingEdges{NoBuffers: 300 * i}}}}
		}, []string{findStarved}, Warning},
		{"pipe full once", func(i uint64) Snapshot {
			return Snapshot{Pipes: []Pipe{{FD: 3, Writer: true, Used: int(16 - 16*i), Size: 16}}}
		}, nil, 0},
		{"pipe full", func(i uint64) Snapshot {
			return Snapshot{Pipes: []Pipe{
				{FD: 3, Writer: true, Used: 16, Size: 16}, {FD: 4, Used: 16, Size: 16},
			}}
		}, []string{findPipeFull}, Warning},
		{"memory", func(i uint64) Snapshot {
			return Snapshot{Counts: Counts{EventMemoryLimit: i}}
		}, []string{findMemoryLimit}, Critical},
		{"few resets", func(i uint64) Snapshot {
			return Snapshot{Counts: Counts{EventResetIn: 3 * i}}
		}, nil, 0},
		{"resets", func(i uint64) Snapshot {
			return Snapshot{Counts: Counts{EventResetIn: 30 * i}}
		}, []string{findResets}, Warning},
		{"stuck loop", func(i uint64) Snapshot {
			return Snapshot{Loops: []Loop{{
				ID: 1, Busy: time.Duration(i) * time.Second, TurnStart: time.Second / 2,
			}}}
		}, []string{findBusyLoop}, Warning},
		{"loss", func(i uint64) Snapshot {
			return Snapshot{Conns: []Conn{{
				Cookie: 1, Remote: peerAddress, MSS: 1000, Retrans: 20 * i, BytesAcked: 1e6 * i,
			}}}
		}, []string{findRetransmits}, Warning},
		{"paused and nothing drains", func(i uint64) Snapshot {
			return Snapshot{Conns: []Conn{{Cookie: 1, Remote: peerAddress, Transport: &Transport{
				WritingPaused: true, WritingPausedTime: time.Duration(i) * time.Second, Buffered: 9,
				Sending: 9,
			}}}}
		}, []string{findWritePaused}, Info},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := Diagnose(Evidence{Snapshots: two(c.snapshot)})
			var names []string
			for _, f := range found {
				names = append(names, f.Name)
				if f.Severity != c.severity {
					t.Errorf("severity of %s is %v, want %v", f.Name, f.Severity, c.severity)
				}
				if f.Subject == "" || f.Evidence == "" || f.Remedy == "" {
					t.Errorf("not all is said in %+v", f)
				}
			}
			if !slices.Equal(names, c.want) {
				t.Errorf("found %+v, want %v", found, c.want)
			}
		})
	}
}

func TestTheMostSevereComesFirst(t *testing.T) {
	found := Diagnose(Evidence{Snapshots: two(func(i uint64) Snapshot {
		return Snapshot{
			Rings:     []Ring{{FD: 3, Edges: RingEdges{Punts: i}}},
			Datagrams: []Datagram{{Cookie: 1, Drops: i}},
			Pipes:     []Pipe{{FD: 5, Writer: true, Used: 1, Size: 1}},
		}
	})})
	want := []Severity{Critical, Warning, Info}
	for i, f := range found {
		if len(found) != len(want) || f.Severity != want[i] {
			t.Fatalf("found %+v", found)
		}
	}
}

func TestOneSnapshotSaysNothing(t *testing.T) {
	s := Snapshot{Pipes: []Pipe{{Writer: true, Used: 1, Size: 1}}}
	if found := Diagnose(Evidence{Snapshots: []*Snapshot{&s}}); found != nil {
		t.Errorf("found %+v", found)
	}
}
