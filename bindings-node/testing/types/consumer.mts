// The same names, as an ES module sees them.

import { Channel, Code, Metadata, RpcError, State, type ChannelOptions } from "linkspan";
import { asGrpcChannel, channelFactory, tlsCredentials } from "linkspan/grpc-js";

const options: ChannelOptions = { callCredentials: async () => new Metadata({ authorization: "x" }) };
export const channel: Channel = new Channel("localhost:1", options);
export const names: number[] = [Code.OK, State.IDLE];
export const isFailure = (error: unknown): error is RpcError => error instanceof RpcError;
export const forGrpcJs = [asGrpcChannel(channel), tlsCredentials(), channelFactory()] as const;
