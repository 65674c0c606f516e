import type { Channel as GrpcChannel, ChannelCredentials, ClientOptions } from "@grpc/grpc-js";
import type { Channel, ChannelOptions, TlsOptions } from "./index";

/** The channel itself, under the type that libraries around grpc-js ask for. */
export function asGrpcChannel(channel: Channel): GrpcChannel;

/** Credentials that `channelFactory` can read; grpc-js's own channels do not take them. */
export function tlsCredentials(options?: TlsOptions): ChannelCredentials;

/** For grpc-js's `channelFactoryOverride`. */
export function channelFactory(
  options?: ChannelOptions,
): (address: string, credentials: ChannelCredentials, options: ClientOptions) => GrpcChannel;
