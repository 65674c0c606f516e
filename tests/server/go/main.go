// The interop server: grpc-go's own implementation of grpc.testing.TestService behind a port the kernel chose.
//
// grpc-go's interop/server command does the same with a fixed port on every interface; tests need a free port on
// loopback and a line that says which one it became.
package main

import (
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
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"
)

func main() {
	port := flag.Int("port", 0, "port on 127.0.0.1; 0 lets the kernel choose")
	useTLS := flag.Bool("tls", false, "serve TLS with a certificate made at start")
	certificateOut := flag.String("cert-out", "", "with -tls: write the certificate (PEM) to this file")
	maxAge := flag.Duration("max-connection-age", 0, "how long a connection may live; 0 is for ever")
	flag.Parse()
	if err := serve(*port, *useTLS, *certificateOut, *maxAge); err != nil {
		log.Fatal(err)
	}
}

func serve(port int, useTLS bool, certificateOut string, maxAge time.Duration) error {
	// An age of 0 is grpc-go's own default.
	options := []grpc.ServerOption{grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: maxAge})}
	if useTLS {
		certificate, err := selfSigned(certificateOut)
		if err != nil {
			return err
		}
		options = append(options, grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	server := grpc.NewServer(options...)
	testgrpc.RegisterTestServiceServer(server, interop.NewTestServer())
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
