package debug

// Assert panics with what when a checked build finds an invariant broken.
func Assert(ok bool, what string) {
	if On && !ok {
		panic("sluice: invariant broken: " + what)
	}
}

// Poison is Overwrite in checked builds.
func Poison(b []byte) {
	if On {
		Overwrite(b)
	}
}

// Overwrite makes nonsense of b, so that a protocol that kept a slice after its
// time does not read bytes that happen to be right.
func Overwrite(b []byte) { Fill(b, 0xDB) }

// Fill sets every byte of b to c. It copies, in doubling steps: a loop over bytes
// costs the race detector a call for each.
func Fill(b []byte, c byte) {
	if len(b) == 0 {
		return
	}
	b[0] = c
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}
