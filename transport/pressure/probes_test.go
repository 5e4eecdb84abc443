package pressure

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// fits returns the programs that would be loaded on a saved kernel.
func fits(t *testing.T, types *btf.Spec) []string {
	t.Helper()
	var out []string
	for _, p := range probes {
		if p.absent(types) == "" {
			out = append(out, p.name)
		}
	}
	return out
}

// The files in testdata are what savebtf keeps of Debian's kernels 6.1.192 and
// 6.12.118 and of a 6.18.44.
func TestProgramsAreChosenByTheKernelsTypes(t *testing.T) {
	everywhere := []string{
		"snap", "set_state", "rcvq_full", "mem_limit", "udp_drop", "retrans", "reset_in",
		"reset_out", "punt", "short_write", "cqe_overflow", "poll_arm", "peer_window",
		"local_work", "task_work", "cq_wait", "own_window",
	}
	newer := []string{"skb_drop", "data_ready", "recv_len", "send_len", "submit_req"}
	for name, more := range map[string][]string{
		"6.1":  {"submit_sqe", "starved_v2", "complete_v2"},
		"6.12": append([]string{"starved_v2", "complete_v2"}, newer...),
		"6.18": append([]string{"starved_v3", "complete_v3"}, newer...),
	} {
		t.Run(name, func(t *testing.T) {
			types, err := btf.LoadSpec(filepath.Join("testdata", "linux-"+name+".btf"))
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Concat(everywhere, more)
			got := fits(t, types)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("chosen %v\nwant %v", got, want)
			}
		})
	}
}

// The 5.10 forms of io_uring_complete and submit_sqe are in no kernel that is
// tested on, so the prototype is made by hand.
func TestTheOldestFormOfCompleteIsKnown(t *testing.T) {
	types := typesWith(t, map[string]int{"io_uring_complete": 4, "io_uring_submit_sqe": 7})
	if got := fits(t, types); !slices.Equal(got, []string{"starved_v1", "complete_v1"}) {
		t.Errorf("chosen %v", got)
	}
	for _, p := range probes {
		if p.name == "submit_sqe" {
			const want = "io_uring_submit_sqe has 7 parameters here, this is for 2"
			if got := p.absent(types); got != want {
				t.Errorf("absent because %q, want %q", got, want)
			}
		}
	}
}

// typesWith returns types that have tracepoints with the given numbers of
// parameters.
func typesWith(t *testing.T, tracepoints map[string]int) *btf.Spec {
	t.Helper()
	builder, err := btf.NewBuilder(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range tracepoints {
		proto := &btf.FuncProto{Return: &btf.Void{}}
		for range n + 1 {
			param := btf.FuncParam{Type: &btf.Pointer{Target: &btf.Void{}}}
			proto.Params = append(proto.Params, param)
		}
		def := &btf.Typedef{Name: "btf_trace_" + name, Type: &btf.Pointer{Target: proto}}
		if _, err := builder.Add(def); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := builder.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "btf")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	types, err := btf.LoadSpec(path)
	if err != nil {
		t.Fatal(err)
	}
	return types
}

func TestOneFormOfEachProbeIsInTheTable(t *testing.T) {
	types, err := btf.LoadSpec(filepath.Join("testdata", "linux-6.18.btf"))
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, p := range probes {
		if !superseded(p, types) {
			kept = append(kept, p.name)
		}
	}
	for _, gone := range []string{"starved_v1", "starved_v2", "complete_v1", "submit_sqe"} {
		if slices.Contains(kept, gone) {
			t.Errorf("%s is still in %v", gone, kept)
		}
	}
	if !slices.Contains(kept, "starved_v3") || !slices.Contains(kept, "submit_req") {
		t.Errorf("table is %v", kept)
	}
}

// Nobody would notice a program without a hook, or a hook without a program, except
// by looking for it.
func TestEveryProgramHasItsProbe(t *testing.T) {
	spec, err := loadBpf()
	if err != nil {
		t.Fatal(err)
	}
	if len(spec.Programs) != len(probes) {
		t.Errorf("%d programs, %d probes", len(spec.Programs), len(probes))
	}
	for _, p := range probes {
		program := spec.Programs[p.name]
		if program == nil {
			t.Errorf("there is no program %s", p.name)
		} else if program.SectionName != p.where() {
			t.Errorf("%s is for %s, the table says %s", p.name, program.SectionName, p.where())
		}
	}
	if program := spec.Programs["snap"]; program != nil && program.License != "Dual MIT/GPL" {
		t.Errorf("license is %q", program.License)
	}
}

func TestEventsHaveTheSameNumbersOnBothSides(t *testing.T) {
	if int(eventKinds) != int(bpfEventKindEVENT_KINDS) || len(eventNames) != int(eventKinds) {
		t.Errorf("%d kinds, %d in the object, %d names", eventKinds, bpfEventKindEVENT_KINDS,
			len(eventNames))
	}
	pairs := map[EventKind]bpfEventKind{
		EventState: bpfEventKindEVENT_STATE, EventDrop: bpfEventKindEVENT_DROP,
		EventPunt: bpfEventKindEVENT_PUNT, EventNoBuffers: bpfEventKindEVENT_NO_BUFFERS,
		EventOwnClosed: bpfEventKindEVENT_OWN_CLOSED,
	}
	for ours, theirs := range pairs {
		if int(ours) != int(theirs) {
			t.Errorf("%v is %d, and %d in the object", ours, ours, theirs)
		}
	}
}
