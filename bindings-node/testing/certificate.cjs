"use strict";

/** Certificates made when they are needed: an authority, and what it signs. Just enough DER for that. */

const crypto = require("node:crypto");

const OID = {
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
  commonName: [0x55, 0x04, 0x03],
  basicConstraints: [0x55, 0x1d, 0x13],
  subjectAltName: [0x55, 0x1d, 0x11],
};

const DAY_MS = 24 * 3600 * 1000;
const ALGORITHM = sequence(oid(OID.ecdsaWithSha256));

/** An authority: its certificate, and `issue(name, settings)` for certificates it signs. All PEM. */
function makeAuthority() {
  const keys = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
  const subject = name("linkspan test authority");
  const basicConstraints = extension(OID.basicConstraints, sequence(tagged(0x01, Buffer.from([0xff]))));
  const cert = certificate({ issuer: subject, subject, publicKey: keys.publicKey, signer: keys.privateKey, extensions: [basicConstraints] });
  return { cert, issue: (commonName, settings) => issue(commonName, subject, keys.privateKey, settings) };
}

function issue(commonName, issuer, signer, { dnsNames = [], addresses = [], expires = Date.now() + DAY_MS } = {}) {
  const keys = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
  const names = [
    ...dnsNames.map((dnsName) => tagged(0x82, Buffer.from(dnsName))),
    ...addresses.map((address) => tagged(0x87, Buffer.from(address.split(".").map(Number)))),
  ];
  const extensions = names.length > 0 ? [extension(OID.subjectAltName, sequence(...names))] : [];
  return {
    cert: certificate({ issuer, subject: name(commonName), publicKey: keys.publicKey, signer, extensions, expires }),
    key: keys.privateKey.export({ type: "pkcs8", format: "pem" }),
  };
}

function certificate({ issuer, subject, publicKey, signer, extensions, expires = Date.now() + DAY_MS }) {
  const version3 = tagged(0xa0, tagged(0x02, Buffer.from([2])));
  const serial = tagged(0x02, Buffer.concat([Buffer.from([1]), crypto.randomBytes(8)]));
  const validity = sequence(time(expires - 2 * DAY_MS), time(expires));
  const spki = publicKey.export({ type: "spki", format: "der" });
  const parts = [version3, serial, ALGORITHM, issuer, validity, subject, spki];
  if (extensions.length > 0) parts.push(tagged(0xa3, sequence(...extensions)));
  const body = sequence(...parts);
  const signature = tagged(0x03, Buffer.concat([Buffer.from([0]), crypto.sign("sha256", body, signer)]));
  return pem("CERTIFICATE", sequence(body, ALGORITHM, signature));
}

function name(commonName) {
  return sequence(tagged(0x31, sequence(oid(OID.commonName), tagged(0x0c, Buffer.from(commonName)))));
}

function extension(id, value) {
  return sequence(oid(id), tagged(0x04, value));
}

function time(at) {
  const digits = new Date(at).toISOString().replace(/[-:T]/g, "").slice(2, 14);
  return tagged(0x17, Buffer.from(`${digits}Z`));
}

function oid(bytes) {
  return tagged(0x06, Buffer.from(bytes));
}

function sequence(...parts) {
  return tagged(0x30, Buffer.concat(parts));
}

function tagged(tag, content) {
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function pem(label, der) {
  const lines = der.toString("base64").match(/.{1,64}/g);
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

module.exports = { makeAuthority };
