package tlsio

// headerSize is that of a record's header, whose last two bytes are the body's size.
const headerSize = 5

// records follows the records in what crypto/tls is given, to know without asking
// when it has used up all of it.
//
//	header --its 5 bytes--> body --as many as it said--> header
//
// left is whole records that crypto/tls may still have, or not: at least as many as
// it has.
type records struct {
	header int  // bytes of a header that were seen
	high   byte // of the body's size
	body   int  // bytes of a body that are to come
	left   int
}

// give takes what crypto/tls gets, which asks only when it has no whole record.
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

// next takes a byte of a header that comes in pieces.
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
