package netserver

import (
	"net"
	"sync"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// A room is all connections of a fan-out. Each has a goroutine that waits on a
// channel for messages and writes them, so that one whose client is slow does not
// hold up the others, and another that reads.
type room struct {
	size int

	mu      sync.Mutex
	members []*member
	pos     int64 // how far all their streams are
}

// A member is one connection.
type member struct {
	conn     net.Conn
	messages chan []byte
	at       int // in room.members
}

// membersMessages is how many messages may wait to be written to a member.
const membersMessages = 16

// join makes c a member. What is said from now on is its to write.
func (r *room) join(c net.Conn) *member {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &member{c, make(chan []byte, membersMessages), len(r.members)}
	r.members = append(r.members, m)
	return m
}

// leave ends m's membership, and its write.
func (r *room) leave(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.members[len(r.members)-1]
	r.members[m.at], last.at = last, m.at
	r.members = r.members[:len(r.members)-1]
	close(m.messages)
}

// say passes the next message to all members.
func (r *room) say() {
	r.mu.Lock()
	defer r.mu.Unlock()
	message := contest.Pattern(r.pos, r.size)
	r.pos += int64(r.size)
	for _, m := range r.members {
		m.messages <- message
	}
}

// write writes what is said until the member leaves. After an error, which the
// reader sees as well, it only takes.
func (m *member) write() {
	var err error
	for message := range m.messages {
		if err == nil {
			_, err = m.conn.Write(message)
		}
	}
}

// listen says something for each byte that comes.
func (r *room) listen(m *member) {
	asked := make([]byte, 512)
	for {
		n, err := m.conn.Read(asked)
		if err != nil {
			return
		}
		for range n {
			r.say()
		}
	}
}
