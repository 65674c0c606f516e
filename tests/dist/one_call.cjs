// One unary call with the installed package: bytes in, bytes out.
'use strict';

const { Channel } = require('linkspan');

async function main() {
  const channel = new Channel(process.argv[2]);
  const answer = await channel.unary('/grpc.testing.TestService/EmptyCall', Buffer.alloc(0), { timeoutMs: 10_000 });
  if (answer.message.length !== 0) throw new Error(`expected an empty message, got ${answer.message.length} bytes`);
  await channel.close();
}

main();
