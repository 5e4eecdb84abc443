// Package pressure tells which layer holds each connection of a process back.
//
// Between the code that writes and the peer that reads lie the transport's
// buffer, the ring, the kernel's send queue, the network and the peer's window;
// on the way back our own window, the receive queue, the receive buffers, the
// ring and a reader that may have paused. A [Tracer] looks at all of them at
// once and splits the wall time of each direction into exclusive causes that
// sum to 100 %: an [Account]. Where one of them leads, it is the verdict.
//
//	tracer, err := pressure.Attach(ctx, pressure.Options{PID: pid})
//	...
//	for account := range tracer.Accounts() {
//		fmt.Println(account.Remote, account.Send.Verdict, account.Send.Reason)
//	}
//
// Most of it is pulled: one pass of an eBPF iterator over the descriptors of
// the process yields the state of each socket, pipe and ring, and costs the
// process nothing. Only rare events are pushed ([LevelEdges]). What costs every
// process of the host something, the probes of each segment or request
// ([LevelFlow], [LevelRing], [LevelFuncs]), is off unless asked for and ends by
// itself. What only user space knows is read from the flow page that a loop
// with loop.Options.FlowPage publishes. Without any privilege there is
// [LevelProcess].
//
// Snapshots, events and accounts are plain data and survive encoding/json;
// [Accountant] and [Diagnose] work on such a recording as they do live.
//
// eBPF needs Linux 6.1 or newer with BTF, CAP_BPF and CAP_PERFMON. [Probe] says
// what of it there is. The programs attach to BTF tracepoints and iterators
// alone, but for LevelFuncs.
package pressure
