import grpcJs from "./grpc-js.cjs";

export const { asGrpcChannel, channelFactory, tlsCredentials } = grpcJs;
