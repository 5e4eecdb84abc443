package main

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/bench/internal/rounds"
)

// peers are the servers of the module bench/peers, and what they do.
var peers = map[string][]contest.Mode{
	"gnet":    {contest.Echo, contest.Receive, contest.Send, contest.Datagrams},
	"netpoll": {contest.Echo, contest.EchoUnix, contest.Receive, contest.Send},
	"nbio":    {contest.Echo, contest.EchoUnix, contest.Receive, contest.Send, contest.Datagrams},
}

// peersDir is where that module is, seen from where the README has one run this.
const peersDir = "bench/peers"

// buildPeers builds the other libraries' servers, if that can be done here. The
// function that it returns removes what was built.
func (m *measurement) buildPeers() (remove func()) {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		m.note("No peers: %v.", err)
		return func() {}
	}
	program := filepath.Join(dir, "peers")
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Dir = peersDir
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Run(); err != nil {
		m.note("No peers: building %s: %v. %s", peersDir, err,
			bytes.TrimSpace(complaint.Bytes()))
	} else {
		m.peers = program
	}
	return func() { os.RemoveAll(dir) }
}

// contestants are those of this program that were asked for, those of other builds,
// and the peers.
func (m *measurement) contestants() []rounds.Contestant {
	out := withOthers(contestants(m.cfg.engines), m.cfg.others)
	if m.peers == "" {
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(peers)) {
		out = append(out, rounds.Contestant{
			Key: name, Label: name, Server: name, Program: m.peers})
	}
	return out
}
