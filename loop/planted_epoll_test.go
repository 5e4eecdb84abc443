package loop

import "testing"

const (
	epollFile      = "loop/internal/epoll/epoll.go"
	epollTableFile = "loop/internal/epoll/table.go"
	epollReadFile  = "loop/internal/epoll/read.go"
	epollWriteFile = "loop/internal/epoll/write.go"
)

// plantedInEpoll are faults of the engine on epoll.
var plantedInEpoll = []plantedFault{
	{"a generation is not checked", epollTableFile,
		"s == nil || s.gen != uint32(ev.Pad)",
		"s == nil"},
	{"a generation stays the same", epollFile,
		"*s = slot{gen: s.gen + 1}",
		"*s = slot{gen: s.gen}"},
	{"EAGAIN of a send is tried again without an event", epollWriteFile,
		"	default:\n		e.arm(op, op.FD, writing)\n",
		"	default:\n		e.enqueue(op)\n"},
	{"the error of a send that was begun is lost in a count", epollFile,
		"op.Engine.Done > 0 && errno == syscall.ECANCELED",
		"op.Engine.Done > 0"},
	{"a reader is left armed after its end", epollReadFile,
		"	s.reader = nil\n	op.Engine.Flag = nowhere\n",
		"	op.Engine.Flag = nowhere\n"},
	{"a short send is told as a complete one", epollWriteFile,
		"	case errno == 0 && op.Engine.Done >= total:\n" +
			"		e.finish(op, int32(op.Engine.Done))",
		"	case errno == 0:\n		e.finish(op, int32(total))"},
	{"a short send begins at its beginning again", epollWriteFile,
		"	op.Engine.Done += n\n",
		""},
	{"an event for the writer is the reader's", epollTableFile,
		"bits&(watchRead|unix.EPOLLRDHUP|always) != 0",
		"bits != 0"},
	{"an event for the reader is the writer's", epollTableFile,
		"bits&(watchWrite|always) != 0",
		"bits != 0"},
	{"a hang-up is not for the reader", epollTableFile,
		"bits&(watchRead|unix.EPOLLRDHUP|always) != 0",
		"bits&watchRead != 0"},
	{"a descriptor is closed while it is watched", epollFile,
		"		e.watch(s, fd, 0)\n",
		""},
	{"what the kernel watches is not remembered", epollTableFile,
		"	s.mask = mask\n	if errno != 0 {",
		"	if s.mask = mask; call == unix.EPOLL_CTL_MOD {\n		s.mask = 0\n	}\n" +
			"	if errno != 0 {"},
	{"a descriptor that cannot be watched counts as watched", epollTableFile,
		"	if errno != 0 {\n		s.mask = 0\n	}\n",
		""},
	{"a cancelled operation keeps its place", epollTableFile,
		"	*s.place(flag) = nil\n	op.Engine.Flag = nowhere\n	if flag >= pollFirst",
		"	op.Engine.Flag = nowhere\n	if flag >= pollFirst"},
	{"an interrupted receive is a failure", epollReadFile,
		"		case errno != syscall.EINTR:\n			return n, errno",
		"		default:\n			return n, errno"},
	{"a connect is over when it was begun", epollWriteFile,
		"errno != syscall.EINPROGRESS && errno != syscall.EINTR",
		"errno != syscall.EINTR"},
	{"an interrupted connect is a failure", epollWriteFile,
		"errno != syscall.EINPROGRESS && errno != syscall.EINTR",
		"errno != syscall.EINPROGRESS"},
	{"how a connect went is not asked", epollWriteFile,
		"e.result(op, 0, e.machine.SocketError(op.FD))",
		"e.result(op, 0, 0)"},
	{"a buffer is written to before its handler has seen it", epollReadFile,
		"		data := buf[:n:n]\n",
		"		data := buf[:n:n]\n		debug.Fill(data, 0)\n"},
	{"EAGAIN ends a listener", epollReadFile,
		"		case syscall.EAGAIN:\n			return\n",
		""},
}

// TestPlantedFaultsInEpollAreFound is TestPlantedFaultsAreFound for TestChaosOnEpoll, and
// the seeds are those that this runs by default.
func TestPlantedFaultsInEpollAreFound(t *testing.T) {
	findPlanted(t, plantedInEpoll, ".", "-run", "^"+onEpoll.test()+"$", "-seeds", "400")
}
