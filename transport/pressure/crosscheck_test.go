package pressure

import (
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ssFields asks ss about the connection from local to remote.
func ssFields(t *testing.T, local, remote netip.AddrPort) string {
	t.Helper()
	path, err := exec.LookPath("ss")
	if err != nil {
		t.Skip("needs ss of iproute2")
	}
	out, err := exec.Command(path, "-Hntmie", "src", local.String(), "dst",
		remote.String()).CombinedOutput()
	if err != nil {
		t.Fatalf("ss: %v\n%s", err, out)
	}
	return string(out)
}

// ssNumber finds the number after a word, or 0 if ss left it out.
func ssNumber(t *testing.T, text, pattern string) int {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	n, err := strconv.ParseUint(found[1], 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// A connection whose peer does not read no longer changes, so ss must see the same,
// with both kinds of snapshot.
func TestFieldsAreThoseOfSS(t *testing.T) {
	a, b := tcpPair(t)
	fillUntilBlocked(a)
	levels := []Level{LevelProcess}
	if probeOnce().Err == nil {
		levels = append(levels, LevelSnapshot)
	}
	for _, level := range levels {
		t.Run(level.String(), func(t *testing.T) {
			tracer := attachHere(t, Options{Level: level})
			began := time.Now()
			s := snapshot(t, tracer)
			sender, receiver := connAt(t, s, a.LocalAddr()), connAt(t, s, b.LocalAddr())
			compareWithSS(t, sender, ssFields(t, sender.Local, sender.Remote))
			compareWithSS(t, receiver, ssFields(t, receiver.Local, receiver.Remote))
			if sender.NotSent == 0 || receiver.InQueue == 0 || sender.RwndLimited == 0 {
				t.Errorf("nothing waits:\n%+v\n%+v", sender, receiver)
			}
			text := ssFields(t, sender.Local, sender.Remote)
			limited := ssNumber(t, text, `rwnd_limited:(\d+)ms`)
			now, took := int(sender.RwndLimited.Milliseconds()), time.Since(began)
			if limited < now || limited > now+int(took.Milliseconds())+100 {
				t.Errorf("rwnd_limited %d ms, ss says %d within the next %v", now, limited, took)
			}
		})
	}
}

func compareWithSS(t *testing.T, c *Conn, text string) {
	t.Helper()
	queues := strings.Fields(text)
	if len(queues) < 3 {
		t.Fatalf("ss says %q", text)
	}
	fields := map[string][2]int{
		"recv-q":   {c.InQueue, ssNumber(t, queues[1], `(\d+)`)},
		"send-q":   {c.OutQueue, ssNumber(t, queues[2], `(\d+)`)},
		"r":        {c.Rmem, ssNumber(t, text, `skmem:\(r(\d+),`)},
		"rb":       {c.RcvBuf, ssNumber(t, text, `skmem:.*,rb(\d+),`)},
		"tb":       {c.SndBuf, ssNumber(t, text, `skmem:.*,tb(\d+),`)},
		"w":        {c.Queued, ssNumber(t, text, `skmem:.*,w(\d+),`)},
		"bl":       {c.Backlog, ssNumber(t, text, `skmem:.*,bl(\d+),`)},
		"notsent":  {c.NotSent, ssNumber(t, text, `notsent:(\d+)`)},
		"mss":      {c.MSS, ssNumber(t, text, ` mss:(\d+)`)},
		"received": {int(c.BytesReceived), ssNumber(t, text, `bytes_received:(\d+)`)},
		"acked":    {int(c.BytesAcked), ssNumber(t, text, `bytes_acked:(\d+)`)},
	}
	cookie := regexp.MustCompile(`sk:([0-9a-f]+)`).FindStringSubmatch(text)
	if cookie == nil || cookie[1] != fmt.Sprintf("%x", c.Cookie) {
		t.Errorf("cookie is %x, ss says %v", c.Cookie, cookie)
	}
	for name, pair := range fields {
		if pair[0] != pair[1] {
			t.Errorf("%s is %d, ss says %d in\n%s", name, pair[0], pair[1], text)
		}
	}
}
