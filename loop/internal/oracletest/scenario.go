package oracletest

// Level says how strictly two traces are compared.
type Level string

// The levels.
const (
	Exact      Level = "exact"      // event by event
	Partial    Level = "partial"    // event by event within each connection
	Invariants Level = "invariants" // only what holds for every trace, see Invariants
)

// Scenario is one script.
type Scenario struct {
	ID         string     `json:"id"`    // kebab-case; names the files of testdata
	Title      string     `json:"title"` // the behaviour in a phrase
	Case       string     `json:"case"`  // the case of the contract's list, C01 to C40, or ""
	Statements []int      `json:"statements"`
	Deviation  *Deviation `json:"deviation"` // nil: ours must be asyncio's trace
	Transport  Kind       `json:"transport"`
	Protocol   Protocol   `json:"protocol"`    // the zero Protocol is a plain one
	Level      Level      `json:"level"`       // "" is Exact
	Needs      []string   `json:"needs"`       // what not every environment can do, see Env.Can
	Defer      bool       `json:"defer"`       // the server is made without serving
	AsyncioMin string     `json:"asyncio_min"` // the oldest CPython that can record it
	AsyncioMax string     `json:"asyncio_max"` // the newest one, major and minor
	Hooks      []Hook     `json:"hooks"`
	Steps      []Step     `json:"steps"`
}

// Deviation says why our trace is not asyncio's.
type Deviation struct {
	Number string `json:"number"` // X1 to X26, or a statement's number
	Why    string `json:"why"`
}

// Kind is how the subject's connections come about.
type Kind string

// The kinds.
const (
	SocketPair Kind = "socketpair" // the subject gets one end of a pair
	TCPServer  Kind = "tcp-server" // the peers connect to the subject's server
	TCPClient  Kind = "tcp-client" // the subject connects to the peer
	NoConn     Kind = "none"       // only callbacks and timers, on a running loop
	IdleLoop   Kind = "loop"       // the same on a loop that the script runs itself
)

// Protocol is the kind of a protocol: "plain" or "", "buffered" with a buffer
// of N bytes, or "raise" for a factory that panics.
type Protocol struct {
	Kind string `json:"kind"`
	N    int    `json:"n"`
}

// Hook is what a protocol does inside a callback.
type Hook struct {
	On  string   `json:"on"`  // the callback's name in a trace, data_received say
	Nth int      `json:"nth"` // only the nth of its connection, from 1; 0: each
	C   string   `json:"c"`   // only of this connection; "": of each
	Do  []Action `json:"do"`
}

// Action is something that the subject's user does: a call of the transport,
// the server or the loop, or an observation that is recorded.
type Action struct {
	Do    string   `json:"do"` // the name of the call or observation
	C     string   `json:"c"`  // the connection; "": the one at hand
	N     int      `json:"n"`
	Seed  int      `json:"seed"`
	Sizes []int    `json:"sizes"` // writelines: a slice of each size
	Count int      `json:"count"` // writelines: this many slices of N bytes
	High  *int     `json:"high"`  // limits; nil: left to the default
	Low   *int     `json:"low"`
	Rel   bool     `json:"rel"`  // limits: high is added to what is buffered now
	Kind  string   `json:"kind"` // set_protocol: plain, buffered or nil
	Val   bool     `json:"val"`  // return: the callback's result
	Label string   `json:"label"`
	MS    int      `json:"ms"`   // call_later, call_at: milliseconds
	Of    string   `json:"of"`   // state: what to ask for, all where ""
	Then  []Action `json:"then"` // call_soon and the like: done in the callback
}

// Step is one step of the script. Between two steps the loop runs until it is
// quiet, but for steps that are held.
type Step struct {
	Step      string   `json:"step"`
	C         string   `json:"c"`    // the connection, "": c1
	Hold      bool     `json:"hold"` // done in the same callback of the loop as the next step
	Do        []Action `json:"do"`   // batch, outside
	N         int      `json:"n"`
	Seed      int      `json:"seed"`
	Text      string   `json:"text"`      // peer_send: instead of N and Seed
	UntilEOF  bool     `json:"until_eof"` // peer_recv: all there is
	Uncounted bool     `json:"uncounted"` // peer_recv: only how it ended
	Name      string   `json:"name"`      // wait_event
	Count     int      `json:"count"`     // wait_event: how many, 0 means 1
	Refused   bool     `json:"refused"`   // connect: nobody listens
	Report    bool     `json:"report"`    // connect: record the end of the create call
	Label     string   `json:"label"`     // threadsafe
	Then      []Action `json:"then"`
}

// conn is the connection that a step is about.
func (s Step) conn() string {
	if s.C == "" {
		return "c1"
	}
	return s.C
}

// bytes are what a peer_send sends.
func (s Step) bytes() []byte {
	if s.Text != "" {
		return []byte(s.Text)
	}
	return Pattern(s.Seed, s.N)
}

// Pattern returns n bytes that depend on the seed and on their position, so
// that bytes that are lost, doubled or out of order change a hash. It is
// pattern of peer.py.
func Pattern(seed, n int) []byte {
	const period = 1 << 16
	p := make([]byte, n)
	for i := range min(n, period) {
		p[i] = byte(seed*31 + i*7 + (i>>8)*13)
	}
	for i := period; i < n; i += period {
		copy(p[i:], p[:period])
	}
	return p
}
