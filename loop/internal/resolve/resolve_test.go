package resolve

import "testing"

func TestS261_ZonesAreKept(t *testing.T) {
	addrs, ok := literalAddrs("[fe80::1%eth7]:80", false)
	if !ok || len(addrs) != 1 || addrs[0].Addr().Zone() != "eth7" {
		t.Errorf("parsed %v, %v", addrs, ok)
	}
}
