/** `cairn start --role metadata`: the metadata service alone, on SQLite or etcd, over TCP. */
import { lockFolder } from '@cairn/chunk-server'
import { createMetadataService, type MetadataService } from '@cairn/metadata-service'
import type { Random } from '@cairn/protocol'
import type { Config } from '../config.js'
import { loadServerId, makeFolder, writePidFile } from '../data-folder.js'
import { listenHealth } from '../http/health-listener.js'
import {
  type Closers,
  identityOf,
  openOrClose,
  type RoleEnvironment,
  type RunningRole,
} from './environment.js'
import { addMetadataMetrics } from './metadata-metrics.js'
import { entriesInFlight, explainDamage, metadataFolder, openMetadataStore } from './metadata-store.js'
import {
  advertisedAddress,
  advertisedHost,
  bindAddress,
  clusterSecretOf,
  HTTP_PORTS,
} from './service-address.js'
import { StoreFailure } from './store-failure.js'

const RPC_PORT = 9100
const REPLICAS_DEFAULT = 3

/** A service that is not there yet. */
/** Starts the service; the first pool is made when enough chunk servers have registered. */
export async function startMetadataRole(environment: RoleEnvironment): Promise<RunningRole> {
  const failure = new StoreFailure(environment.log)
  const { opened, close } = await openOrClose((closers) =>
    failure.unlessFailed(explainDamage(environment.config, open(environment, closers, failure))),
  )
  return { lines: opened, close }
}

async function open(
  environment: RoleEnvironment,
  closers: Closers,
  failure: StoreFailure,
): Promise<readonly string[]> {
  const { config, metrics, random } = environment
  const folder = metadataFolder(config.dataDir)
  makeFolder(folder)
  const lock = lockFolder(folder)
  closers.add(() => lock.release())
  closers.add(writePidFile(config.dataDir, 'metadata'))
  const name = nameOf(config, random)
  let running: MetadataService | undefined
  // Before the store is opened, which may have to wait for etcd: a supervisor must not take that for a hang.
  const health = await listenHealth(environment, {
    port: HTTP_PORTS.metadata,
    findTrouble: async () =>
      failure.trouble ?? (running === undefined ? 'opening the metadata store' : await running.findTrouble()),
    inspect: () => ({ role: 'metadata', name, ...(running === undefined ? {} : describe(running)) }),
  })
  closers.add(() => health.close())
  const store = await openMetadataStore(environment, failure)
  const replicas = config.replicas ?? REPLICAS_DEFAULT
  const service = await createMetadataService({
    ...environment,
    store,
    entriesInFlight: entriesInFlight(config),
    identity: identityOf('metadata', name, clusterSecretOf(config)),
    address: bindAddress(config, RPC_PORT),
    isShared: config.etcd !== undefined,
    advertise: (listening) => advertisedAddress(config, listening),
    gcGraceSeconds: config.gcGraceSeconds,
    orphanGraceSeconds: config.orphanGraceSeconds,
    scrubSeconds: config.scrubSeconds,
    suspectSeconds: config.suspectSeconds,
    deadSeconds: config.deadSeconds,
    ...(config.rebalance === 'auto' ? { joinSeconds: config.suspectSeconds } : {}),
    replicas,
    drivesExpected: replicas,
  })
  closers.add(() => service.close())
  const address = await service.start()
  addMetadataMetrics(metrics, service)
  running = service
  return [`RPC: ${advertisedAddress(config, address)}`, `Health: ${health.endpoint}/-/health/ready`]
}

/** Its status without the tables of groups. */
function describe(service: MetadataService): object {
  const { map, ...status } = service.status()
  const { pools, ...rest } = map
  return {
    ...status,
    map: {
      ...rest,
      pools: pools.map(({ groups: _, next, ...pool }) => ({ ...pool, isChanging: next !== undefined })),
    },
  }
}

/** Tells services on one etcd apart; of two that share it the second is refused. */
function nameOf(config: Config, random: Random): string {
  const { etcd, rpcPort = RPC_PORT, dataDir } = config
  const place = advertisedHost(config)
  if (etcd === undefined) return `metadata-${place}`
  return `${place}:${rpcPort === 0 ? loadServerId(dataDir, random) : rpcPort}`
}
