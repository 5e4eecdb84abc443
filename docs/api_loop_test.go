package docs

import (
	"context"
	"crypto/tls"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
)

type (
	ctx    = context.Context
	stream = transport.Transport
	dgram  = transport.DatagramTransport
	child  = transport.SubprocessTransport
)

var (
	_ func(ctx, func(ctx, *loop.Loop) error) error               = loop.Run
	_ func(loop.Options, ctx, func(ctx, *loop.Loop) error) error = loop.Options.Run
	_ func(*loop.Options) (*loop.Loop, error)                    = loop.New

	_ func(*loop.Loop) error                                    = (*loop.Loop).RunForever
	_ func(*loop.Loop, ctx, func(ctx) error) error              = (*loop.Loop).RunUntilComplete
	_ func(*loop.Loop)                                          = (*loop.Loop).Stop
	_ func(*loop.Loop) error                                    = (*loop.Loop).Close
	_ func(*loop.Loop, ctx) error                               = (*loop.Loop).Shutdown
	_ func(*loop.Loop) bool                                     = (*loop.Loop).IsRunning
	_ func(*loop.Loop) loop.Engine                              = (*loop.Loop).Engine
	_ func(*loop.Loop) string                                   = (*loop.Loop).Why
	_ func(*loop.Loop) time.Duration                            = (*loop.Loop).Time
	_ func(*loop.Loop, func()) *loop.Handle                     = (*loop.Loop).CallSoon
	_ func(*loop.Loop, func()) *loop.Handle                     = (*loop.Loop).CallSoonThreadsafe
	_ func(*loop.Loop, func() error, func(error))               = (*loop.Loop).RunInExecutor
	_ func(*loop.Loop, int, func()) error                       = (*loop.Loop).AddReader
	_ func(*loop.Loop, int, func()) error                       = (*loop.Loop).AddWriter
	_ func(*loop.Loop, int) bool                                = (*loop.Loop).RemoveReader
	_ func(*loop.Loop, int) bool                                = (*loop.Loop).RemoveWriter
	_ func(*loop.Loop, os.Signal, func()) error                 = (*loop.Loop).AddSignalHandler
	_ func(*loop.Loop, os.Signal) bool                          = (*loop.Loop).RemoveSignalHandler
	_ func(*loop.Loop, int) []byte                              = (*loop.Loop).AllocBuffer
	_ func(*loop.Loop, []byte)                                  = (*loop.Loop).FreeBuffer
	_ func(*loop.Loop, func(loop.Exception))                    = (*loop.Loop).SetExceptionHandler
	_ func(*loop.Loop, bool)                                    = (*loop.Loop).SetDebug
	_ func(*loop.Loop) loop.Stats                               = (*loop.Loop).Stats
	_ func(l *loop.Loop) *time.Duration                         = slowCallbackDuration
	_ func(*loop.Handle)                                        = (*loop.Handle).Cancel
	_ func(*loop.Handle) bool                                   = (*loop.Handle).Cancelled
	_ func(*loop.TimerHandle)                                   = (*loop.TimerHandle).Cancel
	_ func(*loop.TimerHandle) time.Duration                     = (*loop.TimerHandle).When
	_ func(*loop.Loop, time.Duration, func()) *loop.TimerHandle = (*loop.Loop).CallLater
	_ func(*loop.Loop, time.Duration, func()) *loop.TimerHandle = (*loop.Loop).CallAt
)

func slowCallbackDuration(l *loop.Loop) *time.Duration { return &l.SlowCallbackDuration }

