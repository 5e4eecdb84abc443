package exacttest

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestContentIsTheSameHoweverItIsCut(t *testing.T) {
	whole := Bytes(5000, 7, 0)
	for _, size := range []int{1, 3, 7, 8, 9, 64, 511, 513} {
		var got []byte
		for off := 0; off < len(whole); off += size {
			got = append(got, Bytes(min(size, len(whole)-off), 7, uint64(off))...)
		}
		if !bytes.Equal(got, whole) {
			t.Errorf("in pieces of %d bytes it is another", size)
		}
	}
	if bytes.Equal(Bytes(8, 8, 0), whole[:8]) || bytes.Equal(whole[8:16], whole[:8]) {
		t.Error("two streams or two places have the same content")
	}
}

func TestCheckFindsTheFirstByteThatDiffers(t *testing.T) {
	for _, at := range []int{0, 1, 511, 512, 1999} {
		p := Bytes(2000, 3, 100)
		if err := Check(p, 3, 100); err != nil {
			t.Fatal(err)
		}
		p[at] ^= 1
		want := fmt.Sprintf("byte %d ", at+100)
		if err := Check(p, 3, 100); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("a wrong byte at %d: %v, want %q", at, err, want)
		}
	}
	if Check(Bytes(10, 3, 1), 3, 0) == nil {
		t.Error("a byte that is missing is not found")
	}
}

func TestTheMarkerIsRecognised(t *testing.T) {
	p := Bytes(1000, 3, 0)
	Spoil(p[301:600])
	if err := Check(p, 3, 0); err == nil || !strings.Contains(err.Error(), "let go of") {
		t.Errorf("%v", err)
	}
	Spoil(nil)
}

// Memory that nobody refers to any more is filled with the marker before long.
func TestLitterTakesThePlaceOfWhatIsLetGoOf(t *testing.T) {
	stop := Litter(time.Millisecond)
	defer stop()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		runtime.ReadMemStats(&after)
		if after.NumGC-before.NumGC >= 5 && after.Mallocs-before.Mallocs > 1000 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d collections, %d allocations in ten seconds",
				after.NumGC-before.NumGC, after.Mallocs-before.Mallocs)
		}
	}
}
