package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluice-net/sluice/transport/pressure/internal/promexport"
)

// serveMetrics answers Prometheus until ctx ends.
func serveMetrics(ctx context.Context, args []string, _, log io.Writer) error {
	a := newArguments("metrics", "-p PID [-listen 127.0.0.1:9464]", log)
	var l looking
	l.add(a)
	listen := a.String("listen", "127.0.0.1:9464", "the `address` to serve /metrics at")
	if err := a.parse(args, 0); err != nil {
		return err
	}
	s, err := l.attach(log)
	if err != nil {
		return err
	}
	defer s.Close()
	registry := prometheus.NewRegistry()
	if err := registry.Register(promexport.New(s)); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "serving http://%s/metrics\n", listener.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
