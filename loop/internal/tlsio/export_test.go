package tlsio

// FloodMax is for tests.
const FloodMax = floodMax

// Behind reads what crypto/tls still has though it was not asked: there must not be
// any.
func (t *Transport) Behind() (n int, err error) {
	if n, err = t.conn.Read(make([]byte, 1)); err == errWouldBlock {
		err = nil
	}
	return n, err
}

// Records follows bytes that are given in pieces: how many records end in the last
// piece, and whether no other has begun.
func Records(pieces ...[]byte) (ends int, none bool) {
	var r records
	for _, p := range pieces {
		r.give(p)
	}
	return r.left, r.header == 0 && r.body == 0
}
