package debug

// Assert panics with what when a checked build finds an invariant broken.
func Assert(ok bool, what string) {
	if On && !ok {
		panic("sluice: invariant broken: " + what)
	}
}

// Poison overwrites b in checked builds, so that a protocol that kept a slice
// after its time reads nonsense instead of bytes that happen to be right.
func Poison(b []byte) {
	if !On {
		return
	}
	for i := range b {
		b[i] = 0xDB
	}
}
