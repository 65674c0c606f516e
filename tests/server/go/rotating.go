package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/credentials"
)

// fromFiles serves TLS with tls.crt and tls.key of the folder, to clients that ca.crt vouches for and that show the very
// certificate in clients.crt. Everything is read at each handshake, so a certificate from before is refused from the next on.
func fromFiles(folder, handshakeLog string) (credentials.TransportCredentials, error) {
	var out io.Writer = io.Discard
	if handshakeLog != "" {
		file, err := os.OpenFile(handshakeLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, err
		}
		out = file
	}
	// Each line is one write.
	handshakes := log.New(out, "", 0)
	return credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return configNow(folder, handshakes)
		},
	}), nil
}

func configNow(folder string, handshakes *log.Logger) (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key"))
	if err != nil {
		return nil, err
	}
	roots, err := os.ReadFile(filepath.Join(folder, "ca.crt"))
	if err != nil {
		return nil, err
	}
	client, err := os.ReadFile(filepath.Join(folder, "clients.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	block, _ := pem.Decode(client)
	if !pool.AppendCertsFromPEM(roots) || block == nil {
		return nil, errors.New("no certificates in " + folder)
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		Certificates:           []tls.Certificate{certificate},
		ClientCAs:              pool,
		ClientAuth:             tls.RequireAndVerifyClientCert,
		NextProtos:             []string{"h2"},
		SessionTicketsDisabled: true,
		VerifyPeerCertificate: func(shown [][]byte, _ [][]*x509.Certificate) error {
			if !bytes.Equal(shown[0], block.Bytes) {
				handshakes.Println("refused")
				return errors.New("a certificate from before")
			}
			handshakes.Println("accepted")
			return nil
		},
	}, nil
}

// issue makes an authority of its own, and with it a certificate for a server and one for its client: server/ is a folder for
// fromFiles, client/ has tls.crt, tls.key and ca.crt, and root.crt is the new root alone.
func issue(folder, beside string, validFor time.Duration) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	root := template(fmt.Sprintf("linkspan authority %d", time.Now().UnixNano()), validFor)
	root.IsCA = true
	root.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	if err != nil {
		return err
	}
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots := own
	if beside != "" {
		before, err := os.ReadFile(beside)
		if err != nil {
			return err
		}
		roots = append(append([]byte{}, own...), before...)
	}
	server, serverKey, err := leaf("server", root, key, validFor)
	if err != nil {
		return err
	}
	client, clientKey, err := leaf("client", root, key, validFor)
	if err != nil {
		return err
	}
	return writeAll(folder, map[string][]byte{
		"root.crt":           own,
		"server/ca.crt":      roots,
		"server/tls.crt":     server,
		"server/tls.key":     serverKey,
		"server/clients.crt": client,
		"client/ca.crt":      roots,
		"client/tls.crt":     client,
		"client/tls.key":     clientKey,
	})
}

func leaf(name string, root *x509.Certificate, rootKey *ecdsa.PrivateKey, validFor time.Duration) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	signed := template(name, validFor)
	signed.KeyUsage = x509.KeyUsageDigitalSignature
	signed.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	signed.DNSNames = []string{"localhost"}
	signed.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	der, err := x509.CreateCertificate(rand.Reader, signed, root, &private.PublicKey, rootKey)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return certificate, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), nil
}

func template(name string, validFor time.Duration) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(validFor),
		BasicConstraintsValid: true,
	}
}

func writeAll(folder string, files map[string][]byte) error {
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
