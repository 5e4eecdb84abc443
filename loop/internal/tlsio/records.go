package tlsio

// headerSize is the size of a record's header, whose last two bytes are the size of
// its body.
const headerSize = 5

// records follows the records in the bytes given to crypto/tls, to know without
// asking when all of them have been used.
//
//	header --its 5 bytes--> body --as many as it said--> header
//
// left is the number of whole records that crypto/tls may still have: it is never
// too small.
type records struct {
	header int  // bytes of a header seen so far
	high   byte // of the body's size
	body   int  // bytes of a body still to come
	left   int
}

// give counts what is given to crypto/tls, which asks only if it has no whole
// record.
func (r *records) give(p []byte) {
	r.left = 0
	for len(p) > 0 {
		switch {
		case r.body > 0:
			n := min(r.body, len(p))
			r.body -= n
			p = p[n:]
		case r.header == 0 && len(p) >= headerSize:
			r.body = int(p[3])<<8 | int(p[4])
			p = p[headerSize:]
		default:
			r.next(p[0])
			p = p[1:]
		}
		if r.body == 0 && r.header == 0 {
			r.left++
		}
	}
}

// next handles a byte of a header that arrives in pieces.
func (r *records) next(b byte) {
	r.header++
	switch r.header {
	case headerSize - 1:
		r.high = b
	case headerSize:
		r.header, r.body = 0, int(r.high)<<8|int(b)
	}
}

// used counts a record of which crypto/tls has returned the last byte.
func (r *records) used() { r.left = max(r.left-1, 0) }

// none reports whether crypto/tls has nothing, not even a part of a record.
func (r *records) none() bool { return r.left == 0 && r.body == 0 && r.header == 0 }
