"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const test = require("node:test");
const { Channel, Code } = require("../index.cjs");
const { channelFactory, tlsCredentials } = require("../grpc-js.cjs");
const { answerOf } = require("../testing/child.cjs");
const { makeAuthority } = require("../testing/certificate.cjs");
const { EchoClient, grpc, serverFor } = require("../testing/server.cjs");

const UNARY = "/test.Echo/Unary";
const authority = makeAuthority();
const serverPair = authority.issue("server", { dnsNames: ["localhost", "service.example"], addresses: ["127.0.0.1"] });

function secureServer(t, { pair = serverPair, handlers, wantsClients = false } = {}) {
  const pairs = [{ private_key: Buffer.from(pair.key), cert_chain: Buffer.from(pair.cert) }];
  const credentials = grpc.ServerCredentials.createSsl(Buffer.from(authority.cert), pairs, wantsClients);
  return serverFor(t, handlers, { credentials });
}

function channelTo(t, address, tls, options = {}) {
  const channel = new Channel(address, { tls, ...options });
  t.after(() => channel.close());
  return channel;
}

function call(channel) {
  return channel.unary(UNARY, Buffer.from("secret"), { timeoutMs: 20_000 });
}

test("tls: a call with given roots, by address and by name", async (t) => {
  const { address, port } = await secureServer(t);
  for (const target of [address, `localhost:${port}`]) {
    const channel = channelTo(t, target, { ca: authority.cert });
    assert.equal((await call(channel)).message.toString(), "secret");
  }
  const several = channelTo(t, address, { ca: [makeAuthority().cert, Buffer.from(authority.cert)] });
  assert.equal((await call(several)).message.toString(), "secret");
});

test("tls: an authority nobody trusts is refused, by given roots and by the default trust", async (t) => {
  const { address } = await secureServer(t);
  for (const tls of [{ ca: makeAuthority().cert }, true, {}]) {
    await assert.rejects(call(channelTo(t, address, tls)), (error) => {
      assert.equal(error.code, Code.UNAVAILABLE);
      assert.match(error.details, /tls/i);
      return true;
    });
  }
});

test("tls: the wrong name and an expired certificate are refused", async (t) => {
  const { address } = await secureServer(t);
  await assert.rejects(call(channelTo(t, address, { ca: authority.cert, servername: "other.example" })), { code: Code.UNAVAILABLE });
  const expired = authority.issue("server", { addresses: ["127.0.0.1"], expires: Date.now() - 1000 });
  const late = await secureServer(t, { pair: expired });
  await assert.rejects(call(channelTo(t, late.address, { ca: authority.cert })), { code: Code.UNAVAILABLE });
});

test("tls: servername and grpc.ssl_target_name_override name the server to expect", async (t) => {
  const pair = authority.issue("server", { dnsNames: ["service.example"] });
  const { address } = await secureServer(t, { pair });
  await assert.rejects(call(channelTo(t, address, { ca: authority.cert })), { code: Code.UNAVAILABLE });
  await call(channelTo(t, address, { ca: authority.cert, servername: "service.example" }));
  await call(channelTo(t, address, { ca: authority.cert }, { "grpc.ssl_target_name_override": "service.example" }));
});

test("tls: a client certificate where the server wants one", async (t) => {
  const { address } = await secureServer(t, { wantsClients: true });
  const client = authority.issue("client");
  assert.equal((await call(channelTo(t, address, { ca: authority.cert, ...client }))).message.toString(), "secret");
  // TLS 1.3 reports the refusal after the handshake: a failed connection, not a hang.
  await assert.rejects(call(channelTo(t, address, { ca: authority.cert })), { code: Code.UNAVAILABLE });
});

