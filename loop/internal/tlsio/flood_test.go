package tlsio_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/sluice-net/sluice/loop/internal/tlsio"
	"github.com/sluice-net/sluice/transport"
)

// forger makes records of a client that crypto/tls does not make, with its keys
// (RFC 8446, 5.2 and 7.2), for TLS_AES_128_GCM_SHA256.
type forger struct {
	tb     testing.TB
	secret []byte
	seq    byte
}

// expand is HKDF-Expand-Label without a context.
func (f *forger) expand(label string, size int) []byte {
	label = "tls13 " + label
	info := append([]byte{0, byte(size), byte(len(label))}, label...)
	key, err := hkdf.Expand(sha256.New, f.secret, string(append(info, 0)), size)
	if err != nil {
		f.tb.Fatal(err)
	}
	return key
}

// record encrypts content of a type.
func (f *forger) record(kind byte, content string) []byte {
	block, err := aes.NewCipher(f.expand("key", 16))
	if err != nil {
		f.tb.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		f.tb.Fatal(err)
	}
	nonce := f.expand("iv", 12)
	nonce[11] ^= f.seq
	f.seq++
	inner := append([]byte(content), kind)
	head := []byte{23, 3, 3, 0, byte(len(inner) + aead.Overhead())}
	return aead.Seal(head, nonce, inner, head)
}

// keyUpdate changes the keys and asks the peer to do so.
func (f *forger) keyUpdate() []byte {
	record := f.record(22, "\x18\x00\x00\x01\x01")
	f.secret, f.seq = f.expand("traffic upd", 32), 0
	return record
}

// clientSecret finds the client's first secret in a key log.
func clientSecret(t *testing.T, log string) []byte {
	for line := range strings.Lines(log) {
		if f := strings.Fields(line); f[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, err := hex.DecodeString(f[2])
			if err != nil {
				t.Fatal(err)
			}
			return secret
		}
	}
	t.Fatal("no secret")
	return nil
}

// A peer that asks for key updates and does not read the answers cannot make them
// fill the memory, and costs the connection.
func TestAFloodOfKeyUpdatesIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	var log bytes.Buffer
	server, client := slowlyWith(t, func(c *tls.Config) { c.KeyLogWriter = &log })
	state, _ := transport.TLSState(server.tls)
	if state.CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skip("needs AES in hardware, without which crypto/tls prefers another cipher")
	}
	f := &forger{tb: t, secret: clientSecret(t, log.String())}
	sent := 0
	for ; sent < 100_000 && !server.tls.IsClosing(); sent++ {
		server.raw.Receive(f.keyUpdate())
		server.raw.Receive(f.record(23, "x")) // or crypto/tls calls it useless
		if n := server.raw.WriteBufferSize(); n > tlsio.FloodMax+1<<10 {
			t.Fatalf("%d bytes of answers after %d", n, sent)
		}
	}
	if sent < 1000 || server.rec.Received() < 1000 {
		t.Errorf("the end came after %d key updates and %d bytes", sent, server.rec.Received())
	}
	server.raw.Drain(-1)
	server.turn()
	if is, err := server.rec.Lost(); !is || !errors.Is(err, transport.ErrBufferFull) {
		t.Errorf("lost %v, %v", is, err)
	}
	client.tls.Abort()
	client.turn()
}

func TestS213_AKeyUpdateInTheMiddleOfTraffic(t *testing.T) {
	var log bytes.Buffer
	server, client := slowlyWith(t, func(c *tls.Config) { c.KeyLogWriter = &log })
	state, _ := transport.TLSState(server.tls)
	if state.CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skip("needs AES in hardware, without which crypto/tls prefers another cipher")
	}
	f := &forger{tb: t, secret: clientSecret(t, log.String())}
	for _, record := range [][]byte{f.record(23, "be"), f.keyUpdate(), f.record(23, "fore")} {
		server.raw.Receive(record)
	}
	server.tls.Write([]byte("with new keys"))
	server.raw.Drain(-1)
	exchange(server, client, 1<<16)
	if string(server.rec.Data()) != "before" || string(client.rec.Data()) != "with new keys" {
		t.Errorf("%q, %q", server.rec.Data(), client.rec.Data())
	}
	server.tls.Abort()
	client.tls.Abort()
	server.turn()
	client.turn()
}
