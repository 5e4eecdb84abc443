package loop_test

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

// pki is an authority and what it signed, for all tests.
type pki struct {
	pool      *x509.CertPool
	authority *x509.Certificate
	key       *ecdsa.PrivateKey
}

var testPKI = sync.OnceValue(func() *pki {
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
	p := &pki{pool: x509.NewCertPool(), key: key}
	if p.authority, err = x509.ParseCertificate(der); err != nil {
		panic(err)
	}
	p.pool.AddCert(p.authority)
	return p
})

func certificate(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(serial),
		Subject:   pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
}

// issue signs a certificate for 127.0.0.1 and the names, changed by change.
func (p *pki) issue(t testing.TB, change func(*x509.Certificate), names ...string,
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
	der, err := x509.CreateCertificate(rand.Reader, template, p.authority, &key.PublicKey,
		p.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// testCertificate is one for 127.0.0.1 and sluice.test.
var testCertificate = sync.OnceValue(func() tls.Certificate {
	return testPKI().issue(&testing.T{}, nil, "sluice.test")
})

// serverTLS and clientTLS are a pair of configurations that trust each other.
func serverTLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{testCertificate()}}
}

func clientTLS() *tls.Config { return &tls.Config{RootCAs: testPKI().pool} }