// The creators, and their twins.
var (
	_ func(*loop.Loop, ctx, protocol.Factory, string, *loop.ServerOptions,
	) (*loop.Server, error) = (*loop.Loop).CreateServer
	_ func(*loop.Loop, ctx, protocol.Factory, string, *loop.ServerOptions,
		func(*loop.Server, error)) = (*loop.Loop).CreateServerFunc
	_ func(*loop.Loop, ctx, protocol.Factory, string, *loop.UnixServerOptions,
	) (*loop.Server, error) = (*loop.Loop).CreateUnixServer
	_ func(*loop.Loop, ctx, protocol.Factory, string, *loop.UnixServerOptions,
		func(*loop.Server, error)) = (*loop.Loop).CreateUnixServerFunc
	_ func(*loop.Loop, ctx, protocol.Protocol, string, *loop.ConnectionOptions,
	) (stream, error) = (*loop.Loop).CreateConnection
	_ func(*loop.Loop, ctx, protocol.Protocol, string, *loop.ConnectionOptions,
		func(stream, error)) = (*loop.Loop).CreateConnectionFunc
	_ func(*loop.Loop, ctx, protocol.Protocol, string, *loop.ConnectionOptions,
	) (stream, error) = (*loop.Loop).CreateUnixConnection
	_ func(*loop.Loop, ctx, protocol.Protocol, string, *loop.ConnectionOptions,
		func(stream, error)) = (*loop.Loop).CreateUnixConnectionFunc
	_ func(*loop.Loop, ctx, protocol.Protocol, *os.File, *loop.ServerOptions,
	) (stream, error) = (*loop.Loop).ConnectAcceptedSocket
	_ func(*loop.Loop, ctx, protocol.Protocol, *os.File, *loop.ServerOptions,
		func(stream, error)) = (*loop.Loop).ConnectAcceptedSocketFunc
	_ func(*loop.Loop, ctx, protocol.DatagramProtocol, *loop.DatagramOptions,
	) (dgram, error) = (*loop.Loop).CreateDatagramEndpoint
	_ func(*loop.Loop, ctx, protocol.DatagramProtocol, *loop.DatagramOptions,
		func(dgram, error)) = (*loop.Loop).CreateDatagramEndpointFunc
	_ func(*loop.Loop, ctx, protocol.Protocol, *os.File,
	) (transport.ReadTransport, error) = (*loop.Loop).ConnectReadPipe
	_ func(*loop.Loop, ctx, protocol.Protocol, *os.File,
		func(transport.ReadTransport, error)) = (*loop.Loop).ConnectReadPipeFunc
	_ func(*loop.Loop, ctx, protocol.Protocol, *os.File,
	) (transport.WriteTransport, error) = (*loop.Loop).ConnectWritePipe
	_ func(*loop.Loop, ctx, protocol.Protocol, *os.File,
		func(transport.WriteTransport, error)) = (*loop.Loop).ConnectWritePipeFunc
	_ func(*loop.Loop, ctx, protocol.SubprocessProtocol, []string, *subprocess.Options,
	) (child, error) = (*loop.Loop).SubprocessExec
	_ func(*loop.Loop, ctx, protocol.SubprocessProtocol, []string, *subprocess.Options,
		func(child, error)) = (*loop.Loop).SubprocessExecFunc
	_ func(*loop.Loop, ctx, protocol.SubprocessProtocol, string, *subprocess.Options,
	) (child, error) = (*loop.Loop).SubprocessShell
	_ func(*loop.Loop, ctx, protocol.SubprocessProtocol, string, *subprocess.Options,
		func(child, error)) = (*loop.Loop).SubprocessShellFunc
	_ func(*loop.Loop, ctx, stream, protocol.Protocol, *tls.Config, *loop.TLSOptions,
	) (stream, error) = (*loop.Loop).StartTLS
	_ func(*loop.Loop, ctx, stream, protocol.Protocol, *tls.Config, *loop.TLSOptions,
		func(stream, error)) = (*loop.Loop).StartTLSFunc
	_ func(*loop.Loop, ctx, transport.WriteTransport, *os.File, int64, int64,
	) (int64, error) = (*loop.Loop).Sendfile
	_ func(*loop.Loop, ctx, transport.WriteTransport, *os.File, int64, int64,
		func(int64, error)) = (*loop.Loop).SendfileFunc
)

var (
	_ func(*loop.Server) []net.Addr        = (*loop.Server).Addrs
	_ func(*loop.Server) []int             = (*loop.Server).Sockets
	_ func(*loop.Server)                   = (*loop.Server).Close
	_ func(*loop.Server)                   = (*loop.Server).CloseClients
	_ func(*loop.Server)                   = (*loop.Server).AbortClients
	_ func(*loop.Server) bool              = (*loop.Server).IsServing
	_ func(*loop.Server) error             = (*loop.Server).StartServing
	_ func(*loop.Server, ctx) error        = (*loop.Server).ServeForever
	_ func(*loop.Server, ctx, func(error)) = (*loop.Server).ServeForeverFunc
	_ func(*loop.Server, ctx) error        = (*loop.Server).WaitClosed
	_ func(*loop.Server, ctx, func(error)) = (*loop.Server).WaitClosedFunc
	_ func(*loop.Server, ctx) error        = (*loop.Server).Shutdown
	_ func(*loop.Server, ctx, func(error)) = (*loop.Server).ShutdownFunc
	_ func(*loop.Server) *loop.Loop        = (*loop.Server).Loop
	_ func(*loop.Server) iter.Seq[stream]  = (*loop.Server).Conns
)

