package rig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// PKI is an authority and what it signed, for all tests.
type PKI struct {
	Pool      *x509.CertPool    // who trusts the authority
	Authority *x509.Certificate // who signs
	key       *ecdsa.PrivateKey
}

// TestPKI returns the one authority that all tests use.
var TestPKI = sync.OnceValue(func() *PKI {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := certificate(1, "test authority")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	p := &PKI{Pool: x509.NewCertPool(), key: key}
	if p.Authority, err = x509.ParseCertificate(der); err != nil {
		panic(err)
	}
	p.Pool.AddCert(p.Authority)
	return p
})

func certificate(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(serial),
		Subject:   pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
}

// Issue signs a certificate for 127.0.0.1 and the names, changed by change.
func (p *PKI) Issue(t testing.TB, change func(*x509.Certificate), names ...string,
) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := certificate(2, names[0])
	template.DNSNames, template.IPAddresses = names, []net.IP{net.IPv4(127, 0, 0, 1)}
	template.ExtKeyUsage = []x509.ExtKeyUsage{
		x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, p.Authority, &key.PublicKey,
		p.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestCertificate is one for 127.0.0.1 and sluice.test.
var TestCertificate = sync.OnceValue(func() tls.Certificate {
	return TestPKI().Issue(&testing.T{}, nil, "sluice.test")
})

// ServerTLS and ClientTLS are a pair of configurations that trust each other.
func ServerTLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{TestCertificate()}}
}

// ClientTLS trusts what ServerTLS presents.
func ClientTLS() *tls.Config { return &tls.Config{RootCAs: TestPKI().Pool} }
