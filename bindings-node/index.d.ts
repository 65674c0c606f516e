/// <reference types="node" />

/** Bytes of a message. A Buffer is one; received messages are Buffers. */
export type Bytes = Uint8Array;
/** A Uint8Array exactly for keys that end in "-bin". */
export type MetadataValue = string | Uint8Array;
export type MetadataInit =
  | Metadata
  | Headers
  | Iterable<readonly [string, MetadataValue]>
  | Record<string, MetadataValue | readonly MetadataValue[] | undefined>;

/** Keys in lower case, in the order they were added; repeated keys keep their values apart. */
export class Metadata implements Iterable<[string, MetadataValue]> {
  constructor(init?: MetadataInit);
  get(key: string): MetadataValue | undefined;
  getAll(key: string): MetadataValue[];
  has(key: string): boolean;
  set(key: string, value: MetadataValue): void;
  append(key: string, value: MetadataValue): void;
  delete(key: string): void;
  keys(): IterableIterator<string>;
  [Symbol.iterator](): IterableIterator<[string, MetadataValue]>;
  /** Binary values as base64. */
  toJSON(): Record<string, string[]>;
}

export const Code: {
  readonly OK: 0;
  readonly CANCELLED: 1;
  readonly UNKNOWN: 2;
  readonly INVALID_ARGUMENT: 3;
  readonly DEADLINE_EXCEEDED: 4;
  readonly NOT_FOUND: 5;
  readonly ALREADY_EXISTS: 6;
  readonly PERMISSION_DENIED: 7;
  readonly RESOURCE_EXHAUSTED: 8;
  readonly FAILED_PRECONDITION: 9;
  readonly ABORTED: 10;
  readonly OUT_OF_RANGE: 11;
  readonly UNIMPLEMENTED: 12;
  readonly INTERNAL: 13;
  readonly UNAVAILABLE: 14;
  readonly DATA_LOSS: 15;
  readonly UNAUTHENTICATED: 16;
};

export const State: {
  readonly IDLE: 0;
  readonly CONNECTING: 1;
  readonly READY: 2;
  readonly TRANSIENT_FAILURE: 3;
  readonly SHUTDOWN: 4;
};

/** A call that ended with a status other than OK. Its message reads "5 NOT_FOUND: details". */
export class RpcError extends Error {
  constructor(code: number, details: string, metadata?: Metadata, peer?: string, options?: { cause?: unknown });
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
  readonly peer?: string;
  /** The reason of the abort, if an abort ended the call. */
  readonly cause?: unknown;
}

export type Pem = string | Uint8Array;

export interface TlsOptions {
  /** What to trust; without it Node's default certificates, or the file in GRPC_DEFAULT_SSL_ROOTS_FILE_PATH. */
  ca?: Pem | readonly Pem[];
  /**
   * The path of a file of what to trust, instead of `ca` or beside it. Files are read again: before each new connection, and as often as
   * `linkspan.tls_reload_interval_ms` says. New connections use what is in them then, those there are get successors first; what cannot be
   * used changes nothing and is told by `events()`.
   */
  caFile?: string;
  cert?: Pem;
  /** The path of a file of the client's certificate chain, instead of `cert`. */
  certFile?: string;
  key?: Pem;
  /** The path of a file of the client's private key, instead of `key`. */
  keyFile?: string;
  /** The name asked for and checked, instead of the target's host. */
  servername?: string;
  rejectUnauthorized?: boolean;
  /** The oldest version of TLS to speak; "TLSv1.2" without it. */
  minVersion?: "TLSv1.2" | "TLSv1.3";
}

export interface CallCredentials {
  generateMetadata(where: { method_name: string; service_url: string }): Promise<unknown>;
}

export type CallCredentialsOption =
  | CallCredentials
  | ((where: { method_name: string; service_url: string }) => MetadataInit | Promise<MetadataInit>);

export interface ChannelOptions {
  /** `true` for TLS with the default trust. Without it the channel is in plaintext. */
  tls?: boolean | TlsOptions;
  callCredentials?: CallCredentialsOption;
  [grpcOption: `grpc${string}`]: unknown;
  [linkspanOption: `linkspan.${string}`]: boolean | number | string | undefined;
}

/** A method with its codec, for those who do not want to see bytes. */
export interface Method<I, O> {
  path: string;
  encode(message: I): Bytes;
  decode(bytes: Buffer): O;
}

export interface CallOptions {
  metadata?: MetadataInit;
  signal?: AbortSignal;
  /** How long the call may take; 0 has passed already. Not together with `deadline`. */
  timeoutMs?: number;
  /** Until when: a Date, or milliseconds since 1970. */
  deadline?: Date | number;
  waitForReady?: boolean;
  /** Instead of the channel's `:authority`. */
  authority?: string;
  callCredentials?: CallCredentialsOption;
  /**
   * Whether messages are compressed; without it as the channel's `grpc.default_compression_algorithm` says. true is what that names,
   * or gzip. Never where the server has said that it cannot read it.
   */
  compress?: boolean;
}

