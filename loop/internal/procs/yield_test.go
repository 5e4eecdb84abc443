package procs

import "testing"

func TestAYielderYieldsOnceInAnInterval(t *testing.T) {
	var y Yielder
	y.Start(yieldEvery)
	if y.Yield(2*yieldEvery - 1); y.last != yieldEvery {
		t.Error("it yields too early")
	}
	if y.Yield(2 * yieldEvery); y.last != 2*yieldEvery {
		t.Error("it did not yield")
	}
	if y.Yield(3*yieldEvery - 1); y.last != 2*yieldEvery {
		t.Error("it yields too often")
	}
}

func TestAYielderLooksOnceInAnInterval(t *testing.T) {
	var y Yielder
	y.Start(lookEvery)
	if y.Yield(2*lookEvery - 1); y.looked != lookEvery {
		t.Error("it looks too early")
	}
	if y.Yield(2*lookEvery + yieldEvery); y.looked != 2*lookEvery+yieldEvery {
		t.Error("it did not look")
	}
}
