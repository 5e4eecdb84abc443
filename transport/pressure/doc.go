// Package pressure shows which layer is holding back each connection of a process.
//
// Between the code that writes and the peer that reads lie the transport's buffer,
// the ring, the kernel's send queue, the network and the peer's window. In the
// other direction lie our own window, the receive queue, the receive buffers, the
// ring and a reader that may have paused. A [Tracer] looks at all of them at once
// and splits the wall time of each direction into mutually exclusive causes that
// sum to 100 %: an [Account]. If one cause dominates, it is the verdict.
//
//	tracer, err := pressure.Attach(ctx, pressure.Options{PID: pid})
//	...
//	for account := range tracer.Accounts() {
//		fmt.Println(account.Remote, account.Send.Verdict, account.Send.Reason)
//	}
//
// Most of the data is pulled: one pass of an eBPF iterator over the descriptors of
// the process yields the state of each socket, pipe and ring, and costs the process
// nothing. Only rare events are pushed ([LevelEdges]). Probes that run for each
// segment or request cost every process of the host something ([LevelFlow],
// [LevelRing], [LevelFuncs]): they are off unless asked for, and end by themselves.
// What only user space knows is read from the flow page, which a loop with
// loop.Options.FlowPage publishes. Without any privilege there is [LevelProcess].
//
// Snapshots, events and accounts are plain data and survive encoding/json;
// [Accountant] and [Diagnose] work on such a recording as they do live.
//
// eBPF needs Linux 6.1 or newer with BTF, CAP_BPF and CAP_PERFMON. [Probe] reports
// what works here. The programs attach only to BTF tracepoints and iterators,
// except those of LevelFuncs.
package pressure
