package sys

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestStatFileAsksAgainWhenThatIsNotEnough(t *testing.T) {
	var k Kernel
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, make([]byte, 10), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	size := func(enough, want int64, calls uint64) {
		t.Helper()
		before := k.Calls
		stat, err := k.StatFile(f, enough)
		if err != nil || stat.Size != want || !stat.Regular || stat.ID.Inode == 0 {
			t.Errorf("%+v, %v, want %d bytes", stat, err, want)
		}
		if k.Calls-before != calls {
			t.Errorf("%d calls, want %d", k.Calls-before, calls)
		}
	}
	size(0, 10, 1)
	if err := os.Truncate(name, 20); err != nil {
		t.Fatal(err)
	}
	size(10, 10, 0)
	size(11, 20, 1)
	size(20, 20, 0)
	size(math.MaxInt64, 20, 1)
	if n := testing.AllocsPerRun(100, func() { k.StatFile(f, 20) }); n > 1 {
		t.Errorf("%v allocations, one is package os's", n)
	}
	f.Close()
	for _, enough := range []int64{0, 21} { // what is known would do, and would not
		if _, err := k.StatFile(f, enough); err != os.ErrClosed {
			t.Errorf("a closed file: %v", err)
		}
	}
}

func TestStatFileTellsWhatIsNotRegular(t *testing.T) {
	var k Kernel
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for range 2 {
		if stat, err := k.StatFile(dir, 0); err != nil || stat.Regular {
			t.Errorf("a directory: %+v, %v", stat, err)
		}
	}
	if _, err := k.StatFile(nil, 0); err != os.ErrInvalid {
		t.Errorf("no file: %v", err)
	}
}

func TestAnotherFileAtTheSameAddressIsNotKnown(t *testing.T) {
	var k known
	f, other := new(os.File), new(os.File)
	k.add(f, knownFile{size: 1})
	k.files[address(other)] = k.files[address(f)]
	if _, ok := k.of(other); ok {
		t.Error("it is taken for the other")
	}
	if file, ok := k.of(f); !ok || file.size != 1 {
		t.Errorf("%+v, %v", file, ok)
	}
	runtime.KeepAlive(f)
}

func TestKnownFilesAreBounded(t *testing.T) {
	var k known
	for range 2 * knownMax {
		k.add(new(os.File), knownFile{})
		if len(k.files) > knownMax {
			t.Fatalf("%d files", len(k.files))
		}
	}
}
