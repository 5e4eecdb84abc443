package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"
)

// serverCertificate loads the certificate that the flags name, or makes one.
func serverCertificate() (tls.Certificate, error) {
	if *cert != "" {
		return tls.LoadX509KeyPair(*cert, *key)
	}
	made, err := selfSigned()
	if err == nil && *ca != "" {
		block := &pem.Block{Type: "CERTIFICATE", Bytes: made.Certificate[0]}
		err = os.WriteFile(*ca, pem.EncodeToMemory(block), 0o644)
	}
	return made, err
}

// selfSigned makes a certificate for this machine that is good for a day.
func selfSigned() (tls.Certificate, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "tls-echo"},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(24 * time.Hour),
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey,
		private)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, err
}
