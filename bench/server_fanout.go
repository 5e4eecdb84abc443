package main

import (
	"github.com/sluice-net/sluice/bench/internal/contest"
	"github.com/sluice-net/sluice/transport"
)

// A room is all connections of a fan-out, and belongs to the loop.
type room struct {
	members []*member
	size    int
	pos     int64 // how far all their streams are
}

// say writes the next message to all members.
func (r *room) say() {
	message := contest.Pattern(r.pos, r.size)
	r.pos += int64(r.size)
	for _, m := range r.members {
		m.transport.Write(message)
	}
}

// A member is one connection: each byte that comes asks for a message to all.
type member struct {
	counted
	room      *room
	at        int // in room.members
	transport transport.Transport
}

func (m *member) ConnectionMade(t transport.Transport) {
	m.transport, m.at = t, len(m.room.members)
	m.room.members = append(m.room.members, m)
	m.counted.ConnectionMade(t)
}

func (m *member) DataReceived(data []byte) {
	for range data {
		m.room.say()
	}
}

func (m *member) ConnectionLost(err error) {
	r := m.room
	last := r.members[len(r.members)-1]
	r.members[m.at], last.at = last, m.at
	r.members = r.members[:len(r.members)-1]
	m.counted.ConnectionLost(err)
}
