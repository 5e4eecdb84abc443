package contest

import (
	"sync"
	"time"
)

// workBatch is how much is done between two looks at the clock.
const workBatch = 256

// Repeat calls f for some time and returns how often.
func Repeat(d time.Duration, f func()) (n int64) {
	for end := time.Now().Add(d); n == 0 || time.Now().Before(end); n += workBatch {
		for range workBatch {
			f()
		}
	}
	return n
}

// postsUnderway is how many posts of a poster may wait to be run, so that memory does
// not grow without end.
const postsUnderway = 16 * workBatch

// Post has posters goroutines post a function by post for some time, and returns how
// often it was run.
func Post(d time.Duration, posters int, post func(f func())) int64 {
	counts := make([]int64, posters)
	var all sync.WaitGroup
	for i := range counts {
		all.Go(func() {
			last := make(chan struct{}, 1)
			for end := time.Now().Add(d); counts[i] == 0 || time.Now().Before(end); {
				for range postsUnderway - 1 {
					post(func() {})
				}
				post(func() { last <- struct{}{} })
				<-last
				counts[i] += postsUnderway
			}
		})
	}
	all.Wait()
	sum := int64(0)
	for _, n := range counts {
		sum += n
	}
	return sum
}
