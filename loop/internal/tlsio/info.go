package tlsio

import (
	"crypto/tls"
	"strings"

	"github.com/sluice-net/sluice/transport"
)

// ExtraInfo implements transport.BaseTransport. In addition to the names of the
// transport below it knows these, from the end of the handshake until
// ConnectionLost has returned:
//
//	"ssl_object"    the tls.ConnectionState, see transport.TLSState
//	"sslcontext"    the *tls.Config
//	"peercert"      the peer's *x509.Certificate, if it showed one
//	"cipher"        a transport.Cipher
//	"close_notify"  whether the peer has said that its stream is complete, a bool
//
// "compression" is nil: there is none.
func (t *Transport) ExtraInfo(name string) any {
	switch name {
	case "ssl_object", "sslcontext", "peercert", "cipher", "close_notify":
		if t.state == handshaking || t.guard.Protocol() == nil || t.conn == nil {
			return nil
		}
		return t.tlsInfo(name)
	case "compression":
		return nil
	}
	if t.raw == nil {
		return nil
	}
	return t.raw.ExtraInfo(name)
}

func (t *Transport) tlsInfo(name string) any {
	s := t.conn.ConnectionState()
	switch {
	case name == "close_notify":
		return t.notice
	case name == "sslcontext":
		return t.config.TLS
	case !s.HandshakeComplete:
		return nil
	case name == "ssl_object":
		return s
	case name == "peercert" && len(s.PeerCertificates) > 0:
		return s.PeerCertificates[0]
	case name == "cipher":
		return cipherOf(s)
	}
	return nil
}

// cipherOf describes the cipher as asyncio's tuple does.
func cipherOf(s tls.ConnectionState) transport.Cipher {
	name := tls.CipherSuiteName(s.CipherSuite)
	bits := 128
	switch {
	case strings.Contains(name, "256") && !strings.Contains(name, "AES_128"),
		strings.Contains(name, "CHACHA20"):
		bits = 256
	case strings.Contains(name, "3DES"):
		bits = 112
	}
	return transport.Cipher{Name: name, Version: tls.VersionName(s.Version), Bits: bits}
}
