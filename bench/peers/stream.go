package main

import (
	"net"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// modes are those of a peer that has streams only.
var modes = []contest.Mode{contest.Echo, contest.EchoUnix, contest.Receive, contest.Send}

// A stream is what one connection does with what comes.
type stream struct {
	mode contest.Mode
	sink *contest.Sink // of Receive
	pos  int64         // of Send: in the stream that goes out
}

func newStream(task contest.Task, client net.Addr) *stream {
	s := &stream{mode: task.Mode}
	if task.Mode == contest.Receive {
		s.sink = contest.NewSink(task.Page)
		s.sink.From(client)
	}
	return s
}

// take does what the mode asks for with data, which comes next.
func (s *stream) take(data []byte, write func([]byte) error) error {
	switch s.mode {
	case contest.Receive:
		s.sink.Take(data)
		return nil
	case contest.Send:
		for range data {
			if err := write(contest.Pattern(s.pos, contest.BlockSize)); err != nil {
				return err
			}
			s.pos += contest.BlockSize
		}
		return nil
	}
	return write(data)
}

// network is what a mode listens on, in the words of package net.
func network(mode contest.Mode) (network, addr string) {
	switch mode {
	case contest.EchoUnix:
		return "unix", contest.UnixName()
	case contest.Datagrams:
		return "udp4", "127.0.0.1:0"
	}
	return "tcp4", "127.0.0.1:0"
}
