package loop

import (
	"fmt"
	"time"

	"github.com/sluice-net/sluice/loop/internal/fdio"
)

// sawCallback reports a task that ran for too long, in debug mode.
func (l *Loop) sawCallback(t fdio.Task, took time.Duration) {
	if took < l.SlowCallbackDuration {
		return
	}
	if l.opts.Trace != nil && l.opts.Trace.SlowCallback != nil {
		l.opts.Trace.SlowCallback(took)
	}
	l.logger().Warn(fmt.Sprintf("Executing %T took %v", t, took))
}
