package fdio

import (
	"bytes"
	"slices"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/proactor"
)

// joined is what the next send would carry.
func joined(q *queue) []byte { return bytes.Join(q.gather(nil), nil) }

// numbered returns n bytes that count from first.
func numbered(first, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(first + i)
	}
	return b
}

func TestSmallWritesShareAChunk(t *testing.T) {
	var q queue
	var pool ChunkPool
	q.copyIn([]byte("ab"), &pool)
	q.copyIn([]byte("cd"), &pool)
	if got := q.gather(nil); len(got) != 1 || string(got[0]) != "abcd" {
		t.Errorf("gathered %q", got)
	}
}

func TestNothingIsAppendedToAChunkInFlight(t *testing.T) {
	var q queue
	var pool ChunkPool
	q.copyIn([]byte("ab"), &pool)
	flying := q.gather(nil)
	q.flying = len(flying)
	q.copyIn([]byte("cd"), &pool)
	if string(flying[0]) != "ab" || len(q.chunks) != 2 {
		t.Errorf("in flight %q, %d chunks", flying, len(q.chunks))
	}
	q.flying = 0
	q.sent(2, &pool, nil)
	if got := joined(&q); string(got) != "cd" {
		t.Errorf("left %q", got)
	}
}

func TestNothingIsAppendedToAnOwnedSlice(t *testing.T) {
	var q queue
	var pool ChunkPool
	owned := make([]byte, 2, 100)
	q.own(owned, nil, &pool)
	q.copyIn([]byte("x"), &pool)
	if len(q.chunks) != 2 || owned[:3][2] == 'x' {
		t.Error("the user's memory was written to")
	}
}

func TestASendCarriesAtMostItsMaximum(t *testing.T) {
	for _, c := range []struct {
		name        string
		slices, len int
		wantSlices  int
		wantBytes   int
	}{
		{"bytes", 3, sendMax/2 + 1, 2, sendMax},
		{"exactly", 2, sendMax / 2, 2, sendMax},
		{"slices", proactor.IOVMax + 5, 1, proactor.IOVMax, proactor.IOVMax},
		{"one large", 1, 2 * sendMax, 1, sendMax},
	} {
		t.Run(c.name, func(t *testing.T) {
			var q queue
			for range c.slices {
				q.own(make([]byte, c.len), nil, &ChunkPool{})
			}
			got := q.gather(nil)
			if n := len(bytes.Join(got, nil)); len(got) != c.wantSlices || n != c.wantBytes {
				t.Errorf("%d slices, %d bytes", len(got), n)
			}
		})
	}
}

func TestReleasesAreDueWhenTheLastByteIsGone(t *testing.T) {
	var q queue
	var pool ChunkPool
	released := 0
	q.own([]byte("abc"), func() { released++ }, &pool)
	q.own([]byte("d"), func() { released++ }, &pool)
	for i, want := range []int{0, 0, 1, 2} {
		for _, f := range q.sent(1, &pool, nil) {
			f()
		}
		if released != want {
			t.Errorf("after %d bytes %d releases, want %d", i+1, released, want)
		}
	}
	if !q.empty() {
		t.Error("not empty")
	}
}

func TestDropLeavesWhatIsInFlight(t *testing.T) {
	var q queue
	var pool ChunkPool
	var order []string
	q.own([]byte("ab"), func() { order = append(order, "flying") }, &pool)
	q.own([]byte("cd"), func() { order = append(order, "waiting") }, &pool)
	q.flying = 1
	for _, f := range q.drop(&pool, nil) {
		f()
	}
	if !slices.Equal(order, []string{"waiting"}) || string(joined(&q)) != "ab" {
		t.Fatalf("released %v, left %q", order, joined(&q))
	}
	for _, f := range q.land(&pool, nil) {
		f()
	}
	if !slices.Equal(order, []string{"waiting", "flying"}) || !q.empty() {
		t.Errorf("released %v", order)
	}
}

func TestAQueueThatNeverRunsEmptyDoesNotGrow(t *testing.T) {
	var q queue
	var pool ChunkPool
	for range 1000 {
		q.own([]byte("ab"), nil, &pool)
		q.own([]byte("cd"), nil, &pool)
		q.sent(2, &pool, nil)
		q.sent(1, &pool, nil)
		q.own([]byte("e"), nil, &pool)
		q.sent(2, &pool, nil)
	}
	if len(q.chunks) > 4 {
		t.Errorf("%d chunks for %d in use", len(q.chunks), len(q.chunks)-q.head)
	}
}

func TestChunksComeBackToThePool(t *testing.T) {
	var pool ChunkPool
	for _, n := range []int{1, 4 << 10, 4<<10 + 1, 64 << 10} {
		var q queue
		q.copyIn(numbered(0, n), &pool)
		first := q.chunks[0].base
		q.sent(n, &pool, nil)
		if again := pool.Get(n); &again[:1][0] != first {
			t.Errorf("%d bytes: another chunk", n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { pool.Put(pool.Get(100)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
