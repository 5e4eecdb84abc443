package loop

import (
	"context"
	"os"

	"github.com/sluice-net/sluice/loop/internal/child"
	"github.com/sluice-net/sluice/loop/internal/registry"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

var _ child.Loop = (*host)(nil)

// ReadPipe implements child.Loop.
func (h *host) ReadPipe(p protocol.Protocol, f *os.File,
	done func(transport.ReadTransport, error)) {
	h.loop().ConnectReadPipeFunc(context.Background(), p, f, done)
}

// WritePipe implements child.Loop.
func (h *host) WritePipe(p protocol.Protocol, f *os.File,
	done func(transport.WriteTransport, error)) {
	h.loop().ConnectWritePipeFunc(context.Background(), p, f, done)
}

// Opened implements child.Loop.
func (h *host) Opened(r registry.Resource) { h.open.Add(r) }

// Closed implements child.Loop.
func (h *host) Closed(r registry.Resource) { h.loop().remove(r) }

// Drop implements child.Loop.
func (h *host) Drop(fd int) { h.loop().drop(fd) }
