package fdio

import (
	"errors"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// uncutRig is an acceptRig for an endpoint, whose options and lacks it notes.
type uncutRig struct {
	acceptRig
	options map[proactor.Option]int
	lacks   []string
}

func (r *uncutRig) Engine() proactor.Proactor        { return r }
func (r *uncutRig) Fallback(feature string, _ error) { r.lacks = append(r.lacks, feature) }
func (r *uncutRig) Soon(Task)                        {}

func (r *uncutRig) TakeError(int) (q proactor.QueuedError, ok bool) { return q, false }

func (r *uncutRig) SetOption(_ int, o proactor.Option, value int) error {
	r.options[o] = value
	return nil
}

// reader notes what an endpoint is told.
type reader struct {
	protocol.DatagramBase
	got  []string
	errs []error
}

func (p *reader) DatagramReceived(data []byte, _ transport.Addr) {
	p.got = append(p.got, string(data))
}
func (p *reader) ErrorReceived(err error) { p.errs = append(p.errs, err) }

func TestDatagramsThatNobodyCanCutAreAnErrorAndTheLast(t *testing.T) {
	for _, paused := range []bool{false, true} {
		r, p := &uncutRig{options: map[proactor.Option]int{}}, &reader{}
		r.t = t
		d := NewDatagram(r, DatagramConfig{FD: 3, Protocol: p, Coalesced: true})
		d.Start()
		if paused {
			d.PauseReading()
		}
		r.op.Message.Uncut = true
		r.op.Deliver(600, true, make([]byte, 600))
		r.op.Message.Uncut = false
		if v, set := r.options[proactor.Coalesce]; !set || v != 0 || len(r.lacks) != 1 {
			t.Errorf("options %v, lacks %v", r.options, r.lacks)
		}
		if paused {
			if len(p.errs) > 0 {
				t.Errorf("told %v while it pauses", p.errs)
			}
			r.op.Deliver(-int32(syscall.ECANCELED), false, nil)
			d.ResumeReading()
			d.RunTask()
		}
		if len(p.errs) != 1 || !errors.Is(p.errs[0], syscall.EMSGSIZE) || len(p.got) > 0 {
			t.Errorf("paused %v: errors %v, datagrams %q", paused, p.errs, p.got)
		}
		r.op.Deliver(3, true, []byte("one"))
		if len(p.got) != 1 {
			t.Errorf("paused %v: afterwards %q", paused, p.got)
		}
	}
}
