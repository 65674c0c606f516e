// Every entry from import and from require: the same classes.

import { createRequire } from "node:module";
import * as imported from "linkspan";
import * as importedGrpcJs from "linkspan/grpc-js";

const require = createRequire(import.meta.url);
const required = require("linkspan");
const requiredGrpcJs = require("linkspan/grpc-js");

const same = (left, right) => Object.keys(right).filter((name) => left[name] === right[name]).sort();

process.stdout.write(
  JSON.stringify({
    main: same(imported, required),
    grpcJs: same(importedGrpcJs, requiredGrpcJs),
    loadedGrpcJs: Object.keys(require.cache).some((file) => file.includes("@grpc")),
  }),
);
