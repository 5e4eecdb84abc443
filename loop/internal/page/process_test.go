package page

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/sluice-net/sluice/transport/flowpage"
)

// childEnv makes the test's program a child that has a page, or that reads the pages
// of the process whose id is its value.
const childEnv = "FLOWPAGE_TEST_READ"

// beChild prints what each transport of its parent has buffered.
func beChild(parent string) int {
	if parent == "page" {
		return havePage()
	}
	pid, err := strconv.Atoi(parent)
	if err != nil {
		return 2
	}
	readers, err := flowpage.Find(pid)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for _, r := range readers {
		for s := range r.Slots() {
			fmt.Println(s.Kind, s.Cookie, s.Buffered, s.WritePaused.Running, s.ReadPaused.Running)
		}
		if err := r.Err(); err != nil {
			fmt.Println(err)
		}
		r.Close()
	}
	return 0
}

// havePage makes a page, says so, and keeps it until it is killed.
func havePage() int {
	p, err := New(simulated)
	if err != nil {
		return 1
	}
	p.Add(Identity{Kind: flowpage.KindTCP, Cookie: 99})
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin) // the parent is gone when this returns
	return 0
}

func TestAnotherProcessReads(t *testing.T) {
	p, _ := newPage(t, simulated)
	s := p.Add(Identity{Kind: flowpage.KindTCP, Cookie: 4711})
	s.SetBuffered(400)
	p.PauseWriting(s)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", childEnv, os.Getpid()))
	out, err := cmd.Output()
	if want := "tcp 4711 400 true false\n"; err != nil || string(out) != want {
		t.Errorf("the child printed %q (%v), want %q", out, err, want)
	}
}

// Slots change hands all the time, and each time all that a slot says of itself is
// made of its cookie. The reader must never see two transports in one.
func TestASlotNeverShowsTwoTransports(t *testing.T) {
	p, r := newPage(t, simulated)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 1; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			p.at.ns = int64(i)
			s := p.Add(Identity{Kind: flowpage.KindTCP, FD: i & 0xffff, Cookie: uint64(i)})
			s.SetState(flowpage.StateOpen)
			p.Remove(s)
		}
	}()
	seen := 0
	for begin := time.Now(); seen < 1000; {
		// With one processor each turn of the writer is 10 ms long.
		if took := time.Since(begin); took > 10*time.Second || took > time.Second && seen >= 10 {
			break
		}
		runtime.Gosched()
		for s := range r.Slots() {
			seen++
			if s.FD != int(s.Cookie)&0xffff || uint64(s.Created) != s.Cookie {
				t.Fatalf("two in one: %+v", s)
			}
		}
	}
	close(done)
	<-ended
	if err := r.Err(); err != nil || seen == 0 {
		t.Errorf("%d transports seen, %v", seen, err)
	}
}

// What is published is stored without atomics, so the reader's loads must be whole.
func TestWordsAreWhole(t *testing.T) {
	if strconv.IntSize < 64 {
		t.Skip("needs 64 bits: smaller machines store a word in two halves")
	}
	p, r := newPage(t, simulated)
	s := p.Add(Identity{Kind: flowpage.KindTCP})
	done := make(chan struct{})
	ended := make(chan struct{})
	var one int64 = 1<<32 + 1 // both halves of the counter are the same, always
	go func() {
		defer close(ended)
		for n := int64(0); ; n += one {
			select {
			case <-done:
				return
			default:
				s.Read(int(one))
				s.SetBuffered(int(n & (1<<62 - 1)))
			}
		}
	}()
	last := uint64(0)
	end := time.Now().Add(time.Second) // with one processor a look takes 10 ms
	for looks := 0; looks < 3000 && time.Now().Before(end); looks++ {
		runtime.Gosched()
		for got := range r.Slots() {
			if got.BytesRead>>32 != got.BytesRead&(1<<32-1) {
				t.Fatalf("half a word: %x", got.BytesRead)
			}
			if got.BytesRead < last {
				t.Fatalf("%d bytes read after %d", got.BytesRead, last)
			}
			last = got.BytesRead
		}
	}
	close(done)
	<-ended
}

// A page of a process that is killed is still readable by who has it open.
func TestAPageOutlivesItsProcess(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), childEnv+"=page")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Error(err)
	}
	readers, err := flowpage.Find(cmd.Process.Pid)
	in.Close()
	if e := cmd.Process.Kill(); e != nil {
		t.Error(e)
	}
	if _, e := cmd.Process.Wait(); e != nil {
		t.Error(e)
	}
	if err != nil {
		t.Fatal(err)
	}
	got := slots(t, readers[0])
	if len(got) != 1 || got[0].Cookie != 99 {
		t.Errorf("%+v", got)
	}
	if err := readers[0].Close(); err != nil {
		t.Error(err)
	}
}
