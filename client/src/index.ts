export * from './api.js'
export { type ConnectedClient, type ConnectOptions, connectCairn } from './connect.js'
export type { BlockDamage, ClientCounters } from './parts.js'
export { toBytes, toNodeReadable, toReadableStream } from './web.js'
