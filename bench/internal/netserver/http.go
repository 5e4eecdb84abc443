package netserver

import (
	"io"
	"net"
	"net/http"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// ServeHTTP answers requests on l by net/http's server until l is closed.
func ServeHTTP(l net.Listener, page *contest.Page) error {
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, contest.HTTPAnswer)
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				page.Conns.Add(1)
			case http.StateClosed:
				page.Conns.Add(-1)
			}
		},
	}
	return server.Serve(l)
}
