package opener

import "errors"

// The errors for sockets of another kind. Package loop describes them.
var (
	ErrNotStream    = errors.New("loop: not a stream socket")
	ErrNotDatagram  = errors.New("loop: not a datagram socket")
	ErrNotSeqPacket = errors.New("loop: not a Unix SOCK_SEQPACKET socket")
)
