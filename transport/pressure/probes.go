package pressure

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf/btf"
)

// A hook is the kind of thing that a program attaches to.
type hook uint8

const (
	hookIterator hook = iota
	hookTracepoint
	hookFunction
)

// A probe is one program of the object, and what a kernel must have for it.
type probe struct {
	name  string // of the program
	hook  hook
	on    string // the tracepoint or function
	level Level
	// params is the number of parameters of the tracepoint in the kernels that the
	// program is written for, or 0 if any number will do: this distinguishes the
	// forms of one tracepoint.
	params int
}

// probes are in the order of their levels. Which kernel has which hook was read
// from the BTF of Linux 5.10, 6.1, 6.12 and 6.18.
var probes = []probe{
	{"snap", hookIterator, "task_file", LevelSnapshot, 0},

	{"set_state", hookTracepoint, "inet_sock_set_state", LevelEdges, 3},
	{"rcvq_full", hookTracepoint, "sock_rcvqueue_full", LevelEdges, 2},
	{"mem_limit", hookTracepoint, "sock_exceed_buf_limit", LevelEdges, 4},
	{"udp_drop", hookTracepoint, "udp_fail_queue_rcv_skb", LevelEdges, 0},
	{"retrans", hookTracepoint, "tcp_retransmit_skb", LevelEdges, 0},
	{"reset_in", hookTracepoint, "tcp_receive_reset", LevelEdges, 1},
	{"reset_out", hookTracepoint, "tcp_send_reset", LevelEdges, 0},
	{"skb_drop", hookTracepoint, "kfree_skb", LevelEdges, 4},
	{"punt", hookTracepoint, "io_uring_queue_async_work", LevelEdges, 2},
	{"short_write", hookTracepoint, "io_uring_short_write", LevelEdges, 4},
	{"cqe_overflow", hookTracepoint, "io_uring_cqe_overflow", LevelEdges, 5},
	{"poll_arm", hookTracepoint, "io_uring_poll_arm", LevelEdges, 3},
	{"starved_v1", hookTracepoint, "io_uring_complete", LevelEdges, 4},
	{"starved_v2", hookTracepoint, "io_uring_complete", LevelEdges, 7},
	{"starved_v3", hookTracepoint, "io_uring_complete", LevelEdges, 3},

	{"peer_window", hookTracepoint, "tcp_probe", LevelFlow, 2},
	{"data_ready", hookTracepoint, "sk_data_ready", LevelFlow, 1},
	{"recv_len", hookTracepoint, "sock_recv_length", LevelFlow, 3},
	{"send_len", hookTracepoint, "sock_send_length", LevelFlow, 3},

	{"submit_sqe", hookTracepoint, "io_uring_submit_sqe", LevelRing, 2},
	{"submit_req", hookTracepoint, "io_uring_submit_req", LevelRing, 1},
	{"complete_v1", hookTracepoint, "io_uring_complete", LevelRing, 4},
	{"complete_v2", hookTracepoint, "io_uring_complete", LevelRing, 7},
	{"complete_v3", hookTracepoint, "io_uring_complete", LevelRing, 3},
	{"local_work", hookTracepoint, "io_uring_local_work_run", LevelRing, 3},
	{"task_work", hookTracepoint, "io_uring_task_work_run", LevelRing, 0},
	{"cq_wait", hookTracepoint, "io_uring_cqring_wait", LevelRing, 2},

	{"own_window", hookFunction, "__tcp_select_window", LevelFuncs, 0},
}

// where returns the hook's name as it is usually written.
func (p probe) where() string {
	switch p.hook {
	case hookIterator:
		return "iter/" + p.on
	case hookFunction:
		return "fexit/" + p.on
	}
	return "tp_btf/" + p.on
}

// absent returns why a kernel with these types lacks the probe's hook, or "" if it
// has it.
func (p probe) absent(types *btf.Spec) string {
	switch p.hook {
	case hookIterator:
		return missingFunc(types, "bpf_iter_"+p.on)
	case hookFunction:
		return missingFunc(types, p.on)
	}
	have, err := tracepointParams(types, p.on)
	switch {
	case err != nil:
		return "this kernel has no tracepoint " + p.on
	case p.params != 0 && have != p.params:
		return fmt.Sprintf("%s has %d parameters here, this is for %d", p.on, have, p.params)
	}
	return ""
}

// Hooks returns the names, each once, by which a kernel's BTF lists what the
// programs attach to: typedefs for tracepoints, and functions.
func Hooks() []string {
	var out []string
	for _, p := range probes {
		name := p.on
		switch p.hook {
		case hookIterator:
			name = "bpf_iter_" + p.on
		case hookTracepoint:
			name = "btf_trace_" + p.on
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// missingFunc returns why the function called name is missing, or "" if it is not.
func missingFunc(types *btf.Spec, name string) string {
	var found *btf.Func
	if err := types.TypeByName(name, &found); err != nil {
		return "this kernel has no function " + name
	}
	return ""
}

var errNoTracepoint = errors.New("no such tracepoint")

// tracepointParams returns the number of parameters of a tracepoint, not counting
// the pointer to private data that comes first.
func tracepointParams(types *btf.Spec, name string) (int, error) {
	var def *btf.Typedef
	if err := types.TypeByName("btf_trace_"+name, &def); err != nil {
		return 0, fmt.Errorf("%w: %s", errNoTracepoint, name)
	}
	pointer, ok := btf.UnderlyingType(def).(*btf.Pointer)
	if !ok {
		return 0, fmt.Errorf("%w: %s", errNoTracepoint, name)
	}
	proto, ok := btf.UnderlyingType(pointer.Target).(*btf.FuncProto)
	if !ok || len(proto.Params) == 0 {
		return 0, fmt.Errorf("%w: %s", errNoTracepoint, name)
	}
	return len(proto.Params) - 1, nil
}

// superseded reports whether another form of the same program fits instead: the
// table of Support shows only one of them.
func superseded(p probe, types *btf.Spec) bool {
	if p.absent(types) == "" {
		return false
	}
	for _, other := range probes {
		if other.name != p.name && rivals(p, other) && other.absent(types) == "" {
			return true
		}
	}
	return false
}

// rivals reports whether two probes are forms of the same one, of which a kernel
// can have only one.
func rivals(a, b probe) bool {
	if a.level != b.level {
		return false
	}
	submit := func(p probe) bool { return p.name == "submit_sqe" || p.name == "submit_req" }
	return a.on == b.on || submit(a) && submit(b)
}
