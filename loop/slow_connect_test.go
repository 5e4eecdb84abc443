package loop

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/hook"
	"github.com/sluice-net/sluice/loop/internal/simio"
	"github.com/sluice-net/sluice/transport"
)

// silent is an address that answers nothing.
const silent = "192.0.2.1:80"

func TestS273_TheLoopGoesOnWhileAConnectTakesItsTime(t *testing.T) {
	engine := simio.New(simio.Options{Seed: 1})
	l := hook.New(engine, (*Options)(nil)).(*Loop)
	engine.SetRoute(transport.Addr{AddrPort: netip.MustParseAddrPort(silent)}, simio.Silent)
	ticks, began := 0, l.Time()
	var tick func()
	tick = func() {
		ticks++
		l.CallLater(time.Second, tick)
	}
	l.CallSoon(tick)
	_, err := l.CreateConnection(t.Context(), &sleepy{}, silent, nil)
	if took := l.Time() - began; !errors.Is(err, syscall.ETIMEDOUT) || took < 2*time.Minute ||
		ticks < 120 {
		t.Errorf("%v after %v, in which a timer of a second fired %d times", err, took, ticks)
	}
	if err := l.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
