package pressure

import (
	"errors"
	"fmt"
)

// ErrName is wrapped by the errors of an enumeration's UnmarshalText: a recording
// from another version may contain names that this one does not know.
var ErrName = errors.New("unknown name")

func unknownName(what, name string) error {
	return fmt.Errorf("pressure: %s %q: %w", what, name, ErrName)
}

// nameOf returns the name of an enumeration's value, or its number if it has no
// name.
func nameOf[E ~uint8](names []string, value E) string {
	if int(value) < len(names) {
		return names[value]
	}
	return fmt.Sprintf("%d", uint8(value))
}

// parseName is the inverse of nameOf.
func parseName[E ~uint8](names []string, what string, text []byte, out *E) error {
	for i, name := range names {
		if name == string(text) {
			*out = E(i)
			return nil
		}
	}
	return unknownName(what, string(text))
}
