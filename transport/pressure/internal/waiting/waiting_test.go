package waiting

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/sluice-net/sluice/transport/pressure/internal/record"
	"github.com/sluice-net/sluice/transport/pressure/internal/sampletest"
)

// recorded is a recording of 13 made-up moments: in the last 9 there is trouble.
func recorded() *record.Recording {
	r := &record.Recording{Process: "echo", Started: time.Unix(1_800_000_000, 0)}
	for _, m := range sampletest.Moments(13) {
		r.Moments = append(r.Moments, record.Moment{Snapshot: m.Snapshot, Accounts: m.Accounts})
	}
	return r
}

// stacks returns the time of each stack, written from its root.
func stacks(p *profile.Profile) map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, s := range p.Sample {
		var names []string
		for _, l := range s.Location {
			names = append(names, l.Line[0].Function.Name)
		}
		slices.Reverse(names)
		out[strings.Join(names, ";")] += time.Duration(s.Value[0])
	}
	return out
}

func TestAProfileHasTheTimeOfEachCause(t *testing.T) {
	p := Profile(recorded())
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	held := 9 * sampletest.Interval
	got := stacks(p)
	for name, want := range map[string]time.Duration{
		"echo;127.0.0.1:8888;127.0.0.1;send;peer":       held * 98 / 100,
		"echo;127.0.0.1:8888;127.0.0.1;receive;app":     held,
		"echo;127.0.0.1:8888;127.0.0.1;receive;buffers": held * 64 / 100,
		"echo;127.0.0.1:8888;127.0.0.1;send;sndbuf":     held * 91 / 100,
		"echo;outgoing;127.0.0.1;send;net":              held * 40 / 100,
		"echo;outgoing;127.0.0.1;send;peer":             held * 35 / 100,
	} {
		if d := got[name] - want; d < -100 || d > 100 {
			t.Errorf("%s is %v, not %v", name, got[name], want)
		}
	}
	for name := range got {
		if strings.HasSuffix(name, ";idle") {
			t.Errorf("%s is no waiting", name)
		}
	}
}

func TestAProfileSurvivesItsFile(t *testing.T) {
	var b bytes.Buffer
	if err := Profile(recorded()).Write(&b); err != nil {
		t.Fatal(err)
	}
	p, err := profile.Parse(&b)
	if err != nil {
		t.Fatal(err)
	}
	if p.DurationNanos != int64(12*sampletest.Interval) || len(p.Sample) == 0 {
		t.Errorf("read back %d samples over %d ns", len(p.Sample), p.DurationNanos)
	}
	if peer := p.Sample[0].Label["peer"]; len(peer) != 1 || !strings.Contains(peer[0], ":") {
		t.Errorf("the label is %v", peer)
	}
}

func TestGoToolPprofReadsIt(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("needs the go command")
	}
	name := filepath.Join(t.TempDir(), "held.pb.gz")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Profile(recorded()).Write(f); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "tool", "pprof", "-top", "-cum", name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"Type: held", "echo", "127.0.0.1:8888", "peer", "sndbuf"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("has no %q in\n%s", want, out)
		}
	}
}
