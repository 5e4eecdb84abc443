package opener

import (
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"github.com/sluice-net/sluice/loop/internal/fdio"
	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/transport"
)

// FamilyOf is the family of an address.
func FamilyOf(addr netip.AddrPort) proactor.Family {
	if addr.Addr().Is4() {
		return proactor.IPv4
	}
	return proactor.IPv6
}

// unixPathMax is the size of sun_path (unix(7)). A file's name ends there with a
// zero byte, an abstract one begins with it.
const unixPathMax = len(syscall.RawSockaddrUnix{}.Path)

// UnixName checks a path and returns it as the engines take it: an abstract name
// with '@' for its zero byte. Errors: EINVAL, ENAMETOOLONG.
func UnixName(path string) (string, error) {
	if rest, abstract := strings.CutPrefix(path, "\x00"); abstract {
		path = "@" + rest
	}
	switch {
	case path == "" || !IsAbstract(path) && strings.Contains(path, "\x00"):
		return "", syscall.EINVAL
	case len(path) > unixPathMax || len(path) == unixPathMax && !IsAbstract(path):
		return "", syscall.ENAMETOOLONG
	}
	return path, nil
}

// IsAbstract reports whether a name has no file.
func IsAbstract(path string) bool { return strings.HasPrefix(path, "@") }

// IsSocket reports whether a file is a socket's.
func IsSocket(info fs.FileInfo) bool { return info.Mode().Type() == fs.ModeSocket }

// KindOf returns the kind of Unix socket that a Network option asks for.
func KindOf(network string) proactor.Kind {
	if network == "unixpacket" {
		return proactor.SeqPacket
	}
	return proactor.Stream
}

func unixAddr(path string, kind proactor.Kind) net.Addr {
	return fdio.NetAddr(transport.Addr{Path: path}, proactor.Unix, kind)
}
