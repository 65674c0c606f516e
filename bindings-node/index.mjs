import linkspan from "./index.cjs";

export const { Channel, Code, Metadata, RpcError, State, setLogger } = linkspan;
