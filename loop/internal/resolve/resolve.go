// Package resolve finds the addresses of names for a loop, which must not wait for it.
package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// ErrNoAddress: a name has no address, or none of the wanted family.
var ErrNoAddress = errors.New("loop: no address")

// Host is what resolving needs of a loop.
type Host interface {
	// Post runs f on the loop's goroutine, in the next round. Any goroutine.
	Post(f func())

	// NoteLookup is told, on the loop's goroutine, how long a look-up took.
	NoteLookup(names []string, took time.Duration)
}

// In is All for the addresses of a network, "tcp4" or "tcp6", or of both for "tcp" and
// "". A name without one is ErrNoAddress.
func In(ctx context.Context, host Host, network string, names []string, passive bool,
	done func([]netip.AddrPort, error)) {
	if network != "" && network != "tcp" && network != "tcp4" && network != "tcp6" {
		done(nil, net.UnknownNetworkError(network))
		return
	}
	All(ctx, host, "tcp", names, passive, func(addrs []netip.AddrPort, err error) {
		addrs = slices.DeleteFunc(addrs, func(a netip.AddrPort) bool {
			return network == "tcp4" && !a.Addr().Is4() || network == "tcp6" && a.Addr().Is4()
		})
		if err == nil && len(addrs) == 0 {
			err = fmt.Errorf("%w of %s: %s", ErrNoAddress, network, strings.Join(names, ", "))
		}
		done(addrs, err)
	})
}

// All resolves each "host:port" and calls done on the loop's goroutine with their
// addresses in order, each once. Literals are resolved at once, names on another
// goroutine. network is "tcp" or "udp", whose services may have other ports. passive:
// an empty host means all interfaces, otherwise the local one.
func All(ctx context.Context, host Host, network string, names []string, passive bool,
	done func([]netip.AddrPort, error)) {
	var addrs []netip.AddrPort
	literal := true
	for _, name := range names {
		found, ok := literalAddrs(name, passive)
		literal = literal && ok
		addrs = append(addrs, found...)
	}
	if literal {
		done(unique(addrs), nil)
		return
	}
	go func() {
		began := time.Now()
		addrs, err := lookupAll(ctx, network, names, passive)
		took := time.Since(began)
		host.Post(func() {
			host.NoteLookup(names, took)
			done(addrs, err)
		})
	}()
}

// literalAddrs resolves a name that needs no look-up.
func literalAddrs(name string, passive bool) ([]netip.AddrPort, bool) {
	if addr, err := netip.ParseAddrPort(name); err == nil {
		return []netip.AddrPort{unmap(addr)}, true
	}
	host, service, err := net.SplitHostPort(name)
	if err != nil || !wildcard(host) {
		return nil, false
	}
	port, err := parsePort(service)
	if err != nil {
		return nil, false
	}
	four, six := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	if !passive {
		four, six = netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	}
	return []netip.AddrPort{netip.AddrPortFrom(four, port), netip.AddrPortFrom(six, port)}, true
}

// parsePort parses a port's number; a name is left to the resolver.
func parsePort(s string) (uint16, error) {
	addr, err := netip.ParseAddrPort("0.0.0.0:" + s)
	return addr.Port(), err
}

// unmap makes an IPv4 address of one that is mapped into IPv6.
func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// lookupAll blocks.
func lookupAll(ctx context.Context, network string, names []string, passive bool) (
	[]netip.AddrPort, error) {
	var addrs []netip.AddrPort
	for _, name := range names {
		found, ok := literalAddrs(name, passive)
		if !ok {
			var err error
			if found, err = lookup(ctx, network, name); err != nil {
				return nil, err
			}
		}
		addrs = append(addrs, found...)
	}
	return unique(addrs), nil
}

func lookup(ctx context.Context, network, name string) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(name)
	if err != nil {
		return nil, &net.OpError{Op: "resolve", Net: network, Err: err}
	}
	port, err := net.DefaultResolver.LookupPort(ctx, network, service)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(ips) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoAddress, host)
	}
	addrs := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		addrs[i] = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	}
	return addrs, nil
}

// unique drops repeated addresses and keeps the order.
func unique(addrs []netip.AddrPort) []netip.AddrPort {
	var out []netip.AddrPort
	for _, a := range addrs {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// wildcard reports whether a host stands for all interfaces.
func wildcard(host string) bool { return strings.TrimSpace(host) == "" }