export interface UnaryResponse<O> {
  readonly message: O;
  readonly header: Metadata;
  readonly trailer: Metadata;
  readonly peer: string;
}

/** The responses of a call. They can be iterated once; leaving the loop early cancels the call. */
export interface ResponseStream<O> extends AsyncIterable<O> {
  /** Never an unhandled rejection by itself. */
  readonly header: Promise<Metadata>;
  readonly trailer: Promise<Metadata>;
  readonly peer: string | undefined;
  cancel(reason?: unknown): void;
}

export interface DuplexCall<I, O> extends ResponseStream<O> {
  /** Resolves when there is room for the next message. */
  write(message: I): Promise<void>;
  end(): void;
}

export type Feed<I> = Iterable<I> | AsyncIterable<I>;

export interface ConnectionMetrics {
  id: number;
  remoteAddress: string;
  localAddress?: string;
  state: "connecting" | "ready" | "draining";
  connectMs?: number;
  tlsMs?: number;
  streams: { active: number; total: number; limit?: number };
  bytesSent: number;
  bytesReceived: number;
  goAwayCode?: number;
}

/** A snapshot. What the engine does not measure is absent, and so is a limit that is not set. */
export interface ChannelMetrics {
  target: string;
  state: string;
  connectAttempts: number;
  connectFailures: number;
  lastError?: string;
  calls: {
    started: number;
    succeeded: number;
    failed: number;
    /** Those that wait are among them. */
    inFlight: number;
    /** Calls that wait: for a connection, for a stream on one, or at a limit. */
    queued: number;
    /** Attempts beyond the first, for whatever reason. */
    retries: number;
    /** Those of them that the server had not processed. */
    transparentRetries: number;
    /** Those of them that were made beside others. */
    hedges: number;
    byCode: Record<string, number>;
  };
  /** How many calls may wait. */
  maxQueuedCalls?: number;
  /** How many calls may be in flight, those that wait not counted. */
  maxConcurrentRequests?: number;
  /** How many of them at one address. */
  maxConcurrentRequestsPerAddress?: number;
  /** Addresses the channel uses now, connected or not. */
  subchannels: number;
  /** Addresses whose circuit breaker is open or half-open now. */
  breakersOpen: number;
  /** How often the circuit breaker of an address opened. */
  breakerTrips: number;
  /** Days until the client's certificate expires, or one above it in its chain; negative once it has. Absent where it shows none. */
  certificateDaysLeft?: number;
  keepalivePings: number;
  keepalivesFailed: number;
  /** PINGs sent because a connection was suspected to be dead. */
  livenessChecks: number;
  bytesSent: number;
  bytesReceived: number;
  messagesSent: number;
  messagesReceived: number;
  /** Of this thread, all its channels together: events / wakeups tells how well they are batched. */
  delivery: { wakeups: number; events: number };
  connections: ConnectionMetrics[];
}

/** A channel at one moment. Times are in nanoseconds, as lengths that end or begin then; what is not known is null. */
export interface ChannelSnapshot {
  ref: { channelId: number; name: string };
  /** Since the engine started; null where it is partial. */
  atNs: number | null;
  /** The engine's thread could not be asked: the channel was never used or is closed. What only that thread knows is missing. */
  isPartial: boolean;
  data: ChannelData;
  subchannels: SubchannelSnapshot[];
  /** All connections that are open. */
  connections: ConnectionData[];
}

export interface ChannelData {
  state: { state: string };
  sinceNs: number | null;
  target: string;
  authority: string;
  callsStarted: number;
  callsSucceeded: number;
  callsFailed: number;
  callsInFlight: number;
  callsQueued: number;
  maxQueuedCalls: number | null;
  maxConcurrentRequests: number | null;
  maxConcurrentRequestsPerAddress: number | null;
  callsByCode: Record<string, number>;
  retries: number;
  transparentRetries: number;
  hedges: number;
  subchannels: number;
  breakersOpen: number;
  breakerTrips: number;
  certificateDaysLeft: number | null;
  keepalivePings: number;
  keepalivesFailed: number;
  livenessChecks: number;
  messagesSent: number;
  messagesReceived: number;
  bytesSent: number;
  bytesReceived: number;
  connectAttempts: number;
  connectFailures: number;
  lastError: string | null;
  policy: string | null;
  resolver: {
    addresses: number;
    ageNs: number | null;
    lookingUpSinceNs: number | null;
    nextLookUpNs: number | null;
    lastError: string | null;
    serviceConfig: "resolver" | "default" | "none";
  } | null;
  trace: {
    events: {
      description: string;
      sequence: number;
      /** Since the engine started. */
      at_ns: number;
      from: string;
      to: string;
      cause: string;
      address: string | null;
      connection: number | null;
    }[];
  };
}

