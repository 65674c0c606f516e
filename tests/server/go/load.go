package main

import (
	"time"
	// For go:linkname.
	_ "unsafe"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/orca"
)

// leastReportInterval is that of the published interop servers.
const leastReportInterval = time.Second

// allowAnyInterval is grpc-go's own way around the 30 s that are otherwise the least; its interop server takes it too, from inside that module.
//
//go:linkname allowAnyInterval google.golang.org/grpc/internal.ORCAAllowAnyMinReportingInterval
var allowAnyInterval any // func(*orca.ServiceOptions)

// register adds the interop service and, beside it, that which reports the load the former is told to have.
func register(server *grpc.Server) error {
	recorder := orca.NewServerMetricsRecorder()
	options := orca.ServiceOptions{MinReportingInterval: leastReportInterval, ServerMetricsProvider: recorder}
	allowAnyInterval.(func(*orca.ServiceOptions))(&options)
	if err := orca.Register(server, options); err != nil {
		return err
	}
	testgrpc.RegisterTestServiceServer(server, interop.NewTestServer(interop.NewTestServerOptions{MetricsRecorder: recorder}))
	return nil
}
