package pressure

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
)

// A kernel is the loaded eBPF object: its maps, and those of its programs that
// loaded.
type kernel struct {
	types    *btf.Spec
	maps     *ebpf.Collection
	programs map[string]*ebpf.Program
	links    map[string]link.Link
	iterator *link.Iter
	table    []Probing
	log      *slog.Logger
}

// loadKernel loads the programs of all levels in o.Level and attaches none. It
// fails with *UnsupportedError where not even the iterator loads.
func loadKernel(o Options) (*kernel, error) {
	if err := preconditions(); err != nil {
		return nil, err
	}
	types, err := kernelTypes(o)
	if err != nil {
		return nil, err
	}
	spec, err := loadBpf()
	if err != nil {
		return nil, err
	}
	if err := configure(spec, o); err != nil {
		return nil, err
	}
	k := &kernel{
		types:    types,
		programs: map[string]*ebpf.Program{},
		links:    map[string]link.Link{},
		log:      o.Logger,
	}
	k.loadTogether(spec, o)
	for _, p := range probes {
		if superseded(p, types) {
			continue
		}
		if err := k.add(spec, p, o); err != nil {
			return nil, errors.Join(err, k.close())
		}
	}
	return k, nil
}

// configure sets the parameters of the programs.
func configure(spec *ebpf.CollectionSpec, o Options) error {
	below := (uint64(1) << 32) / uint64(o.SampleLatency)
	return errors.Join(
		spec.Variables[bpfVarMarking].Set(o.Level&^(LevelProcess|LevelSnapshot) != 0),
		spec.Variables[bpfVarQueuedOnly].Set(o.QueuedOnly),
		spec.Variables[bpfVarSampleBelow].Set(below),
	)
}

// add loads one probe, if its level is wanted, and records the result. Only the
// iterator must load.
func (k *kernel) add(spec *ebpf.CollectionSpec, p probe, o Options) error {
	state := Probing{Name: p.name, Hook: p.where(), Level: p.level}
	if why := p.absent(k.types); why != "" {
		state.Status, state.Why = ProbeAbsent, why
	} else if o.Level.Has(p.level) {
		if err := k.loadOne(spec, p, o); err != nil {
			if p.hook == hookIterator {
				return refused(err)
			}
			state.Status = ProbeRefused
			state.Why, state.Remedy = explain(p, err)
			o.Logger.Warn("probe refused", "probe", p.name, "why", state.Why)
		} else {
			state.Status = ProbeAvailable
		}
	}
	if p.hook == hookIterator && state.Status == ProbeAbsent {
		return &UnsupportedError{Need: "a kernel with the iterator task_file, Linux 5.15"}
	}
	k.table = append(k.table, state)
	return nil
}

// loadOne loads a program that is not loaded yet.
func (k *kernel) loadOne(spec *ebpf.CollectionSpec, p probe, o Options) error {
	if k.programs[p.name] != nil {
		return nil
	}
	return k.load(spec, []string{p.name}, o)
}

// loadTogether loads everything that is likely to load at once, in a fifth of the
// time. If that fails nothing is loaded, and add finds out which program was at
// fault.
func (k *kernel) loadTogether(spec *ebpf.CollectionSpec, o Options) {
	var names []string
	for _, p := range probes {
		if o.Level.Has(p.level) && p.hook != hookFunction && p.absent(k.types) == "" {
			names = append(names, p.name)
		}
	}
	if err := k.load(spec, names, o); err != nil {
		o.Logger.Info("loading probes one by one", "why", err)
	}
}

// load loads programs. The first ones create the maps, which the others share.
func (k *kernel) load(spec *ebpf.CollectionSpec, names []string, o Options) error {
	some := spec.Copy()
	some.Programs = map[string]*ebpf.ProgramSpec{}
	for _, name := range names {
		some.Programs[name] = spec.Programs[name].Copy()
	}
	options := ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{KernelTypes: o.KernelTypes},
	}
	if k.maps != nil {
		options.MapReplacements = k.maps.Maps
	}
	loaded, err := ebpf.NewCollectionWithOptions(some, options)
	if err != nil {
		return err
	}
	for _, name := range names {
		k.programs[name] = loaded.DetachProgram(name)
	}
	if k.maps == nil {
		k.maps = loaded
	} else {
		loaded.Close()
	}
	return nil
}

// attach attaches the loaded programs of the levels, the iterator to a process.
func (k *kernel) attach(o Options) error {
	program := k.programs["snap"]
	iterator, err := attachIterator(program, o.PID)
	if errors.Is(err, errNoFilter) {
		iterator, err = k.attachUnfiltered(program, o.PID)
	}
	if err != nil {
		return err
	}
	k.iterator = iterator
	for i := range k.table {
		if state := &k.table[i]; state.Status == ProbeAvailable {
			k.attachProbe(state, o)
		}
	}
	return nil
}

// attachUnfiltered makes the program itself compare the process ID. The ID is that
// of the initial PID namespace, so this works only there.
func (k *kernel) attachUnfiltered(program *ebpf.Program, pid int) (*link.Iter, error) {
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err != nil {
		return nil, os.ErrProcessDone
	}
	if err := k.maps.Variables[bpfVarFilter].Set(uint32(pid)); err != nil {
		return nil, err
	}
	return link.AttachIter(link.IterOptions{Program: program})
}

func (k *kernel) attachProbe(state *Probing, o Options) {
	if state.Level == LevelSnapshot {
		state.Status = ProbeAttached
		return
	}
	program := k.programs[state.Name]
	attached, err := link.AttachTracing(link.TracingOptions{Program: program})
	if err != nil {
		state.Status, state.Why = ProbeRefused, err.Error()
		o.Logger.Warn("probe refused", "probe", state.Name, "why", state.Why)
		return
	}
	k.links[state.Name], state.Status = attached, ProbeAttached
}

// expire detaches the programs that cost every process of the host something.
func (k *kernel) expire() {
	var links []link.Link
	for i := range k.table {
		state := &k.table[i]
		if state.Status == ProbeAttached && boxed.Has(state.Level) {
			links = append(links, k.links[state.Name])
			delete(k.links, state.Name)
			state.Status, state.Why = ProbeExpired, "detached after Options.Duration"
		}
	}
	if err := detach(links); err != nil {
		k.log.Warn("detach", "err", err)
	}
}

// detach closes links concurrently: for each, the kernel waits until no CPU is in
// the program any more, and these waits can overlap.
func detach(links []link.Link) error {
	errs := make([]error, len(links))
	var group sync.WaitGroup
	for i, l := range links {
		group.Go(func() { errs[i] = l.Close() })
	}
	group.Wait()
	return errors.Join(errs...)
}

// close detaches and unloads everything.
func (k *kernel) close() error {
	var errs []error
	if k.iterator != nil {
		errs = append(errs, k.iterator.Close())
	}
	errs = append(errs, detach(slices.Collect(maps.Values(k.links))))
	for _, p := range k.programs {
		p.Close()
	}
	if k.maps != nil {
		k.maps.Close()
	}
	return errors.Join(errs...)
}