/** One address of a channel. */
export interface SubchannelSnapshot {
  ref: { subchannelId: number; name: string };
  data: {
    state: { state: string };
    sinceNs: number;
    address: string;
    lastError: string | null;
    /** Dials that have failed in a row. */
    failures: number;
    nextAttemptNs: number | null;
    dialing: { connectionId: number; step: "dns" | "tcp" | "proxy" | "tls" | "settings"; sinceNs: number } | null;
    breaker: { state: "closed" | "open" | "half-open"; why: string | null; nextProbeNs: number | null } | null;
    ejected: boolean;
    health: "healthy" | "unknown" | "unhealthy" | null;
    callsWaiting: number;
  };
  connections: ConnectionSnapshot[];
}

export interface ConnectionData {
  id: number;
  state: "ready" | "draining";
  remote: string;
  local: string | null;
  connect_ns: number | null;
  tls_ns: number | null;
  streamsActive: number;
  streamsStarted: number;
  streamLimit: number | null;
  bytesSent: number;
  bytesReceived: number;
  goawayCode: number | null;
}

export interface ConnectionSnapshot extends ConnectionData {
  ageNs: number | null;
  tls: { version: string; cipher: string; alpn: string; resumed: boolean } | null;
  /** Of the last PING; null while none was answered. */
  rttNs: number | null;
  /** Streams the server ended, with whatever status. */
  streamsSucceeded: number;
  streamsFailed: number;
  pings: number;
  keepalivePings: number;
}

/** One change of a channel's state. */
export interface ChannelEvent {
  sequence: number;
  /** Milliseconds since the engine started. */
  atMs: number;
  from: string;
  to: string;
  cause: string;
  address?: string;
  connection?: number;
  /** All of it in one line. */
  text: string;
}

export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";

/**
 * Calls `logger` for every log line up to `level`, by default "info". The process has one logger; null takes it away.
 *
 * It runs on this JavaScript thread, and lines that wait for it keep no process alive. Beyond 4096 of them further ones are dropped, and a line
 * says how many. What it throws costs that line only; the first time it is a process warning.
 */
export function setLogger(logger: ((level: LogLevel, room: string, text: string) => void) | null, level?: LogLevel): void;

export class Channel {
  constructor(target: string, options?: ChannelOptions);

  unary<I, O>(method: Method<I, O>, request: I, options?: CallOptions): Promise<UnaryResponse<O>>;
  unary(path: string, request: Bytes, options?: CallOptions): Promise<UnaryResponse<Buffer>>;
  serverStreaming<I, O>(method: Method<I, O>, request: I, options?: CallOptions): ResponseStream<O>;
  serverStreaming(path: string, request: Bytes, options?: CallOptions): ResponseStream<Buffer>;
  clientStreaming<I, O>(method: Method<I, O>, requests: Feed<I>, options?: CallOptions): Promise<UnaryResponse<O>>;
  clientStreaming(path: string, requests: Feed<Bytes>, options?: CallOptions): Promise<UnaryResponse<Buffer>>;
  bidi<I, O>(method: Method<I, O>, requests: Feed<I>, options?: CallOptions): ResponseStream<O>;
  bidi(path: string, requests: Feed<Bytes>, options?: CallOptions): ResponseStream<Buffer>;
  open<I, O>(method: Method<I, O>, options?: CallOptions): DuplexCall<I, O>;
  open(path: string, options?: CallOptions): DuplexCall<Bytes, Buffer>;

  readonly state: 0 | 1 | 2 | 3 | 4;
  /** Connects, and resolves once the channel is READY. */
  ready(options?: { signal?: AbortSignal; timeoutMs?: number }): Promise<void>;
  metrics(): ChannelMetrics;
  /** The channel at this moment: its resolver, its addresses with their states, dials, waits and connections; after `close()` too. */
  snapshot(): ChannelSnapshot;
  /** The state changes still remembered, oldest first; with `after`, those that came after that one. */
  events(after?: number): ChannelEvent[];
  /** Calls on the wire go on; waiting and new ones end UNAVAILABLE. */
  close(): void;

  /** What follows, and `close`, is what a client of @grpc/grpc-js needs of a channel (`channelOverride`). */
  getTarget(): string;
  getConnectivityState(tryToConnect?: boolean): number;
  watchConnectivityState(currentState: number, deadline: Date | number, callback: (error?: Error) => void): void;
  getChannelzRef(): any;
  createCall(
    method: string,
    deadline: Date | number,
    host: string | null | undefined,
    parentCall: any,
    propagateFlags: number | null | undefined,
  ): any;
}
