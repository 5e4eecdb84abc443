package docs

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// asyncioDoc is the document whose tables are read.
const asyncioDoc = "docs/asyncio.md"

// A row says what is ours for names of asyncio's.
type row struct {
	number    int
	cells     []string
	asyncio   []string // none where the thing is only ours
	ours      []string // none where the thing is only asyncio's
	notYet    bool     // ours are not there
	pending   []string // topics that are not there
	vague     bool     // "not yet" without saying what
	deviation string
}

// A comparison is the document's tables.
type comparison struct {
	rows       []row // of names
	deviations []row // by number
	missing    []row // by topic
}

// topics are what documents say is missing, each with a name that it will bring.
var topics = map[string]string{
	"UDP":      "loop.Loop.CreateDatagramEndpoint",
	"pipes":    "loop.Loop.ConnectReadPipe",
	"children": "loop.Loop.SubprocessExec",
	"TLS":      "loop.Loop.StartTLS",
	"sendfile": "loop.Loop.Sendfile",
	"streams":  "stream.Dial",
}

var (
	codeSpan  = regexp.MustCompile("`([^`]+)`")
	tableRule = regexp.MustCompile(`^\|[-:| ]+\|$`)
	topic     = regexp.MustCompile(`not yet: (\w+)`)
	promise   = regexp.MustCompile("not yet: (?:`|\\w)")
)

// readComparison takes the tables with the heads that it knows out of a document.
func readComparison(text string) comparison {
	var c comparison
	head := ""
	for _, l := range linesOf(text) {
		if l.language != "" || !strings.HasPrefix(l.text, "|") {
			head = ""
			continue
		}
		cells := cellsOf(l.text)
		switch {
		case head == "":
			head = cells[0]
		case tableRule.MatchString(l.text):
		case head == "asyncio":
			c.rows = append(c.rows, newRow(l.number, cells))
		case head == "number":
			c.deviations = append(c.deviations, newRow(l.number, cells))
		case head == "topic":
			c.missing = append(c.missing, row{number: l.number, pending: cells[:1]})
		}
	}
	return c
}

