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

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

func main() {
	port := flag.Int("port", 0, "port on 127.0.0.1; 0 lets the kernel choose")
	useTLS := flag.Bool("tls", false, "serve TLS with a certificate made at start")
	certificateOut := flag.String("cert-out", "", "with -tls: write the certificate (PEM) to this file")
	flag.Parse()
	if err := serve(*port, *useTLS, *certificateOut); err != nil {
		log.Fatal(err)
	}
}

func serve(port int, useTLS bool, certificateOut string) error {
	var options []grpc.ServerOption
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
	fmt.Printf("LISTENING %s\n", listener.Addr())
	return server.Serve(listener)
}
