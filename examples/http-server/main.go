// Command http-server is package net/http's server, as it is, on the connections of a
// loop. Its argument is the directory to serve.
//
//	http-server -addr 127.0.0.1:8080 public
//
// It answers /hello and /upload too. At SIGTERM it finishes what it has begun.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/stream"
)

// grace is how long requests may take when the server is told to end.
const grace = 3 * time.Second

// handler serves the files of a directory, a greeting, and a count of what was sent.
func handler(dir string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(dir)))
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello, %s\n", r.RemoteAddr)
	})
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "%d bytes\n", n)
	})
	return mux
}

// serve serves until ctx ends.
func serve(ctx context.Context, l *loop.Loop, addr, dir string) error {
	listener, err := stream.Listen(l, "tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("Serving on", listener.Addr())
	server := &http.Server{Handler: handler(dir), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		ended <- server.Shutdown(ctx)
	})
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	flag.Parse()
	dir := "."
	if flag.NArg() > 0 {
		dir = flag.Arg(0)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// The loop outlives ctx: what is under way still needs it.
	err := loop.Run(context.Background(), func(_ context.Context, l *loop.Loop) error {
		return serve(ctx, l, *addr, dir)
	})
	if err != nil {
		log.Fatal(err)
	}
}
