// The interop server: grpc-go's own implementation of grpc.testing.TestService behind a port the kernel chose.
//
// grpc-go's interop/server command does the same with a fixed port on every interface; tests need a free port on
// loopback and a line that says which one it became.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/orca"
)

func main() {
	port := flag.Int("port", 0, "port on 127.0.0.1; 0 lets the kernel choose")
	useTLS := flag.Bool("tls", false, "serve TLS with a certificate made at start")
	certificateOut := flag.String("cert-out", "", "with -tls: write the certificate to trust (PEM) to this file")
	isPublished := flag.Bool("published-cert", false, "with -tls: gRPC's published test certificate, for *.test.google.fr, instead of one made at start")
	filesIn := flag.String("tls-files", "", "serve TLS with what this folder has at each handshake, to the client it names alone")
	handshakeLog := flag.String("tls-log", "", "with -tls-files: write a line for each handshake to this file")
	issueInto := flag.String("issue", "", "serve nothing: make certificates for -tls-files and its client in this folder")
	beside := flag.String("beside", "", "with -issue: a root (PEM) to trust beside the new one")
	validFor := flag.Duration("valid", time.Minute, "with -issue: how long the certificates are good")
	maxAge := flag.Duration("max-connection-age", 0, "how long a connection may live; 0 is for ever")
	flag.Parse()
	if *issueInto != "" {
		if err := issue(*issueInto, *beside, *validFor); err != nil {
			log.Fatal(err)
		}
		return
	}
	certify := selfSigned
	if *isPublished {
		certify = published
	}
	if !*useTLS {
		certify = nil
	}
	transport, err := transportOf(certify, *certificateOut, *filesIn, *handshakeLog)
	if err == nil {
		err = serve(*port, transport, *maxAge)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// transportOf is how connections are secured; nil without TLS.
func transportOf(certify func(out string) (tls.Certificate, error), certificateOut, filesIn, handshakeLog string) (credentials.TransportCredentials, error) {
	switch {
	case filesIn != "":
		return fromFiles(filesIn, handshakeLog)
	case certify != nil:
		certificate, err := certify(certificateOut)
		return credentials.NewServerTLSFromCert(&certificate), err
	}
	return nil, nil
}

// largestRequest is that of the published interop servers, of which a case makes use.
const largestRequest = 16 << 20

func serve(port int, transport credentials.TransportCredentials, maxAge time.Duration) error {
	options := []grpc.ServerOption{
		// An age of 0 is grpc-go's own default.
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: maxAge}),
		grpc.MaxRecvMsgSize(largestRequest),
		orca.CallMetricsServerOption(nil),
	}
	if transport != nil {
		options = append(options, grpc.Creds(transport))
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	server := grpc.NewServer(options...)
	if err := register(server); err != nil {
		return err
	}
	go stopGracefully(server)
	fmt.Printf("LISTENING %s\n", listener.Addr())
	return server.Serve(listener)
}

// stopGracefully waits for SIGTERM and lets the calls end: what a deploy does.
func stopGracefully(server *grpc.Server) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	<-signals
	server.GracefulStop()
}
