package loop

import (
	"os"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/transport/flowpage"
)

// openPage gives every third seed's loop a flow page. That must not change what
// happens, so no random number decides it.
func (c *chaos) openPage() {
	c.loop.opts.FlowPage = c.seed%3 == 0
	if err := c.loop.openPage(); err != nil {
		c.fail("%v", err)
	}
}

// checkPage compares what the page says with the transports. It is called on the
// loop's goroutine.
func (c *chaos) checkPage() {
	if c.loop.page == nil {
		return
	}
	r, err := flowpage.Open(os.Getpid(), c.loop.page.FD())
	if err != nil {
		c.fail("%v", err)
		return
	}
	defer r.Close()
	shown := map[int]flowpage.Transport{}
	for s := range r.Slots() {
		shown[s.FD] = s
	}
	open := 0
	for s := range c.loop.streams() {
		open++
		got, kind := shown[s.FD()], flowpage.KindTCP
		if s.OneWay() {
			kind = flowpage.KindPipe
		}
		if got.Kind != kind || int(got.State) != int(s.State())+1 ||
			got.Buffered != s.WriteBufferSize() || got.High != s.WriteBufferLimits().High ||
			got.Low != s.WriteBufferLimits().Low ||
			s.State() < fdio.Lost && got.WritePaused.Running != s.WritePaused() ||
			s.IsReading() && (got.ReadPaused.Running || got.EOFReceived) {
			c.fail("the page says %+v of %v", got, s)
		}
	}
	if len(shown) != open || r.Err() != nil {
		c.fail("the page has %d transports of %d (%v)", len(shown), open, r.Err())
	}
}