var _ = []any{
	loop.Options{
		Engine: loop.Auto, Loops: 1, Entries: uint32(1), CQEntries: uint32(1), ReserveP: true,
		Buffers: loop.BufferOptions{Size: 1, Min: 1, Max: 1},
		Trace:   &loop.Trace{}, Logger: &slog.Logger{}, Debug: true, Repanic: true, FlowPage: true,
	},
	loop.Trace{
		PauseWriting:     func(transport.BaseTransport, int, transport.Limits) {},
		ResumeWriting:    func(transport.BaseTransport, int, transport.Limits) {},
		BuffersExhausted: func(uint16) {},
		Fallback:         func(string, error) {},
		SlowCallback:     func(time.Duration) {},
	},
	loop.ServerOptions{
		TLS: &loop.TLSOptions{}, Backlog: 1, Addrs: []string{}, Sock: &os.File{},
		ReusePort: true, ReuseAddress: true, KeepAlive: true, DeferServing: true,
		CloseTimeout: time.Second, IdleTimeout: time.Second,
		MaxConns: 1, WriteCap: 1, NoReuseAddress: true,
	},
	loop.UnixServerOptions{
		ServerOptions: loop.ServerOptions{}, Mode: 0o600, NoCleanupSocket: true,
		ProbeSocket: true,
	},
	loop.ConnectionOptions{
		TLS: &loop.TLSOptions{}, LocalAddr: "", Sock: &os.File{},
		HappyEyeballsDelay: time.Second, Interleave: 1, AllErrors: true, KeepAlive: true,
		CloseTimeout: time.Second, IdleTimeout: time.Second, WriteCap: 1,
	},
	loop.DatagramOptions{
		LocalAddr: "", RemoteAddr: "", LocalPath: "", RemotePath: "", Network: "",
		Sock: &os.File{}, ReusePort: true, Broadcast: true, GSO: true, GRO: true, RecvErr: true,
		JoinGroups: []netip.Addr{}, Interface: "", MulticastTTL: 1, NoMulticastLoop: true,
		SendBuffer: 1, ReceiveBuffer: 1, WriteCap: 1,
	},
	loop.TLSOptions{
		Config: &tls.Config{}, OnHandshakeError: func(net.Addr, error) {},
		ServerSide: true, ServerName: "", Prefix: []byte{},
		HandshakeTimeout: time.Second, ShutdownTimeout: time.Second, RequireCloseNotify: true,
	},
	loop.Exception{
		Message: "", Err: error(nil), Transport: transport.BaseTransport(nil),
		Protocol: transport.BaseProtocol(nil), Handle: &loop.Handle{},
	},
	subprocess.Options{
		Stdin: subprocess.Pipe, Stdout: subprocess.Inherit, Stderr: subprocess.Stdout,
		Dir: "", Env: []string{}, Attr: &syscall.SysProcAttr{}, ExtraFiles: []*os.File{},
		Executable: "",
	},
	[]subprocess.Stdio{subprocess.DevNull, subprocess.File(nil)},
	[]loop.Engine{loop.Auto, loop.Uring, loop.Epoll},
}

var (
	_ subprocess.Loop                        = (*loop.Loop)(nil)
	_ func(*os.File) subprocess.Stdio        = subprocess.File
	_ func(ctx, child) (code int, err error) = subprocess.Wait
	_ func(ctx, subprocess.Loop, protocol.SubprocessProtocol, []string, *subprocess.Options,
	) (child, error) = subprocess.Start
)

// The errors that a caller compares with.
var _ = []error{
	loop.ErrLoopClosed, loop.ErrLoopRunning, loop.ErrLoopStopped, loop.ErrOnLoop,
	loop.ErrServerClosed, loop.ErrServing, loop.ErrFdInUse, loop.ErrNoAddress, loop.ErrNotPipe,
	loop.ErrNotSupported, transport.ErrClosed, transport.ErrEOFWritten, transport.ErrNilProtocol,
	transport.ErrProtocolKind, transport.ErrNoDestination, transport.ErrAddrMismatch,
	transport.ErrBadLimits, transport.ErrBufferFull, transport.ErrCloseTimeout,
	transport.ErrIdleTimeout, transport.ErrHandshakeTimeout, transport.ErrShutdownTimeout,
	transport.ErrNoCloseNotify, transport.ErrNoHalfClose, transport.ErrTruncated,
	protocol.ErrEmptyBuffer, subprocess.ErrStolen,
}