test("tls: certificates in files are read again, and what is broken changes nothing", async (t) => {
  const { address, port } = await secureServer(t, { wantsClients: true });
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "linkspan-test-"));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const file = (name) => path.join(folder, name);
  const write = (client) => {
    fs.writeFileSync(file("tls.key"), client.key);
    fs.writeFileSync(file("tls.crt"), client.cert);
  };
  write(authority.issue("client"));
  fs.writeFileSync(file("ca.crt"), authority.cert);
  const tls = { caFile: file("ca.crt"), certFile: file("tls.crt"), keyFile: file("tls.key"), minVersion: "TLSv1.3" };
  const channel = channelTo(t, address, tls, { "linkspan.tls_reload_interval_ms": 10 });
  const told = async (words) => {
    while (![...channel.events()].some(({ cause }) => cause.includes(words))) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  await call(channel);
  assert.ok(channel.metrics().certificateDaysLeft < 1);
  fs.writeFileSync(file("tls.crt"), "broken");
  await told("the TLS files cannot be used, so what was read before stays in use: certificate chain in ");
  await call(channelTo(t, `localhost:${port}`, { ca: authority.cert, ...authority.issue("client") }));
  assert.equal((await call(channel)).message.toString(), "secret");
  write(authority.issue("client"));
  await told("the TLS files were read again; the client's certificate expires in ");
  assert.equal((await call(channel)).message.toString(), "secret");
});

test("tls: half a key pair is an error that names the missing half", () => {
  const client = authority.issue("client");
  const refused = (tls, words) => assert.throws(() => new Channel("localhost:1", { tls }), { code: "ERR_LINKSPAN_CREDENTIALS", message: words });
  refused({ cert: client.cert }, /key/);
  refused({ key: client.key }, /certificate/);
  refused({ certFile: "/no/such", keyFile: "/no/such" }, /certificate chain in \/no\/such: cannot be read/);
  refused({ cert: client.cert, certFile: "/no/such", keyFile: "/no/such" }, /give one of them/);
});

test("tls: the default trust is what the environment says", async (t) => {
  const { address } = await secureServer(t);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "linkspan-test-"));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const file = path.join(folder, "roots.pem");
  fs.writeFileSync(file, authority.cert);
  // The machine's own settings must not take part.
  const unset = { NODE_EXTRA_CA_CERTS: undefined, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: undefined };
  const outcomeWith = async (set) => (await answerOf("default-trust.cjs", [address], { env: { ...unset, ...set } })).outcome;
  assert.equal(await outcomeWith({}), Code.UNAVAILABLE);
  assert.equal(await outcomeWith({ NODE_EXTRA_CA_CERTS: file }), "OK");
  assert.equal(await outcomeWith({ GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: file }), "OK");
});

test("tls: the auth context of a secure call says so", async (t) => {
  const { address } = await secureServer(t);
  const channel = channelTo(t, address, { ca: authority.cert });
  const client = new EchoClient("", grpc.credentials.createInsecure(), { channelOverride: channel });
  let context;
  await new Promise((resolve, reject) => {
    const unary = client.Unary(Buffer.alloc(0), (error) => (error ? reject(error) : resolve()));
    unary.on("metadata", () => (context = unary.getAuthContext()));
  });
  assert.equal(context.transportSecurityType, "ssl");
});

test("tls: channelFactory with tlsCredentials, composed with call credentials", async (t) => {
  const { address } = await secureServer(t, {
    handlers: { Unary: (each, callback) => callback(null, Buffer.from(each.metadata.get("authorization").join("|"))) },
  });
  const perCall = grpc.credentials.createFromMetadataGenerator((_, callback) => {
    const metadata = new grpc.Metadata();
    metadata.add("authorization", "Bearer t");
    callback(null, metadata);
  });
  const make = (credentials, options) => {
    const client = new EchoClient(address, credentials, { channelFactoryOverride: channelFactory(options) });
    t.after(() => client.close());
    return new Promise((resolve, reject) => {
      client.Unary(Buffer.alloc(0), (error, answer) => (error ? reject(error) : resolve(answer.toString())));
    });
  };
  const ours = tlsCredentials({ ca: authority.cert });
  assert.equal(await make(ours), "");
  assert.equal(await make(grpc.credentials.combineChannelCredentials(ours, perCall)), "Bearer t");
  // The certificates of grpc-js's own credentials are lost, but the call credentials inside can be had.
  const theirs = grpc.credentials.combineChannelCredentials(grpc.credentials.createSsl(), perCall);
  assert.equal(await make(theirs, { tls: { ca: authority.cert } }), "Bearer t");
});
