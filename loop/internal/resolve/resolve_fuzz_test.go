package resolve

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

// FuzzLiteralAddrs compares the parser of addresses with net.SplitHostPort and
// netip: what it takes for a literal is one, with the same address and port, and
// what they take for one it does too.
func FuzzLiteralAddrs(f *testing.F) {
	for _, s := range []string{"127.0.0.1:80", "[::1]:0", ":443", " :1", "[::ffff:1.2.3.4]:5",
		"[fe80::1%eth0]:22", "localhost:80", "1.2.3.4", ":http", ":65536", ":-1", "[]:7", "::1:80",
		":+1", ":007", "[:]:1", ":0x50", "01.2.3.4:5", ""} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, name string, passive bool) {
		got, ok := literalAddrs(name, passive)
		want := literalModel(name, passive)
		if ok != (len(want) > 0) || len(got) != len(want) {
			t.Fatalf("literalAddrs(%q, %v) = %v, %v; want %v", name, passive, got, ok, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("literalAddrs(%q, %v) = %v, want %v", name, passive, got, want)
			}
			if got[i].Addr().Is4In6() {
				t.Errorf("%q: an IPv4 address in the clothes of IPv6: %v", name, got[i])
			}
		}
	})
}

// literalModel is what net and netip make of a name without a look-up.
func literalModel(name string, passive bool) []netip.AddrPort {
	host, service, err := net.SplitHostPort(name)
	if err != nil {
		return nil
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil
	}
	if strings.TrimSpace(host) == "" {
		hosts := [2]string{"127.0.0.1", "::1"}
		if passive {
			hosts = [2]string{"0.0.0.0", "::"}
		}
		return []netip.AddrPort{
			netip.AddrPortFrom(netip.MustParseAddr(hosts[0]), uint16(port)),
			netip.AddrPortFrom(netip.MustParseAddr(hosts[1]), uint16(port)),
		}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Is4() == strings.HasPrefix(name, "[") {
		return nil // an IPv4 address in brackets is left to the resolver
	}
	return []netip.AddrPort{netip.AddrPortFrom(addr.Unmap(), uint16(port))}
}
