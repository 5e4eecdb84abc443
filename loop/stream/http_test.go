package stream_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/stream"
)

// serveHTTP serves with package net/http until the end of the test.
func serveHTTP(t *testing.T, l *loop.Loop, h http.Handler) (ln net.Listener) {
	t.Helper()
	ln = listen(t, l, "tcp")
	server := &http.Server{Handler: h}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := soon(t, "the server", ended); err != http.ErrServerClosed {
			t.Error(err)
		}
		until(t, l, "the connections to go", func() bool { return l.Stats().Transports == 0 })
	})
	return ln
}

// Both ends of net/http on one loop: keep-alive, large bodies both ways, many clients,
// and a client that hangs up.
func TestNetHTTPRunsOnALoop(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		began, ended := make(chan struct{}), make(chan struct{})
		ln := serveHTTP(t, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hang" {
				close(began)
				<-r.Context().Done() // which net/http finds out by reading
				close(ended)
				return
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			w.Write(body)
		}))
		client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				return stream.Dial(ctx, l, network, addr)
			}}}
		defer client.CloseIdleConnections()
		url := "http://" + ln.Addr().String()
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for _, body := range []string{"", "short", strings.Repeat(fmt.Sprint(i), 50_000)} {
					r, err := client.Post(url, "text/plain", strings.NewReader(body))
					if err != nil {
						t.Error(err)
						return
					}
					got, err := io.ReadAll(r.Body)
					r.Body.Close()
					if err != nil || !bytes.Equal(got, []byte(body)) {
						t.Errorf("%d bytes of %d came back, %v", len(got), len(body), err)
					}
				}
			})
		}
		all.Wait()
		ctx, cancel := context.WithCancel(context.Background())
		request, err := http.NewRequestWithContext(ctx, "GET", url+"/hang", nil)
		if err != nil {
			t.Fatal(err)
		}
		asking := background(func() (int, error) {
			_, err := client.Do(request)
			return 0, err
		})
		soon(t, "the request", began)
		cancel()
		if r := soon(t, "the client", asking); r.err == nil {
			t.Error("a request that was given up succeeded")
		}
		soon(t, "the handler", ended)
	})
}