func cellsOf(text string) []string {
	cells := strings.Split(strings.Trim(strings.TrimSpace(text), "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

func newRow(number int, cells []string) row {
	r := row{number: number, cells: cells}
	for _, cell := range cells {
		for _, match := range topic.FindAllStringSubmatch(cell, -1) {
			r.pending = append(r.pending, match[1])
		}
		r.vague = r.vague ||
			len(promise.FindAllString(cell, -1)) != strings.Count(cell, "not yet")
	}
	if len(cells) == 3 {
		r.asyncio, r.ours, r.deviation = spans(cells[0]), spans(cells[1]), cells[2]
		r.notYet = strings.HasPrefix(cells[1], "not yet: ")
	}
	return r
}

// spans returns the texts in code quotes.
func spans(cell string) []string {
	var out []string
	for _, match := range codeSpan.FindAllStringSubmatch(cell, -1) {
		out = append(out, match[1])
	}
	return out
}

// form says what is wrong with the row by itself.
func (r row) form() string {
	switch {
	case len(r.cells) != 3:
		return fmt.Sprintf("has %d cells, not 3", len(r.cells))
	case r.vague:
		return `says "not yet" without saying what`
	case strings.Contains(r.deviation, "contract only") && len(r.pending) == 0:
		return "is a contract only, but does not say what is not yet there"
	}
	return ""
}

// names says what is wrong with the names of a row that compares names.
func (r row) names() string {
	switch {
	case len(r.asyncio) == 0 && r.cells[0] != "none":
		return "names nothing of asyncio's"
	case len(r.ours) == 0 && r.cells[1] != "none":
		return "names nothing of ours"
	case len(r.asyncio) == 0 && len(r.ours) == 0:
		return "compares nothing with nothing"
	case r.deviation == "":
		return "says nothing about the deviation"
	case r.deviation == "same" && (r.notYet || len(r.ours) == 0 || len(r.asyncio) == 0):
		return `says "same" where there is nothing to compare`
	}
	return ""
}

// check compares the tables with what exists and with what has to be there:
// names of asyncio's, and of ours.
func (c comparison) check(exists func(string) bool, asyncio, ours []string) []violation {
	var out []violation
	complain := func(number int, format string, args ...any) {
		out = append(out, violation{asyncioDoc, number, fmt.Sprintf(format, args...)})
	}
	for _, r := range slices.Concat(c.rows, c.deviations) {
		if wrong := r.form(); wrong != "" {
			complain(r.number, "%s", wrong)
		}
	}
	for _, r := range slices.Concat(c.missing, c.rows, c.deviations) {
		for _, what := range r.pending {
			if name, known := topics[what]; !known {
				complain(r.number, "%s is no topic", what)
			} else if exists(name) {
				complain(r.number, "%s: %s is there by now", what, name)
			}
		}
	}
	seen := map[string]bool{}
	for _, r := range c.rows {
		if r.form() != "" {
			continue
		}
		if wrong := r.names(); wrong != "" {
			complain(r.number, "%s", wrong)
			continue
		}
		for _, name := range r.ours {
			switch there := exists(name); {
			case there && r.notYet:
				complain(r.number, "%s is there by now", name)
			case !there && !r.notYet:
				complain(r.number, "%s is not there", name)
			}
			seen[name] = true
		}
		for _, name := range r.asyncio {
			if seen[name] {
				complain(r.number, "%s has a row already", name)
			}
			seen[name] = true
		}
	}
	for _, name := range slices.Concat(asyncio, ours) {
		if !seen[name] {
			complain(0, "%s has no row", name)
		}
	}
	return out
}

// seedNames are the names in asyncio's two pages "Transports and Protocols", of
// Python 3.6 and 3.7, in the order in which they occur.
var seedNames = strings.Fields(`
	BaseTransport ReadTransport WriteTransport Transport DatagramTransport
	SubprocessTransport BaseSubprocessTransport
	BaseTransport.close BaseTransport.is_closing BaseTransport.get_extra_info
	BaseTransport.set_protocol BaseTransport.get_protocol
	get_extra_info("peername") get_extra_info("sockname") get_extra_info("socket")
	get_extra_info("compression") get_extra_info("cipher") get_extra_info("peercert")
	get_extra_info("sslcontext") get_extra_info("ssl_object") get_extra_info("pipe")
	get_extra_info("subprocess")
	ReadTransport.is_reading ReadTransport.pause_reading ReadTransport.resume_reading
	WriteTransport.abort WriteTransport.can_write_eof WriteTransport.get_write_buffer_size
	WriteTransport.get_write_buffer_limits WriteTransport.set_write_buffer_limits
	WriteTransport.write WriteTransport.writelines WriteTransport.write_eof
	DatagramTransport.sendto DatagramTransport.abort
	SubprocessTransport.get_pid SubprocessTransport.get_pipe_transport
	SubprocessTransport.get_returncode SubprocessTransport.kill
	SubprocessTransport.send_signal SubprocessTransport.terminate SubprocessTransport.close
	BaseProtocol Protocol BufferedProtocol DatagramProtocol SubprocessProtocol
	BaseProtocol.connection_made BaseProtocol.connection_lost
	BaseProtocol.pause_writing BaseProtocol.resume_writing
	Protocol.data_received Protocol.eof_received
	BufferedProtocol.get_buffer BufferedProtocol.buffer_updated
	BufferedProtocol.eof_received
	DatagramProtocol.datagram_received DatagramProtocol.error_received
	SubprocessProtocol.pipe_data_received SubprocessProtocol.pipe_connection_lost
	SubprocessProtocol.process_exited
	loop.create_connection loop.create_unix_connection loop.create_server
	loop.create_unix_server loop.create_datagram_endpoint loop.connect_accepted_socket
	loop.connect_read_pipe loop.connect_write_pipe loop.subprocess_exec
	loop.subprocess_shell loop.sendfile loop.call_soon loop.add_reader loop.stop
	loop.close loop.run_forever loop.run_until_complete loop.create_future
	Server.sockets Server.close Server.wait_closed Server.serve_forever
	asyncio.run asyncio.sleep asyncio.get_running_loop asyncio.get_event_loop
	asyncio.ensure_future asyncio.Future asyncio.set_event_loop_policy
	open_connection start_server StreamWriter.drain`)

// compared are the methods of ours that need a row.
func compared(c *typeChecker) []string {
	return slices.Concat(
		c.interfaceMethods("transport"), c.interfaceMethods("protocol"),
		c.methods("loop", "Loop"), c.methods("loop", "Server"),
		c.methods("loop", "Handle"), c.methods("loop", "TimerHandle"))
}

func TestAsyncioComparison(t *testing.T) {
	repository, names := loadOnce(t)
	c := readComparison(repository.texts[asyncioDoc])
	ours := compared(names)
	if len(c.rows) < len(seedNames)/2 || len(ours) < 100 {
		t.Fatalf("found %d rows and %d methods of ours", len(c.rows), len(ours))
	}
	for _, v := range c.check(names.exported, seedNames, ours) {
		t.Error(v)
	}
}

// deviationNumber finds the number of a scenario's deviation.
var deviationNumber = regexp.MustCompile(`"deviation":\s*\{\s*"number":\s*"([^"]+)"`)

// undocumented returns the numbers of the scenarios' deviations, given as the texts
// of their files, that have no row: X1 to X26 in the contract, statements here.
func (c comparison) undocumented(divergences []contractRow, scenarios ...string) []string {
	there := c.numbers()
	for _, d := range divergences {
		there = append(there, fmt.Sprint("X", d.id))
	}
	var wanted []string
	for _, text := range scenarios {
		for _, match := range deviationNumber.FindAllStringSubmatch(text, -1) {
			wanted = append(wanted, match[1])
		}
	}
	return slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(wanted))),
		func(number string) bool { return slices.Contains(there, number) })
}

// numbers are those of the deviations, without the links that they are.
func (c comparison) numbers() []string {
	var out []string
	for _, r := range c.deviations {
		number, _, _ := strings.Cut(strings.TrimPrefix(r.cells[0], "["), "]")
		out = append(out, number)
	}
	return out
}

func TestEveryDeviationHasARow(t *testing.T) {
	repository, _ := loadOnce(t)
	c := readComparison(repository.texts[asyncioDoc])
	scenarios := readAll(t, path.Join("..", "loop/internal/oracletest/scenarios/*.json"))
	if found := deviationNumber.FindAllString(strings.Join(scenarios, ""), -1); len(found) < 5 {
		t.Fatalf("found %d deviations in the scenarios", len(found))
	}
	divergences := readContract(repository.texts[contractDoc]).divergences
	for _, number := range c.undocumented(divergences, scenarios...) {
		t.Errorf("%s: deviation %s has no row", asyncioDoc, number)
	}
	numbers := slices.Sorted(slices.Values(c.numbers()))
	if once := slices.Compact(slices.Clone(numbers)); len(once) != len(numbers) {
		t.Errorf("%s: a deviation has two rows: %v", asyncioDoc, numbers)
	}
}
