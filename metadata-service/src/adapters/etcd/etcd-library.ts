/**
 * What is loaded only when etcd is configured (it takes a fifth of a second): the gRPC client and etcd's definition of
 * its messages. Of the etcd3 package only that definition is used: its own client repeats transactions whose answer
 * was lost, waits without a deadline, shuts a member out for 5 s, and loses events when a watch reconnects.
 */
import { createRequire } from 'node:module'
import type * as Grpc from '@grpc/grpc-js'
import { MAINTENANCE } from './etcd-maintenance.js'
import type { EtcdMethod } from './etcd-messages.js'

/** How one method is spoken. */
export interface MethodCodec {
  readonly path: string
  encode(request: unknown): Buffer
  decode(bytes: Buffer): unknown
}

export interface EtcdLibrary {
  readonly grpc: typeof Grpc
  readonly methods: Readonly<Record<EtcdMethod, MethodCodec>>
}

const METHODS: Readonly<Record<EtcdMethod, readonly [service: string, method: string]>> = {
  txn: ['KV', 'Txn'],
  range: ['KV', 'Range'],
  compact: ['KV', 'Compact'],
  watch: ['Watch', 'Watch'],
  leaseGrant: ['Lease', 'LeaseGrant'],
  leaseRevoke: ['Lease', 'LeaseRevoke'],
  leaseKeepAlive: ['Lease', 'LeaseKeepAlive'],
  authenticate: ['Auth', 'Authenticate'],
  status: ['Maintenance', 'Status'],
  defragment: ['Maintenance', 'Defragment'],
  alarm: ['Maintenance', 'Alarm'],
}

let loaded: Promise<EtcdLibrary> | undefined

/** Loads once. */
export function loadEtcdLibrary(): Promise<EtcdLibrary> {
  loaded ??= load()
  return loaded
}

async function load(): Promise<EtcdLibrary> {
  const [grpc, loader] = await Promise.all([import('@grpc/grpc-js'), import('@grpc/proto-loader')])
  const file = createRequire(import.meta.url).resolve('etcd3/proto/rpc.proto')
  // Revisions, counts and the lease ids that we choose are all below 2^53.
  const definition = {
    ...(await loader.load(file, { keepCase: true, longs: Number })),
    ...loader.fromJSON(MAINTENANCE, { keepCase: true, longs: String }),
  }
  const codecs = Object.entries(METHODS).map(([name, [service, method]]) => {
    const found = (definition[`etcdserverpb.${service}`] as Grpc.ServiceDefinition | undefined)?.[method]
    if (found === undefined) throw new Error(`etcd3 defines no ${service}.${method}`)
    return [name, { path: found.path, encode: found.requestSerialize, decode: found.responseDeserialize }]
  })
  return { grpc, methods: Object.fromEntries(codecs) as EtcdLibrary['methods'] }
}
