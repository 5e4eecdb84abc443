package pressure

import (
	"context"
	"encoding/json"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluice-net/sluice/transport/pressure/internal/demo"
	"github.com/sluice-net/sluice/uring"
)

var probeOnce = sync.OnceValue(Probe)

// needBPF skips the test if eBPF does not work, with the sentence that says why.
func needBPF(t *testing.T) {
	t.Helper()
	if s := probeOnce(); s.Err != nil {
		t.Skipf("needs %v", s.Err)
	}
}

// truth is the verdict for each scene, for the direction that is held back; the
// other one is idle.
var truth = map[string]struct {
	send, receive Cause
	finding       string
}{
	demo.SlowPeer:     {CausePeer, CauseIdle, findSlowPeer},
	demo.PausedReader: {CauseIdle, CauseApp, findReadPaused},
	demo.StarvedRing:  {CauseIdle, CauseBuffers, findStarved},
	demo.SmallSndBuf:  {CauseSndBuf, CauseIdle, findSmallSndBuf},
	demo.BusyLoop:     {CauseIdle, CauseLoop, findBusyLoop},
	demo.Echo:         {CauseIdle, CauseIdle, ""},
	demo.Idle:         {CauseIdle, CauseIdle, ""},
}

// watch runs for a while and collects the snapshots taken in it.
func watch(t *testing.T, tracer *Tracer, d time.Duration) []*Snapshot {
	t.Helper()
	var out []*Snapshot
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-ticker.C {
		s, err := tracer.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// stage starts the demo server and its peers.
func stage(t *testing.T) *demo.Server {
	t.Helper()
	if err := uring.ProbeOnce().Missing(uring.FeatureBufRing); err != nil {
		t.Skipf("needs what a scene starves of: %v", err)
	}
	server, err := demo.Start()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- demo.Peers(ctx, server.At) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func TestVerdictNamesWhatIsStaged(t *testing.T) {
	needTwoPs(t)
	needBPF(t)
	server := stage(t)
	tracer, err := Attach(t.Context(), Options{PID: server.PID, Interval: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer tracer.Close()
	accounts, snapshots := settle(t, tracer)
	findings := Diagnose(Evidence{Snapshots: snapshots, Accounts: accounts})
	for name, want := range truth {
		t.Run(name, func(t *testing.T) {
			checkScene(t, server, name, want.send, want.receive, accounts)
		})
		t.Run(name+"/finding", func(t *testing.T) {
			checkFinding(t, server, name, want.finding, accounts, findings)
		})
	}
	if t.Failed() {
		text, _ := json.MarshalIndent(snapshots[len(snapshots)-1], "", " ")
		t.Logf("%s", text)
		text, _ = json.MarshalIndent(findings, "", " ")
		t.Logf("%s", text)
	}
}

// needTwoPs skips the test if there is only one P: a loop then also waits for the
// load and the tracer, with which it shares the P, and the verdict of a connection
// that waits for nothing else is rightly "loop".
func needTwoPs(t *testing.T) {
	t.Helper()
	if runtime.GOMAXPROCS(0) < 2 {
		t.Skip("needs two processors")
	}
}

// settle waits until buffers are full, and returns what is observed then.
func settle(t *testing.T, tracer *Tracer) ([]Account, []*Snapshot) {
	t.Helper()
	watch(t, tracer, time.Second)
	for range tracer.Accounts() { // forget how they filled
	}
	snapshots := watch(t, tracer, 1500*time.Millisecond)
	return slices.Collect(tracer.Accounts()), snapshots
}

func accountOf(t *testing.T, server *demo.Server, name string, accounts []Account) Account {
	t.Helper()
	for _, a := range accounts {
		if a.Local == server.At[name] {
			return a
		}
	}
	t.Fatalf("no account for %v", server.At[name])
	return Account{}
}

func checkScene(t *testing.T, server *demo.Server, name string, send, receive Cause,
	accounts []Account) {
	a := accountOf(t, server, name, accounts)
	t.Logf("samples %d\nsend %+v\nreceive %+v", a.Samples, a.Send, a.Receive)
	if a.Send.Verdict != send {
		t.Errorf("send is %v, want %v", a.Send.Verdict, send)
	}
	if a.Receive.Verdict != receive {
		t.Errorf("receive is %v, want %v", a.Receive.Verdict, receive)
	}
}

func checkFinding(t *testing.T, server *demo.Server, name, want string, accounts []Account,
	findings []Finding) {
	a := accountOf(t, server, name, accounts)
	got := ""
	for _, f := range findings {
		if f.Cookie == a.Cookie {
			got += f.Name
		}
	}
	if got != want {
		t.Errorf("findings are %q, want %q", got, want)
	}
}
