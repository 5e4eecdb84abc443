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
func Overwrite(b []byte) {
	for i := range b {
		b[i] = 0xDB
	}
}
