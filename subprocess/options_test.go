package subprocess

import (
	"os"
	"testing"
)

func TestStdioKnowsItsFile(t *testing.T) {
	if got := File(os.Stdin); got.File() != os.Stdin || got != File(os.Stdin) {
		t.Errorf("File(os.Stdin).File() = %v", got.File())
	}
	for _, s := range []Stdio{Pipe, Inherit, DevNull, Stdout, File(nil)} {
		if s.File() != nil {
			t.Errorf("%v has a file", s)
		}
	}
	if (Options{}).Stdin != Pipe || File(nil) == Pipe {
		t.Error("only the zero value is a pipe")
	}
}
