package transporttest_test

// section is a section of the behavioural contract: the numbers of its
// statements and a letter for each, its tag.
//
// M must match asyncio, D de-facto behaviour, S stronger than asyncio, X asyncio
// is wrong and we diverge, I implementation-defined, N not applicable in Go.
type section struct {
	name        string
	first, last int
	tags        string
}

// sections are those that the stream side of the loop has to show.
var sections = []section{
	{"A transport", 1, 37, "MSMMIMMMMMDMDMMMDDDDMDXMMMMMMMMXDDNDD"},
	{"B reading", 38, 67, "MDDMMMMMMXXDDMMMMMMMMMMMMXMMMD"},
	{"C writing", 68, 113, "MMDMDXMXXMDXDXDMMMMMMDMMMMXMMMMXMMMMMDMMDDDDDI"},
	{"D callbacks", 114, 123, "MMMMDDMNDM"},
	{"E buffered", 124, 142, "MMIMMMMMMDMMMXXNDDS"},
	{"I servers", 226, 255, "MMMXMDMDMMMMMMDMMMMMMMMXMDMMND"},
	{"J connecting", 256, 275, "MMMMMMMMMMMMMMMDMMMN"},
	{"O watching", 357, 372, "MMMMMMMMDMMMMMMM"},
	{"P scheduling", 373, 394, "MMMMMMSMMMMMMMMMMNNMDS"},
	{"Q threads", 395, 406, "MMMMMMMMMMMM"},
	{"R exceptions", 407, 418, "MMMMMMMMMMMD"},
	{"S shutdown", 419, 423, "MMDMD"},
	{"U rings", 442, 452, "SSSSSSSSSSS"},
}

// untested are the statements without a test of their own, and why. Those with
// tag N need no reason.
var untested = map[int]string{
	5:   "says that there is no order to rely on",
	13:  "the kernel's doing: close with unread input is a reset",
	28:  "of TLS transports",
	29:  "of pipes and subprocesses",
	37:  "of the type system: a DatagramTransport is no Transport",
	39:  "an ownership rule; debug builds poison the slice",
	40:  "fairness, see the load cases of the engines' own suite",
	41:  "invisible by nature: the engines' own suite makes them",
	71:  "of the type system",
	77:  "of the type system",
	112: "not offered: ResumeWriting with Low 0 says the same",
	113: "not offered: the socket can be asked",
	122: "Go has no context variables",
	129: "Go has no read-only slices",
	141: "of pipes",
	142: "memory of the engine, see its own suite",
	233: "of the kernel's accept queue",
	244: "the backlog is not to be seen from outside",
	251: "the kernel decides whether such a connection is accepted",
	252: "of TLS servers",
	253: "needs an accept that fails in an odd way; retried as after 248",
	266: "needs a resolver that answers with nothing",
	255: "every server test drops its reference to the listener",
	259: "of the type system",
	261: "needs an interface with link-local addresses",
	268: "pure, see the tests of the address list",
	269: "of TLS clients",
	365: "a user's error, documented",
	366: "sock_* operations are not offered: goroutines have net.Conn",
	367: "as 366",
	368: "as 366",
	370: "as 366",
	371: "as 366",
	372: "as 366",
	394: "of Options.Loops",
	404: "nothing here handles SIGCHLD",
	406: "Go has no fork",
	411: "shown by 42",
	412: "the messages are those that other tests expect",
	416: "panics carry their stack; see 392",
	417: "not offered: Trace has the events",
	422: "Go has no asynchronous generators",
	442: "the simulated kernel panics at a close with operations in flight",
	444: "the engines' own suite",
	448: "shown by 54 and 57 on io_uring",
	450: "of TLS",
	452: "needs a kernel that refuses io_uring",
}
