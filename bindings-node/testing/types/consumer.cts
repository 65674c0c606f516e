import { Channel, Code, Metadata, RpcError, State, setLogger, type DuplexCall, type Method, type UnaryResponse } from "linkspan";
import { asGrpcChannel, channelFactory, tlsCredentials } from "linkspan/grpc-js";
import { Client, credentials } from "@grpc/grpc-js";

interface Thing {
  name: string;
}

const method: Method<Thing, number> = {
  path: "/test.Echo/Unary",
  encode: (thing) => Buffer.from(thing.name),
  decode: (bytes: Buffer) => bytes.length,
};

export async function everything(channel: Channel): Promise<void> {
  const typed: UnaryResponse<number> = await channel.unary(method, { name: "x" }, { timeoutMs: 5 });
  const bytes: Buffer = (await channel.unary("/a/b", new Uint8Array(1))).message;
  const trailer: string | Uint8Array | undefined = typed.trailer.get("x");
  for await (const length of channel.serverStreaming(method, { name: "y" })) length.toFixed();
  for await (const chunk of channel.bidi("/a/b", [bytes])) chunk.readUInt8();
  await channel.clientStreaming(method, [{ name: "z" }]);
  const call: DuplexCall<Thing, number> = channel.open(method, { metadata: { a: ["1", "2"], "b-bin": bytes } });
  await call.write({ name: String(trailer) });
  call.end();
  const ready: boolean = channel.state === State.READY;
  await channel.ready({ signal: AbortSignal.timeout(5) });
  const inFlight: number = channel.metrics().calls.inFlight;
  const limit: number | undefined = channel.metrics().maxConcurrentRequests;
  const roundTrip: number | null | undefined = channel.snapshot().subchannels[0]?.connections[0]?.rttNs;
  inFlight.toFixed(roundTrip ?? limit);
  for (const event of channel.events()) event.cause.padEnd(inFlight);
  setLogger((level, room, text) => (level === "trace" ? room : text).padEnd(inFlight), "debug");
  setLogger(null);
  // @ts-expect-error no such level
  setLogger(null, "loud");
  if (!ready) channel.close();
}

export function failure(error: unknown): string {
  if (error instanceof RpcError && error.code === Code.NOT_FOUND) return error.details + [...error.metadata.keys()].join();
  return new Metadata(new Headers()).has("x") ? "x" : "";
}

const channel = new Channel("localhost:1", { tls: { ca: "", caFile: "", certFile: "", keyFile: "", minVersion: "TLSv1.3" }, "grpc.keepalive_time_ms": 1, "linkspan.preset": "grpc" });
export const overridden = new Client("", credentials.createInsecure(), { channelOverride: asGrpcChannel(channel) });
export const made = new Client("a", tlsCredentials({ servername: "b" }), { channelFactoryOverride: channelFactory({ tls: true }) });

// @ts-expect-error a request must be what the method encodes
channel.unary(method, { title: "x" });
// @ts-expect-error a message must be bytes
channel.unary("/a/b", "text");
// @ts-expect-error option keys start with grpc or linkspan
new Channel("a", { keepAlive: true });
// @ts-expect-error a code is one of its own names
Code.NO_SUCH_CODE;
