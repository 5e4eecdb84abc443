package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/transport/pressure"
	"github.com/sluice-net/sluice/transport/pressure/internal/record"
	"github.com/sluice-net/sluice/transport/pressure/internal/sampletest"
)

// recorded is a recording of the first n of 30 made-up moments: in the first ten
// there is no trouble.
func recorded(n int) *record.Recording {
	r := &record.Recording{Version: record.Version, Process: "echo <b>", PID: sampletest.PID,
		Host: "here", Kernel: "6.18", Started: time.Unix(1_800_000_000, 0).UTC(),
		Level: pressure.LevelSnapshot | pressure.LevelEdges}
	for _, m := range sampletest.Moments(30)[:n] {
		r.Moments = append(r.Moments, record.Moment{Snapshot: m.Snapshot, Accounts: m.Accounts})
	}
	return r
}

func drawn(t *testing.T, r, before *record.Recording) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, r, before); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("has no %q", part)
		}
	}
}

func TestAPageOfAHealthyAndOfATroubledServer(t *testing.T) {
	healthy, troubled := drawn(t, recorded(10), nil), drawn(t, recorded(30), nil)
	wants(t, healthy, "None of 7 connections was held back.", `class="lead good"`,
		"Nothing is wrong by any of the rules", "not held back")
	wants(t, troubled, "5 of 7 connections were held back", `class="lead"`, "sending: peer",
		"receiving: app", "receiving: buffers", "sending: sndbuf", "slow-peer", "udp-drops",
		`class="mark paused"`, `class="mark zero"`, "not held back")
	for name, text := range map[string]string{"healthy": healthy, "troubled": troubled} {
		wants(t, text, "echo &lt;b&gt;", "prefers-color-scheme", `role="img"`)
		for _, outside := range []string{"http:", "https:", "<script", "@import", "url("} {
			if strings.Contains(text, outside) {
				t.Errorf("the page of the %s server is not one file: it has %q", name, outside)
			}
		}
	}
	if strings.Contains(healthy, `class="mark `) {
		t.Error("a wait is marked on the healthy server")
	}
}

func TestTwoRecordingsAreComparedByListener(t *testing.T) {
	text := drawn(t, recorded(30), recorded(10))
	wants(t, text, "Compared with the recording of 2027-01-15", "outgoing",
		"Newly found: udp-drops", "peer&#39;s window: 0 % →", `class="worse"`)
	back := compare(recorded(30), recorded(10))
	if len(back.New) != 0 || len(back.Gone) == 0 {
		t.Errorf("the other way round there are new findings %v, and %v are gone", back.New,
			back.Gone)
	}
	same := compare(recorded(30), recorded(30))
	for _, g := range same.Groups {
		if len(g.Changes) != 0 {
			t.Errorf("%s %s changed: %v", g.Listener, g.Direction, g.Changes)
		}
	}
	other := recorded(10)
	other.Kernel = "6.1"
	wants(t, drawn(t, other, recorded(10)), "Not the same circumstances: Linux 6.18 then, 6.1 now")
}

func TestABarOfTheComparisonIsAllOfTheTime(t *testing.T) {
	for _, g := range compare(recorded(30), recorded(10)).Groups {
		for _, side := range []diffSide{g.Then, g.Now} {
			sum := 0.0
			for _, p := range side.Parts {
				sum += p.Width
			}
			if math.Abs(sum-100) > 0.5 {
				t.Errorf("the bar of %s %s is %g %%", g.Listener, g.Direction, sum)
			}
		}
	}
}

func TestAPictureShowsTheWorstAndOneThatIsWell(t *testing.T) {
	var b bytes.Buffer
	if err := WriteSVG(&b, recorded(30), 3); err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(bytes.NewReader(b.Bytes()))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	wants(t, b.String(), ">fd 9<", ">fd 8<", ">fd 7<", "not held back")
	if strings.Contains(b.String(), ">fd 12<") {
		t.Error("shows the idle connection, not the one that works")
	}
	if n := b.Len(); n > 150<<10 {
		t.Errorf("is %d bytes large", n)
	}
}

func TestRecordingsWithLittleInThem(t *testing.T) {
	for n := range 3 {
		r := recorded(n)
		drawn(t, r, recorded(1))
		if err := WriteSVG(io.Discard, r, 3); err != nil {
			t.Errorf("%d moments: %v", n, err)
		}
	}
	wants(t, drawn(t, &record.Recording{}, nil), "There was no connection to look at.")
	stray := recorded(4)
	stray.Events = []pressure.Event{{Kind: pressure.EventPeerClosed, Cookie: 999,
		Time: stray.Begin()}}
	drawn(t, stray, nil)
}

func TestAnAccountIsSpreadOverItsTime(t *testing.T) {
	l := newLine(4)
	a := pressure.Account{From: time.Second / 2, To: 3 * time.Second}
	a.Send.Shares[pressure.CausePeer] = 1
	l.spread(a, 0, 4*time.Second, 4)
	for k, want := range []float64{0.5, 1, 1, 0} {
		if got := l.shares[0][k].by[pressure.CausePeer] / float64(time.Second); got != want {
			t.Errorf("stretch %d has %g s, not %g s", k, got, want)
		}
	}
}
