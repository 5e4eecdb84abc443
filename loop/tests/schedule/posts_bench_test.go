package schedule_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/sluice-net/sluice/loop"
)

// BenchmarkCallSoonThreadsafe measures what a function costs that other goroutines schedule,
// until it has run, when they schedule many.
func BenchmarkCallSoonThreadsafe(b *testing.B) {
	for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
		for _, goroutines := range []int{1, 4} {
			b.Run(fmt.Sprintf("%v/%d", engine, goroutines), func(b *testing.B) {
				l, err := loop.New(&loop.Options{Engine: engine})
				if err != nil {
					b.Skipf("needs %v: %v", engine, err)
				}
				ended := make(chan error, 1)
				go func() { ended <- l.RunForever() }()
				each := max(b.N/goroutines, 1)
				ran, all := 0, make(chan struct{})
				f := func() {
					if ran++; ran == each*goroutines {
						close(all)
					}
				}
				b.ReportAllocs()
				b.ResetTimer()
				var posting sync.WaitGroup
				for range goroutines {
					posting.Go(func() {
						for range each {
							l.CallSoonThreadsafe(f)
						}
					})
				}
				posting.Wait()
				<-all
				b.StopTimer()
				l.Stop()
				<-ended
				if err := l.Close(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}
