package pipe_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// A FIFO that nobody has opened for writing yet is read as if it had ended, and has not.
func TestPipeOfAFIFOWaitsForItsFirstWriter(t *testing.T) {
	for _, kind := range []string{"plain", "buffered"} {
		t.Run(kind, func(t *testing.T) {
			rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
				path := filepath.Join(t.TempDir(), "fifo")
				if err := syscall.Mkfifo(path, 0o600); err != nil {
					t.Skip("needs FIFOs: ", err)
				}
				f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
				if err != nil {
					t.Fatal(err)
				}
				reader := transporttest.NewRecorder(t)
				p := protocol.Protocol(reader)
				if kind == "buffered" {
					p = reader.Buffered(100)
				}
				rig.ReadPipe(t, l, p, f)
				for range 5 { // rounds, in which it could be taken for the end
					looptest.Do(l, func() {})
				}
				w, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				w.WriteString("fifo")
				w.Close()
				rig.WaitLostWith(t, l, reader, nil)
				trace := reader.Trace()
				at := strings.Index(trace, " 4")
				if at < 0 || strings.Index(trace, "eof") < at {
					t.Error(trace)
				}
			})
		})
	}
}

// What is wrong with a file is said with its name.
func TestPipeErrorsNameTheFile(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		path := filepath.Join(t.TempDir(), "regular")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.ConnectReadPipe(t.Context(), transporttest.NewRecorder(t), f)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v does not name %s", err, path)
		}
	})
}
