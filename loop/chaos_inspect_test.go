package loop

// expectQuiet checks, when everybody has read on for long, that whatever was
// written has arrived and whatever could end has ended.
func (c *chaos) expectQuiet() {
	c.checkPage()
	for _, q := range c.peers {
		q.verify()
	}
	for _, d := range c.dials {
		if !d.ended {
			d.end.fail("the dial does not end")
		}
	}
	for _, e := range c.ends {
		if e.alive() {
			e.quiet()
		}
	}
	c.expectQuietKin()
}

// expectSent checks that what has arrived is not buffered any more. Until something
// happens a stream may not have been told of its last send, where nobody waits for it
// (proactor.Op.Lazy); this is called when something has happened.
func (c *chaos) expectSent() {
	for _, e := range c.ends {
		if e.alive() && !e.tr.IsClosing() && e.tr.WriteBufferSize() != 0 {
			e.fail("it has sent everything, and keeps some of it: %v", e.tr)
		}
	}
	c.expectNoneKept()
	c.loop.Stop()
}

// expectNoneKept checks that all receive buffers are back, now that nothing is left to be
// sent from them.
func (c *chaos) expectNoneKept() {
	if n := c.world.Kept(); n > 0 {
		c.fail("%d receive buffers are kept and not used", n)
	}
}

// quiet checks one end that is still there.
func (e *chaosEnd) quiet() {
	partner := e.in.writer
	switch p := partner.(type) {
	case *chaosEnd:
		e.quietWith(p)
	case *chaosPeer:
		e.quietWithPeer(p)
	}
	if e.tr.IsClosing() && e.opts.CloseTimeout > 0 {
		e.fail("the time to close is long over: %v", e.tr)
	}
}

// quietWith checks a connection with both ends on the loop.
func (e *chaosEnd) quietWith(p *chaosEnd) {
	switch {
	case e.tr.IsClosing() && p.lost:
		e.fail("its partner is gone, and it still closes: %v", e.tr)
	case e.tr.IsClosing() && !p.tr.IsClosing():
		e.fail("it closes for ever, though its partner reads: %v and %v", e.tr, p.tr)
	case e.tr.IsClosing():
		// Both close and neither reads: that has no end but a timeout.
	case p.lost:
		e.fail("it was never told that its partner is gone: %v", e.tr)
	case p.tr.IsClosing():
		e.fail("its partner closes for ever: %v and %v", e.tr, p.tr)
	case e.in.got != e.in.sent:
		e.fail("%d bytes of %d arrived: %v from %v", e.in.got, e.in.sent, e.tr, p.tr)
	case p.eofAsked && !e.eof:
		e.fail("no EOF arrived: %v from %v", e.tr, p.tr)
	case e.writePaused:
		e.fail("writing is paused for ever: %v", e.tr)
	case !e.tr.IsReading():
		e.fail("it does not read: %v", e.tr)
	}
}

// quietWithPeer checks a connection with a scripted peer.
func (e *chaosEnd) quietWithPeer(p *chaosPeer) {
	switch {
	case e.tr.IsClosing():
		e.fail("it closes for ever, though its peer reads: %v", e.tr)
	case p.closed || p.p.Err() != nil:
		e.fail("it was never told that its peer is gone: %v", e.tr)
	case e.in.got != e.in.sent:
		e.fail("%d bytes of %d arrived from its peer: %v", e.in.got, e.in.sent, e.tr)
	case e.out.got != e.out.sent:
		e.fail("%d bytes of %d arrived at its peer: %v", e.out.got, e.out.sent, e.tr)
	case p.eof:
		e.fail("its peer's EOF closed nothing: %v", e.tr)
	case e.writePaused:
		e.fail("writing is paused for ever: %v", e.tr)
	}
}

// inspect checks what must hold when the loop is closed.
func (c *chaos) inspect() {
	for _, q := range c.peers {
		q.verify()
	}
	for _, e := range c.ends {
		if !e.made || !e.lost {
			continue // Close, unlike Shutdown, ends nothing in order
		}
		e.untouched()
		if e.tr.Protocol() != nil {
			e.fail("a protocol after ConnectionLost")
		}
	}
	if c.panics != c.reports {
		c.fail("%d panics, %d reported", c.panics, c.reports)
	}
	for _, v := range c.world.Violations() {
		c.fail("%s", v)
	}
	for _, leak := range c.world.Leaks() {
		c.fail("left behind: %s", leak)
	}
}
