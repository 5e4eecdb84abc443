package rig

import (
	"net"
	"net/netip"
	"testing"
)

// LinkLocal returns an IPv6 address of this machine that needs a zone.
func LinkLocal(t *testing.T) netip.Addr {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err == nil && prefix.Addr().Is6() && prefix.Addr().IsLinkLocalUnicast() {
				return prefix.Addr().WithZone(i.Name)
			}
		}
	}
	t.Skip("needs an interface with a link-local IPv6 address")
	return netip.Addr{}
}
