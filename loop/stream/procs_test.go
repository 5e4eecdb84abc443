package stream_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/stream"
)

// With one P, goroutines that a loop wakes should run when it sleeps: a second P would let
// them interrupt it after every message.
func TestAGOMAXPROCSOfOneStays(t *testing.T) {
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	l, err := loop.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ln, err := stream.Listen(l, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ended := make(chan error, 1)
	go func() { ended <- l.RunForever() }()
	looptest.Do(l, func() {})
	for end := time.Now().Add(20 * time.Second); runtime.GOMAXPROCS(0) != 1; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("GOMAXPROCS is %d", runtime.GOMAXPROCS(0))
		}
	}
	l.Stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
