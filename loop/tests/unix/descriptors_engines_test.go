package unix_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// passPipe passes the writing end of a new pipe along with data, and returns the
// reading one. On the loop's goroutine.
func passPipe(t *testing.T, l *loop.Loop, from transport.FDWriter, data []byte) *os.File {
	r, w, err := looptest.Pipe(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	if err := from.WriteWithFDs(data, []*os.File{w}); err != nil {
		t.Error(err)
	}
	w.Close() // it was duplicated
	return r
}

func TestS284_APassedPipeWorksOnEveryEngine(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		from, to := rig.FDPair(t, l)
		var r *os.File
		looptest.Do(l, func() {
			from.(transport.Transport).Write([]byte("before"))
			r = passPipe(t, l, from, []byte("with"))
			from.(transport.Transport).Write([]byte("after"))
		})
		rig.WaitData(t, l, to.Recorder, []byte("beforewithafter"))
		if len(to.Files) != 1 || to.FilesLost || to.At[0] > len("before") {
			t.Fatalf("%d files after %v bytes, lost %v", len(to.Files), to.At, to.FilesLost)
		}
		useBothEnds(t, l, r, to.Files[0])
	})
}

// useBothEnds shows that r and w are the ends of one pipe.
func useBothEnds(t *testing.T, l *loop.Loop, r, w *os.File) {
	t.Helper()
	reader, writer := transporttest.NewRecorder(t), transporttest.NewRecorder(t)
	rig.ReadPipe(t, l, reader, r)
	rig.WritePipe(t, l, writer, w)
	rig.AbortAtEnd(t, l, reader, writer)
	looptest.Do(l, func() { writer.Transport().Write([]byte("through the pipe")) })
	rig.WaitData(t, l, reader, []byte("through the pipe"))
}

// What was queued or is on its way when the connection ends is closed: its pipe ends.
func TestPassedPipesOfALostConnectionAreClosed(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		from, to := rig.FDPair(t, l)
		var readers []*transporttest.Recorder
		for i := range 3 {
			var r *os.File
			looptest.Do(l, func() {
				to.Transport().PauseReading()
				r = passPipe(t, l, from, bytes.Repeat([]byte("x"), 1+i<<20))
			})
			reader := transporttest.NewRecorder(t)
			rig.ReadPipe(t, l, reader, r)
			rig.AbortAtEnd(t, l, reader)
			readers = append(readers, reader)
		}
		looptest.Do(l, func() {
			from.(transport.Transport).Abort()
			to.Transport().Abort()
		})
		rig.WaitLost(t, l, to.Recorder)
		for _, f := range to.Files { // one may have come before the pause
			w := transporttest.NewRecorder(t)
			rig.WritePipe(t, l, w, f)
			looptest.Do(l, w.Transport().Abort)
		}
		for _, r := range readers {
			rig.WaitLost(t, l, r)
		}
	})
}

// TestPassedFilesComeInOrder passes pipes between writes over connections that the
// simulated kernel breaks into parts and delays.
func TestPassedFilesComeInOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			n := looptest.New(t, looptest.Options{Seed: seed})
			from, to := rig.FDPair(t, n.Loop)
			random := rand.New(rand.NewPCG(seed, 3))
			var want []byte
			var starts []int // the first byte of each message with a file
			var kept []*os.File
			looptest.Do(n.Loop, func() {
				faults := looptest.RandomFaults(seed)
				faults.Reset, faults.NoMemory, faults.NoSocket = 0, 0, 0
				n.SetFaults(faults)
				for i := range 12 {
					data := bytes.Repeat([]byte{byte('a' + i)}, 1+random.IntN(20_000))
					if random.IntN(2) == 0 {
						starts = append(starts, len(want))
						kept = append(kept, passPipe(t, n.Loop, from, data))
					} else {
						from.(transport.Transport).Write(data)
					}
					want = append(want, data...)
				}
			})
			rig.WaitData(t, n.Loop, to.Recorder, want)
			if len(to.Files) != len(starts) || to.FilesLost {
				t.Fatalf("%d files of %d, lost %v", len(to.Files), len(starts), to.FilesLost)
			}
			for i, at := range to.At {
				if at > starts[i] {
					t.Errorf("file %d came after %d bytes, was sent after %d", i, at, starts[i])
				}
				looptest.Do(n.Loop, func() { n.SetFaults(looptest.Faults{}) })
				useBothEnds(t, n.Loop, kept[i], to.Files[i])
			}
		})
	}
}
