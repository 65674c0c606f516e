export * from "./grpc-js.js";
