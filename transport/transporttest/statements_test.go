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
	{"F datagrams", 143, 174, "MMMDDMMMXMMMDMMMDXMXDDXMMMMMMMDS"},
	{"G TLS", 175, 215, "MMMMMMMMMMMDMMMDDMMMMXMMMMXXMMMMMMMMMDMND"},
	{"H upgrades", 216, 225, "MMMMMMXXMD"},
	{"I servers", 226, 255, "MMMXMDMDMMMMMMDMMMMMMMMXMDMMND"},
	{"J connecting", 256, 275, "MMMMMMMMMMMMMMMDMMMN"},
	{"K Unix sockets", 276, 285, "MMMDMMMDDD"},
	{"L pipes", 286, 303, "MMMMDXMMMMMMMMMDDD"},
	{"M children", 304, 339, "MMMMMMMMMMMMMMMMMMMMMXDMMMMMMDMMMDMM"},
	{"N sendfile", 340, 356, "MMMXMMMMMMMMXMMDM"},
	{"O watching", 357, 372, "MMMMMMMMDMMMMMMM"},
	{"P scheduling", 373, 394, "MMMMMMSMMMMMMMMMMNNMDS"},
	{"Q threads", 395, 406, "MMMMMMMMMMMM"},
	{"R exceptions", 407, 418, "MMMMMMMMMMMD"},
	{"S shutdown", 419, 423, "MMDMD"},
	{"T streams", 424, 441, "MMMMMMMMMMMMMMNMMM"},
	{"U rings", 442, 452, "SSSSSSSSSSS"},
}

// untested are the statements without a test of their own, and why. Those with
// tag N need no reason.
var untested = map[int]string{
	5:   "says that there is no order to rely on",
	41:  "invisible by nature: the engines' own suite makes them",
	71:  "of the type system",
	77:  "of the type system",
	112: "not offered: ResumeWriting with Low 0 says the same",
	113: "not offered: the socket can be asked",
	122: "Go has no context variables",
	129: "Go has no read-only slices",
	165: "of the type system: addresses are numeric",
	255: "every server test drops its reference to the listener",
	259: "of the type system: Sock is an *os.File, which no *tls.Conn is",
	355: "of uvloop",
	356: "as 366",
	305: "of the type system: no such options",
	326: "nothing is queued: a pipe passes its data on at once, so a pause is exact, as 293 shows",
	365: "a user's error, documented",
	366: "no sock_* operations: Go has package net, and they are not in the binding API",
	367: "as 366",
	368: "as 366",
	370: "as 366",
	371: "as 366",
	372: "as 366",
	406: "Go has no fork; that a child inherits nothing is 331",
	422: "Go has no asynchronous generators",
	436: "Accept hands the connection to a goroutine of the user's, whose panic is Go's affair",
	440: "package os/exec does that, without a loop",
	441: "as 440; a SubprocessProtocol pauses its pipes itself, as 293 shows",
}
