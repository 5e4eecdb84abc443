package loop

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var plant = flag.Bool("plant", false, "plant faults into the engines, one at a "+
	"time, and see that the simulation finds each; some minutes")

// plantedFault is a change of one place of the sources that makes a fault of them.
type plantedFault struct {
	name, file string
	from, to   string
}

const (
	turnFile     = "loop/internal/iouring/turn.go"
	completeFile = "loop/internal/iouring/complete.go"
	receiveFile  = "loop/internal/iouring/receive.go"
	poolFile     = "loop/internal/iouring/pool.go"
	pollFile     = "loop/internal/iouring/poll.go"
	engineFile   = "loop/internal/iouring/engine.go"
	stageFile    = "uring/stage.go"
	lendFile     = "loop/internal/fdio/lend.go"
	queueFile    = "loop/internal/fdio/queue.go"
)

// plantedFaults are the faults that this engine has had, and their kin.
//
// Not among them: a generation that is not checked. A slot is free only after the last
// completion of its operation, which has one request at a time, and a cancel is handed
// over before whatever reuses the slot, so that nothing can come late. The check is an
// assertion by now. In the epoll engine it is needed, and simulation finds it missing.
var plantedFaults = []plantedFault{
	{"a failure is looked at twice", turnFile,
		"			e.failed(*cqe)\n",
		"			e.failed(*cqe)\n			e.arrived = append(e.arrived, *cqe)\n"},
	{"success is inferred while completions have overflowed", turnFile,
		"for fruitless := 0; e.ring.Overflowed(); {",
		"for fruitless := 0; false && e.ring.Overflowed(); {"},
	{"success is inferred of what was not taken", turnFile,
		"e.taken = e.prepared - uint64(e.ring.Pending())",
		"e.taken = e.prepared"},
	{"vectors are forgotten by who made them", stageFile,
		"p := r.stage.take(max(len(bufs), 1) * vectorSize)",
		"p := unsafe.Pointer(unsafe.SliceData(make([]vector, max(len(bufs), 1))))"},
	{"staged memory is used again before it was taken", stageFile,
		"if r.stage.used > 0 && r.Pending() == 0 {",
		"if r.stage.used > 0 {"},
	{"EAGAIN is submitted again at once", completeFile,
		"	if res != eintr {\n		op.Engine.Flag |= flagPollFirst\n	}\n",
		""},
	{"a reset is told as an end: the error is lost in a count", completeFile,
		"e.finish(op, res) // a socket reports",
		"e.finishDone(op, res) // a socket reports"},
	{"a starved receive is never tried again", poolFile,
		"		for range p.inKernel {\n",
		"		for range min(p.inKernel, 0) {\n"},
	{"a buffer is given back before its handler is done", receiveFile,
		"	goesOn := true\n",
		"	goesOn := true\n	p.giveBack(id, len(data))\n" +
			"	p = &pool{ring: p.ring, countMax: 1}\n"},
	{"a cancel that found no room is forgotten", engineFile,
		"		e.cancels = append(e.cancels, target)\n",
		"		_ = target\n"},
	{"a buffer is given back while a part of it waits to be sent", lendFile,
		"	l.op.Keep = true\n",
		""},
	{"a buffer is given back with the first of its parts that is sent", lendFile,
		"	case l.parts[number] > 0:\n",
		"	case l.op != nil && l.parts[number] > 0:\n"},
	{"the kernel gets a buffer that its receiver keeps", receiveFile,
		"			p.keep(len(data))\n			return true\n",
		"			p.keep(len(data))\n			p.circulating++\n"},
	{"what could not be sent is not copied", queueFile,
		"			c.hold(c.buf, pool)\n",
		""},
	{"a buffer is not given back if what was to be sent is dropped", queueFile,
		"		pool.repay(c.loan)\n",
		"		if q := c.buf; len(q) == 0 {\n			pool.repay(c.loan)\n		}\n"},
}

// plantedSeeds is how many seeds may be needed; .ci/run runs as many without a fault.
const plantedSeeds = "5000"

// TestPlantedFaultsAreFound shows that TestChaosOnARing can fail: with each of these
// faults in the engine it does. Without the flag -plant only the places are looked up,
// so that the table stays true.
func TestPlantedFaultsAreFound(t *testing.T) {
	findPlanted(t, plantedFaults, ".", "-run", "^"+onRing.test()+"$", "-seeds", plantedSeeds)
}

// plantedIdling are faults that lose no byte and have nothing hang: they cost time
// alone, which is real only on the real kernel.
var plantedIdling = []plantedFault{
	{"a poll that saw only what nobody asked for counts as room", pollFile,
		"got &= pollMask(op) | always",
		"got &= pollMask(op) | always | unix.POLLRDHUP"},
}

// TestPlantedFaultsThatCostTimeAloneAreFound is TestPlantedFaultsAreFound for the tests
// which look at what a loop costs that has nothing to do.
func TestPlantedFaultsThatCostTimeAloneAreFound(t *testing.T) {
	findPlanted(t, plantedIdling, "./tests/stream", "-run", "CostsNothing$", "-long")
}

// findPlanted looks for each of the faults with the tests of a package, which args choose.
func findPlanted(t *testing.T, faults []plantedFault, pkg string, args ...string) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			source, err := os.ReadFile(filepath.Join("..", f.file))
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), f.from); n != 1 {
				t.Fatalf("%s has %d places that read %q", f.file, n, f.from)
			}
			if *plant {
				f.findWith(t, strings.Replace(string(source), f.from, f.to, 1), pkg, args)
			}
		})
	}
}

// findWith runs the tests with the source in place of the fault's file.
func (f *plantedFault) findWith(t *testing.T, source, pkg string, args []string) {
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	original, err := filepath.Abs(filepath.Join("..", f.file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{changed: source, overlay: string(text)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := append([]string{"test", "-overlay", overlay, "-vet=off", "-timeout=5m", pkg},
		args...)
	run := exec.CommandContext(t.Context(), "go", command...)
	out, err := run.CombinedOutput()
	switch report := string(out); {
	case err == nil:
		t.Error("not found")
	case strings.Contains(report, "[build failed]"):
		t.Error("no fault but a mistake:\n", report)
	case finding(report) == "":
		t.Error("no test has failed:\n", report)
	default:
		t.Log("found: ", finding(report))
	}
}

// finding is the line of a report that says best what was found, "" if no line does:
// then it is not a test that failed, but go test.
func finding(report string) string {
	for _, mark := range []string{"seed ", "panic: ", "fatal error: ", "_test.go:", "--- FAIL"} {
		for line := range strings.Lines(report) {
			i := strings.Index(line, mark)
			if i >= 0 && !strings.Contains(line, "level=WARN") {
				return strings.TrimSpace(line[i:])
			}
		}
	}
	return ""
}
